/*
 * Client: what client/client.h, client/clients.h and client/socket.h promise, over sockets made of memory. A
 * socket takes as many bytes as it has room for, watches the seam's rules, and writes down what went over the
 * wire.
 */

#include "client/client.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "bus/join.h"
#include "client/clients.h"
#include "client/socket.h"
#include "core/buf.h"
#include "core/log.h"
#include "core/map.h"
#include "metrics/metrics.h"
#include "protocol/key_path.h"
#include "protocol/message.h"
#include "protocol/reply.h"
#include "route/route.h"

#define WALL_MS UINT64_C(1767225600000)
#define CARDS   "/ws/cards"
#define KEY     "key"

enum {
	PEERS = 4,
	INTERESTS = 16,
	PING_MS = 25000,
	PONG_MS = 10000,
	AGE_MS = 1000,
	NARROW = 10,       /* bytes: less than any event */
	SENDS_MAX = 10000, /* far more than any test needs: past it somebody is in an endless loop */
};

struct peer {
	struct client client;
	struct buf wire;
	size_t room;   /* bytes that it takes before it blocks */
	int broken;    /* errno of every send() */
	int keeps_not; /* errno of every keep() */
	bool wants_writable;
	unsigned int n_sends;
	unsigned int n_keeps;
	unsigned int n_aborts;
	unsigned int n_silences;
	unsigned int n_finishes;
	unsigned int n_ready;
};

struct world {
	struct clients clients;
	struct metrics metrics;
	struct route_table *routes;
	struct peer peers[PEERS];
	struct buf said; /* interest, one word each */
	struct {
		char channel[32];
		uint64_t turn;
		bool wanted;
	} interests[INTERESTS];
	size_t n_interests;
	uint16_t era;      /* of the answers to joins */
	struct join *join; /* that was asked for, and is not answered yet */
	uint64_t now_ms;
	uint64_t now_us; /* as writes see it */
	bool beginning;  /* inside client_init() */
};

static struct slice s(const char *text)
{
	return (struct slice){text, strlen(text)};
}

/* The length of the frame that begins at `at`; 0 when it is not all there. */
static size_t frame_at(const struct buf *wire, size_t at, size_t *header_lenp)
{
	const unsigned char *bytes = (const unsigned char *)wire->data + at;
	size_t left = wire->len - at, len;

	if (left < 2)
		return 0;
	assert_int_equal(bytes[1] & 0x80, 0); /* a server does not mask */
	len = bytes[1];
	*header_lenp = 2;
	if (len == 126) {
		if (left < 4)
			return 0;
		len = (size_t)bytes[2] << 8 | bytes[3];
		*header_lenp = 4;
	}
	assert_int_not_equal(bytes[1], 127); /* no test says so much */
	return *header_lenp + len <= left ? *header_lenp + len : 0;
}

static bool between_frames(const struct buf *wire)
{
	size_t at = 0, len, header_len;

	while (at < wire->len && (len = frame_at(wire, at, &header_len)))
		at += len;
	return at == wire->len;
}

static ssize_t fake_send(void *socket, const struct iovec *parts, int n_parts)
{
	struct peer *peer = socket;
	size_t taken = 0;

	assert_true(n_parts > 0 && n_parts <= 1024); /* UIO_MAXIOV */
	assert_int_equal(peer->n_aborts, 0);
	assert_true(
		between_frames(&peer->wire)); /* the rest of a frame goes to keep(), before anything else */
	if (++peer->n_sends > SENDS_MAX)
		fail_msg("an endless loop of sends");
	if (peer->broken)
		return -peer->broken;
	for (int i = 0; i < n_parts && peer->room; i++) {
		size_t len = parts[i].iov_len < peer->room ? parts[i].iov_len : peer->room;

		assert_true(parts[i].iov_len > 0);
		buf_append(&peer->wire, parts[i].iov_base, len);
		peer->room -= len;
		taken += len;
	}
	return (ssize_t)taken;
}

static int fake_keep(void *socket, const void *data, size_t len)
{
	struct peer *peer = socket;

	peer->n_keeps++;
	assert_int_equal(peer->n_aborts, 0);
	assert_true(len > 0);
	assert_false(between_frames(&peer->wire)); /* only ever the rest of a frame that was begun */
	if (peer->keeps_not)
		return -peer->keeps_not;
	buf_append(&peer->wire, data, len);
	assert_true(between_frames(&peer->wire)); /* exactly the rest */
	return 0;
}

