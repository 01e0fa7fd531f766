/* Slow readers: what client/slow.h promises: each policy of a route, and who is closed whatever the policy.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/slow.h"
#include "support/clients_world.h"

static void publish_key(struct world *world, const char *channel, const char *key, int number)
{
	clients_deliver(&world->clients, keyed_event(channel, key, number, world->now_ms));
	clients_turn(&world->clients);
}

static void closes_who_reads_too_slowly_and_nobody_else(void **state)
{
	struct world *world = *state;
	struct peer *slow = opened(world, 0, CARDS), *quick = opened(world, 1, CARDS);

	world->clients.limits.outbox_bytes_max = 3 * event_len();
	slow->room = 10;
	publish_each(world, "cards", 1, 4); /* one begun, three waiting: exactly the bound */
	assert_int_equal(slow->client.state, CLIENT_OPEN);
	publish_each(world, "cards", 5, 6);
	assert_int_equal(slow->client.state, CLIENT_CLOSING);
	hears(quick, "e1 e2 e3 e4 e5 e6 ");
	slow->room = SIZE_MAX;
	writable(world, slow);
	hears(slow, "e1 close:4100 "); /* what was unread gives way */
	publish_each(world, "cards", 7, 7);
	hears(slow, "");
	hears(quick, "e7 ");
	assert_int_equal(slow->n_aborts, 0);
	assert_int_equal(slow->client.reason, CLOSE_SLOW);
}

static void a_batch_past_the_bound_closes_too(void **state)
{
	struct world *world = *state;
	struct peer *slow = opened(world, 0, CARDS), *quick = opened(world, 1, CARDS);

	world->clients.limits.outbox_bytes_max = 3 * event_len();
	slow->room = 0;
	for (int i = 1; i <= 6; i++)
		publish(world, "cards", i);
	turn(world);
	slow->room = SIZE_MAX;
	writable(world, slow);
	hears(slow, "close:4100 ");
	hears(quick, "e1 e2 e3 e4 e5 e6 ");
}

/* What the connection dropped, on its own count and on that of its policy. */
static void assert_dropped(struct world *world, const struct peer *peer, enum metric metric, uint32_t n)
{
	assert_int_equal(peer->client.n_dropped, n);
	assert_int_equal(metrics_get(&world->metrics, metric), n);
}

static void the_bound_of_the_route_counts(void **state)
{
	struct world *world = *state;
	struct peer *narrow = opened(world, 0, "/ws/narrow"), *other = opened(world, 1, CARDS);

	narrow->room = 0;
	other->room = 0;
	publish_each(world, "cards", 1, 1); /* larger than the bound by itself: taken where no other waits */
	assert_int_equal(narrow->client.state, CLIENT_OPEN);
	publish_each(world, "cards", 2, 2);
	assert_int_equal(narrow->client.state, CLIENT_CLOSING);
	narrow->room = SIZE_MAX;
	other->room = SIZE_MAX;
	writable(world, narrow);
	writable(world, other);
	hears(narrow, "close:4100 ");
	hears(other, "e1 e2 ");
	assert_dropped(world, narrow, METRIC_DROPPED_DISCONNECT, 2);
}

/* One after the other: a peer that reads gets them all, however narrow it is. */
static void a_narrow_peer_that_reads_gets_all(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, "/ws/narrow");

	for (int i = 1; i <= 3; i++) {
		peer->room = 0;
		publish_each(world, "cards", i, i);
		peer->room = SIZE_MAX;
		writable(world, peer);
	}
	hears(peer, "e1 e2 e3 ");
}

