/* Recovery: what client/recovery.h promises: who says where it was is answered once, and hears what it was
 * promised. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/map.h"
#include "protocol/reply.h"
#include "support/clients_world.h"

/* Who unsubscribes, or goes, no longer waits for what he asked for: the bus need not do it. */
static void abandons_a_join_that_nobody_waits_for(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);
	struct join *join;

	for (int i = 0; i < 2; i++) {
		send_text(peer, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"cards\",\"recover\":true}}");
		join = world->join;
		world->join = NULL;
		assert_non_null(join);
		assert_false(atomic_load(&join->abandoned));
		if (i == 0)
			send_text(peer, "{\"type\":\"unsubscribe\",\"data\":{\"channel\":\"cards\"}}");
		else
			client_close(&peer->client, CLOSE_RESTART);
		assert_true(atomic_load(&join->abandoned));
		join->r = -EAGAIN;
		clients_joined(&world->clients, join);
		turn(world);
	}
}

static void say_of(struct peer *peer, const char *verb, char channel, const char *more)
{
	char text[96];

	snprintf(text, sizeof(text), "{\"type\":\"%s\",\"data\":{\"channel\":\"execution:%c\"%s}}", verb,
		channel, more);
	send_text(peer, text);
}

/* The join that has just set out, or NULL. */
static struct join *set_out(struct world *world)
{
	struct join *join = world->join;

	world->join = NULL;
	return join;
}

static void give_back(struct world *world, struct join *join)
{
	join->r = -EAGAIN;
	clients_joined(&world->clients, join);
}

/* Else the joins of one would stand before those of all others, at the bus, and stay there when it leaves. */
static void a_few_joins_of_a_connection_are_under_way_and_the_others_wait_their_turn(void **state)
{
	enum {
		N = CLIENT_JOINS_MAX + 3
	};
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);
	struct join *joins[N] = {0};

	world->clients.limits.subscriptions_max = 2 * N;
	for (int i = 0; i < N; i++) {
		say_of(peer, "subscribe", (char)('a' + i), ",\"recover\":true");
		joins[i] = set_out(world);
		assert_int_equal(joins[i] != NULL, i < CLIENT_JOINS_MAX);
	}
	assert_int_equal(peer->client.n_unanswered, N);
	say_of(peer, "unsubscribe", 'a', "");
	assert_null(set_out(world)); /* it is under way still */
	give_back(world, joins[0]);
	joins[CLIENT_JOINS_MAX] = set_out(world);
	assert_memory_equal(joins[CLIENT_JOINS_MAX]->channel, "execution:e", 11);
	say_of(peer, "unsubscribe", 'f', ""); /* which waits, and goes at once */
	assert_int_equal(peer->client.n_unanswered, N - 2);
	give_back(world, joins[1]);
	joins[N - 1] = set_out(world);
	assert_memory_equal(joins[N - 1]->channel, "execution:g", 11);
	turn(world);
	hears(peer, "error(unavailable execution:a 2000) unsubscribed(execution:a) "
		    "error(unavailable execution:f 2000) unsubscribed(execution:f) "
		    "error(unavailable execution:b 2000) ");
	client_close(&peer->client, CLOSE_RESTART);
	for (int i = 2; i < N; i++) {
		if (joins[i])
			give_back(world, joins[i]);
		assert_null(set_out(world));
	}
}

static void wants_channel(struct join *join, char channel)
{
	const char name[] = {'e', 'x', 'e', 'c', 'u', 't', 'i', 'o', 'n', ':', channel};

	assert_non_null(join);
	assert_int_equal(join->channel_len, sizeof(name));
	assert_memory_equal(join->channel, name, sizeof(name));
}

