/* Client: what client/client.h and client/socket.h promise of one client: held, open, closing, gone. */

#include "client/client.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/ip.h"
#include "core/map.h"
#include "mail/confirmation.h"
#include "protocol/reply.h"
#include "support/clients_world.h"
#include "support/log_text.h"

static void holds_the_handshake_until_every_channel_is_confirmed(void **state)
{
	struct world *world = *state;
	struct peer *peer = &world->peers[0];

	assert_int_equal(begin(world, peer, "/ws/pair"), CLIENT_HELD);
	says(world, "+a +b ");
	confirm(world, "b");
	assert_int_equal(peer->n_ready, 0);
	confirm(world, "a");
	assert_int_equal(peer->n_ready, 1);
	confirm(world, "a");
	confirm(world, "b");
	turn(world);
	assert_int_equal(peer->n_ready, 1);
	client_open(&peer->client);
	turn(world);
	hears(peer, ""); /* who did not ask gets no `subscribed` */
}

static void waits_for_nothing_when_its_channels_are_confirmed(void **state)
{
	struct world *world = *state;

	opened(world, 0, CARDS);
	assert_int_equal(begin(world, &world->peers[1], CARDS), 0);
	assert_int_equal(begin(world, &world->peers[2], "/ws/none"), 0);
	says(world, "");
}

static void waits_for_nothing_while_the_broker_is_away(void **state)
{
	struct world *world = *state;

	clients_connected(&world->clients, false);
	assert_int_equal(begin(world, &world->peers[0], CARDS), 0);
	says(world, "+cards "); /* wanted all the same, for when it is back */
}

static void delivers_what_arrived_while_parked_after_it_is_open_in_order(void **state)
{
	struct world *world = *state;
	struct peer *peer = &world->peers[0];

	assert_int_equal(begin(world, peer, CARDS), CLIENT_HELD);
	publish_each(world, "cards", 1, 2);
	confirm(world, "cards");
	publish_each(world, "cards", 3, 3);
	assert_int_equal(peer->n_sends, 0);
	client_open(&peer->client);
	publish(world, "cards", 4);
	turn(world);
	hears(peer, "e1 e2 e3 e4 ");
}

static void holds_the_handshake_no_longer_than_its_time(void **state)
{
	struct world *world = *state;
	struct peer *peer = &world->peers[0], *late = &world->peers[1];

	assert_int_equal(begin(world, peer, CARDS), CLIENT_HELD);
	pass(world, 500);
	assert_int_equal(begin(world, late, "/ws/pair"), CLIENT_HELD);
	pass(world, CLIENT_PARKED_MS - 501);
	assert_int_equal(peer->n_ready, 0);
	pass(world, 1);
	assert_int_equal(peer->n_ready, 1);
	assert_int_equal(late->n_ready, 0);
	client_open(&peer->client);
	publish_each(world, "cards", 1, 1); /* what comes without a confirmation is delivered too */
	hears(peer, "e1 ");
	pass(world, 499);
	assert_int_equal(late->n_ready, 0);
	pass(world, 1);
	assert_int_equal(late->n_ready, 1);
	assert_int_equal(peer->n_ready, 1);
}

static void lets_all_go_when_the_broker_is_lost(void **state)
{
	struct world *world = *state;

	for (int i = 0; i < 2; i++)
		assert_int_equal(begin(world, &world->peers[i], i ? "/ws/pair" : CARDS), CLIENT_HELD);
	clients_connected(&world->clients, false);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(world->peers[i].n_ready, 1);
		client_open(&world->peers[i].client);
	}
	clients_connected(&world->clients, false);
	pass(world, CLIENT_PARKED_MS);
	for (int i = 0; i < 2; i++)
		assert_int_equal(world->peers[i].n_ready, 1);
}

/* The answer may leave on a later turn than ready(): until it did, the client is parked still. */
static void says_ready_once_whatever_comes_before_it_is_open(void **state)
{
	struct world *world = *state;
	struct peer *timed_out = &world->peers[0], *lost = &world->peers[1];

	assert_int_equal(begin(world, timed_out, CARDS), CLIENT_HELD);
	pass(world, CLIENT_PARKED_MS);
	assert_int_equal(timed_out->n_ready, 1);
	confirm(world, "cards");
	assert_int_equal(timed_out->n_ready, 1);
	assert_int_equal(begin(world, lost, "/ws/pair"), CLIENT_HELD);
	clients_connected(&world->clients, false);
	assert_int_equal(lost->n_ready, 1);
	clients_connected(&world->clients, true);
	confirm_all(world);
	assert_int_equal(lost->n_ready, 1);
	assert_int_equal(timed_out->n_ready, 1);
}