/* More than the bound may come in one turn for a peer that takes all that it is sent. */
static void much_in_one_turn_is_not_slow(void **state)
{
	struct world *world = *state;
	struct peer *pair = opened(world, 0, "/ws/pair"), *full = opened(world, 1, "/ws/pair");

	world->clients.limits.outbox_bytes_max = 2 * event_len();
	full->room = 0;
	for (int i = 1; i <= 4; i++)
		publish(world, "a", i);
	for (int i = 11; i <= 14; i++)
		publish(world, "b", i);
	turn(world);
	hears(pair, "e1 e2 e3 e4 e11 e12 e13 e14 ");
	assert_int_equal(full->client.state, CLIENT_CLOSING);
	assert_int_equal(pair->client.n_dropped, 0);
}

static void closes_who_lets_an_event_wait_too_long(void **state)
{
	struct world *world = *state;
	struct peer *slow = opened(world, 0, CARDS), *patient = opened(world, 1, "/ws/patient");
	struct peer *quick = opened(world, 2, CARDS), *idle = opened(world, 3, CARDS);

	slow->room = 0;
	patient->room = 0;
	idle->room = 0;
	ask(world, idle, "{\"type\":\"ping\"}"); /* it is blocked only by a reply: that has an age, too */
	ask_for(world, idle, "unsubscribe", "cards");
	publish_each(world, "cards", 1, 1);
	pass(world, SLOW_AGE_MS);
	assert_int_equal(slow->client.state, CLIENT_OPEN);
	pass(world, 1);
	assert_int_equal(slow->client.state, CLIENT_CLOSING);
	assert_int_equal(slow->client.reason, CLOSE_SLOW);
	assert_dropped(world, slow, METRIC_DROPPED_DISCONNECT, 1);
	slow->room = SIZE_MAX;
	writable(world, slow);
	hears(slow, "close:4100 ");
	hears(quick, "e1 ");
	patient->room = SIZE_MAX;
	writable(world, patient);
	hears(patient, "e1 ");
	assert_int_equal(idle->client.reason, CLOSE_SLOW);
}

/* So many events of cards are passed over, entries of its log or not. */
static void pass_over(struct world *world, bool entries, uint32_t n)
{
	struct message *message;

	assert_int_equal(
		message_from_event(message_channel(slice_of("cards")), slice_of("{\"type\":\"entry\"}"),
			entries ? slice_of("epoch.1.1") : (struct slice){0}, WALL_MS, 1, &message),
		0);
	clients_pass_over(&world->clients, message, n);
	message_unref(message);
	turn(world);
}

static void what_its_worker_passes_over_is_lost_by_the_policy_of_its_route(void **state)
{
	struct world *world = *state;
	struct peer *strict = opened(world, 0, CARDS), *dropping = opened(world, 1, "/ws/drop");
	struct peer *latest = opened(world, 2, "/ws/latest"), *other = opened(world, 3, "/ws/pair");

	pass_over(world, false, 5);
	hears(strict, "close:4100 ");
	assert_int_equal(strict->client.reason, CLOSE_SLOW);
	publish_each(world, "cards", 6, 6);
	hears(dropping, "e6 ");
	hears(latest, "e6 ");
	assert_int_equal(dropping->client.n_dropped, 5);
	assert_int_equal(other->client.n_dropped, 0);
	assert_int_equal(other->client.state, CLIENT_OPEN);
	assert_int_equal(metrics_get(&world->metrics, METRIC_DROPPED_DISCONNECT), 5);
	assert_int_equal(metrics_get(&world->metrics, METRIC_DROPPED_DROP_OLDEST), 5);
	assert_int_equal(metrics_get(&world->metrics, METRIC_DROPPED_LATEST_BY_KEY), 5);
}

/* A hole that nobody tells of would be for good; it comes back with its position instead. */
static void who_could_recover_what_is_passed_over_is_closed_whatever_the_policy(void **state)
{
	struct world *world = *state;
	struct peer *knows = opened(world, 0, "/ws/drop"), *plain = opened(world, 1, "/ws/drop");

	recover(world, knows, 0, 0);
	pass_over(world, false, 1);
	assert_int_equal(knows->client.state, CLIENT_OPEN);
	pass_over(world, true, 1);
	assert_int_equal(knows->client.reason, CLOSE_SLOW);
	assert_int_equal(plain->client.state, CLIENT_OPEN);
	assert_int_equal(plain->client.n_dropped, 2);
}

