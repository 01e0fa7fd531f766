/*
 * Census: what client/census.h and client/disconnects.h promise, over a worker's clients whose sockets take
 * bytes or do not.
 */

#include "client/census.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/client.h"
#include "client/clients.h"
#include "client/socket.h"
#include "core/ip.h"
#include "core/map.h"
#include "mail/census.h"
#include "mail/disconnects.h"
#include "metrics/metrics.h"
#include "protocol/message.h"
#include "route/route.h"

#define WALL_MS UINT64_C(1767225600000)

enum {
	PEERS = 60,
	FIRST_ID = 2,
	ID_STEP = 3,
};

struct peer {
	struct client client;
	bool full; /* its socket takes nothing */
	bool aborted;
};

struct world {
	struct clients clients;
	struct metrics metrics;
	struct route_table *routes;
	struct peer peers[PEERS];
	unsigned int n_peers;
	uint64_t now_ms;
	struct census census; /* of the last question */
};

static ssize_t take_all(void *socket, const struct iovec *parts, int n_parts)
{
	ssize_t n = 0;

	for (int i = 0; i < n_parts; i++)
		n += (ssize_t)parts[i].iov_len;
	return ((struct peer *)socket)->full ? 0 : n;
}

static int keep(void *socket, const void *data, size_t len)
{
	(void)socket;
	(void)data;
	(void)len;
	return 0;
}

static void want_writable(void *socket)
{
	(void)socket;
}

static ssize_t say_ping(void *socket)
{
	(void)socket;
	return 10;
}

static ssize_t say_close(void *socket, uint16_t code, const char *sentence)
{
	(void)socket;
	(void)code;
	(void)sentence;
	return 10;
}

static void abort_socket(void *socket)
{
	((struct peer *)socket)->aborted = true;
}

static const struct socket_ops ops = {
	.send = take_all,
	.keep = keep,
	.want_writable = want_writable,
	.ping = say_ping,
	.fall_silent = want_writable,
	.close = say_close,
	.finish = want_writable,
	.abort = abort_socket,
};

static void on_wish(void *arg, const struct wish *wish)
{
	(void)arg;
	(void)wish;
}

static void on_ready(void *arg, void *socket)
{
	(void)arg;
	(void)socket;
}

static uint64_t on_now_us(void *arg)
{
	return ((struct world *)arg)->now_ms * 1000;
}

static void set_time(struct world *world, uint64_t now_ms)
{
	world->now_ms = now_ms;
	clients_set_time(&world->clients, now_ms, WALL_MS + now_ms);
}

static void add_route(struct route_table *table, const char *path, const char *channel)
{
	const struct route_spec spec = {
		.path = path, .channels = &channel, .n_channels = 1, .subscribe_any_route = true};
	struct buf error = {0};

	assert_int_equal(route_table_add(table, &spec, &error), 0);
	buf_deinit(&error);
}

static int setup(void **state)
{
	static const struct client_limits limits = {
		.message_bytes_max = 16384,
		.outbox_bytes_max = 1 << 20,
		.subscriptions_max = 4,
		.ping_interval_ms = 1000000,
		.pong_timeout_ms = 1000000,
	};
	struct world *world = aligned_alloc(64, (sizeof(struct world) + 63) & ~(size_t)63);
	const struct clients_listener listener = {
		.arg = world, .wish = on_wish, .ready = on_ready, .now_us = on_now_us};

	assert_non_null(world);
	memset(world, 0, sizeof(*world));
	map_seed();
	world->routes = route_table_new();
	add_route(world->routes, "/ws/cards", "cards");
	add_route(world->routes, "/ws/items/{id}", "items:{id}");
	assert_int_equal(clients_init(&world->clients, &listener, &ops, &limits, world->routes, FIRST_ID,
				 ID_STEP, NULL, &world->metrics),
		0);
	set_time(world, 1000);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	census_deinit(&world->census);
	for (int i = 0; i < PEERS; i++)
		client_deinit(&world->peers[i].client);
	clients_deinit(&world->clients);
	route_table_unref(world->routes);
	free(world);
	return 0;
}

static struct client *open_one(struct world *world, const char *path)
{
	struct peer *peer = &world->peers[world->n_peers++];
	struct route_match match;
	struct in6_addr remote;
	struct rights rights;
	bool ipv4;

