/* Clients: what client/clients.h promises of all clients of a worker: pings, counts, a drain. */

#include "client/clients.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/clients_world.h"

static void drain_for(struct world *world, uint64_t ms)
{
	world->now_ms += ms;
	clients_set_time(&world->clients, world->now_ms, WALL_MS);
	clients_drain_tick(&world->clients);
	turn(world);
}

static void closes_all(void **state)
{
	struct world *world = *state;
	struct peer *open = opened(world, 0, CARDS), *closing = opened(world, 1, CARDS),
		    *parked = &world->peers[2];
	struct peer *blocked = opened(world, 3, CARDS);

	blocked->room = 0;
	publish_each(world, "cards", 1, 1);
	client_close(&closing->client, CLOSE_BINARY);
	assert_int_equal(begin(world, parked, "/ws/pair"), CLIENT_HELD);
	clients_drain(&world->clients, 0, 1);
	turn(world);
	hears(open, "e1 close:1012 ");
	hears(closing, "e1 close:1003 ");
	assert_int_equal(
		parked->n_ready, 1); /* it has no WebSocket yet to close: its handshake is answered */
	assert_int_equal(parked->n_aborts, 0);
	assert_int_equal(parked->wire.len, 0);
	assert_int_equal(open->n_aborts + closing->n_aborts, 0);
	blocked->room = SIZE_MAX;
	writable(world, blocked);
	hears(blocked, "close:1012 ");
	assert_int_equal(world->clients.n_clients, 4);
	for (int i = 0; i < 4; i++)
		client_deinit(&world->peers[i].client);
	assert_int_equal(world->clients.n_clients, 0);
}

static void sends_the_newest_away_first(void **state)
{
	struct world *world = *state;
	struct peer *old = opened(world, 0, CARDS), *newer = opened(world, 1, CARDS),
		    *newest = opened(world, 2, CARDS);

	clients_drain(&world->clients, 3000, 1);
	turn(world);
	hears(newest, "");
	drain_for(world, 1000);
	hears(newest, "close:1012 ");
	hears(newer, "");
	client_deinit(&newest->client);
	drain_for(world, 1000);
	hears(newer, "close:1012 ");
	drain_for(world, 999);
	hears(old, "");
	drain_for(world, 1);
	hears(old, "close:1012 ");
}

static void serves_all_that_are_not_sent_away_yet(void **state)
{
	struct world *world = *state;
	struct peer *old = opened(world, 0, CARDS), *newest = opened(world, 1, CARDS);

	clients_drain(&world->clients, 1000, 1);
	drain_for(world, 500);
	publish_each(world, "cards", 7, 7);
	turn(world);
	hears(old, "e7 ");
	hears(newest, "close:1012 ");
	assert_int_equal(world->clients.n_live, 1);
}

/* Who left by itself counts: the others may stay for as long as the line says. */
static void sends_nobody_away_before_the_time(void **state)
{
	struct world *world = *state;
	struct peer *old = opened(world, 0, CARDS);

	opened(world, 1, CARDS);
	clients_drain(&world->clients, 1000, 1);
	client_deinit(&world->peers[1].client);
	drain_for(world, 999);
	hears(old, "");
	drain_for(world, 1);
	hears(old, "close:1012 ");
}

static void tells_the_aware_when_to_come_back(void **state)
{
	struct world *world = *state;
	struct peer *aware = opened(world, 0, CARDS), *unaware = opened(world, 1, CARDS);
	static const char head[] = "{\"type\":\"reconnect\",\"data\":{\"reason\":\"drain\",\"after_ms\":";
	const char *said;

	aware->client.aware = true;
	clients_drain(&world->clients, 4000, 1);
	drain_for(world, 4000);
	hears(unaware, "close:1012 ");
	said = memmem(aware->wire.data, aware->wire.len, head, sizeof(head) - 1);
	assert_non_null(said);
	assert_in_range(strtoul(said + sizeof(head) - 1, NULL, 10), 0, 1000);
	assert_non_null(memmem(said, 200, "restarting", 10)); /* the close frame comes behind it */
	assert_int_equal(aware->client.close_code, 1012);
	assert_int_equal(aware->n_aborts, 0);
}