/* Four logs that cannot be read do not take with them what else the connection asked for. */
static void who_waited_for_a_turn_half_of_his_time_goes_without(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);
	struct join *joins[CLIENT_JOINS_MAX], *late;

	world->clients.limits.subscriptions_max = 2 * CLIENT_JOINS_MAX;
	for (int i = 0; i < CLIENT_JOINS_MAX; i++) {
		say_of(peer, "subscribe", (char)('a' + i), ",\"recover\":true");
		joins[i] = set_out(world);
	}
	say_of(peer, "subscribe", 'y', ",\"recover\":true");
	pass(world, 1);
	say_of(peer, "subscribe", 'z', ",\"recover\":true");
	confirm_all(world);
	pass(world, CLIENT_SUBSCRIBE_MS / 2 - 2);
	assert_null(set_out(world));
	pass(world, 1);
	late = set_out(world);
	wants_channel(late, 'y');
	clients_joined(&world->clients, late);
	assert_null(set_out(world)); /* the four places are taken still */
	turn(world);
	hears(peer, "subscribed(execution:y) ");
	pass(world, 1);
	late = set_out(world);
	wants_channel(late, 'z');
	pass(world, CLIENT_SUBSCRIBE_MS / 2); /* its answer is due all the same */
	assert_int_equal(peer->client.n_unanswered, CLIENT_JOINS_MAX + 1);
	assert_int_equal(peer->client.subscriber.n, 2);
	buf_reset(&peer->wire);
	say_of(peer, "subscribe", 'x', ",\"recover\":true");
	give_back(world, late);
	assert_null(set_out(world));
	give_back(world, joins[0]);
	late = set_out(world);
	wants_channel(late, 'x');
	give_back(world, late);
	for (int i = 1; i < CLIENT_JOINS_MAX; i++)
		give_back(world, joins[i]);
	assert_null(set_out(world));
	assert_int_equal(peer->client.n_unanswered, 0);
	assert_int_equal(peer->client.n_joins, 0);
}

/* Asks for the history of a channel that keeps none, and is told so by the bus. */
static void recover_nothing(struct world *world, struct peer *peer, const char *channel)
{
	struct join *join;
	char text[96];

	snprintf(text, sizeof(text),
		"{\"type\":\"subscribe\",\"data\":{\"channel\":\"%s\",\"recover\":true}}", channel);
	send_text(peer, text);
	join = take_join(world);
	join->r = -ENOENT;
	clients_joined(&world->clients, join);
	turn(world);
}

static void without_a_history_the_answer_waits_for_the_confirmation_too(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	recover_nothing(world, peer, "a");
	assert_int_equal(peer->wire.len, 0);
	confirm(world, "a");
	turn(world);
	assert_non_null(memmem(peer->wire.data, peer->wire.len, "\"recoverable\":false", 19));
	buf_reset(&peer->wire);
	recover_nothing(world, peer, "a"); /* which it is by now */
	assert_non_null(memmem(peer->wire.data, peer->wire.len, "\"recoverable\":false", 19));
	buf_reset(&peer->wire);
	recover_nothing(world, peer, "b");
	pass(world, CLIENT_SUBSCRIBE_MS);
	assert_non_null(memmem(peer->wire.data, peer->wire.len, "unavailable", 11));
	assert_int_equal(peer->client.subscriber.n, 2); /* cards and a */
}

/* It may have arrived at this node long ago, and what was read from a log (0) never did. */
static void a_replay_is_no_older_than_its_wait(void **state)
{
	struct world *world = *state;
	struct peer *remembered = opened(world, 0, CARDS), *read = opened(world, 1, CARDS);

	remembered->room = read->room = 10;
	recover(world, remembered, 3, world->now_ms - 10 * SLOW_AGE_MS);
	recover(world, read, 3, 0);
	pass(world, SLOW_AGE_MS);
	assert_int_equal(remembered->client.state, CLIENT_OPEN);
	assert_int_equal(read->client.state, CLIENT_OPEN);
	read->room = 10;
	writable(world, read); /* a slow line, but it moves */
	pass(world, SLOW_AGE_MS);
	assert_int_equal(remembered->client.reason, CLOSE_SLOW);
	assert_int_equal(read->client.state, CLIENT_OPEN);
	pass(world, 1);
	assert_int_equal(read->client.reason, CLOSE_SLOW);
}