static void fake_want_writable(void *socket)
{
	((struct peer *)socket)->wants_writable = true;
}

static void fake_fall_silent(void *socket)
{
	struct peer *peer = socket;

	peer->n_silences++;
}

static void fake_finish(void *socket)
{
	struct peer *peer = socket;

	peer->n_finishes++;
}

static void fake_abort(void *socket)
{
	((struct peer *)socket)->n_aborts++;
}

static const struct socket_ops fake_ops = {
	fake_send, NULL, fake_keep, fake_want_writable, fake_fall_silent, fake_finish, fake_abort};

static void on_interest(void *arg, struct slice channel, uint64_t hash, uint64_t turn, bool wanted)
{
	struct world *world = arg;

	assert_true(hash == map_hash(channel.data, channel.len));
	assert_true(channel.len < sizeof(world->interests[0].channel));
	assert_true(world->n_interests < INTERESTS);
	buf_printf(&world->said, "%c%.*s ", wanted ? '+' : '-', (int)channel.len, channel.data);
	snprintf(world->interests[world->n_interests].channel, sizeof(world->interests[0].channel), "%.*s",
		(int)channel.len, channel.data);
	world->interests[world->n_interests].turn = turn;
	world->interests[world->n_interests++].wanted = wanted;
}

static void on_ready(void *arg, void *socket)
{
	struct world *world = arg;
	struct peer *peer = socket;

	assert_false(world->beginning);
	assert_int_equal(peer->client.state, CLIENT_PARKED);
	peer->n_ready++;
}

static void on_join(void *arg, struct join *join)
{
	struct world *world = arg;

	assert_null(world->join);
	world->join = join;
}

static uint64_t on_now_us(void *arg)
{
	struct world *world = arg;

	return world->now_us;
}

static void add_route(
	struct route_table *table, const char *path, const char *const *channels, size_t n, bool any)
{
	const struct route_spec spec = {
		.path = path, .channels = channels, .n_channels = n, .subscribe_any_route = any};
	struct buf error = {0};

	assert_int_equal(route_table_add(table, &spec, &error), 0);
	buf_deinit(&error);
}

/* Joins cards, under another policy for slow readers. */
static void add_slow_route(struct route_table *table, const char *path, struct route_slow slow)
{
	static const char *const cards = "cards";
	const struct route_spec spec = {
		.path = path, .channels = &cards, .n_channels = 1, .subscribe_any_route = true, .slow = slow};
	struct buf error = {0};

	assert_int_equal(route_table_add(table, &spec, &error), 0);
	buf_deinit(&error);
}

static struct route_table *make_routes(void)
{
	static const char *const names[] = {"cards", "execution:{id}", "a", "b", "user:{user}"};
	struct route_table *table = route_table_new();

	assert_non_null(table);
	add_route(table, "/ws/cards", names, 1, true);
	add_route(table, "/ws/execution/{id}", names + 1, 1, true);
	add_route(table, "/ws/pair", names + 2, 2, true);
	add_route(table, "/ws/none", NULL, 0, true);
	add_route(table, "/ws/shut", names, 1, false);
	add_route(table, "/ws/own/{user}", names + 4, 1, false);
	add_slow_route(table, "/ws/patient", (struct route_slow){.age_max_ms = SLOW_AGE_NONE});
	add_slow_route(table, "/ws/narrow", (struct route_slow){.bytes_max = NARROW});
	add_slow_route(table, "/ws/drop", (struct route_slow){.policy = SLOW_DROP_OLDEST});
	add_slow_route(table, "/ws/latest", (struct route_slow){.policy = SLOW_LATEST_BY_KEY, .key = KEY});
	add_slow_route(table, "/ws/fresh",
		(struct route_slow){.policy = SLOW_LATEST_BY_KEY, .key = KEY, .age_max_ms = AGE_MS});
	return table;
}