/* The answer that it waits for has them. */
static void who_waits_for_a_history_loses_nothing_that_is_passed_over(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	send_text(peer, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"cards\",\"recover\":true}}");
	pass_over(world, true, 1);
	assert_int_equal(peer->client.state, CLIENT_OPEN);
	assert_int_equal(peer->client.n_dropped, 0);
	clients_joined(&world->clients, world->join);
	world->join = NULL;
	pass_over(world, true, 1);
	assert_int_equal(peer->client.reason, CLOSE_SLOW);
}

static void who_is_not_let_in_yet_stays_for_what_is_passed_over(void **state)
{
	struct world *world = *state;
	struct peer *peer = &world->peers[0];

	assert_int_equal(begin(world, peer, CARDS), CLIENT_HELD);
	pass_over(world, false, 1);
	confirm(world, "cards");
	client_open(&peer->client);
	publish_each(world, "cards", 2, 2);
	hears(peer, "e2 ");
}

/* A promise is not broken for its age: who lets it wait comes back for it. */
static void who_lets_a_promise_wait_is_closed_under_every_policy(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, "/ws/drop");

	peer->room = 10;
	recover(world, peer, 3, 0);
	pass(world, SLOW_AGE_MS);
	assert_int_equal(peer->client.state, CLIENT_OPEN);
	pass(world, 1);
	assert_int_equal(peer->client.reason, CLOSE_SLOW);
}

/* Age is that of the oldest event that still waits, not of the time that the socket is full. */
static void who_reads_a_little_is_as_old_as_what_waits(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	peer->room = 0;
	publish_each(world, "cards", 1, 1);
	for (int i = 2; i <= 5; i++) {
		pass(world, SLOW_AGE_MS / 2);
		publish_each(world, "cards", i, i);
		peer->room = event_len();
		writable(world, peer);
	}
	assert_int_equal(peer->client.state, CLIENT_OPEN);
	hears(peer, "e1 e2 e3 e4 ");
	assert_int_equal(peer->client.n_dropped, 0);
}

static void the_oldest_give_way(void **state)
{
	struct world *world = *state;
	struct peer *slow = opened(world, 0, "/ws/drop"), *quick = opened(world, 1, "/ws/drop");

	world->clients.limits.outbox_bytes_max = 3 * event_len();
	slow->room = 10;
	publish_each(world, "cards", 1, 9); /* the first is begun, and has to be ended */
	slow->room = SIZE_MAX;
	writable(world, slow);
	hears(slow, "e1 e7 e8 e9 ");
	hears(quick, "e1 e2 e3 e4 e5 e6 e7 e8 e9 ");
	assert_dropped(world, slow, METRIC_DROPPED_DROP_OLDEST, 5);
	assert_true(list_empty(&world->clients.blocked)); /* a tick looks at nobody who reads */
	publish_each(world, "cards", 10, 10);
	hears(slow, "e10 ");
}

static void a_batch_past_the_bound_leaves_the_newest(void **state)
{
	struct world *world = *state;
	struct peer *slow = opened(world, 0, "/ws/drop");

	world->clients.limits.outbox_bytes_max = 2 * event_len();
	slow->room = 0;
	for (int i = 1; i <= 6; i++)
		publish(world, "cards", i);
	turn(world);
	slow->room = SIZE_MAX;
	writable(world, slow);
	hears(slow, "e5 e6 ");
}