/* The bus says from when on the worker hears everything of the channel that it wanted last. */
static void confirm_from(struct world *world, const char *channel, uint64_t from_ms)
{
	struct message *told = reply_resync(slice_of(channel), "away", false, 0, "abcdefgh.4.1004", WALL_MS);
	const struct confirmation confirmation = {
		.generation = world->interests[world->n_interests - 1].generation,
		.from_ms = from_ms,
		.told = told,
		.close_others = true};

	assert_non_null(told);
	clients_confirm(
		&world->clients, slice_of(channel), map_hash(channel, strlen(channel)), &confirmation);
	message_unref(told);
	turn(world);
}

static void who_was_let_in_before_its_worker_heard_everything_is_closed_for_the_gap(void **state)
{
	struct world *world = *state;
	struct peer *before = &world->peers[0], *after = &world->peers[1], *on_its_way = &world->peers[2];
	uint64_t from_ms;

	clients_connected(&world->clients, false);
	assert_int_equal(begin(world, before, CARDS), 0);
	client_open(&before->client);
	assert_int_equal(begin(world, on_its_way, CARDS), 0); /* its handshake is being answered */
	pass(world, 1);
	from_ms = world->now_ms;
	pass(world, 1);
	assert_int_equal(begin(world, after, CARDS), 0);
	client_open(&after->client);
	publish_each(world, "cards", 1, 1);
	confirm_from(world, "cards", from_ms);
	hears(before, "e1 close:1012 ");
	assert_int_equal(on_its_way->n_aborts, 0);
	client_open(&on_its_way->client);
	publish(world, "cards", 2);
	turn(world);
	hears(on_its_way, "close:1012 ");
	hears(after, "e1 e2 ");
}

static void who_waited_for_the_confirmation_has_no_gap(void **state)
{
	struct world *world = *state;
	struct peer *peer = &world->peers[0];

	assert_int_equal(begin(world, peer, CARDS), CLIENT_HELD);
	confirm_from(world, "cards", world->now_ms);
	assert_int_equal(peer->n_ready, 1);
	client_open(&peer->client);
	publish(world, "cards", 1);
	turn(world);
	hears(peer, "e1 ");
}

/* Its channel had listeners before its log was read: these are told, and it is not one of them. */
static void who_waits_for_a_confirmation_has_no_part_in_what_others_missed(void **state)
{
	struct world *world = *state;
	struct peer *before = &world->peers[0], *held = &world->peers[1], *asks;
	struct message *told = reply_resync(slice_of("cards"), "away", false, 0, "abcdefgh.4.1004", WALL_MS);

	assert_non_null(told);
	asks = opened(world, 2, "/ws/none");
	clients_connected(&world->clients, false);
	assert_int_equal(begin(world, before, CARDS), 0); /* its handshake is being answered */
	clients_connected(&world->clients, true);
	assert_int_equal(begin(world, held, CARDS), CLIENT_HELD);
	ask_for(world, asks, "subscribe", "cards");
	clients_resync(&world->clients, slice_of("cards"), map_hash("cards", 5), told, true);
	confirm(world, "cards");
	assert_int_equal(held->n_ready, 1);
	turn(world);
	hears(asks, "subscribed(cards) ");
	clients_resync(&world->clients, slice_of("cards"), map_hash("cards", 5), told, true);
	client_open(&before->client);
	client_open(&held->client);
	publish(world, "cards", 1);
	turn(world);
	hears(before, "close:1012 ");
	hears(held, "e1 ");
	hears(asks, "close:1012 "); /* of that one it was told that it hears everything */
	message_unref(told);
}

static void what_is_told_of_a_channel_is_for_subscribers_of_it_that_know_recovery(void **state)
{
	struct world *world = *state;
	struct message *told = reply_degraded(slice_of("cards"), WALL_MS);

	assert_non_null(told);
	for (int i = 0; i < 3; i++)
		opened(world, (size_t)i, i == 2 ? "/ws/none" : CARDS);
	world->peers[1].client.aware = world->peers[2].client.aware = true;
	clients_tell(&world->clients, slice_of("cards"), map_hash("cards", 5), told);
	turn(world);
	hears(&world->peers[0], "");
	hears(&world->peers[1], "degraded(cards) ");
	hears(&world->peers[2], "");
	message_unref(told);
}