static void what_is_too_much_to_be_recovered_is_not_counted_as_recovered(void **state)
{
	struct world *world = *state;
	struct peer *full = opened(world, 0, CARDS), *quick = opened(world, 1, CARDS);

	world->clients.limits.outbox_bytes_max = 5 * event_len();
	full->room = 0;
	publish_each(world, "cards", 1, 1);
	recover(world, full, 6, 0);
	assert_int_equal(metrics_get(&world->metrics, METRIC_RECOVER_NOT), 1);
	assert_int_equal(metrics_get(&world->metrics, METRIC_RECOVER_DONE), 0);
	assert_int_equal(metrics_get(&world->metrics, METRIC_RECOVER_FROM_MEMORY), 0);
	recover(world, quick, 6, 0);
	assert_int_equal(metrics_get(&world->metrics, METRIC_RECOVER_DONE), 1);
	assert_int_equal(full->client.state, CLIENT_OPEN);
}

static void resync(struct world *world, const char *channel)
{
	struct message *told =
		reply_resync(slice_of(channel), "fork", false, 0, "epoch.9.1009", world->now_ms);

	clients_resync(&world->clients, slice_of(channel), map_hash(channel, strlen(channel)), told, false);
	message_unref(told);
	turn(world);
}

/* It would be ahead of the position in the answer, and the client would store the wrong one. */
static void who_waits_for_its_position_hears_of_no_other_before(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);
	struct join *join;

	send_text(peer, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"cards\",\"recover\":true}}");
	join = take_join(world);
	resync(world, "cards");
	hears(peer, "");
	clients_joined(&world->clients, join);
	turn(world);
	hears(peer, "subscribed(cards) ");
	resync(world, "cards");
	hears(peer, "resync(cards) ");
}

/* Those whom the history has told of it need no other copy. */
static void what_comes_late_is_for_those_whom_the_history_did_not_answer(void **state)
{
	struct world *world = *state;
	struct peer *answered = opened(world, 0, CARDS), *waits = opened(world, 1, CARDS);
	struct peer *hears_all = opened(world, 2, CARDS);
	struct message *late = keyed_event("cards", "", 1, world->now_ms);
	struct slice cards = slice_of("cards");

	world->era = 3;
	recover(world, answered, 0, 0);
	hears(answered, "subscribed(cards) ");
	send_text(waits, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"cards\",\"recover\":true}}");
	clients_late(&world->clients, cards, map_hash(cards.data, cards.len), late, 3);
	turn(world);
	hears(answered, "");
	hears(waits, "");
	hears(hears_all, "e1 ");
	clients_late(&world->clients, cards, map_hash(cards.data, cards.len), late, 4);
	turn(world);
	hears(answered, "e1 ");
	hears(hears_all, "e1 ");
	message_unref(late);
	clients_joined(&world->clients, world->join);
	world->join = NULL;
}

static bool was_told(struct peer *peer, const char *text)
{
	bool told = memmem(peer->wire.data, peer->wire.len, text, strlen(text)) != NULL;

	buf_reset(&peer->wire);
	return told;
}

static void a_join_that_is_lost_is_answered_all_the_same(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);
	struct join *join;

	send_text(peer, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"a\",\"recover\":true}}");
	join = take_join(world);
	pass(world, CLIENT_SUBSCRIBE_MS - 1);
	assert_int_equal(peer->wire.len, 0);
	pass(world, 1);
	assert_true(was_told(peer, "\"unavailable\""));
	assert_int_equal(peer->client.subscriber.n, 1); /* cards */
	clients_joined(&world->clients, join);          /* found again, it finds nobody */
	turn(world);
	assert_int_equal(peer->wire.len, 0);
}

/* An entry of the channel's log. */
static void publish_entry(struct world *world, int number)
{
	struct message *message;

	assert_int_equal(
		message_from_event(message_channel(slice_of("cards")), slice_of("{\"type\":\"entry\"}"),
			slice_of("epoch.1.1"), WALL_MS, (uint64_t)number, &message),
		0);
	clients_deliver(&world->clients, message);
	turn(world);
}