static void the_old_give_way(void **state)
{
	struct world *world = *state;
	struct peer *slow = opened(world, 0, "/ws/drop");

	slow->room = 0;
	publish_each(world, "cards", 1, 2);
	pass(world, SLOW_AGE_MS / 2);
	publish_each(world, "cards", 3, 3);
	pass(world, SLOW_AGE_MS / 2 + 1);
	assert_dropped(world, slow, METRIC_DROPPED_DROP_OLDEST, 2);
	slow->room = SIZE_MAX;
	writable(world, slow);
	hears(slow, "e3 ");
	slow->room = 0;
	publish_each(world, "cards", 4, 4);
	pass(world, SLOW_AGE_MS + 1); /* nothing is left */
	slow->room = SIZE_MAX;
	writable(world, slow);
	hears(slow, "");
	publish_each(world, "cards", 5, 5);
	hears(slow, "e5 ");
}

static void replies_and_pings_never_give_way(void **state)
{
	struct world *world = *state;
	struct peer *slow = opened(world, 0, "/ws/drop");

	world->clients.limits.outbox_bytes_max = 4 * event_len();
	slow->room = 0;
	publish_each(world, "cards", 1, 1);
	ask(world, slow, "{\"type\":\"ping\",\"id\":1}");
	publish_each(world, "cards", 2, 9);
	pass(world, PING_MS);
	publish_each(world, "cards", 10, 19);
	slow->room = SIZE_MAX;
	writable(world, slow);
	hears(slow, "ping! pong#1 e17 e18 e19 ");
}

/* Whoever asks and does not read the answers is closed, whatever happens to events. */
static void replies_alone_may_fill_it_up(void **state)
{
	struct world *world = *state;
	struct peer *slow = opened(world, 0, "/ws/drop"), *latest = opened(world, 1, "/ws/latest");

	world->clients.limits.outbox_bytes_max = 3 * event_len();
	slow->room = 0;
	latest->room = 0;
	publish_each(world, "cards", 1, 3);
	for (int i = 0; i < 20; i++) {
		ask(world, slow, "{\"type\":\"ping\"}");
		ask(world, latest, "{\"type\":\"ping\"}");
	}
	assert_int_equal(slow->client.reason, CLOSE_SLOW);
	assert_int_equal(latest->client.reason, CLOSE_SLOW);
	slow->room = SIZE_MAX;
	writable(world, slow);
	hears(slow, "close:4100 ");
	assert_dropped(world, slow, METRIC_DROPPED_DROP_OLDEST, 3);
}

static void what_is_parked_gives_way_too(void **state)
{
	struct world *world = *state;
	struct peer *peer = &world->peers[0];

	world->clients.limits.outbox_bytes_max = 2 * event_len();
	assert_int_equal(begin(world, peer, "/ws/drop"), CLIENT_HELD);
	publish_each(world, "cards", 1, 5);
	confirm(world, "cards");
	client_open(&peer->client);
	turn(world);
	hears(peer, "e4 e5 ");
}

static void the_newest_of_each_key_stays(void **state)
{
	struct world *world = *state;
	struct peer *slow = opened(world, 0, "/ws/latest"), *quick = opened(world, 1, "/ws/latest");

	slow->room = 0;
	publish_key(world, "cards", "a", 1);
	publish_key(world, "cards", "b", 2);
	publish_key(world, "cards", "", 3);
	publish_key(world, "cards", "a", 4);
	publish_key(world, "cards", "c", 5);
	publish_key(world, "cards", "", 6);
	publish_key(world, "cards", "a", 7);
	publish_key(world, "cards", "b", 8);
	slow->room = SIZE_MAX;
	writable(world, slow);
	hears(slow, "e3 c5 e6 a7 b8 "); /* what remains is in the order of the channel */
	hears(quick, "a1 b2 e3 a4 c5 e6 a7 b8 ");
	assert_dropped(world, slow, METRIC_DROPPED_LATEST_BY_KEY, 3);
	publish_key(world, "cards", "a", 9);
	hears(slow, "a9 ");
}