static void gives_no_hint_when_all_go_at_once(void **state)
{
	struct world *world = *state;
	struct peer *aware = opened(world, 0, CARDS);

	aware->client.aware = true;
	clients_drain(&world->clients, 0, 1);
	turn(world);
	hears(aware, "close:1012 ");
}

/* Whatever the turn brought before the drain: answers in the outbox, events in the hub. */
static void what_came_before_the_drain_is_heard_before_it(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	send_text(peer, "{\"type\":\"ping\",\"id\":1}");
	publish(world, "cards", 1);
	clients_drain(&world->clients, 0, 1);
	turn(world);
	hears(peer, "pong#1 e1 close:1012 ");
}

static void who_is_lost_already_is_not_sent_away(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	peer->broken = EPIPE;
	publish(world, "cards", 1);
	clients_drain(&world->clients, 0, 1);
	turn(world);
	assert_int_equal(peer->client.reason, CLOSE_GONE);
	assert_int_equal(peer->n_aborts, 1);
}

static void aborts_all(void **state)
{
	struct world *world = *state;
	struct peer *open = opened(world, 0, CARDS), *closing = opened(world, 1, CARDS),
		    *parked = &world->peers[2];

	client_close(&closing->client, CLOSE_RESTART);
	assert_int_equal(begin(world, parked, "/ws/pair"), CLIENT_HELD);
	turn(world);
	clients_abort_all(&world->clients);
	assert_int_equal(open->n_aborts, 1);
	assert_int_equal(closing->n_aborts, 1);
	assert_int_equal(parked->n_aborts, 1);
}

/* A ping stands behind what was sent before it, and a slow line takes its time for that. */
static void waits_for_the_pong_of_who_still_takes_what_came_before_the_ping(void **state)
{
	struct world *world = *state;
	struct peer *slow = opened(world, 0, CARDS), *stuck = opened(world, 1, CARDS),
		    *deaf = opened(world, 2, CARDS);

	slow->n_unacked = stuck->n_unacked = 2;
	slow->n_acked = UINT32_MAX;
	pass(world, PING_MS);
	hears(slow, "ping! ");
	slow->n_acked = 0;  /* one byte more: the number wraps */
	deaf->n_acked = 10; /* it has the ping, which was alone, and says nothing */
	pass(world, PONG_MS);
	hears(slow, "");
	hears(stuck, "ping! close:1001 ");
	hears(deaf, "ping! close:1001 ");
	slow->n_acked = 1; /* all that was before the ping */
	pass(world, PONG_MS);
	hears(slow, "");
	slow->n_acked = 100; /* it reads on, and says nothing */
	pass(world, PONG_MS);
	hears(slow, "close:1001 ");
}

static void pings_the_silent_and_closes_the_dead(void **state)
{
	struct world *world = *state;
	struct peer *dead = opened(world, 0, CARDS), *alive = opened(world, 1, CARDS);

	pass(world, PING_MS - 1);
	hears(dead, "");
	pass(world, 1);
	hears(dead, "ping! ");
	hears(alive, "ping! ");
	client_heard(&alive->client);
	pass(world, PONG_MS - 1);
	hears(dead, "");
	pass(world, 1);
	hears(dead, "close:1001 ");
	assert_int_equal(dead->client.reason, CLOSE_NO_PONG);
	pass(world, PING_MS - PONG_MS - 1);
	hears(alive, "");
	pass(world, 1);
	hears(alive, "ping! ");
	assert_int_equal(alive->client.state, CLIENT_OPEN);
}

static void a_ping_goes_before_what_is_queued(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, "/ws/patient");

	world->clients.limits.outbox_bytes_max = 2 * event_len();
	peer->room = 10;
	publish_each(world, "cards", 1, 3); /* full: a ping is not refused for that */
	pass(world, PING_MS);
	assert_int_equal(peer->n_sends, 1);
	peer->room = SIZE_MAX;
	writable(world, peer);
	hears(peer, "e1 ping! e2 e3 ");
	client_heard(&peer->client);
	pass(world, PONG_MS);
	assert_int_equal(peer->client.state, CLIENT_OPEN);
}

