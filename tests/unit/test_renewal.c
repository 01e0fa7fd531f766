/* Renewal and lease: what client/renewal.h and client/lease.h promise: a connection is as good as its
 * token. */

#include "../../src/client/lease.h"

#include <stdio.h>

#include "support/clients_world.h"

enum {
	LEEWAY_MS = 10000,
	HOUR_MS = 3600000,
};

/* A world with keys, and with routes that ask who it is. */
static struct world *with_tokens(void **state)
{
	static const char *const names[] = {"user:{token.sub}", "team:{token.team}", "run:{id}", "cards"};
	struct world *world = *state;
	struct route_spec specs[] = {
		{.path = "/me", .channels = names, .n_channels = 2},
		{.path = "/run/{id}", .channels = names + 2, .n_channels = 1, .access = ROUTE_ACCESS_TOKEN},
		{.path = "/list", .channels = names + 3, .n_channels = 1, .subscribe_any_route = true},
	};
	struct buf error = {0};

	for (size_t i = 0; i < sizeof(specs) / sizeof(*specs); i++) {
		specs[i].auth = ROUTE_AUTH_REQUIRED;
		assert_int_equal(route_table_add(world->routes, &specs[i], &error), 0);
	}
	buf_deinit(&error);
	world->clients.limits.takes_tokens = true;
	world->clients.limits.token_leeway_ms = LEEWAY_MS;
	return world;
}

/* The claim `exp` of a token that ends in so many milliseconds. */
static const char *expiring(const char *claims, long in_ms, char out[256])
{
	snprintf(out, 256, "{%s,'exp':%ld.%03ld}", claims, (long)(WALL_MS / 1000) + in_ms / 1000,
		in_ms % 1000);
	return out;
}

static void show(struct world *world, struct peer *peer, const char *token)
{
	char text[512];

	pass(world, LEASE_RENEW_MS);
	snprintf(text, sizeof(text), "{\"type\":\"auth\",\"id\":1,\"data\":{\"token\":\"%s\"}}", token);
	ask(world, peer, text);
}

static void ends_with_its_token_within_the_leeway(void **state)
{
	struct world *world = with_tokens(state);
	char claims[256];
	struct peer *peer = opened_as(world, 0, "/list", expiring("'sub':'7'", HOUR_MS, claims));

	world->clients.keepalive.interval_ms = UINT64_MAX / 4; /* pings are not what this is about */
	client_heard(&peer->client);
	keepalive_remove(&peer->client.keepalive);
	pass(world, HOUR_MS);
	hears(peer, "");
	for (uint64_t ms = 0; ms < LEEWAY_MS + 1000 && peer->client.state == CLIENT_OPEN; ms += 250)
		pass(world, 250);
	hears(peer, "close:4001 ");
	assert_int_equal(peer->client.state, CLIENT_CLOSING);
}

static void is_told_a_minute_before_if_it_speaks_our_protocol(void **state)
{
	struct world *world = with_tokens(state);
	char claims[256];
	struct peer *peer = &world->peers[0], *silent;

	assert_true(begin_as(world, peer, "/list", expiring("'sub':'7'", 90000, claims)) >= 0);
	client_speaks(&peer->client);
	confirm_all(world);
	client_open(&peer->client);
	silent = opened_as(world, 1, "/list", expiring("'sub':'7'", 90000, claims));
	pass(world, 20000);
	hears(peer, "");
	hears(silent, "");
	pass(world, 11000);
	hears(peer, "ping! token_expiring(59000) ");
	hears(silent, "ping! ");
}

static void is_told_at_once_if_less_is_left(void **state)
{
	struct world *world = with_tokens(state);
	char claims[256];
	struct peer *peer = &world->peers[0];

	assert_true(begin_as(world, peer, "/list", expiring("'sub':'7'", 5000, claims)) >= 0);
	client_speaks(&peer->client);
	confirm_all(world);
	client_open(&peer->client);
	pass(world, 1000);
	hears(peer, "token_expiring(4000) ");
}

static void those_whose_tokens_end_together_do_not_go_together(void **state)
{
	struct world *world = with_tokens(state);
	char claims[256];
	uint64_t gone_ms[PEERS] = {0}, first = UINT64_MAX, last = 0;

	expiring("'sub':'7'", 5000, claims);
	for (int i = 0; i < PEERS; i++)
		opened_as(world, i, "/list", claims);
	for (uint64_t ms = 0; ms < 5000 + LEEWAY_MS + 1000; ms += 500) {
		pass(world, 500);
		for (int i = 0; i < PEERS; i++)
			if (!gone_ms[i] && world->peers[i].client.state == CLIENT_CLOSING)
				gone_ms[i] = ms + 500;
	}
	for (int i = 0; i < PEERS; i++) {
		assert_true(gone_ms[i] >= 5000 && gone_ms[i] <= 5000 + LEEWAY_MS + 1000);
		first = gone_ms[i] < first ? gone_ms[i] : first;
		last = gone_ms[i] > last ? gone_ms[i] : last;
	}
	assert_true(last - first >= LEEWAY_MS / 2);
}