/* The begun frame is out of reach: it is ended, and the newer one follows. */
static void nothing_is_replaced_once_it_was_begun(void **state)
{
	struct world *world = *state;
	struct peer *slow = opened(world, 0, "/ws/latest");

	slow->room = 10;
	publish_key(world, "cards", "a", 1);
	publish_key(world, "cards", "a", 2);
	publish_key(world, "cards", "a", 3);
	slow->room = SIZE_MAX;
	writable(world, slow);
	hears(slow, "a1 a3 ");
}

static void keys_that_are_still_too_many_give_way_oldest_first(void **state)
{
	struct world *world = *state;
	struct peer *slow = opened(world, 0, "/ws/latest");
	struct message *keyed = keyed_event("cards", "a", 1, 1);
	static const char *const keys[] = {"a", "b", "c", "d", "b", "e"};

	world->clients.limits.outbox_bytes_max = 3 * (size_t)keyed->frame_len;
	message_unref(keyed);
	slow->room = 0;
	for (int i = 0; i < 6; i++)
		publish_key(world, "cards", keys[i], i);
	slow->room = SIZE_MAX;
	writable(world, slow);
	hears(slow, "d3 b4 e5 ");
}

static void the_newest_of_a_key_does_not_grow_old_unless_told(void **state)
{
	struct world *world = *state;
	struct peer *slow = opened(world, 0, "/ws/latest"), *fresh = opened(world, 1, "/ws/fresh");

	slow->room = 0;
	fresh->room = 0;
	publish_key(world, "cards", "a", 1);
	pass(world, AGE_MS / 2);
	publish_key(world, "cards", "b", 2);
	pass(world, AGE_MS / 2 + 1);
	pass(world, SLOW_AGE_MS * 2 - AGE_MS);
	fresh->room = SIZE_MAX;
	slow->room = SIZE_MAX;
	publish_key(world, "cards", "c", 3);
	writable(world, slow);
	writable(world, fresh);
	hears(slow, "a1 b2 c3 ");
	hears(fresh, "c3 ");
	assert_int_equal(fresh->client.n_dropped, 2);
}

enum {
	KEYS = 5,
};

/* What a peer of latest_by_key hears, however slowly: numbers that grow, and of each key the newest in the
 * end. */
static void check_latest(struct peer *peer, const int *newest)
{
	int last = -1, heard[KEYS] = {0};
	size_t at = 0, len, header_len;

	while (at < peer->wire.len && (len = frame_at(&peer->wire, at, &header_len))) {
		const char *text = peer->wire.data + at + header_len;
		char key;
		int number;

		assert_int_equal(sscanf(text, "{\"type\":\"%c\",\"data\":%d,", &key, &number), 2);
		assert_true(number > last);
		heard[key - 'a'] = last = number;
		at += len;
	}
	assert_int_equal(at, peer->wire.len);
	assert_memory_equal(heard, newest, sizeof(heard));
	buf_reset(&peer->wire);
}

static void the_last_word_of_every_key_arrives(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, "/ws/latest");

	world->clients.limits.outbox_bytes_max = 120 * KEYS;
	for (unsigned int seed = 1; seed <= 300; seed++) {
		int newest[KEYS] = {0}, number = 0;

		srand(seed);
		for (int step = 0; step < 60; step++) {
			char key[] = {(char)('a' + rand() % KEYS), '\0'};

			peer->room = rand() % 3 ? (size_t)rand() % 300 : 0;
			if (peer->wants_writable && rand() % 3 == 0)
				writable(world, peer);
			newest[key[0] - 'a'] = ++number;
			publish_key(world, "cards", key, number);
			assert_true(peer->client.outbox.bytes <= 120 * KEYS);
			assert_true(!peer->client.blocked || peer->client.outbox.n <= KEYS);
		}
		peer->room = SIZE_MAX;
		if (peer->wants_writable)
			writable(world, peer);
		check_latest(peer, newest);
		peer->n_sends = 0;
	}
}

