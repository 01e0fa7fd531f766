/* A world of clients: see the header. */

#include "support/clients_world.h"

#include <stdio.h>
#include <stdlib.h>

#include "auth/claims.h"
#include "auth/identity.h"
#include "client/socket.h"
#include "core/ip.h"
#include "core/map.h"
#include "mail/confirmation.h"
#include "mail/wish.h"
#include "protocol/frame.h"
#include "protocol/json.h"
#include "protocol/key_path.h"

enum {
	SENDS_MAX = 10000, /* far more than any test needs: past it somebody is in an endless loop */
};

size_t frame_at(const struct buf *wire, size_t at, size_t *header_lenp)
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

/* What it does not take now it keeps, and sends before all else: in its order it is on the wire. */
static ssize_t fake_say(struct peer *peer, const unsigned char *frame, size_t len)
{
	assert_int_equal(peer->n_aborts, 0);
	assert_true(between_frames(&peer->wire));
	if (peer->broken)
		return -peer->broken;
	buf_append(&peer->wire, frame, len);
	return (ssize_t)len;
}

static ssize_t fake_ping(void *socket)
{
	unsigned char frame[FRAME_CONTROL_SIZE];

	return fake_say(socket, frame, frame_control_write(frame, FRAME_PING, "tidegate", 8));
}

static ssize_t fake_close(void *socket, uint16_t code, const char *sentence)
{
	unsigned char frame[FRAME_CONTROL_SIZE];

	return fake_say(socket, frame, frame_close_write(frame, code, sentence));
}

static uint32_t fake_n_unacked(void *socket, uint32_t *n_ackedp)
{
	const struct peer *peer = socket;

	*n_ackedp = peer->n_acked;
	return peer->n_unacked;
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
	.send = fake_send,
	.keep = fake_keep,
	.want_writable = fake_want_writable,
	.ping = fake_ping,
	.n_unacked = fake_n_unacked,
	.fall_silent = fake_fall_silent,
	.close = fake_close,
	.finish = fake_finish,
	.abort = fake_abort,
};

