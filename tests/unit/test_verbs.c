/* Verbs: what client/verbs.h promises: each message is answered, once, in order, and by the rights of its
 * route. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "support/clients_world.h"

static void answers_a_ping_and_echoes_ids(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	ask(world, peer, "{\"type\":\"ping\"}");
	hears(peer, "pong ");
	ask(world, peer, "{\"type\":\"ping\",\"id\":-7}");
	hears(peer, "pong#-7 ");
	ask(world, peer, "{\"id\":\"x y\",\"type\":\"ping\",\"data\":{}}");
	hears(peer, "pong#x y ");
	ask(world, peer, "{\"id\":1,\"type\":\"subscribe\",\"data\":{\"channel\":\"cards\"}}");
	ask(world, peer, "{\"id\":2,\"type\":\"unsubscribe\",\"data\":{\"channel\":\"cards\"}}");
	ask(world, peer, "{\"id\":3,\"type\":\"dance\"}");
	ask(world, peer, "{\"id\":4,\"type\":\"subscribe\",\"data\":{\"channel\":\"nobody\"}}");
	ask(world, peer, "{\"id\":5,\"type\":\"action\",\"data\":{}}");
	hears(peer, "subscribed#1(cards) unsubscribed#2(cards) error#3(unknown_type) error#4(forbidden) "
		    "error#5(unsupported) ");
}

static void answers_what_it_cannot_do_and_stays_open(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	ask(world, peer, "");
	ask(world, peer, "{\"type\":\"ping\"");
	ask(world, peer, "[]");
	hears(peer, "error(bad_json) error(bad_json) error(bad_json) ");
	ask(world, peer, "{}");
	ask(world, peer, "{\"type\":\"\"}");
	hears(peer, "error(missing_type) error(unknown_type) ");
	ask(world, peer, "{\"type\":\"unsubscribe\",\"data\":{}}");
	ask(world, peer, "{\"type\":\"subscribe\",\"data\":3}");
	ask(world, peer, "{\"type\":\"ping\",\"id\":[]}");
	hears(peer, "error(missing_channel) error(bad_data) error(bad_id) ");
	assert_int_equal(metrics_get(&world->metrics, METRIC_CLIENT_ERRORS), 8);
	assert_int_equal(metrics_get(&world->metrics, METRIC_MESSAGES_IN), 8);
	publish_each(world, "cards", 1, 1);
	hears(peer, "e1 ");
	assert_int_equal(peer->client.state, CLIENT_OPEN);
}

static void answers_a_subscribe_once_the_node_is_subscribed(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	ask(world, peer, "{\"type\":\"subscribe\",\"id\":\"q\",\"data\":{\"channel\":\"execution:9\"}}");
	says(world, "+execution:9 ");
	hears(peer, "");
	confirm(world, "execution:9");
	turn(world);
	hears(peer, "subscribed#q(execution:9) ");
	publish_each(world, "execution:9", 1, 1);
	hears(peer, "e1 ");
	pass(world, CLIENT_SUBSCRIBE_MS);
	hears(peer, ""); /* answered is answered */
}

static void answers_a_subscribe_at_once_where_the_node_is_subscribed(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	opened(world, 1, "/ws/execution/9");
	ask_for(world, peer, "subscribe", "execution:9");
	hears(peer, "subscribed(execution:9) ");
	says(world, "");
}

static void answers_a_second_subscribe_and_never_doubles(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	ask_for(world, peer, "subscribe", "cards");
	ask_for(world, peer, "subscribe", "cards");
	hears(peer, "subscribed(cards) subscribed(cards) ");
	publish_each(world, "cards", 1, 1);
	hears(peer, "e1 ");
	ask_for(world, peer, "unsubscribe", "cards");
	says(world, "-cards ");
	hears(peer, "unsubscribed(cards) ");
}

/* "Subscribed" is a promise that every event from now on comes; nobody can give it before the broker did. */
static void a_second_subscribe_waits_like_the_first(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	ask(world, peer, "{\"type\":\"subscribe\",\"id\":1,\"data\":{\"channel\":\"a\"}}");
	ask(world, peer, "{\"type\":\"subscribe\",\"id\":2,\"data\":{\"channel\":\"a\"}}");
	hears(peer, "");
	confirm(world, "a");
	turn(world);
	hears(peer, "subscribed#1(a) subscribed#2(a) ");
}