/* Its open has promised every event; a command that waits for its answer takes nothing of that back. */
static void who_was_let_in_unconfirmed_and_says_subscribe_is_told_of_its_gap(void **state)
{
	struct world *world = *state;

	for (int i = 0; i < 2; i++)
		assert_int_equal(begin(world, &world->peers[i], CARDS), CLIENT_HELD);
	world->peers[1].client.aware = true;
	pass(world, CLIENT_PARKED_MS);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(world->peers[i].n_ready, 1);
		client_open(&world->peers[i].client);
		ask_for(world, &world->peers[i], "subscribe", "cards");
		hears(&world->peers[i], "");
	}
	confirm_from(world, "cards", world->now_ms);
	hears(&world->peers[0], "close:1012 ");
	hears(&world->peers[1], "resync(cards) subscribed(cards) ");
}

/* Nothing was promised for this one, however its handshake was answered. */
static void who_was_let_in_unconfirmed_misses_nothing_of_what_it_subscribes_to_later(void **state)
{
	struct world *world = *state;
	struct peer *peer = &world->peers[0];
	struct message *told = reply_resync(slice_of("a"), "away", false, 0, "abcdefgh.4.1004", WALL_MS);

	assert_non_null(told);
	clients_connected(&world->clients, false);
	assert_int_equal(begin(world, peer, CARDS), 0);
	client_open(&peer->client);
	clients_connected(&world->clients, true);
	confirm(world, "cards");
	clients_connected(&world->clients, false);
	ask_for(world, peer, "subscribe", "a");
	ask_for(world, peer, "subscribe", "a"); /* once more: that did not make it */
	clients_connected(&world->clients, true);
	pass(world, 1);
	clients_resync(&world->clients, slice_of("a"), map_hash("a", 1), told, true);
	confirm_from(world, "a", world->now_ms);
	hears(peer, "subscribed(a) subscribed(a) ");
	message_unref(told);
}

/* Handshakes that wait are to go first in Redis: while the link is lost, no handshake does. */
static void only_a_handshake_that_waits_is_urgent(void **state)
{
	struct world *world = *state;

	clients_connected(&world->clients, false);
	assert_int_equal(begin(world, &world->peers[0], CARDS), 0);
	assert_int_equal(world->n_interests, 1);
	assert_false(world->interests[0].urgent);
	clients_connected(&world->clients, true);
	assert_int_equal(begin(world, &world->peers[1], CARDS), CLIENT_HELD);
	assert_int_equal(world->n_interests, 2);
	assert_true(world->interests[1].urgent);
}

static void never_says_ready_of_one_that_was_not_held(void **state)
{
	struct world *world = *state;
	struct peer *peer = &world->peers[1], *offline = &world->peers[2];

	opened(world, 0, CARDS);
	assert_int_equal(begin(world, peer, CARDS), 0);
	pass(world, CLIENT_PARKED_MS);
	assert_int_equal(peer->n_ready, 0);
	clients_connected(&world->clients, false);
	assert_int_equal(peer->n_ready, 0);
	assert_int_equal(begin(world, offline, "/ws/pair"), 0);
	clients_connected(&world->clients, true);
	confirm_all(world);
	assert_int_equal(offline->n_ready, 0);
}

static void may_go_while_parked(void **state)
{
	struct world *world = *state;
	struct peer *peer = &world->peers[0];

	assert_int_equal(begin(world, peer, CARDS), CLIENT_HELD);
	publish_each(world, "cards", 1, 1);
	client_deinit(&peer->client);
	says(world, "+cards -cards ");
	confirm(world, "cards");
	pass(world, CLIENT_PARKED_MS);
	clients_connected(&world->clients, false);
	assert_int_equal(peer->n_ready, 0);
	assert_int_equal(world->clients.n_clients, 0);
	assert_int_equal(peer->wire.len, 0);
}

static void bounds_what_waits_for_a_parked_peer(void **state)
{
	struct world *world = *state;
	struct peer *peer = &world->peers[0];

	world->clients.limits.outbox_bytes_max = 2 * event_len();
	assert_int_equal(begin(world, peer, CARDS), CLIENT_HELD);
	publish_each(world, "cards", 1, 3);
	assert_int_equal(peer->wire.len, 0); /* nothing before the handshake's answer, not even a close */
	assert_int_equal(peer->n_aborts, 1);
	assert_int_equal(peer->client.outbox.n, 0);
}