static void on_wish(void *arg, const struct wish *wish)
{
	struct world *world = arg;
	struct slice channel = wish->channel;

	assert_true(wish->hash == map_hash(channel.data, channel.len));
	assert_true(channel.len < sizeof(world->interests[0].channel));
	assert_true(world->n_interests < INTERESTS);
	buf_printf(&world->said, "%c%.*s ", wish->wanted ? '+' : '-', (int)channel.len, channel.data);
	snprintf(world->interests[world->n_interests].channel, sizeof(world->interests[0].channel), "%.*s",
		(int)channel.len, channel.data);
	world->interests[world->n_interests].generation = wish->generation;
	world->interests[world->n_interests].urgent = wish->urgent;
	world->interests[world->n_interests++].wanted = wish->wanted;
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

static void on_act(void *arg, struct action *action)
{
	struct world *world = arg;

	free(world->action);
	world->action = action;
	world->n_actions++;
}

static uint64_t on_now_us(void *arg)
{
	struct world *world = arg;

	return world->now_us;
}

/* Tokens of this world are their claims, with ' instead of ": JSON in JSON would be full of backslashes. */
static struct identity *identify(struct slice claims)
{
	static const char *const names[] = {"sub", "team", NULL};
	const struct claims_rules rules = {
		.identity = {.user = "sub", .channels = "channels", .claims = names}, .exp_optional = true};
	struct identity *identity = NULL;
	char *json = strndup(claims.data, claims.len);

	assert_non_null(json);
	for (char *c = json; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	assert_int_equal(claims_read(slice_of(json), &rules, (int64_t)WALL_MS, &identity), 0);
	free(json);
	return identity;
}

static int on_identify(
	void *arg, const struct client *client, struct slice token, struct identity **identityp)
{
	struct world *world = arg;

	(void)client;
	world->n_identified++;
	if (world->unidentified)
		return world->unidentified;
	*identityp = identify(token);
	return 0;
}

void add_route(struct route_table *table, const char *path, const char *const *channels, size_t n, bool any)
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

static void add_asking_route(struct route_table *table, const char *path, uint64_t timeout_ms)
{
	const struct route_spec spec = {.path = path,
		.actions = {.stream = "work", .timeout_ms = timeout_ms, .in_flight = 3, .backlog = 5}};
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
	add_asking_route(table, "/ws/ask/{id}", 1000);
	add_asking_route(table, "/ws/patient-ask", 5000);
	add_slow_route(table, "/ws/patient", (struct route_slow){.age_max_ms = SLOW_AGE_NONE});
	add_slow_route(table, "/ws/narrow", (struct route_slow){.bytes_max = NARROW});
	add_slow_route(table, "/ws/drop", (struct route_slow){.policy = SLOW_DROP_OLDEST});
	add_slow_route(table, "/ws/latest", (struct route_slow){.policy = SLOW_LATEST_BY_KEY, .key = KEY});
	add_slow_route(table, "/ws/fresh",
		(struct route_slow){.policy = SLOW_LATEST_BY_KEY, .key = KEY, .age_max_ms = AGE_MS});
	return table;
}

int clients_world_setup(void **state)
{
	static const struct client_limits limits = {
		.message_bytes_max = 16384,
		.outbox_bytes_max = 1 << 20,
		.subscriptions_max = 4,
		.ping_interval_ms = PING_MS,
		.pong_timeout_ms = PONG_MS,
	};
	struct world *world = aligned_alloc(64, (sizeof(struct world) + 63) & ~(size_t)63);
	const struct clients_listener listener = {.arg = world,
		.wish = on_wish,
		.ready = on_ready,
		.join = on_join,
		.act = on_act,
		.now_us = on_now_us,
		.identify = on_identify};

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

int clients_world_teardown(void **state)
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
	free(world->action);
	route_table_unref(world->routes);
	buf_deinit(&world->said);
	free(world);
	return 0;
}

void turn(struct world *world)
{
	clients_turn(&world->clients);
}

void pass(struct world *world, uint64_t ms)
{
	world->now_ms += ms;
	clients_set_time(&world->clients, world->now_ms, WALL_MS);
	clients_tick(&world->clients);
	turn(world);
}

static int begin_by(struct world *world, struct peer *peer, const char *path, const char *remote,
	struct identity *identity)
{
	struct route_match match;
	struct in6_addr from = in6addr_any;
	struct rights rights;
	bool ipv4;
	int r;

	(void)ip_parse(slice_of(remote), &from, &ipv4);
	assert_int_equal(route_table_match(world->clients.routes, path, strlen(path), &match), 0);
	assert_int_equal(rights_init(&rights, world->clients.routes, &match, identity), 0);
	world->beginning = true;
	r = client_init(&peer->client, &world->clients, peer, &rights, &from);
	world->beginning = false;
	return r;
}

int begin_from(struct world *world, struct peer *peer, const char *path, const char *remote)
{
	return begin_by(world, peer, path, remote, NULL);
}

int begin_as(struct world *world, struct peer *peer, const char *path, const char *claims)
{
	return begin_by(world, peer, path, "192.0.2.1", claims ? identify(slice_of(claims)) : NULL);
}

int begin(struct world *world, struct peer *peer, const char *path)
{
	return begin_from(world, peer, path, "192.0.2.1");
}

static uint64_t generation_of(const struct world *world, const char *channel)
{
	for (size_t i = world->n_interests; i-- > 0;)
		if (world->interests[i].wanted && strcmp(world->interests[i].channel, channel) == 0)
			return world->interests[i].generation;
	fail_msg("nobody wanted %s", channel);
	return 0;
}

void confirm(struct world *world, const char *channel)
{
	const struct confirmation confirmation = {.generation = generation_of(world, channel)};

	clients_confirm(
		&world->clients, slice_of(channel), map_hash(channel, strlen(channel)), &confirmation);
}

void confirm_all(struct world *world)
{
	for (size_t i = 0; i < world->n_interests; i++) {
		const char *channel = world->interests[i].channel;
		const struct confirmation confirmation = {.generation = world->interests[i].generation};

		if (world->interests[i].wanted)
			clients_confirm(&world->clients, slice_of(channel),
				map_hash(channel, strlen(channel)), &confirmation);
	}
}

struct peer *opened(struct world *world, int i, const char *path)
{
	return opened_as(world, i, path, NULL);
}

struct peer *opened_as(struct world *world, int i, const char *path, const char *claims)
{
	struct peer *peer = &world->peers[i];

	assert_true(begin_as(world, peer, path, claims) >= 0);
	confirm_all(world);
	client_open(&peer->client);
	turn(world);
	buf_reset(&world->said);
	assert_int_equal(peer->wire.len, 0);
	return peer;
}

struct message *keyed_event(const char *channel, const char *key, int number, uint64_t arrived_ms)
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
	assert_int_equal(message_from_event(message_channel(slice_of(channel)), slice_of(payload),
				 (struct slice){0}, WALL_MS, arrived_ms * 1000, &message),
		0);
	assert_int_equal(key_path_parse(&path, KEY, &why), 0);
	message_set_key(message, &path);
	return message;
}

struct message *event_of(const struct world *world, const char *channel, int number)
{
	return keyed_event(channel, "", number, world->now_ms);
}

size_t event_len(void)
{
	struct message *message = keyed_event("cards", "", 1, 1);
	size_t len = message->frame_len;

	message_unref(message);
	return len;
}

void publish(struct world *world, const char *channel, int number)
{
	clients_deliver(&world->clients, event_of(world, channel, number));
}

void publish_each(struct world *world, const char *channel, int from, int to)
{
	for (int i = from; i <= to; i++) {
		publish(world, channel, i);
		turn(world);
	}
}

void send_text(struct peer *peer, const char *text)
{
	if (client_may_say(&peer->client))
		client_receive(&peer->client, text, strlen(text));
}

void ask(struct world *world, struct peer *peer, const char *text)
{
	send_text(peer, text);
	turn(world);
}

void ask_for(struct world *world, struct peer *peer, const char *verb, const char *channel)
{
	char text[400];

	snprintf(text, sizeof(text), "{\"type\":\"%s\",\"data\":{\"channel\":\"%s\"}}", verb, channel);
	ask(world, peer, text);
}

void writable(struct world *world, struct peer *peer)
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
	struct json_member top[] = {
		{.name = "type"}, {.name = "id"}, {.name = "data"}, {.name = "timestamp"}};
	struct json_member data[] = {{.name = "code"}, {.name = "channel"}, {.name = "retry_after_ms"},
		{.name = "reason"}, {.name = "expires_in_ms"}};
	bool is_object;

	assert_int_equal(json_check(text.data, text.len, 16, top, 4, &is_object), 0);
	assert_true(is_object && top[3].value.data);
	append_bare(out, "", top[0].value);
	append_bare(out, "#", top[1].value);
	if (!json_is_object(top[2].value)) {
		append_bare(out, "", top[2].value);
		return;
	}
	assert_int_equal(json_check(top[2].value.data, top[2].value.len, 16, data, 5, &is_object), 0);
	append_bare(out, "(", data[0].value);
	append_bare(out, data[0].value.data ? " " : "(", data[1].value);
	append_bare(out, " ", data[2].value);
	if (json_string_is(top[0].value, "unsubscribed", 12))
		append_bare(out, " ", data[3].value);
	append_bare(out, "(", data[4].value);
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

void hears(struct peer *peer, const char *expected)
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

void says(struct world *world, const char *expected)
{
	assert_string_equal(buf_text(&world->said), expected);
	buf_reset(&world->said);
}

struct join *take_join(struct world *world)
{
	struct join *join = world->join;

	assert_non_null(join);
	world->join = NULL;
	return join;
}

void recover(struct world *world, struct peer *peer, uint32_t n, uint64_t arrived_ms)
{
	struct join *join;

	send_text(peer, "{\"type\":\"subscribe\",\"data\":{\"channel\":\"cards\",\"recover\":true}}");
	join = take_join(world);
	join->era = world->era;
	join->events = calloc(n, sizeof(struct message *));
	while (join->n_events < n)
		join->events[join->n_events++] = keyed_event("cards", "", 1, arrived_ms);
	clients_joined(&world->clients, join);
	turn(world);
}