/* The same for a channel of the route whose confirmation did not come in time. */
static void a_subscribe_to_a_joined_channel_waits_for_its_confirmation_too(void **state)
{
	struct world *world = *state;
	struct peer *peer = &world->peers[0];

	assert_int_equal(begin(world, peer, CARDS), CLIENT_HELD);
	pass(world, CLIENT_PARKED_MS);
	client_open(&peer->client);
	ask_for(world, peer, "subscribe", "cards");
	hears(peer, "");
	confirm(world, "cards");
	turn(world);
	hears(peer, "subscribed(cards) ");
}

static void unsubscribes(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS), *other = opened(world, 1, CARDS);

	publish(world, "cards", 1);
	ask_for(world, peer, "unsubscribe", "cards");
	publish_each(world, "cards", 2, 2);
	hears(peer, "unsubscribed(cards) ");
	hears(other, "e1 e2 ");
	says(world, ""); /* another wants it still */
	ask_for(world, peer, "unsubscribe", "cards");
	ask_for(world, peer, "unsubscribe", "execution:never");
	hears(peer, "unsubscribed(cards) unsubscribed(execution:never) ");
	ask_for(world, other, "unsubscribe", "cards");
	says(world, "-cards ");
}

static void an_unsubscribe_answers_what_is_owed_before(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	ask_for(world, peer, "subscribe", "a");
	ask_for(world, peer, "unsubscribe", "a");
	says(world, "+a -a ");
	hears(peer, "subscribed(a) unsubscribed(a) ");
	confirm(world, "a");
	pass(world, CLIENT_SUBSCRIBE_MS);
	hears(peer, "");
}

static void forbidden_and_unknown_look_the_same(void **state)
{
	static const char *const names[] = {
		"nobody", "execution:a:b", "tg:s", "a b", "*", "cards:", "execution:"};
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS), *shut = opened(world, 1, "/ws/shut");

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		ask_for(world, peer, "subscribe", names[i]);
		hears(peer, "error(forbidden) ");
	}
	ask_for(world, shut, "subscribe", "execution:1");
	hears(shut, "error(forbidden) ");
	says(world, "");
	ask_for(world, peer, "subscribe", "execution:1");
	says(world, "+execution:1 ");
}

/* However deep the answer is looked at: a stranger's probe and a forbidden name differ in nothing. */
static void a_refusal_is_the_same_to_the_byte(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, "/ws/shut"), *other = opened(world, 1, "/ws/shut");

	ask_for(world, peer, "subscribe", "execution:1");
	ask_for(world, other, "subscribe", "a b");
	assert_int_equal(peer->wire.len, other->wire.len);
	assert_memory_equal(peer->wire.data, other->wire.data, peer->wire.len);
}

static void bounds_the_subscriptions_of_a_connection(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS), *other = opened(world, 1, CARDS);

	world->clients.limits.subscriptions_max = 2;
	ask_for(world, peer, "subscribe", "a");
	confirm(world, "a");
	ask_for(world, peer, "subscribe", "b");
	hears(peer, "subscribed(a) error(too_many_subscriptions b) ");
	says(world, "+a ");
	ask_for(world, peer, "subscribe", "a"); /* it has that one */
	ask_for(world, other, "subscribe", "a");
	ask_for(world, peer, "unsubscribe", "cards");
	hears(peer, "subscribed(a) unsubscribed(cards) ");
	hears(other, "subscribed(a) ");
	ask_for(world, peer, "subscribe", "b");
	says(world, "+b ");
}

static void gives_up_a_subscribe_that_is_not_confirmed_in_time(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	ask(world, peer, "{\"type\":\"subscribe\",\"id\":1,\"data\":{\"channel\":\"a\"}}");
	pass(world, 100);
	ask(world, peer, "{\"type\":\"subscribe\",\"id\":2,\"data\":{\"channel\":\"b\"}}");
	says(world, "+a +b ");
	pass(world, CLIENT_SUBSCRIBE_MS - 101);
	hears(peer, "");
	pass(world, 1);
	hears(peer, "error#1(unavailable a 2000) ");
	says(world, "-a ");
	assert_int_equal(CLIENT_RETRY_MS, 2000);
	pass(world, 100);
	hears(peer, "error#2(unavailable b 2000) ");
	says(world, "-b ");
	confirm_all(world);
	publish_each(world, "a", 1, 1);
	hears(peer, ""); /* the subscription is gone */
	ask_for(world, peer, "subscribe", "a");
	confirm(world, "a"); /* and can be had again */
	turn(world);
	hears(peer, "subscribed(a) ");
}