/* Four clients that read nothing, for whom 1 to 4 events wait. */
static void have_them_wait(struct world *world, struct peer *peers[PEERS])
{
	for (int i = 0; i < PEERS; i++) {
		peers[i] = opened(world, i, CARDS);
		peers[i]->room = i == PEERS - 1 ? 0 : SIZE_MAX;
	}
	for (int n = 1; n <= PEERS; n++) {
		peers[PEERS - n]->room = 0;
		publish_each(world, "cards", n, n);
	}
}

static void when_memory_is_short_the_largest_queues_go_and_no_more(void **state)
{
	struct world *world = *state;
	struct peer *peers[PEERS];

	have_them_wait(world, peers);
	slow_shed(&world->clients, 3 * event_len());
	assert_int_equal(peers[3]->client.state, CLIENT_CLOSING);
	assert_int_equal(peers[3]->client.reason, CLOSE_SHED);
	for (int i = 0; i < 3; i++)
		assert_int_equal(peers[i]->client.state, CLIENT_OPEN);
	slow_shed(&world->clients, 0);
	assert_int_equal(peers[2]->client.state, CLIENT_OPEN);
	slow_shed(&world->clients, UINT64_MAX);
	for (int i = 0; i < 3; i++)
		assert_int_equal(peers[i]->client.state, CLIENT_CLOSING);
}

static void who_was_closed_for_memory_is_gone_a_second_later(void **state)
{
	struct world *world = *state;
	struct peer *peers[PEERS];

	have_them_wait(world, peers);
	client_close(&peers[0]->client, CLOSE_DISCONNECTED);
	slow_shed(&world->clients, 3 * event_len());
	pass(world, SLOW_SHED_MS);
	assert_int_equal(peers[3]->n_aborts, 1);
	assert_int_equal(peers[0]->n_aborts, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLIENTS_TEST(closes_who_reads_too_slowly_and_nobody_else),
		CLIENTS_TEST(a_batch_past_the_bound_closes_too),
		CLIENTS_TEST(the_bound_of_the_route_counts),
		CLIENTS_TEST(a_narrow_peer_that_reads_gets_all),
		CLIENTS_TEST(much_in_one_turn_is_not_slow),
		CLIENTS_TEST(what_its_worker_passes_over_is_lost_by_the_policy_of_its_route),
		CLIENTS_TEST(who_could_recover_what_is_passed_over_is_closed_whatever_the_policy),
		CLIENTS_TEST(who_waits_for_a_history_loses_nothing_that_is_passed_over),
		CLIENTS_TEST(who_is_not_let_in_yet_stays_for_what_is_passed_over),
		CLIENTS_TEST(closes_who_lets_an_event_wait_too_long),
		CLIENTS_TEST(who_reads_a_little_is_as_old_as_what_waits),
		CLIENTS_TEST(who_lets_a_promise_wait_is_closed_under_every_policy),
		CLIENTS_TEST(the_oldest_give_way),
		CLIENTS_TEST(a_batch_past_the_bound_leaves_the_newest),
		CLIENTS_TEST(the_old_give_way),
		CLIENTS_TEST(replies_and_pings_never_give_way),
		CLIENTS_TEST(replies_alone_may_fill_it_up),
		CLIENTS_TEST(what_is_parked_gives_way_too),
		CLIENTS_TEST(the_newest_of_each_key_stays),
		CLIENTS_TEST(nothing_is_replaced_once_it_was_begun),
		CLIENTS_TEST(keys_that_are_still_too_many_give_way_oldest_first),
		CLIENTS_TEST(the_newest_of_a_key_does_not_grow_old_unless_told),
		CLIENTS_TEST(the_last_word_of_every_key_arrives),
		CLIENTS_TEST(when_memory_is_short_the_largest_queues_go_and_no_more),
		CLIENTS_TEST(who_was_closed_for_memory_is_gone_a_second_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