	assert_int_equal(route_table_match(world->routes, path, strlen(path), &match), 0);
	assert_int_equal(rights_init(&rights, world->routes, &match, NULL), 0);
	assert_true(ip_parse(slice_of("192.0.2.1"), &remote, &ipv4));
	assert_int_equal(client_init(&peer->client, &world->clients, peer, &rights, &remote), 0);
	client_open(&peer->client);
	return &peer->client;
}

/* So many bytes, about, wait for it. */
static void make_wait(struct world *world, struct client *client, size_t bytes)
{
	char *text = calloc(1, bytes);

	((struct peer *)client->socket)->full = true;
	memset(text, 'x', bytes);
	client_push(client, message_from_text(text, bytes));
	clients_turn(&world->clients);
	free(text);
}

static const struct census *ask(struct world *world, struct census_question question)
{
	census_deinit(&world->census);
	census_take(&world->clients, &question, &world->census);
	assert_int_equal(world->census.r, 0);
	return &world->census;
}

static struct census_question about(enum census_subject subject, const char *text)
{
	struct census_question question = {.subject = subject, .limit = 10, .text_len = strlen(text)};

	strcpy(question.text, text);
	return question;
}

static void lists_who_has_most_waiting(void **state)
{
	struct world *world = *state;
	struct census_question question = about(CENSUS_CONNECTIONS, "");
	const struct census *census;
	struct client *some, *most;

	for (int i = 0; i < 20; i++)
		open_one(world, "/ws/cards");
	some = open_one(world, "/ws/items/7");
	most = open_one(world, "/ws/cards");
	make_wait(world, some, 100);
	make_wait(world, most, 1000);
	question.limit = 3;
	census = ask(world, question);
	assert_int_equal(census->n, 22);
	assert_int_equal(census->n_connections, 3);
	for (uint32_t i = 0; i < 3; i++) {
		const struct census_connection *row = &census->connections[i];

		if (row->id == most->id) {
			assert_true(row->queued_bytes > 1000 && row->blocked);
			assert_true(row->rank == row->queued_bytes);
		} else if (row->id == some->id) {
			assert_true(row->queued_bytes > 100 && row->queued_bytes < 200);
			assert_int_equal(census_route(census, row).len, strlen("/ws/items/{id}"));
			assert_memory_equal(census_route(census, row).data, "/ws/items/{id}", 14);
			assert_string_equal(row->remote, "192.0.2.1");
		} else {
			assert_int_equal(row->id, FIRST_ID); /* of the rest the oldest */
			assert_int_equal(row->queued_bytes, 0);
		}
	}
}

static void lists_who_came_last(void **state)
{
	struct world *world = *state;
	struct census_question question = about(CENSUS_CONNECTIONS, "");
	const struct census *census;

	for (uint64_t i = 0; i < 5; i++) {
		set_time(world, 1000 + i * 10);
		open_one(world, "/ws/cards");
	}
	question.order = CENSUS_BY_OPENED;
	question.limit = 2;
	set_time(world, 2000);
	census = ask(world, question);
	assert_int_equal(census->n, 5);
	assert_int_equal(census->n_connections, 2);
	for (uint32_t i = 0; i < 2; i++) {
		assert_true(census->connections[i].rank >= 1030);
		assert_true(census->connections[i].open_ms <= 970);
	}
}

static void looks_only_where_it_is_told(void **state)
{
	struct world *world = *state;
	struct census_question question = about(CENSUS_CONNECTIONS, "items:7");

	open_one(world, "/ws/cards");
	open_one(world, "/ws/items/7");
	open_one(world, "/ws/items/8");
	assert_int_equal(ask(world, question)->n, 1);
	assert_int_equal(world->census.connections[0].id, FIRST_ID + ID_STEP);
	strcpy(question.route, "/ws/cards");
	assert_int_equal(ask(world, question)->n, 0);
	question.text_len = 0;
	assert_int_equal(ask(world, question)->n, 1);
	assert_int_equal(world->census.connections[0].id, FIRST_ID);
	assert_int_equal(ask(world, about(CENSUS_CONNECTIONS, "nobody"))->n, 0);
}