static void breaks(struct world *world, struct peer *peer, struct peer *other)
{
	unsigned int n_sends;

	assert_int_equal(peer->n_aborts, 1);
	assert_int_equal(peer->client.reason, CLOSE_GONE);
	n_sends = peer->n_sends;
	buf_reset(&other->wire);
	publish_each(world, "cards", 8, 9);
	pass(world, 1);
	assert_int_equal(peer->n_sends, n_sends); /* never again */
	assert_int_equal(peer->n_aborts, 1);
	hears(other, "e8 e9 ");
	client_deinit(&peer->client);
	assert_int_equal(world->clients.n_clients, 1);
}

static void ends_a_socket_that_breaks_as_it_is_sent_to(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS), *other = opened(world, 1, CARDS);

	peer->broken = EPIPE;
	publish_each(world, "cards", 1, 1);
	hears(other, "e1 ");
	hears(peer, "");
	assert_int_equal(peer->n_sends, 1);
	breaks(world, peer, other);
}

static void ends_a_socket_that_breaks_as_a_reply_is_sent(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS), *other = opened(world, 1, CARDS);

	peer->broken = ECONNRESET;
	ask(world, peer, "{\"type\":\"ping\"}");
	breaks(world, peer, other);
}

static void ends_a_socket_that_breaks_as_its_queue_drains(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS), *other = opened(world, 1, CARDS);

	peer->room = 0;
	publish_each(world, "cards", 1, 200);
	peer->broken = EPIPE;
	writable(world, peer);
	breaks(world, peer, other);
}

static void ends_a_socket_that_cannot_keep(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS), *other = opened(world, 1, CARDS);

	peer->room = 10;
	peer->keeps_not = ENOMEM;
	for (int i = 1; i <= 3; i++)
		publish(world, "cards", i);
	turn(world);
	breaks(world, peer, other);
}

static void ends_a_socket_that_cannot_keep_of_its_queue(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS), *other = opened(world, 1, CARDS);

	peer->room = 0;
	publish_each(world, "cards", 1, 3);
	peer->room = event_len() + 10;
	peer->keeps_not = EPIPE;
	writable(world, peer);
	breaks(world, peer, other);
}

static void ends_a_socket_that_does_not_even_take_the_close_frame(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	peer->broken = EPIPE;
	client_close(&peer->client, CLOSE_BINARY);
	for (int i = 0; i < 5; i++)
		turn(world);
	assert_int_equal(peer->n_aborts, 1);
	assert_true(peer->n_sends <= 2);
}

static void sends_nothing_after_the_close_frame(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	publish(world, "cards", 1);
	send_text(peer, "{\"type\":\"ping\"}");
	client_close(&peer->client, CLOSE_TOO_BIG);
	says(world, "-cards "); /* nothing is listened to for it any more */
	publish(world, "cards", 2);
	send_text(peer, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"a\"}}");
	turn(world);
	hears(peer, "close:1009 ");
	send_text(peer, "{\"type\":\"ping\"}");
	client_heard(&peer->client);
	client_push(&peer->client, message_from_text("{}", 2));
	publish_each(world, "cards", 3, 3);
	confirm_all(world);
	client_writable(&peer->client);
	turn(world);
	pass(world, CLIENT_CLOSING_MS - 1);
	hears(peer, "");
	says(world, "");
	assert_int_equal(peer->client.n_received, 1);
}

static void a_second_close_changes_nothing(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	client_close(&peer->client, CLOSE_BINARY);
	client_close(&peer->client, CLOSE_SLOW);
	turn(world);
	client_close(&peer->client, CLOSE_RESTART);
	turn(world);
	hears(peer, "close:1003 ");
	assert_int_equal(peer->client.reason, CLOSE_BINARY);
	assert_int_equal(peer->client.close_code, 1003);
	assert_int_equal(peer->n_aborts, 0);
}

static void a_close_frame_waits_for_a_blocked_socket_but_not_for_the_queue(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	peer->room = 10;
	publish_each(world, "cards", 1, 5);
	client_close(&peer->client, CLOSE_RESTART);
	turn(world);
	assert_int_equal(peer->n_sends, 1);
	peer->room = SIZE_MAX;
	writable(world, peer);
	hears(peer, "e1 close:1012 ");
}