static int setup(void **state)
{
	static const struct client_limits limits = {
		.message_bytes_max = 16384,
		.outbox_bytes_max = 1 << 20,
		.subscriptions_max = 4,
		.ping_interval_ms = PING_MS,
		.pong_timeout_ms = PONG_MS,
	};
	struct world *world = aligned_alloc(64, (sizeof(struct world) + 63) & ~(size_t)63);
	const struct clients_listener listener = {world, on_interest, on_ready, on_join, NULL, on_now_us};

	assert_non_null(world);
	memset(world, 0, sizeof(*world));
	map_seed();
	world->routes = make_routes();
	assert_int_equal(clients_init(&world->clients, &listener, &fake_ops, &limits, world->routes, 3, 4,
				 NULL, &world->metrics),
		0);
	world->now_ms = 1000000;
	clients_set_time(&world->clients, world->now_ms, WALL_MS);
	clients_connected(&world->clients, true);
	for (int i = 0; i < PEERS; i++)
		world->peers[i].room = SIZE_MAX;
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	for (int i = 0; i < PEERS; i++) {
		client_deinit(&world->peers[i].client);
		buf_deinit(&world->peers[i].wire);
	}
	assert_null(world->join);
	assert_int_equal(world->clients.n_clients, 0);
	assert_int_equal(hub_n_channels(world->clients.hub), 0);
	clients_turn(&world->clients);
	assert_int_equal(metrics_get(&world->metrics, METRIC_CONNECTIONS), 0);
	assert_int_equal(metrics_get(&world->metrics, METRIC_SUBSCRIPTIONS), 0);
	clients_deinit(&world->clients);
	route_table_unref(world->routes);
	buf_deinit(&world->said);
	free(world);
	return 0;
}

static void turn(struct world *world)
{
	clients_turn(&world->clients);
}

static void pass(struct world *world, uint64_t ms)
{
	world->now_ms += ms;
	clients_set_time(&world->clients, world->now_ms, WALL_MS);
	clients_tick(&world->clients);
	turn(world);
}

static void drain_for(struct world *world, uint64_t ms)
{
	world->now_ms += ms;
	clients_set_time(&world->clients, world->now_ms, WALL_MS);
	clients_drain_tick(&world->clients);
	turn(world);
}

static int begin_from(struct world *world, struct peer *peer, const char *path, const char *remote)
{
	struct route_match match;
	int r;

	assert_int_equal(route_table_match(world->clients.routes, path, strlen(path), &match), 0);
	world->beginning = true;
	r = client_init(&peer->client, &world->clients, peer, &match, remote);
	world->beginning = false;
	return r;
}

static int begin(struct world *world, struct peer *peer, const char *path)
{
	return begin_from(world, peer, path, "192.0.2.1");
}

/* The turn in which the channel was wanted last. */
static uint64_t turn_of(const struct world *world, const char *channel)
{
	for (size_t i = world->n_interests; i-- > 0;)
		if (world->interests[i].wanted && strcmp(world->interests[i].channel, channel) == 0)
			return world->interests[i].turn;
	fail_msg("nobody wanted %s", channel);
	return 0;
}

static void confirm(struct world *world, const char *channel)
{
	clients_confirm(
		&world->clients, s(channel), map_hash(channel, strlen(channel)), turn_of(world, channel));
}

static void confirm_all(struct world *world)
{
	for (size_t i = 0; i < world->n_interests; i++)
		if (world->interests[i].wanted)
			clients_confirm(&world->clients, s(world->interests[i].channel),
				map_hash(world->interests[i].channel, strlen(world->interests[i].channel)),
				world->interests[i].turn);
}

/* A peer that is open, with all its channels confirmed. */
static struct peer *opened(struct world *world, int i, const char *path)
{
	struct peer *peer = &world->peers[i];

	assert_true(begin(world, peer, path) >= 0);
	confirm_all(world);
	client_open(&peer->client);
	turn(world);
	buf_reset(&world->said);
	assert_int_equal(peer->wire.len, 0);
	return peer;
}

/* With a key if it is not empty. It arrived at this time. */
static struct message *keyed_event(const char *channel, const char *key, int number, uint64_t arrived_ms)
{
	struct message *message = NULL;
	struct key_path path;
	const char *why;
	char payload[96];

	if (*key)
		snprintf(payload, sizeof(payload), "{\"type\":\"%s\",\"data\":%d,\"" KEY "\":\"%s\"}", key,
			number, key);
	else
		snprintf(payload, sizeof(payload), "{\"type\":\"e\",\"data\":%d}", number);
	assert_int_equal(message_from_event(s(channel), s(payload), (struct slice){0}, WALL_MS,
				 arrived_ms * 1000, &message),
		0);
	assert_int_equal(key_path_parse(&path, KEY, &why), 0);
	message_set_key(message, &path);
	return message;
}

