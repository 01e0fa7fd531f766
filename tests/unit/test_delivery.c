/* Delivery: what client/delivery.h promises: one write a turn, and nothing lost, doubled or swapped on a slow
 * socket. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/clients_world.h"

static void a_reply_goes_before_the_events_of_its_turn(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS), *other = opened(world, 1, "/ws/execution/9");

	send_text(peer, "{\"type\":\"ping\"}");
	send_text(peer, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"execution:9\"}}");
	publish(world, "execution:9", 1);
	publish(world, "execution:9", 2);
	turn(world);
	hears(peer, "pong subscribed(execution:9) e1 e2 ");
	hears(other, "e1 e2 ");
}

/* The first byte of the first frame since the last time. */
static unsigned char first_byte(struct peer *peer)
{
	unsigned char byte;

	assert_true(peer->wire.len > 0);
	byte = (unsigned char)peer->wire.data[0];
	buf_reset(&peer->wire);
	return byte;
}

static void what_is_said_to_one_peer_alone_is_not_deflated(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	peer->client.subscriber.form = FORM_DEFLATED;
	publish(world, "cards", 1);
	turn(world);
	assert_int_equal(first_byte(peer), 0xc1);
	ask(world, peer, "{\"type\":\"ping\"}");
	assert_int_equal(first_byte(peer), 0x81);
	recover(world, peer, 2, 1);
	hears(peer, "subscribed(cards) e1 e1 ");
	client_close(&peer->client, CLOSE_RESTART);
	turn(world);
	hears(peer, "close:1012 ");
}

static void writes_each_client_once_a_turn(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS), *busy = opened(world, 1, "/ws/pair");
	size_t n_bytes;

	for (int i = 1; i <= 4; i++)
		publish(world, "cards", i);
	send_text(busy, "{\"type\":\"ping\"}");
	send_text(busy, "{\"type\":\"ping\"}");
	publish(world, "a", 1);
	publish(world, "a", 2);
	publish(world, "b", 3);
	turn(world);
	n_bytes = peer->wire.len + busy->wire.len;
	hears(peer, "e1 e2 e3 e4 ");
	assert_int_equal(peer->n_sends, 1);
	assert_int_equal(busy->n_sends, 1);
	hears(busy, "pong pong e1 e2 e3 ");
	turn(world);
	assert_int_equal(peer->n_sends + busy->n_sends, 2); /* nothing to say: no call */
	assert_int_equal(metrics_get(&world->metrics, METRIC_MESSAGES_OUT), 9);
	assert_int_equal(metrics_get(&world->metrics, METRIC_BYTES_OUT), n_bytes);
}

static void queues_references_of_what_a_blocked_socket_does_not_take(void **state)
{
	struct world *world = *state;
	struct message *event = event_of(world, "cards", 1);

	for (int i = 0; i < 3; i++)
		opened(world, i, CARDS)->room = i == 0 ? 0 : i == 1 ? 10 : SIZE_MAX;
	clients_deliver(&world->clients, message_ref(event));
	turn(world);
	/* The first took nothing of it, the second left the rest with its socket. */
	assert_int_equal(atomic_load(&event->n_refs), 2);
	hears(&world->peers[1], "e1 ");
	hears(&world->peers[2], "e1 ");
	clients_deliver(&world->clients, message_ref(event));
	turn(world);
	assert_int_equal(atomic_load(&event->n_refs), 4);
	for (int i = 0; i < 2; i++) {
		world->peers[i].room = SIZE_MAX;
		writable(world, &world->peers[i]);
	}
	hears(&world->peers[0], "e1 e1 ");
	hears(&world->peers[1], "e1 ");
	hears(&world->peers[2], "e1 ");
	assert_int_equal(atomic_load(&event->n_refs), 1);
	message_unref(event);
}

static void leaves_the_rest_of_a_begun_frame_to_the_socket(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	peer->room = event_len() + 1;
	for (int i = 1; i <= 4; i++)
		publish(world, "cards", i);
	turn(world);
	assert_int_equal(peer->n_keeps, 1); /* fake_keep() sees that it is exactly the rest */
	hears(peer, "e1 e2 ");
	assert_true(peer->wants_writable);
	peer->room = 2 * event_len() - 1; /* again within a frame, now out of the outbox */
	writable(world, peer);
	assert_int_equal(peer->n_keeps, 2);
	hears(peer, "e3 e4 ");
	peer->room = SIZE_MAX;
	writable(world, peer);
	publish_each(world, "cards", 5, 5);
	hears(peer, "e5 ");
}

static void keeps_nothing_when_it_stops_between_frames(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	peer->room = 2 * event_len();
	for (int i = 1; i <= 4; i++)
		publish(world, "cards", i);
	turn(world);
	hears(peer, "e1 e2 ");
	peer->room = event_len();
	writable(world, peer);
	hears(peer, "e3 ");
	assert_int_equal(peer->n_keeps, 0);
	peer->room = SIZE_MAX;
	writable(world, peer);
	hears(peer, "e4 ");
	assert_false(peer->wants_writable);
}