static void waits_for_the_answer_to_its_close_only_so_long(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS), *answers = opened(world, 1, CARDS);

	client_close(&peer->client, CLOSE_RESTART);
	client_close(&answers->client, CLOSE_RESTART);
	turn(world);
	assert_true(client_peer_closed(&answers->client, 1012));
	client_deinit(&answers->client);
	pass(world, CLIENT_CLOSING_MS - 1);
	assert_int_equal(peer->n_aborts, 0);
	pass(world, 1);
	assert_int_equal(peer->n_aborts, 1);
	pass(world, CLIENT_CLOSING_MS);
	assert_int_equal(peer->n_aborts, 1);
	assert_int_equal(answers->n_aborts, 0);
}

static void hears_why_the_peer_closed(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	assert_false(client_peer_closed(&peer->client, 4321));
	turn(world);
	hears(peer, "close:4321 ");
	assert_int_equal(peer->n_finishes, 1);
	assert_int_equal(peer->client.reason, CLOSE_PEER);
	assert_int_equal(peer->client.close_code, 4321);
	client_deinit(&peer->client);
	says(world, "-cards ");
}

static void ends_its_direction_once_when_the_peer_broke_the_protocol(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS), *late = opened(world, 1, CARDS);

	publish(world, "cards", 1);
	client_fail(&peer->client, CLOSE_PROTOCOL);
	client_close(&late->client, CLOSE_TOO_BIG);
	publish(world, "cards", 2);
	turn(world);
	hears(peer, "close:1002 ");
	hears(late, "close:1009 ");
	assert_int_equal(peer->n_silences, 1);
	assert_int_equal(peer->n_finishes, 1);
	assert_int_equal(late->n_finishes, 0); /* its answer is waited for, until it cannot be read */
	client_fail(&late->client, CLOSE_PROTOCOL);
	turn(world);
	turn(world);
	assert_int_equal(late->n_finishes, 1);
	assert_int_equal(late->client.close_code, 1009);
}

static void ends_its_direction_no_earlier_than_the_last_word_and_the_close_are_said(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);
	struct message *last = event_of(world, "cards", 1);

	peer->room = 0;
	client_close_with(&peer->client, CLOSE_RESTART, last);
	message_unref(last);
	client_fail(&peer->client, CLOSE_BAD_DATA);
	turn(world);
	hears(peer, "");
	assert_int_equal(peer->n_finishes, 0);
	peer->room = SIZE_MAX;
	writable(world, peer);
	hears(peer, "e1 close:1012 ");
	assert_int_equal(peer->n_finishes, 1);
}

/* Its own socket keeps what does not go at once, in order: before events that wait, behind those that went.
 */
static void pings_before_what_waits_for_a_socket_that_is_full(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, "/ws/patient");

	peer->room = 10;
	publish_each(world, "cards", 1, 2);
	pass(world, PING_MS);
	peer->room = SIZE_MAX;
	writable(world, peer);
	hears(peer, "e1 ping! e2 ");
	assert_int_equal(metrics_get(&world->metrics, METRIC_MESSAGES_OUT), 3);
}

static void a_ping_that_cannot_be_said_ends_the_connection(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	peer->broken = EPIPE;
	pass(world, PING_MS);
	assert_int_equal(peer->client.state, CLIENT_CLOSING);
	assert_int_equal(peer->client.reason, CLOSE_GONE);
	assert_int_equal(peer->n_aborts, 1);
}

/* The close was the peer's word, or is for what it said: both right behind a question. */
static void answers_what_was_asked_right_before_a_close(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS), *binary = opened(world, 1, CARDS);

	send_text(peer, "{\"type\":\"ping\"}");
	assert_false(client_peer_closed(&peer->client, 1000));
	send_text(binary, "{\"type\":\"ping\"}");
	client_reject(&binary->client, CLOSE_BINARY);
	turn(world);
	hears(peer, "pong close:1000 ");
	hears(binary, "pong close:1003 ");
}

/* It would be hung up on without a close frame. */
static void a_close_of_the_peer_does_not_overtake_ours(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	client_reject(&peer->client, CLOSE_BINARY);
	assert_false(client_peer_closed(&peer->client, 1000));
	turn(world);
	hears(peer, "close:1003 ");
	assert_int_equal(peer->n_finishes, 1);
	assert_true(client_peer_closed(&peer->client, 1000));
	assert_int_equal(peer->client.close_code, 1003);
}