static struct message *event_of(const struct world *world, const char *channel, int number)
{
	return keyed_event(channel, "", number, world->now_ms);
}

static size_t event_len(void)
{
	struct message *message = keyed_event("cards", "", 1, 1);
	size_t len = message->frame_len;

	message_unref(message);
	return len;
}

static void publish(struct world *world, const char *channel, int number)
{
	clients_deliver(&world->clients, event_of(world, channel, number));
}

static void publish_key(struct world *world, const char *channel, const char *key, int number)
{
	clients_deliver(&world->clients, keyed_event(channel, key, number, world->now_ms));
	clients_turn(&world->clients);
}

/* Publishes from..to, a turn each. */
static void publish_each(struct world *world, const char *channel, int from, int to)
{
	for (int i = from; i <= to; i++) {
		publish(world, channel, i);
		turn(world);
	}
}

static void send_text(struct peer *peer, const char *text)
{
	client_receive(&peer->client, text, strlen(text));
}

/* One message, and the turn that answers it. */
static void ask(struct world *world, struct peer *peer, const char *text)
{
	send_text(peer, text);
	turn(world);
}

static void ask_for(struct world *world, struct peer *peer, const char *verb, const char *channel)
{
	char text[400];

	snprintf(text, sizeof(text), "{\"type\":\"%s\",\"data\":{\"channel\":\"%s\"}}", verb, channel);
	ask(world, peer, text);
}

static void writable(struct world *world, struct peer *peer)
{
	assert_true(peer->wants_writable);
	peer->wants_writable = false;
	client_writable(&peer->client);
	turn(world);
}

/* The value without its quotes. */
static void append_bare(struct buf *out, const char *before, struct slice value)
{
	bool quoted = json_is_string(value);

	if (value.data)
		buf_printf(out, "%s%.*s", before, (int)value.len - 2 * quoted, value.data + quoted);
}

/* "e7", "pong#1", "subscribed(cards)", "error#1(unavailable cards 2000)" */
static void append_text(struct buf *out, struct slice text)
{
	struct json_member top[] = {{"type", {0}}, {"id", {0}}, {"data", {0}}, {"timestamp", {0}}};
	struct json_member data[] = {{"code", {0}}, {"channel", {0}}, {"retry_after_ms", {0}}};
	bool is_object;

	assert_int_equal(json_check(text.data, text.len, 16, top, 4, &is_object), 0);
	assert_true(is_object && top[3].value.data);
	append_bare(out, "", top[0].value);
	append_bare(out, "#", top[1].value);
	if (!json_is_object(top[2].value)) {
		append_bare(out, "", top[2].value);
		return;
	}
	assert_int_equal(json_check(top[2].value.data, top[2].value.len, 16, data, 3, &is_object), 0);
	append_bare(out, "(", data[0].value);
	append_bare(out, data[0].value.data ? " " : "(", data[1].value);
	append_bare(out, " ", data[2].value);
	buf_append_char(out, ')');
}

static void append_frame(struct buf *out, const unsigned char *frame, size_t header_len, size_t len)
{
	const char *payload = (const char *)frame + header_len;
	size_t payload_len = len - header_len;

	if (frame[0] == (0x80 | FRAME_TEXT))
		append_text(out, (struct slice){payload, payload_len});
	else if (frame[0] == (0x80 | FRAME_PING))
		buf_append_str(out, "ping!");
	else if (frame[0] == (0x80 | FRAME_CLOSE))
		buf_printf(out, "close:%u", (unsigned int)frame[header_len] << 8 | frame[header_len + 1]);
	else
		fail_msg("a frame that begins with %02x", frame[0]);
	buf_append_char(out, ' ');
}

/* What went over the wire since the last time is exactly this, in whole frames. */
static void hears(struct peer *peer, const char *expected)
{
	struct buf out = {0};
	size_t at = 0, len, header_len;

	while (at < peer->wire.len && (len = frame_at(&peer->wire, at, &header_len))) {
		append_frame(&out, (const unsigned char *)peer->wire.data + at, header_len, len);
		at += len;
	}
	assert_int_equal(at, peer->wire.len);
	assert_string_equal(buf_text(&out), expected);
	buf_deinit(&out);
	buf_reset(&peer->wire);
}