/* It was let in because clocks differ: it has what is left of the leeway. */
static void who_came_within_the_leeway_goes_at_its_end(void **state)
{
	struct world *world = with_tokens(state);
	char claims[256];
	struct peer *peer = &world->peers[0];

	world->clients.wall_ms = WALL_MS + 500;
	assert_true(begin_as(world, peer, "/list", expiring("'sub':'7'", 1, claims)) >= 0);
	confirm_all(world);
	world->now_ms += 2000;
	clients_set_time(&world->clients, world->now_ms, WALL_MS + LEEWAY_MS - 2000);
	client_open(&peer->client);
	assert_int_equal(peer->client.state, CLIENT_OPEN);
	pass(world, 4000);
	assert_int_equal(peer->client.state, CLIENT_CLOSING);
	hears(peer, "close:4001 ");
}

static void a_token_without_an_end_stays(void **state)
{
	struct world *world = with_tokens(state);
	struct peer *peer = opened_as(world, 0, "/list", "{'sub':'7'}");

	keepalive_remove(&peer->client.keepalive);
	pass(world, UINT64_C(1000) * HOUR_MS);
	hears(peer, "");
	show(world, peer, "{'sub':'7'}");
	hears(peer, "authenticated#1 ");
}

static void a_newer_token_puts_the_end_off(void **state)
{
	struct world *world = with_tokens(state);
	char claims[256];
	struct peer *peer = opened_as(world, 0, "/list", expiring("'sub':'7'", 5000, claims));

	keepalive_remove(&peer->client.keepalive);
	show(world, peer, expiring("'sub':7", HOUR_MS, claims));
	hears(peer, "authenticated#1(3600000) ");
	pass(world, HOUR_MS - 1);
	hears(peer, "");
	assert_int_equal(peer->client.state, CLIENT_OPEN);
	pass(world, LEEWAY_MS + 1001);
	pass(world, LEEWAY_MS + 1001);
	hears(peer, "close:4001 ");
}

static void what_the_newer_token_does_not_allow_ends(void **state)
{
	struct world *world = with_tokens(state);
	struct peer *peer = opened_as(world, 0, "/me", "{'sub':'7','team':'red'}");

	publish_each(world, "team:red", 1, 1);
	publish_each(world, "user:7", 2, 2);
	hears(peer, "e1 e2 ");
	show(world, peer, "{'sub':'7','team':'blue'}");
	hears(peer, "authenticated#1 unsubscribed(team:red forbidden) ");
	says(world, "-team:red ");
	publish_each(world, "user:7", 3, 3);
	hears(peer, "e3 ");
	ask_for(world, peer, "subscribe", "team:red");
	hears(peer, "error(forbidden) ");
	ask_for(world, peer, "subscribe", "team:blue");
	says(world, "+team:blue ");
	confirm(world, "team:blue");
	turn(world);
	hears(peer, "subscribed(team:blue) ");
	/* A bare subscribe means what the route joins for this token. */
	show(world, peer, "{'sub':'7'}");
	hears(peer, "authenticated#1 unsubscribed(team:blue forbidden) ");
	ask(world, peer, "{\"type\":\"subscribe\",\"id\":2}");
	hears(peer, "subscribed#2(user:7) error#2(forbidden) ");
}

static void what_is_not_confirmed_yet_is_answered_before_it_ends(void **state)
{
	struct world *world = with_tokens(state);
	struct peer *peer = opened_as(world, 0, "/list", "{'sub':'7','channels':['x','y']}");

	ask(world, peer, "{\"type\":\"subscribe\",\"id\":5,\"data\":{\"channel\":\"x\"}}");
	ask(world, peer, "{\"type\":\"subscribe\",\"id\":6,\"data\":{\"channel\":\"y\"}}");
	says(world, "+x +y ");
	show(world, peer, "{'sub':'7','channels':['y']}");
	hears(peer, "authenticated#1 error#5(unavailable x 2000) unsubscribed(x forbidden) ");
	says(world, "-x ");
	confirm(world, "y");
	turn(world);
	hears(peer, "subscribed#6(y) ");
	publish_each(world, "y", 1, 1);
	hears(peer, "e1 ");
}