static void sends_nothing_after_the_peer_closed(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS), *other = opened(world, 1, CARDS);

	peer->room = 0;
	publish_each(world, "cards", 1, 1);
	peer->room = SIZE_MAX;
	assert_false(client_peer_closed(&peer->client, 1000));
	send_text(peer, "{\"type\":\"ping\"}");
	publish_each(world, "cards", 2, 2);
	writable(world, peer);
	client_close(&peer->client, CLOSE_RESTART);
	pass(world, 1);
	hears(peer, "close:1000 ");
	hears(other, "e1 e2 ");
	assert_int_equal(peer->client.reason, CLOSE_PEER);
	assert_int_equal(peer->client.close_code, 1000);
}

static void every_reason_fits_into_a_close_frame(void **state)
{
	static const struct {
		enum close_reason reason;
		uint16_t code;
		const char *told;
	} table[] = {
#define CLOSE_REASON(id, word, code, told, sentence) {CLOSE_##id, code, told ? told : sentence},
#include "protocol/close_reason.def"
#undef CLOSE_REASON
	};
	struct world *world = *state;
	unsigned char header[] = {0x88, 0, 0, 0};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct peer *peer = &world->peers[0];
		size_t len = strlen(table[i].told);

		assert_true(len <= 123); /* RFC 6455 section 5.5: 125 bytes with the code */
		assert_int_equal(close_reason_code(table[i].reason), table[i].code);
		assert_string_equal(close_reason_told(table[i].reason), table[i].told);
		if (table[i].reason == CLOSE_GONE || table[i].reason == CLOSE_PEER)
			continue; /* nobody is told: 1006 must never stand in a frame */
		opened(world, 0, CARDS);
		client_close(&peer->client, table[i].reason);
		turn(world);
		header[1] = (unsigned char)(len + 2);
		header[2] = (unsigned char)(table[i].code >> 8);
		header[3] = (unsigned char)(table[i].code & 0xff);
		assert_int_equal(peer->wire.len, len + 4);
		assert_memory_equal(peer->wire.data, header, 4);
		assert_memory_equal(peer->wire.data + 4, table[i].told, len);
		client_deinit(&peer->client);
		buf_reset(&peer->wire);
		world->n_interests = 0;
	}
}

static void a_broken_connection_gets_no_close_frame(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	client_close(&peer->client, CLOSE_GONE);
	turn(world);
	hears(peer, "");
	assert_int_equal(peer->n_aborts, 1);
}

static void closes_for_want_of_memory(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	client_push(&peer->client, NULL);
	turn(world);
	hears(peer, "close:1011 ");
	client_push(&peer->client, NULL);
	turn(world);
	hears(peer, "");
}

static void is_gone_once_and_harmlessly(void **state)
{
	struct world *world = *state;
	struct client zeroed = {0};
	struct peer *peer = opened(world, 0, CARDS);

	client_deinit(&zeroed);
	peer->room = 0;
	publish_each(world, "cards", 1, 3);     /* with something in its outbox, and noted in the hub */
	ask_for(world, peer, "subscribe", "a"); /* and an answer owed */
	publish(world, "cards", 4);
	client_deinit(&peer->client);
	client_deinit(&peer->client);
	assert_int_equal(world->clients.n_clients, 0);
	confirm(world, "a");
	pass(world, CLIENT_SUBSCRIBE_MS + PING_MS + PONG_MS);
	hears(peer, "");
	assert_int_equal(metrics_get(&world->metrics, METRIC_CLOSED_1006), 1);
}

static void knows_who_it_is(void **state)
{
	struct world *world = *state;
	char remote[INET6_ADDRSTRLEN];

	begin_from(world, &world->peers[0], CARDS, "2001:db8::1");
	begin_from(world, &world->peers[1], CARDS, "::ffff:192.0.2.7");
	begin_from(world, &world->peers[2], CARDS, "");
	ip_print(&world->peers[0].client.remote, remote);
	assert_string_equal(remote, "2001:db8::1");
	ip_print(&world->peers[1].client.remote, remote);
	assert_string_equal(remote, "192.0.2.7");
	assert_true(IN6_IS_ADDR_UNSPECIFIED(&world->peers[2].client.remote));
	assert_int_equal(world->peers[0].client.id, 3);
	assert_int_equal(world->peers[1].client.id, 7);
	assert_int_equal(world->peers[2].client.id, 11);
	assert_int_equal(world->clients.n_clients, 3);
}