static void nobody_is_pinged_before_it_is_open_or_after_it_closed(void **state)
{
	struct world *world = *state;
	struct peer *parked = &world->peers[0], *closing = opened(world, 1, CARDS);

	assert_int_equal(begin(world, parked, "/ws/pair"), CLIENT_HELD);
	client_close(&closing->client, CLOSE_RESTART);
	turn(world);
	hears(closing, "close:1012 ");
	pass(world, PING_MS);
	pass(world, PONG_MS);
	assert_int_equal(parked->n_sends, 0);
	hears(closing, "");
	client_heard(&parked->client);
	client_heard(&closing->client);
	pass(world, PING_MS);
	assert_int_equal(parked->n_sends, 0);
}

static void counts_connections_once_they_are_open(void **state)
{
	struct world *world = *state;
	struct peer *parked = &world->peers[1];

	opened(world, 0, CARDS);
	begin(world, parked, "/ws/pair");
	turn(world);
	assert_int_equal(metrics_get(&world->metrics, METRIC_CONNECTIONS), 1);
	assert_int_equal(metrics_get(&world->metrics, METRIC_SUBSCRIPTIONS), 3);
	client_deinit(&parked->client);
	assert_int_equal(metrics_get(&world->metrics, METRIC_CONNECTIONS), 1);
	client_deinit(&world->peers[0].client);
	assert_int_equal(metrics_get(&world->metrics, METRIC_CONNECTIONS), 0);
	assert_int_equal(metrics_get(&world->metrics, METRIC_CONNECTIONS_OPENED), 1);
	assert_int_equal(metrics_get(&world->metrics, METRIC_CLOSED_1006), 1);
}

/* Each reason of ours has a row; what a peer says is one of the known words or `other`. */
static void counts_who_closed_by_code(void **state)
{
	static const enum metric metrics[] = {METRIC_CLOSED_1000, METRIC_CLOSED_1001, METRIC_CLOSED_1002,
		METRIC_CLOSED_1003, METRIC_CLOSED_1006, METRIC_CLOSED_1007, METRIC_CLOSED_1009,
		METRIC_CLOSED_1011, METRIC_CLOSED_1012, METRIC_CLOSED_4100};
	static const uint16_t codes[] = {1000, 1001, 1002, 1003, 1006, 1007, 1009, 1011, 1012, 4100};
	struct world *world = *state;
	uint64_t expected[sizeof(codes) / sizeof(*codes)] = {0};

	opened(world, 1, CARDS); /* so that the channel stays wanted */
#define CLOSE_REASON(id, word, code, told, sentence)                                                         \
	client_close(&opened(world, 0, CARDS)->client, CLOSE_##id);                                          \
	client_deinit(&world->peers[0].client);                                                              \
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)                                          \
		expected[i] += codes[i] == (code);
#include "protocol/close_reason.def"
#undef CLOSE_REASON
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
		assert_int_equal(metrics_get(&world->metrics, metrics[i]), expected[i]);
	assert_int_equal(metrics_get(&world->metrics, METRIC_CLOSED_OTHER), 0);
	client_peer_closed(&opened(world, 0, CARDS)->client, 1005);
	client_deinit(&world->peers[0].client);
	assert_int_equal(metrics_get(&world->metrics, METRIC_CLOSED_1005), 1);
	client_peer_closed(&opened(world, 0, CARDS)->client, 4100); /* that is ours to say */
	client_deinit(&world->peers[0].client);
	assert_int_equal(metrics_get(&world->metrics, METRIC_CLOSED_OTHER), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLIENTS_TEST(closes_all),
		CLIENTS_TEST(sends_the_newest_away_first),
		CLIENTS_TEST(serves_all_that_are_not_sent_away_yet),
		CLIENTS_TEST(sends_nobody_away_before_the_time),
		CLIENTS_TEST(tells_the_aware_when_to_come_back),
		CLIENTS_TEST(gives_no_hint_when_all_go_at_once),
		CLIENTS_TEST(what_came_before_the_drain_is_heard_before_it),
		CLIENTS_TEST(who_is_lost_already_is_not_sent_away),
		CLIENTS_TEST(aborts_all),
		CLIENTS_TEST(pings_the_silent_and_closes_the_dead),
		CLIENTS_TEST(waits_for_the_pong_of_who_still_takes_what_came_before_the_ping),
		CLIENTS_TEST(a_ping_goes_before_what_is_queued),
		CLIENTS_TEST(nobody_is_pinged_before_it_is_open_or_after_it_closed),
		CLIENTS_TEST(counts_connections_once_they_are_open),
		CLIENTS_TEST(counts_who_closed_by_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