static void sends_nothing_to_a_blocked_socket_before_it_is_writable(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	peer->room = 1;
	publish_each(world, "cards", 1, 1);
	peer->room = SIZE_MAX; /* even though it would take it */
	publish_each(world, "cards", 2, 3);
	ask(world, peer, "{\"type\":\"ping\"}");
	assert_int_equal(peer->n_sends, 1);
	hears(peer, "e1 ");
	writable(world, peer);
	hears(peer, "e2 e3 pong ");
}

/* A queue of more messages than one call takes parts. */
static void drains_a_long_queue_in_order(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);
	struct buf expected = {0};

	peer->room = 0;
	publish_each(world, "cards", 1, 1000);
	peer->room = SIZE_MAX;
	writable(world, peer);
	for (int i = 1; i <= 1000; i++)
		buf_printf(&expected, "e%d ", i);
	hears(peer, buf_text(&expected));
	buf_deinit(&expected);
	assert_int_equal(peer->client.outbox.n, 0);
}

/* A socket that takes a little now and then, in every way that a seed makes up. */
static void loses_and_swaps_nothing_on_a_slow_socket(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);
	struct buf expected = {0};

	for (unsigned int seed = 1; seed <= 200; seed++) {
		int number = 0;

		srand(seed);
		for (int step = 0; step < 40; step++) {
			peer->room = rand() % 3 ? (size_t)rand() % 300 : 0;
			if (peer->wants_writable && rand() % 2)
				writable(world, peer);
			for (int n = rand() % 4; n > 0; n--) {
				publish(world, "cards", ++number);
				buf_printf(&expected, "e%d ", number);
			}
			turn(world);
		}
		peer->room = SIZE_MAX;
		if (peer->wants_writable)
			writable(world, peer);
		hears(peer, buf_text(&expected));
		buf_reset(&expected);
		peer->n_sends = 0;
	}
	buf_deinit(&expected);
}

static void ends_a_socket_that_breaks_as_room_is_made(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, "/ws/pair");

	world->clients.limits.outbox_bytes_max = event_len();
	peer->broken = EPIPE;
	for (int i = 1; i <= 3; i++) {
		publish(world, "a", i);
		publish(world, "b", i);
	}
	turn(world);
	assert_int_equal(peer->n_aborts, 1);
	assert_int_equal(peer->n_sends, 1);
	assert_int_equal(peer->client.reason, CLOSE_GONE);
}

static uint64_t n_timed(const struct world *world)
{
	return metrics_n_observed(&world->metrics, METRIC_DELIVERY);
}

/* However they get there: at once, after others in the outbox, or when the peer reads on. */
static void times_events_as_they_reach_the_socket_and_nothing_else(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS), *slow = opened(world, 1, CARDS);

	ask(world, peer, "{\"type\":\"ping\"}");
	assert_int_equal(n_timed(world), 0);
	slow->room = event_len() + 1;
	publish(world, "cards", 1);
	publish(world, "cards", 2);
	publish(world, "cards", 3);
	turn(world);
	assert_int_equal(n_timed(world), 3 + 2); /* the second is begun: the socket has it */
	world->now_us = world->now_ms * 1000 + 7000000;
	slow->room = SIZE_MAX;
	writable(world, slow);
	assert_int_equal(n_timed(world), 6);
	assert_int_equal(
		metrics_get(&world->metrics, METRIC_DELIVERY + METRICS_N_BUCKETS - 1), 1); /* up to 10 s */
	slow->room = 0;
	publish(world, "cards", 4);
	turn(world);
	client_deinit(&slow->client); /* what it never got took no time */
	turn(world);
	assert_int_equal(n_timed(world), 7);
}

static void counts_the_bytes_that_wait_for_those_who_do_not_read(void **state)
{
	struct world *world = *state;
	struct peer *slow = opened(world, 0, CARDS), *gone = opened(world, 1, CARDS);

	opened(world, 2, CARDS);
	slow->room = gone->room = 0;
	publish_each(world, "cards", 1, 2);
	assert_int_equal(metrics_get(&world->metrics, METRIC_QUEUED_BYTES), 4 * event_len());
	client_deinit(&gone->client);
	turn(world);
	assert_int_equal(metrics_get(&world->metrics, METRIC_QUEUED_BYTES), 2 * event_len());
	slow->room = SIZE_MAX;
	writable(world, slow);
	assert_int_equal(metrics_get(&world->metrics, METRIC_QUEUED_BYTES), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLIENTS_TEST(a_reply_goes_before_the_events_of_its_turn),
		CLIENTS_TEST(what_is_said_to_one_peer_alone_is_not_deflated),
		CLIENTS_TEST(writes_each_client_once_a_turn),
		CLIENTS_TEST(queues_references_of_what_a_blocked_socket_does_not_take),
		CLIENTS_TEST(leaves_the_rest_of_a_begun_frame_to_the_socket),
		CLIENTS_TEST(keeps_nothing_when_it_stops_between_frames),
		CLIENTS_TEST(sends_nothing_to_a_blocked_socket_before_it_is_writable),
		CLIENTS_TEST(drains_a_long_queue_in_order),
		CLIENTS_TEST(loses_and_swaps_nothing_on_a_slow_socket),
		CLIENTS_TEST(ends_a_socket_that_breaks_as_room_is_made),
		CLIENTS_TEST(times_events_as_they_reach_the_socket_and_nothing_else),
		CLIENTS_TEST(counts_the_bytes_that_wait_for_those_who_do_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