static void a_channel_that_the_token_must_list_ends_with_it(void **state)
{
	struct world *world = with_tokens(state);
	struct peer *peer = opened_as(world, 0, "/run/7", "{'sub':'7','channels':['run:*']}");

	show(world, peer, "{'sub':'7','channels':['run:8']}");
	hears(peer, "authenticated#1 unsubscribed(run:7 forbidden) ");
	assert_int_equal(peer->client.subscriber.n, 0);
}

static void another_users_token_ends_the_connection(void **state)
{
	struct world *world = with_tokens(state);
	struct peer *peer = opened_as(world, 0, "/list", "{'sub':'7'}");

	show(world, peer, "{'sub':'8'}");
	hears(peer, "close:4001 ");
}

static void a_bad_token_leaves_the_one_before(void **state)
{
	static const struct {
		int outcome;
		const char *said;
	} rows[] = {
		{CLIENT_TOKEN_INVALID, "error#1(token_invalid) "},
		{CLIENT_TOKEN_EXPIRED, "error#1(token_expired) "},
		{CLIENT_TOKEN_LATER, "error#1(keys_refreshing 2000) "},
	};
	struct world *world = with_tokens(state);
	struct peer *peer = opened_as(world, 0, "/me", "{'sub':'7','team':'red'}");

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		world->unidentified = rows[i].outcome;
		show(world, peer, "abc");
		hears(peer, rows[i].said);
	}
	publish_each(world, "team:red", 1, 1);
	hears(peer, "e1 ");
}

/* An expired one that counts as a renewal without an end keeps a connection for ever: centrifuge #627. */
static void a_bad_token_does_not_put_the_end_off(void **state)
{
	struct world *world = with_tokens(state);
	char claims[256];
	struct peer *peer = opened_as(world, 0, "/list", expiring("'sub':'7'", 5000, claims));

	world->unidentified = CLIENT_TOKEN_EXPIRED;
	show(world, peer, "abc");
	hears(peer, "error#1(token_expired) ");
	pass(world, 4001);
	pass(world, LEEWAY_MS + 1000);
	hears(peer, "close:4001 ");
}

static void a_connection_shows_a_token_once_a_second(void **state)
{
	struct world *world = with_tokens(state);
	struct peer *peer = opened_as(world, 0, "/list", "{'sub':'7'}");

	show(world, peer, "{'sub':'7'}");
	ask(world, peer, "{\"type\":\"auth\",\"data\":{\"token\":\"x\"}}");
	hears(peer, "authenticated#1 error(rate 2000) ");
	assert_int_equal(world->n_identified, 1);
}

static void who_came_without_a_token_stays_anonymous(void **state)
{
	struct world *world = with_tokens(state);
	struct peer *peer = opened(world, 0, CARDS);

	show(world, peer, "{'sub':'7'}");
	hears(peer, "error#1(forbidden) ");
	world->clients.limits.takes_tokens = false;
	show(world, peer, "{'sub':'7'}");
	hears(peer, "error#1(unsupported) ");
	assert_int_equal(world->n_identified, 0);
	ask(world, peer, "{\"type\":\"auth\",\"id\":2,\"data\":{}}");
	hears(peer, "error#2(missing_token) ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLIENTS_TEST(ends_with_its_token_within_the_leeway),
		CLIENTS_TEST(is_told_a_minute_before_if_it_speaks_our_protocol),
		CLIENTS_TEST(is_told_at_once_if_less_is_left),
		CLIENTS_TEST(those_whose_tokens_end_together_do_not_go_together),
		CLIENTS_TEST(who_came_within_the_leeway_goes_at_its_end),
		CLIENTS_TEST(a_token_without_an_end_stays),
		CLIENTS_TEST(a_newer_token_puts_the_end_off),
		CLIENTS_TEST(what_the_newer_token_does_not_allow_ends),
		CLIENTS_TEST(what_is_not_confirmed_yet_is_answered_before_it_ends),
		CLIENTS_TEST(a_channel_that_the_token_must_list_ends_with_it),
		CLIENTS_TEST(another_users_token_ends_the_connection),
		CLIENTS_TEST(a_bad_token_leaves_the_one_before),
		CLIENTS_TEST(a_bad_token_does_not_put_the_end_off),
		CLIENTS_TEST(a_connection_shows_a_token_once_a_second),
		CLIENTS_TEST(who_came_without_a_token_stays_anonymous),
	};

	return cmocka_run_group_tests_name("renewal", tests, NULL, NULL);
}