static void a_subscribe_without_a_broker_waits_for_it_to_come_back(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS), *other = opened(world, 1, "/ws/pair");

	clients_connected(&world->clients, false);
	ask_for(world, peer, "subscribe", "a");
	ask_for(world, other, "unsubscribe", "b");
	hears(peer, "");
	clients_connected(&world->clients, true);
	pass(world, CLIENT_SUBSCRIBE_MS - 1);
	confirm_all(world);
	turn(world);
	hears(peer, "subscribed(a) ");
	hears(other, "unsubscribed(b) ");
	publish_each(world, "cards", 1, 1);
	publish_each(world, "a", 2, 2);
	hears(peer, "e1 e2 ");
	hears(other, "e2 ");
}

/* A reload must not pull the rights of a connection away under it. */
static void keeps_its_own_route_table(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	route_table_unref(world->clients.routes);
	route_table_unref(world->routes);
	world->routes = route_table_new();
	add_route(world->routes, "/ws/other", NULL, 0, true);
	world->clients.routes = route_table_ref(world->routes);
	ask_for(world, peer, "subscribe", "execution:1");
	says(world, "+execution:1 ");
	assert_int_equal(begin(world, &world->peers[1], "/ws/other"), 0);
	client_open(&world->peers[1].client);
	ask_for(world, &world->peers[1], "subscribe", "execution:1");
	hears(&world->peers[1], "error(forbidden) ");
}

static void may_have_back_its_own_channel(void **state)
{
	struct world *world = *state;
	struct peer *anna = opened(world, 0, "/ws/own/anna"), *shut = opened(world, 1, "/ws/shut");

	ask_for(world, anna, "unsubscribe", "user:anna");
	ask_for(world, anna, "subscribe", "user:bert");
	ask_for(world, anna, "subscribe", "cards");
	hears(anna, "unsubscribed(user:anna) error(forbidden) error(forbidden) ");
	ask_for(world, anna, "subscribe", "user:anna");
	says(world, "-user:anna +user:anna ");
	confirm(world, "user:anna");
	turn(world);
	hears(anna, "subscribed(user:anna) ");
	ask_for(world, shut, "unsubscribe", "cards");
	ask_for(world, shut, "subscribe", "cards");
	ask_for(world, shut, "subscribe", "user:anna");
	hears(shut, "unsubscribed(cards) error(forbidden) ");
	confirm(world, "cards");
	turn(world);
	hears(shut, "subscribed(cards) ");
}

/* A table with one more route that joins `channel`, and /ws/cards as it was if asked for. */
static struct route_table *other_routes(const char *channel, bool with_cards)
{
	static const char *const cards = "cards";
	struct route_table *table = route_table_new();

	assert_non_null(table);
	if (with_cards)
		add_route(table, CARDS, &cards, 1, true);
	add_route(table, "/ws/new", &channel, 1, true);
	return table;
}

static void configure(struct world *world, struct route_table *table)
{
	clients_configure(&world->clients, &world->clients.limits, table);
	route_table_unref(table);
}

static void may_subscribe_to_what_the_newest_table_has(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);
	struct route_table *first = world->clients.routes;

	assert_ptr_equal(peer->client.rights.routes, first);
	configure(world, other_routes("fresh", true));
	send_text(peer, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"fresh\"}}");
	assert_int_equal(peer->client.subscriber.n, 2);
	assert_ptr_equal(peer->client.rights.routes, world->clients.routes);
	send_text(peer,
		"{\"type\":\"subscribe\",\"data\":{\"channel\":\"a\"}}"); /* no route joins it any more */
	assert_int_equal(peer->client.subscriber.n, 2);
}