static void says(struct world *world, const char *expected)
{
	assert_string_equal(buf_text(&world->said), expected);
	buf_reset(&world->said);
}

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

/* What the peer asks for is recovered: n events that arrived at this time. */
static void recover(struct world *world, struct peer *peer, uint32_t n, uint64_t arrived_ms)
{
	struct join *join;

	send_text(peer, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"cards\",\"recover\":true}}");
	join = world->join;
	world->join = NULL;
	assert_non_null(join);
	join->era = world->era;
	join->events = calloc(n, sizeof(struct message *));
	while (join->n_events < n)
		join->events[join->n_events++] = keyed_event("cards", "", 1, arrived_ms);
	clients_joined(&world->clients, join);
	turn(world);
}

/* Asks for the history of a channel that keeps none, and is told so by the bus. */
static void recover_nothing(struct world *world, struct peer *peer, const char *channel)
{
	struct join *join;
	char text[96];

	snprintf(text, sizeof(text),
		"{\"type\":\"subscribe\",\"data\":{\"channel\":\"%s\",\"recover\":true}}", channel);
	send_text(peer, text);
	join = world->join;
	world->join = NULL;
	assert_non_null(join);
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
	struct message *told = reply_resync(s(channel), "fork", false, 0, "epoch.9.1009", world->now_ms);

	clients_resync(&world->clients, s(channel), map_hash(channel, strlen(channel)), told, false);
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
	join = world->join;
	world->join = NULL;
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
	struct slice cards = s("cards");

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

static struct join *take_join(struct world *world)
{
	struct join *join = world->join;

	assert_non_null(join);
	world->join = NULL;
	return join;
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

	assert_int_equal(message_from_event(s("cards"), s("{\"type\":\"entry\"}"), s("epoch.1.1"), WALL_MS,
				 (uint64_t)number, &message),
		0);
	clients_deliver(&world->clients, message);
	turn(world);
}

/* So many events of cards are passed over, entries of its log or not. */
static void pass_over(struct world *world, bool entries, uint32_t n)
{
	struct message *message;

	assert_int_equal(message_from_event(s("cards"), s("{\"type\":\"entry\"}"),
				 entries ? s("epoch.1.1") : (struct slice){0}, WALL_MS, 1, &message),
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

static void ends_its_direction_no_earlier_than_the_close_frame_is_sent(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	peer->room = 0;
	client_fail(&peer->client, CLOSE_BAD_DATA);
	turn(world);
	assert_int_equal(peer->n_finishes, 0);
	peer->room = SIZE_MAX;
	writable(world, peer);
	hears(peer, "close:1007 ");
	assert_int_equal(peer->n_finishes, 1);
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
		const char *sentence;
	} table[] = {
#define CLOSE_REASON(id, code, sentence) {CLOSE_##id, code, sentence},
#include "client/close_reason.def"
#undef CLOSE_REASON
	};
	struct world *world = *state;
	unsigned char header[] = {0x88, 0, 0, 0};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct peer *peer = &world->peers[0];
		size_t len = strlen(table[i].sentence);

		assert_true(len <= 123); /* RFC 6455 section 5.5: 125 bytes with the code */
		assert_int_equal(close_reason_code(table[i].reason), table[i].code);
		assert_string_equal(close_reason_sentence(table[i].reason), table[i].sentence);
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
		assert_memory_equal(peer->wire.data + 4, table[i].sentence, len);
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

	assert_ptr_equal(peer->client.routes, first);
	configure(world, other_routes("fresh", true));
	send_text(peer, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"fresh\"}}");
	assert_int_equal(peer->client.subscriber.n, 2);
	assert_ptr_equal(peer->client.routes, world->clients.routes);
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
	assert_ptr_equal(peer->client.routes, first);
	assert_int_equal(peer->client.state, CLIENT_OPEN);
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

static void knows_who_it_is(void **state)
{
	struct world *world = *state;
	char remote[INET6_ADDRSTRLEN + 20];

	memset(remote, '1', sizeof(remote));
	remote[sizeof(remote) - 1] = '\0';
	begin_from(world, &world->peers[0], CARDS, "2001:db8::1");
	begin_from(world, &world->peers[1], CARDS, remote);
	remote[0] = '#'; /* it has a copy */
	begin_from(world, &world->peers[2], CARDS, "");
	assert_string_equal(world->peers[0].client.remote, "2001:db8::1");
	assert_int_equal(strlen(world->peers[1].client.remote), INET6_ADDRSTRLEN - 1);
	assert_int_equal(world->peers[1].client.remote[0], '1');
	assert_int_equal(world->peers[0].client.id, 3);
	assert_int_equal(world->peers[1].client.id, 7);
	assert_int_equal(world->peers[2].client.id, 11);
	assert_int_equal(world->clients.n_clients, 3);
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
#define CLOSE_REASON(id, code, sentence)                                                                     \
	client_close(&opened(world, 0, CARDS)->client, CLOSE_##id);                                          \
	client_deinit(&world->peers[0].client);                                                              \
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)                                          \
		expected[i] += codes[i] == (code);
#include "client/close_reason.def"
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

static void logs_why_it_ended(void **state)
{
	struct world *world = *state;
	int fd = memfd_create("log", MFD_CLOEXEC);
	struct peer *peer;
	char text[4096];
	ssize_t n;

	world->clients.log = log_new(fd, LOG_INFO, LOG_FORMAT_TEXT);
	peer = opened(world, 0, CARDS);
	peer->room = 0;
	publish_each(world, "cards", 1, 2);
	client_close(&peer->client, CLOSE_SLOW);
	turn(world);
	client_deinit(&peer->client);
	log_free(world->clients.log);
	world->clients.log = NULL;
	n = pread(fd, text, sizeof(text) - 1, 0);
	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(strstr(text, "192.0.2.1"));
	assert_non_null(strstr(text, "4100"));
	assert_non_null(strstr(text, " dropped=2 "));
	assert_non_null(strstr(text, close_reason_sentence(CLOSE_SLOW)));
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(holds_the_handshake_until_every_channel_is_confirmed),
		TEST(waits_for_nothing_when_its_channels_are_confirmed),
		TEST(waits_for_nothing_while_the_broker_is_away),
		TEST(delivers_what_arrived_while_parked_after_it_is_open_in_order),
		TEST(holds_the_handshake_no_longer_than_its_time),
		TEST(lets_all_go_when_the_broker_is_lost),
		TEST(says_ready_once_whatever_comes_before_it_is_open),
		TEST(never_says_ready_of_one_that_was_not_held),
		TEST(may_go_while_parked),
		TEST(bounds_what_waits_for_a_parked_peer),
		TEST(abandons_a_join_that_nobody_waits_for),
		TEST(answers_a_ping_and_echoes_ids),
		TEST(answers_what_it_cannot_do_and_stays_open),
		TEST(answers_a_subscribe_once_the_node_is_subscribed),
		TEST(answers_a_subscribe_at_once_where_the_node_is_subscribed),
		TEST(answers_a_second_subscribe_and_never_doubles),
		TEST(a_second_subscribe_waits_like_the_first),
		TEST(a_subscribe_to_a_joined_channel_waits_for_its_confirmation_too),
		TEST(unsubscribes),
		TEST(an_unsubscribe_answers_what_is_owed_before),
		TEST(forbidden_and_unknown_look_the_same),
		TEST(a_refusal_is_the_same_to_the_byte),
		TEST(bounds_the_subscriptions_of_a_connection),
		TEST(gives_up_a_subscribe_that_is_not_confirmed_in_time),
		TEST(a_subscribe_without_a_broker_waits_for_it_to_come_back),
		TEST(keeps_its_own_route_table),
		TEST(a_reply_goes_before_the_events_of_its_turn),
		TEST(writes_each_client_once_a_turn),
		TEST(queues_references_of_what_a_blocked_socket_does_not_take),
		TEST(leaves_the_rest_of_a_begun_frame_to_the_socket),
		TEST(keeps_nothing_when_it_stops_between_frames),
		TEST(sends_nothing_to_a_blocked_socket_before_it_is_writable),
		TEST(drains_a_long_queue_in_order),
		TEST(loses_and_swaps_nothing_on_a_slow_socket),
		TEST(closes_who_reads_too_slowly_and_nobody_else),
		TEST(a_batch_past_the_bound_closes_too),
		TEST(the_bound_of_the_route_counts),
		TEST(a_narrow_peer_that_reads_gets_all),
		TEST(much_in_one_turn_is_not_slow),
		TEST(what_its_worker_passes_over_is_lost_by_the_policy_of_its_route),
		TEST(who_could_recover_what_is_passed_over_is_closed_whatever_the_policy),
		TEST(who_waits_for_a_history_loses_nothing_that_is_passed_over),
		TEST(who_is_not_let_in_yet_stays_for_what_is_passed_over),
		TEST(ends_a_socket_that_breaks_as_room_is_made),
		TEST(closes_who_lets_an_event_wait_too_long),
		TEST(who_reads_a_little_is_as_old_as_what_waits),
		TEST(without_a_history_the_answer_waits_for_the_confirmation_too),
		TEST(a_replay_is_no_older_than_its_wait),
		TEST(what_is_too_much_to_be_recovered_is_not_counted_as_recovered),
		TEST(who_waits_for_its_position_hears_of_no_other_before),
		TEST(what_comes_late_is_for_those_whom_the_history_did_not_answer),
		TEST(what_a_client_was_promised_does_not_give_way),
		TEST(a_join_that_is_lost_is_answered_all_the_same),
		TEST(who_came_by_url_asks_again_for_as_long_as_he_is_there),
		TEST(who_came_by_url_is_told_hears_what_is_in_no_log_and_may_ask_anew),
		TEST(who_lets_a_promise_wait_is_closed_under_every_policy),
		TEST(the_oldest_give_way),
		TEST(a_batch_past_the_bound_leaves_the_newest),
		TEST(the_old_give_way),
		TEST(replies_and_pings_never_give_way),
		TEST(replies_alone_may_fill_it_up),
		TEST(what_is_parked_gives_way_too),
		TEST(the_newest_of_each_key_stays),
		TEST(nothing_is_replaced_once_it_was_begun),
		TEST(keys_that_are_still_too_many_give_way_oldest_first),
		TEST(the_newest_of_a_key_does_not_grow_old_unless_told),
		TEST(the_last_word_of_every_key_arrives),
		TEST(may_have_back_its_own_channel),
		TEST(ends_a_socket_that_breaks_as_it_is_sent_to),
		TEST(ends_a_socket_that_breaks_as_a_reply_is_sent),
		TEST(ends_a_socket_that_breaks_as_its_queue_drains),
		TEST(ends_a_socket_that_cannot_keep),
		TEST(ends_a_socket_that_cannot_keep_of_its_queue),
		TEST(ends_a_socket_that_does_not_even_take_the_close_frame),
		TEST(sends_nothing_after_the_close_frame),
		TEST(a_second_close_changes_nothing),
		TEST(a_close_frame_waits_for_a_blocked_socket_but_not_for_the_queue),
		TEST(waits_for_the_answer_to_its_close_only_so_long),
		TEST(hears_why_the_peer_closed),
		TEST(sends_nothing_after_the_peer_closed),
		TEST(ends_its_direction_once_when_the_peer_broke_the_protocol),
		TEST(ends_its_direction_no_earlier_than_the_close_frame_is_sent),
		TEST(every_reason_fits_into_a_close_frame),
		TEST(a_broken_connection_gets_no_close_frame),
		TEST(closes_for_want_of_memory),
		TEST(may_subscribe_to_what_the_newest_table_has),
		TEST(goes_on_by_its_old_table_when_its_route_is_gone),
		TEST(closes_all),
		TEST(sends_the_newest_away_first),
		TEST(serves_all_that_are_not_sent_away_yet),
		TEST(sends_nobody_away_before_the_time),
		TEST(tells_the_aware_when_to_come_back),
		TEST(gives_no_hint_when_all_go_at_once),
		TEST(what_came_before_the_drain_is_heard_before_it),
		TEST(who_is_lost_already_is_not_sent_away),
		TEST(aborts_all),
		TEST(is_gone_once_and_harmlessly),
		TEST(pings_the_silent_and_closes_the_dead),
		TEST(a_ping_goes_before_what_is_queued),
		TEST(nobody_is_pinged_before_it_is_open_or_after_it_closed),
		TEST(knows_who_it_is),
		TEST(counts_connections_once_they_are_open),
		TEST(times_events_as_they_reach_the_socket_and_nothing_else),
		TEST(counts_the_bytes_that_wait_for_those_who_do_not_read),
		TEST(counts_who_closed_by_code),
		TEST(logs_why_it_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