static void who_came_by_url_is_told_hears_what_is_in_no_log_and_may_ask_anew(void **state)
{
	const struct since now = {.kind = SINCE_NOW};
	struct world *world = *state;
	struct peer *peer = &world->peers[0];
	struct join *first, *second;

	assert_true(begin(world, peer, CARDS) >= 0);
	client_resume(&peer->client, &now);
	first = take_join(world);
	confirm_all(world);
	client_open(&peer->client);
	publish_each(world, "cards", 1, 1);
	publish_entry(world, 1);
	assert_int_equal(peer->wire.len, 0);
	pass(world, CLIENT_SUBSCRIBE_MS);
	assert_true(was_told(peer, "\"unavailable\""));
	publish(world, "cards", 2);
	publish_entry(world, 2);
	publish_each(world, "cards", 3, 3);
	hears(peer, "e2 e3 ");
	send_text(peer, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"cards\",\"recover\":true}}");
	second = take_join(world);
	clients_joined(&world->clients, first);
	publish_each(world, "cards", 4, 4);
	assert_int_equal(peer->wire.len, 0);
	clients_joined(&world->clients, second);
	publish_entry(world, 5);
	assert_true(was_told(peer, "\"entry\""));
}

static void who_came_by_url_asks_again_for_as_long_as_he_is_there(void **state)
{
	const struct since now = {.kind = SINCE_NOW};
	struct world *world = *state;
	struct peer *peer = &world->peers[0];
	struct join *join;

	assert_true(begin(world, peer, CARDS) >= 0);
	client_resume(&peer->client, &now);
	confirm_all(world);
	client_open(&peer->client);
	for (int round = 0; round < 3; round++) {
		join = take_join(world);
		assert_true(join->patient);
		assert_int_equal(join->since.kind, SINCE_NOW);
		join->r = -ETIMEDOUT;
		clients_joined(&world->clients, join);
	}
	join = take_join(world);
	client_deinit(&peer->client);
	join->r = -ETIMEDOUT;
	clients_joined(&world->clients, join);
	assert_null(world->join);
}

/* "recovered": true, 6 follow: then they do, whatever gives way behind them. */
static void what_a_client_was_promised_does_not_give_way(void **state)
{
	static const char *const routes[] = {"/ws/drop", "/ws/latest", CARDS};
	struct world *world = *state;

	for (unsigned int i = 0; i < 3; i++) {
		struct peer *peer = opened(world, i, routes[i]);

		world->clients.limits.outbox_bytes_max = 3 * event_len();
		peer->room = 10;
		recover(world, peer, 6, 0);
		if (i < 2)
			publish_each(world, "cards", 2, 9);
		peer->room = SIZE_MAX;
		writable(world, peer);
		assert_int_equal(peer->client.state, CLIENT_OPEN);
		hears(peer, i < 2 ? "subscribed(cards) e1 e1 e1 e1 e1 e1 e7 e8 e9 "
				  : "subscribed(cards) e1 e1 e1 e1 e1 e1 ");
		assert_int_equal(peer->client.n_dropped, i < 2 ? 5 : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLIENTS_TEST(abandons_a_join_that_nobody_waits_for),
		CLIENTS_TEST(a_few_joins_of_a_connection_are_under_way_and_the_others_wait_their_turn),
		CLIENTS_TEST(who_waited_for_a_turn_half_of_his_time_goes_without),
		CLIENTS_TEST(without_a_history_the_answer_waits_for_the_confirmation_too),
		CLIENTS_TEST(a_replay_is_no_older_than_its_wait),
		CLIENTS_TEST(what_is_too_much_to_be_recovered_is_not_counted_as_recovered),
		CLIENTS_TEST(who_waits_for_its_position_hears_of_no_other_before),
		CLIENTS_TEST(what_comes_late_is_for_those_whom_the_history_did_not_answer),
		CLIENTS_TEST(what_a_client_was_promised_does_not_give_way),
		CLIENTS_TEST(a_join_that_is_lost_is_answered_all_the_same),
		CLIENTS_TEST(who_came_by_url_asks_again_for_as_long_as_he_is_there),
		CLIENTS_TEST(who_came_by_url_is_told_hears_what_is_in_no_log_and_may_ask_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