static void logs_why_it_ended(void **state)
{
	struct world *world = *state;
	struct log_text log;
	struct peer *peer;

	log_text_init(&log);
	world->clients.log = log.log;
	peer = opened(world, 0, CARDS);
	peer->room = 0;
	publish_each(world, "cards", 1, 2);
	client_close(&peer->client, CLOSE_SLOW);
	turn(world);
	client_deinit(&peer->client);
	world->clients.log = NULL;
	assert_int_equal(log_text_count(&log, "192.0.2.1"), 2);
	assert_int_equal(log_text_count(&log, "4100"), 1);
	assert_int_equal(log_text_count(&log, " dropped=2 "), 1);
	assert_int_equal(log_text_count(&log, close_reason_sentence(CLOSE_SLOW)), 1);
	log_text_deinit(&log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLIENTS_TEST(holds_the_handshake_until_every_channel_is_confirmed),
		CLIENTS_TEST(waits_for_nothing_when_its_channels_are_confirmed),
		CLIENTS_TEST(waits_for_nothing_while_the_broker_is_away),
		CLIENTS_TEST(delivers_what_arrived_while_parked_after_it_is_open_in_order),
		CLIENTS_TEST(holds_the_handshake_no_longer_than_its_time),
		CLIENTS_TEST(lets_all_go_when_the_broker_is_lost),
		CLIENTS_TEST(says_ready_once_whatever_comes_before_it_is_open),
		CLIENTS_TEST(never_says_ready_of_one_that_was_not_held),
		CLIENTS_TEST(may_go_while_parked),
		CLIENTS_TEST(who_was_let_in_before_its_worker_heard_everything_is_closed_for_the_gap),
		CLIENTS_TEST(who_waited_for_the_confirmation_has_no_gap),
		CLIENTS_TEST(who_waits_for_a_confirmation_has_no_part_in_what_others_missed),
		CLIENTS_TEST(what_is_told_of_a_channel_is_for_subscribers_of_it_that_know_recovery),
		CLIENTS_TEST(who_was_let_in_unconfirmed_and_says_subscribe_is_told_of_its_gap),
		CLIENTS_TEST(who_was_let_in_unconfirmed_misses_nothing_of_what_it_subscribes_to_later),
		CLIENTS_TEST(only_a_handshake_that_waits_is_urgent),
		CLIENTS_TEST(bounds_what_waits_for_a_parked_peer),
		CLIENTS_TEST(ends_a_socket_that_breaks_as_it_is_sent_to),
		CLIENTS_TEST(ends_a_socket_that_breaks_as_a_reply_is_sent),
		CLIENTS_TEST(ends_a_socket_that_breaks_as_its_queue_drains),
		CLIENTS_TEST(ends_a_socket_that_cannot_keep),
		CLIENTS_TEST(ends_a_socket_that_cannot_keep_of_its_queue),
		CLIENTS_TEST(ends_a_socket_that_does_not_even_take_the_close_frame),
		CLIENTS_TEST(sends_nothing_after_the_close_frame),
		CLIENTS_TEST(a_second_close_changes_nothing),
		CLIENTS_TEST(a_close_frame_waits_for_a_blocked_socket_but_not_for_the_queue),
		CLIENTS_TEST(waits_for_the_answer_to_its_close_only_so_long),
		CLIENTS_TEST(hears_why_the_peer_closed),
		CLIENTS_TEST(answers_what_was_asked_right_before_a_close),
		CLIENTS_TEST(a_close_of_the_peer_does_not_overtake_ours),
		CLIENTS_TEST(sends_nothing_after_the_peer_closed),
		CLIENTS_TEST(ends_its_direction_once_when_the_peer_broke_the_protocol),
		CLIENTS_TEST(ends_its_direction_no_earlier_than_the_last_word_and_the_close_are_said),
		CLIENTS_TEST(pings_before_what_waits_for_a_socket_that_is_full),
		CLIENTS_TEST(a_ping_that_cannot_be_said_ends_the_connection),
		CLIENTS_TEST(every_reason_fits_into_a_close_frame),
		CLIENTS_TEST(a_broken_connection_gets_no_close_frame),
		CLIENTS_TEST(closes_for_want_of_memory),
		CLIENTS_TEST(is_gone_once_and_harmlessly),
		CLIENTS_TEST(knows_who_it_is),
		CLIENTS_TEST(logs_why_it_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