static void goes_on_by_its_old_table_when_its_route_is_gone(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);
	struct route_table *first = world->clients.routes;

	configure(world, other_routes("fresh", false));
	send_text(peer, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"fresh\"}}");
	assert_int_equal(peer->client.subscriber.n, 1);
	send_text(peer, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"a\"}}");
	assert_int_equal(peer->client.subscriber.n, 2);
	assert_ptr_equal(peer->client.rights.routes, first);
	assert_int_equal(peer->client.state, CLIENT_OPEN);
}

/* As many messages as fit, then those of one second. */
static void counts_messages(struct world *world, unsigned int rate, unsigned int burst)
{
	world->clients.limits.messages = bucket_rate(rate, 1000, burst);
}

static void what_is_over_the_rate_is_not_carried_out_and_told_once_a_second(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS), *other = opened(world, 1, CARDS);

	counts_messages(world, 2, 3);
	for (int i = 0; i < 9; i++)
		ask(world, peer, "{\"type\":\"ping\",\"id\":1}");
	hears(peer, "pong#1 pong#1 pong#1 error(rate 2000) ");
	ask_for(world, peer, "subscribe", "a");
	says(world, "");
	hears(peer, "");
	ask(world, other, "{\"type\":\"ping\",\"id\":2}"); /* each has its own */
	hears(other, "pong#2 ");
	pass(world, 500);
	ask_for(world, peer, "subscribe", "a");
	says(world, "+a ");
	ask(world, peer, "not read at all");
	pass(world, 499);
	ask(world, peer, "not read either");
	hears(peer, "");
	pass(world, 1);
	ask(world, peer, "{\"type\":\"ping\",\"id\":3}");
	ask(world, peer, "not read, and told");
	hears(peer, "pong#3 error(rate 2000) ");
	assert_int_equal(metrics_get(&world->metrics, METRIC_MESSAGES_OVER_RATE), 10);
	assert_int_equal(peer->client.n_received, 15);
	assert_int_equal(peer->client.state, CLIENT_OPEN);
}

static void without_a_bound_a_client_says_what_it_likes(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	counts_messages(world, 0, 1);
	world->clients.limits.failures = bucket_rate(0, CLIENT_FAILURES_MS, 0);
	for (int i = 0; i < 1000; i++)
		ask(world, peer, "?");
	assert_int_equal(peer->client.n_received, 1000);
	assert_int_equal(metrics_get(&world->metrics, METRIC_MESSAGES_OVER_RATE), 0);
	assert_int_equal(peer->client.state, CLIENT_OPEN);
}

static void mistakes_close_a_connection_and_other_answers_do_not(void **state)
{
	static const char *const mistakes[] = {"?", "{\"type\":\"nothing\"}",
		"{\"type\":\"subscribe\",\"data\":{\"channel\":\"nobody\"}}",
		"{\"type\":\"unsubscribe\",\"data\":{\"channel\":\"a b\"}}"};
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	world->clients.limits.subscriptions_max = 1;
	world->clients.limits.failures = bucket_rate(4, CLIENT_FAILURES_MS, 4);
	for (int i = 0; i < 10; i++) {
		ask(world, peer, "{\"type\":\"action\"}");
		ask_for(world, peer, "subscribe", "a");
		ask(world, peer, "{\"type\":\"ping\"}");
	}
	for (size_t i = 0; i < 4; i++)
		ask(world, peer, mistakes[i]);
	assert_int_equal(peer->client.state, CLIENT_OPEN);
	pass(world, CLIENT_FAILURES_MS / 4);
	ask(world, peer, mistakes[0]); /* one more was forgiven */
	assert_int_equal(peer->client.state, CLIENT_OPEN);
	buf_reset(&peer->wire);
	ask(world, peer, mistakes[3]);
	hears(peer, "error(forbidden) close:4101 ");
	assert_int_equal(peer->client.state, CLIENT_CLOSING);
	assert_int_equal(peer->client.reason, CLOSE_FAILURES);
}

/* Seconds until it is closed, if it says so many in each; 60 if it is not. */
static int lasts(struct world *world, struct peer *peer, int n_a_second)
{
	int seconds = 0;

	counts_messages(world, 50, 200);
	world->clients.limits.failures = bucket_rate(20, CLIENT_FAILURES_MS, 20);
	for (; peer->client.state == CLIENT_OPEN && seconds < 60; seconds++) {
		for (int i = 0; i < n_a_second; i++)
			ask(world, peer, "{\"type\":\"ping\"}");
		client_heard(&peer->client);
		pass(world, 1000);
	}
	assert_true(seconds == 60 || peer->client.reason == CLOSE_FAILURES);
	return seconds;
}