static void counts_the_subscribers_of_channels(void **state)
{
	struct world *world = *state;
	const struct census *census;

	for (int i = 0; i < 3; i++)
		open_one(world, "/ws/cards");
	open_one(world, "/ws/items/7");
	census = ask(world, about(CENSUS_CHANNELS, ""));
	assert_int_equal(census->n, 2);
	for (uint32_t i = 0; i < census->n_channels; i++) {
		struct slice name = census_channel_name(census, &census->channels[i]);
		bool is_cards = name.len == 5 && !memcmp(name.data, "cards", 5);

		assert_int_equal(census->channels[i].n_subscribers, is_cards ? 3 : 1);
		assert_true(census->channels[i].hash == map_hash(name.data, name.len));
	}
	assert_int_equal(ask(world, about(CENSUS_CHANNELS, "ems:"))->n, 1);
	assert_int_equal(ask(world, about(CENSUS_CHANNELS, "nobody"))->n, 0);
	assert_int_equal(ask(world, about(CENSUS_CHANNEL, "cards"))->n, 3);
	assert_int_equal(ask(world, about(CENSUS_CHANNEL, "card"))->n, 0);
}

static void tells_all_of_one_connection(void **state)
{
	struct world *world = *state;
	struct census_question question = {.subject = CENSUS_CONNECTION, .id = FIRST_ID};
	static const char *const channels[] = {"items:9", "cards"};
	const struct census *census;
	struct client *client = open_one(world, "/ws/cards");
	static const char subscribe[] = "{\"type\":\"subscribe\",\"data\":{\"channel\":\"items:9\"}}";

	client_receive(client, subscribe, sizeof(subscribe) - 1);
	clients_turn(&world->clients);
	set_time(world, 3500);
	census = ask(world, question);
	assert_int_equal(census->n, 1);
	assert_int_equal(census->connections[0].open_ms, 2500);
	assert_int_equal(census->connections[0].n_received, 1);
	assert_int_equal(census->n_channels, 2);
	for (uint32_t i = 0; i < 2; i++) {
		struct slice name = census_channel_name(census, &census->channels[i]);

		assert_int_equal(name.len, strlen(channels[i]));
		assert_memory_equal(name.data, channels[i], name.len);
	}
	question.id = FIRST_ID + 1; /* another worker's */
	assert_int_equal(ask(world, question)->n, 0);
}

static void remembers_the_last_that_left_and_why(void **state)
{
	struct world *world = *state;
	const struct disconnects *disconnects;

	for (uint64_t i = 0; i < PEERS; i++) {
		struct client *client = open_one(world, "/ws/cards");

		set_time(world, world->now_ms + 10);
		if (i % 2)
			client_peer_closed(client, 1001);
		client_deinit(client);
	}
	disconnects = ask(world, (struct census_question){.subject = CENSUS_DISCONNECTS})->disconnects;
	assert_int_equal(disconnects->n, PEERS);
	assert_int_equal(disconnects->by_reason[CLOSE_GONE], PEERS / 2);
	assert_int_equal(disconnects->by_reason[CLOSE_PEER], PEERS / 2);
	assert_int_equal(disconnects_kept(disconnects), DISCONNECTS_KEPT);
	for (uint32_t i = 0; i < DISCONNECTS_KEPT; i++) {
		const struct disconnect *disconnect = disconnects_at(disconnects, i);

		assert_int_equal(disconnect->id, FIRST_ID + ID_STEP * (PEERS - 1 - i));
		assert_int_equal(disconnect->code, i % 2 ? 1006 : 1001);
		assert_int_equal(disconnect->duration_ms, 10);
		assert_true(disconnect->wall_ms == WALL_MS + 1000 + 10 * (uint64_t)(PEERS - i));
		assert_string_equal(disconnect->route, "/ws/cards");
	}
}

static void nobody_left_yet(void **state)
{
	struct world *world = *state;

	open_one(world, "/ws/cards");
	assert_int_equal(disconnects_kept(&world->clients.disconnects), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lists_who_has_most_waiting),
		TEST(lists_who_came_last),
		TEST(looks_only_where_it_is_told),
		TEST(counts_the_subscribers_of_channels),
		TEST(tells_all_of_one_connection),
		TEST(remembers_the_last_that_left_and_why),
		TEST(nobody_left_yet),
	};

	return cmocka_run_group_tests_name("census", tests, NULL, NULL);
}