static void who_does_not_stop_is_closed(void **state)
{
	struct world *world = *state;

	assert_int_equal(lasts(world, opened(world, 0, CARDS), 50), 60);
	assert_in_range(lasts(world, opened(world, 1, CARDS), 70), 20, 45); /* its burst lasts for 10 s */
	assert_int_equal(lasts(world, opened(world, 2, CARDS), 5000), 1);
	assert_in_range(world->peers[2].client.n_received, 2000, 2500);
}

static void a_page_that_says_too_much_once_stays(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	counts_messages(world, 50, 200);
	world->clients.limits.failures = bucket_rate(20, CLIENT_FAILURES_MS, 20);
	for (int i = 0; i < 1000; i++)
		ask(world, peer, "{\"type\":\"ping\"}");
	assert_int_equal(peer->client.state, CLIENT_OPEN);
	pass(world, 20);
	buf_reset(&peer->wire);
	ask(world, peer, "{\"type\":\"ping\",\"id\":1}");
	hears(peer, "pong#1 ");
}

/* It has as many channels as it may have, and comes back with all of them twice. */
static void subscribes_that_cost_something_have_a_bound_of_their_own(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);
	int n = 2 * (int)world->clients.limits.subscriptions_max + CLIENT_ASKS_MORE;

	for (int i = 0; i < n; i++) {
		ask_for(world, peer, "subscribe", "a");
		ask_for(world, peer, "unsubscribe", "a");
		says(world, "+a -a ");
		world->n_interests = 0;
	}
	buf_reset(&peer->wire);
	ask_for(world, peer, "subscribe", "a");
	hears(peer, "error(rate a 2000) ");
	pass(world, CLIENT_ASK_MS);
	ask_for(world, peer, "subscribe", "a");
	ask_for(world, peer, "subscribe", "b");
	hears(peer, "error(rate b 2000) ");
	assert_int_equal(peer->client.subscriber.n, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLIENTS_TEST(answers_a_ping_and_echoes_ids),
		CLIENTS_TEST(answers_what_it_cannot_do_and_stays_open),
		CLIENTS_TEST(answers_a_subscribe_once_the_node_is_subscribed),
		CLIENTS_TEST(answers_a_subscribe_at_once_where_the_node_is_subscribed),
		CLIENTS_TEST(answers_a_second_subscribe_and_never_doubles),
		CLIENTS_TEST(a_second_subscribe_waits_like_the_first),
		CLIENTS_TEST(a_subscribe_to_a_joined_channel_waits_for_its_confirmation_too),
		CLIENTS_TEST(unsubscribes),
		CLIENTS_TEST(an_unsubscribe_answers_what_is_owed_before),
		CLIENTS_TEST(forbidden_and_unknown_look_the_same),
		CLIENTS_TEST(a_refusal_is_the_same_to_the_byte),
		CLIENTS_TEST(bounds_the_subscriptions_of_a_connection),
		CLIENTS_TEST(gives_up_a_subscribe_that_is_not_confirmed_in_time),
		CLIENTS_TEST(a_subscribe_without_a_broker_waits_for_it_to_come_back),
		CLIENTS_TEST(keeps_its_own_route_table),
		CLIENTS_TEST(may_have_back_its_own_channel),
		CLIENTS_TEST(may_subscribe_to_what_the_newest_table_has),
		CLIENTS_TEST(goes_on_by_its_old_table_when_its_route_is_gone),
		CLIENTS_TEST(what_is_over_the_rate_is_not_carried_out_and_told_once_a_second),
		CLIENTS_TEST(without_a_bound_a_client_says_what_it_likes),
		CLIENTS_TEST(mistakes_close_a_connection_and_other_answers_do_not),
		CLIENTS_TEST(who_does_not_stop_is_closed),
		CLIENTS_TEST(a_page_that_says_too_much_once_stays),
		CLIENTS_TEST(subscribes_that_cost_something_have_a_bound_of_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
