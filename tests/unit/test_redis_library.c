/*
 * Redis library: what include/broker/broker.h promises of logs and src/broker/redis/library.h of the library
 * behind them, against a real redis-server that the test starts on a Unix socket, kills and freezes; and
 * against one of its own that answers what a real one would not.
 *
 * Nothing sleeps: the loop runs until what is awaited has happened, or fails when it takes too long.
 */

#include "broker/redis_broker.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>

#include "broker/redis/reply.h"
#include "broker/redis/urls.h"
#include "channel_log/envelope.h"
#include "core/buf.h"
#include "core/clock.h"
#include "metrics/metrics.h"
#include "support/log_text.h"
#include "support/loop.h"
#include "support/test_redis.h"

enum {
	HOUR_MS = 3600 * 1000,
	N_DONE_MAX = 1000,
	N_ENTRIES_MAX = 64,
	PAYLOAD_MAX = 256 * 1024, /* the broker's default */
};

static const struct broker_log_options kept = {.size = 100, .ttl_ms = HOUR_MS};

struct entry {
	uint64_t offset;
	uint64_t tag;
	long long len; /* -1: no payload */
	char first;
};

struct world {
	struct loop loop;
	struct test_redis redis;
	struct broker *broker;
	struct log_text log;
	struct metrics metrics;

	enum broker_state state;
	unsigned int n_subscribed;
	unsigned int n_events;
	struct envelope last; /* without its payload */
	bool is_chained;      /* each envelope follows the one before it */

	/* Publications, in the order in which they were answered. */
	unsigned int n_done;
	int results[N_DONE_MAX];
	struct position ids[N_DONE_MAX];
	unsigned int n_duplicates;

	unsigned int n_reads;
	int read_result;
	struct position top;
	struct entry entries[N_ENTRIES_MAX];
	size_t n_entries;
};

static void on_event(void *arg, struct slice channel, struct slice payload)
{
	struct world *world = arg;
	struct envelope envelope;

	(void)channel;
	assert_int_equal(envelope_parse(payload, &envelope), 0);
	if (world->n_events &&
		(envelope.offset != world->last.offset + 1 || envelope.prev != world->last.tag))
		world->is_chained = false;
	world->last = envelope;
	world->last.payload.data = NULL;
	world->n_events++;
}

static void on_drained(void *arg)
{
	(void)arg;
}

static void on_subscribed(void *arg, struct slice channel)
{
	(void)channel;
	((struct world *)arg)->n_subscribed++;
}

static void on_lost(void *arg, struct slice channel)
{
	(void)arg; /* what is subscribed is no matter here */
	(void)channel;
}

static void on_state(void *arg, enum broker_state state, const char *reason)
{
	(void)reason;
	((struct world *)arg)->state = state;
}

static void on_done(void *arg, int r, const struct position *id, bool is_duplicate)
{
	struct world *world = arg;

	assert_true(world->n_done < N_DONE_MAX);
	assert_int_equal(r == 0, id != NULL);
	world->results[world->n_done] = r;
	world->ids[world->n_done] = id ? *id : (struct position){0};
	world->n_duplicates += is_duplicate;
	world->n_done++;
}

static void on_read(void *arg, int r, const struct position *top, const struct broker_log_entry *entries,
	size_t n_entries)
{
	struct world *world = arg;

	world->n_reads++;
	world->read_result = r;
	world->n_entries = n_entries;
	if (r < 0)
		return;
	world->top = *top;
	assert_true(n_entries <= N_ENTRIES_MAX);
	for (size_t i = 0; i < n_entries; i++) {
		struct slice payload = entries[i].payload;

		world->entries[i] = (struct entry){entries[i].offset, entries[i].tag,
			payload.data ? (long long)payload.len : -1, payload.len ? *payload.data : '\0'};
	}
}

/* Runs the loop until the condition holds. */
#define AWAIT(world, condition) LOOP_AWAIT(&(world)->loop, condition, log_text_read(&(world)->log))

#define HAS_LIBRARY(world) (ASK(world, "FCALL", "tidegate_version", "0") >= 1)

/*
 * The world.
 */

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	loop_init(&world->loop);
	test_redis_init(&world->redis);
	log_text_init(&world->log);
	world->is_chained = true;
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	broker_free(world->broker);
	test_redis_deinit(&world->redis);
	log_text_deinit(&world->log);
	loop_deinit(&world->loop);
	free(world);
	return 0;
}

static void start_broker(struct world *world, const char *login, const char *prefix, bool loads_library)
{
	const struct broker_listener listener = {
		world, on_event, on_drained, on_subscribed, on_lost, on_state};
	struct redis_options options = {.channel_prefix = prefix,
		.node_id = "test",
		.seed = 42,
		.probe_idle_ms = 200,
		.probe_timeout_ms = 10000, /* nobody waits for it, and a busy machine is slow */
		.loads_library = loads_library};
	struct redis_urls urls;
	struct buf error = {0};
	char text[160];

	snprintf(text, sizeof(text), "unix://%s%s", login, world->redis.socket);
	assert_int_equal(redis_urls_parse(text, &urls, &error), 0);
	options.urls = &urls;
	assert_int_equal(redis_broker_new(world->loop.base, &options, &listener, world->log.log,
				 &world->metrics, &world->broker),
		0);
	redis_urls_deinit(&urls);
	AWAIT(world, world->state == BROKER_READY);
}

static void start(struct world *world)
{
	test_redis_start(&world->redis, &world->loop);
	start_broker(world, "", "", false);
}

/* One who may all but load the library, and what is said besides. */
static void start_as_gate(struct world *world, const char *rule)
{
	test_redis_start(&world->redis, &world->loop);
	REDIS(world, "ACL", "SETUSER", "gate", "on", ">secret", "allchannels", "allkeys", "+@all",
		"-function|load", rule);
	start_broker(world, "gate:secret@", "", false);
}

static void subscribe(struct world *world, const char *channel)
{
	unsigned int n = world->n_subscribed;

	assert_int_equal(broker_subscribe(world->broker, slice_of(channel)), 0);
	AWAIT(world, world->n_subscribed == n + 1);
}

static void send_out(struct world *world, struct slice payload, const struct broker_log_options *options)
{
	assert_int_equal(
		broker_log_publish(world->broker, slice_of("cards"), payload, options, on_done, world), 0);
}

/* Publishes to `cards`, waits, and returns how it ended. */
static int publish(struct world *world, const char *payload)
{
	unsigned int n = world->n_done;

	send_out(world, slice_of(payload), &kept);
	assert_int_equal(world->n_done, n); /* not from inside the call */
	AWAIT(world, world->n_done == n + 1);
	return world->results[n];
}

static int read_range(struct world *world, uint64_t from, uint32_t count)
{
	unsigned int n = world->n_reads;

	assert_int_equal(
		broker_log_read(world->broker, slice_of("cards"), from, count, HOUR_MS, on_read, world), 0);
	assert_int_equal(world->n_reads, n);
	AWAIT(world, world->n_reads == n + 1);
	return world->read_result;
}

/* All were published, in the order in which that was asked for. */
static void assert_in_order(const struct world *world, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		if (world->results[i] != 0 || world->ids[i].offset != i + 1)
			fail_msg("%u: %d, %u", i, world->results[i], (unsigned int)world->ids[i].offset);
		assert_true(epoch_equal(&world->ids[i].epoch, &world->ids[0].epoch));
	}
}

/*
 * The promises.
 */

static void publishes_to_the_log_and_pushes_what_it_appended(void **state)
{
	struct world *world = *state;

	start(world);
	subscribe(world, "cards");
	for (unsigned int i = 0; i < 100; i++)
		send_out(world, slice_of("{}"), &kept);
	AWAIT(world, world->n_done == 100 && world->n_events == 100);
	assert_in_order(world, 100);
	assert_true(world->is_chained);
	assert_int_equal(world->last.offset, 100);
	assert_int_equal(world->last.tag, world->ids[99].tag);
	assert_true(epoch_equal(&world->last.epoch, &world->ids[0].epoch));
	assert_int_equal(strnlen(world->ids[0].epoch.text, EPOCH_MAX), 8);
	assert_int_equal(world->n_duplicates, 0);
	assert_int_equal(
		broker_log_publish(world->broker, slice_of("cards"), slice_of("{}"), &kept, NULL, NULL), 0);
	AWAIT(world, world->n_events == 101);
}

static void reads_back_what_was_published(void **state)
{
	struct world *world = *state;

	start(world);
	assert_int_equal(read_range(world, 0, 10), 0); /* begins the log */
	assert_int_equal(world->top.offset, 0);
	assert_int_equal(world->n_entries, 0);
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(publish(world, "abc"), 0);
	assert_true(epoch_equal(&world->top.epoch, &world->ids[0].epoch));
	assert_int_equal(read_range(world, 4, 3), 0);
	assert_true(position_equal(&world->top, &world->ids[9]));
	assert_int_equal(world->n_entries, 3);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(world->entries[i].offset, 4 + i);
		assert_int_equal(world->entries[i].tag, world->ids[3 + i].tag);
		assert_int_equal(world->entries[i].len, 3);
	}
	assert_int_equal(read_range(world, 1, 0), 0);
	assert_int_equal(world->n_entries, 0);
	assert_int_equal(world->top.offset, 10);
	assert_int_equal(read_range(world, 11, 10), 0);
	assert_int_equal(world->n_entries, 0);
}

static void puts_the_prefix_before_keys_and_channel(void **state)
{
	struct world *world = *state;

	test_redis_start(&world->redis, &world->loop);
	start_broker(world, "", "app:", false);
	subscribe(world, "cards");
	assert_int_equal(publish(world, "{}"), 0);
	AWAIT(world, world->n_events == 1);
	assert_int_equal(ASK(world, "XLEN", "tg:s:{app:cards}"), 1);
	assert_int_equal(ASK(world, "EXISTS", "tg:m:{app:cards}"), 1);
	assert_int_equal(ASK(world, "DBSIZE"), 2);
}

static void publishes_once_under_one_key(void **state)
{
	struct broker_log_options options = kept;
	struct world *world = *state;

	start(world);
	subscribe(world, "cards");
	options.key = slice_of("order 7");
	options.key_ttl_ms = HOUR_MS;
	for (unsigned int i = 0; i < 3; i++)
		send_out(world, slice_of("{}"), &options);
	options.key = slice_of("order 8");
	send_out(world, slice_of("{}"), &options);
	AWAIT(world, world->n_done == 4 && world->n_events == 2);
	assert_int_equal(world->n_duplicates, 2);
	assert_true(position_equal(&world->ids[0], &world->ids[1]));
	assert_true(position_equal(&world->ids[0], &world->ids[2]));
	assert_int_equal(world->ids[3].offset, 2);
	assert_in_range(ASK(world, "PTTL", "tg:i:{cards}:order 7"), 1, HOUR_MS);
}

static void refuses_options_out_of_their_bounds(void **state)
{
	struct world *world = *state;
	char key[BROKER_LOG_KEY_MAX + 2] = {0};
	struct broker_log_options rows[] = {
		{.size = 0, .ttl_ms = 1},
		{.size = 1, .ttl_ms = 0},
		{.size = 1, .ttl_ms = 1, .key = slice_of(""), .key_ttl_ms = 1},
		{.size = 1, .ttl_ms = 1, .key = slice_of("k"), .key_ttl_ms = 0},
		{.size = 1, .ttl_ms = 1, .key = {key, BROKER_LOG_KEY_MAX + 1}, .key_ttl_ms = 1},
	};

	start(world);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(broker_log_publish(world->broker, slice_of("cards"), slice_of("{}"),
					 &rows[i], on_done, world),
			-EINVAL);
	assert_int_equal(broker_log_read(world->broker, slice_of("cards"), 0, 1, 0, on_read, world), -EINVAL);
}

static void a_read_ends_where_it_is_large_enough(void **state)
{
	struct world *world = *state;
	char *payload = malloc(PAYLOAD_MAX);

	memset(payload, 'x', PAYLOAD_MAX);
	start(world);
	for (unsigned int i = 0; i < 40; i++)
		send_out(world, (struct slice){payload, PAYLOAD_MAX}, &kept);
	AWAIT(world, world->n_done == 40);
	assert_in_order(world, 40);
	assert_int_equal(read_range(world, 1, 1000), 0);
	assert_int_equal(world->n_entries, BROKER_LOG_READ_BYTES / PAYLOAD_MAX);
	assert_int_equal(world->entries[0].len, PAYLOAD_MAX);
	assert_int_equal(world->top.offset, 40);
	assert_int_equal(read_range(world, 33, 1000), 0);
	assert_int_equal(world->n_entries, 8);
	free(payload);
}

/* A payload may be as large in its envelope as without one. */
static void the_bound_of_payloads_does_not_count_the_envelope(void **state)
{
	struct world *world = *state;
	char *payload = malloc(PAYLOAD_MAX + 1);

	memset(payload, 'x', PAYLOAD_MAX + 1);
	start(world);
	subscribe(world, "cards");
	send_out(world, (struct slice){payload, PAYLOAD_MAX + 1}, &kept);
	send_out(world, (struct slice){payload, PAYLOAD_MAX}, &kept);
	AWAIT(world, world->n_done == 2 && world->n_events == 1);
	assert_int_equal(world->last.offset, 2);
	assert_int_equal(metrics_get(&world->metrics, METRIC_EVENTS_DROPPED_SIZE), 1);
	assert_int_equal(read_range(world, 1, 10), 0);
	assert_int_equal(world->n_entries, 2);
	assert_int_equal(world->entries[0].len, -1);
	assert_int_equal(world->entries[1].len, PAYLOAD_MAX);
	free(payload);
}

static void loads_the_library_after_each_connect_if_told_to(void **state)
{
	struct world *world = *state;

	test_redis_start(&world->redis, &world->loop);
	start_broker(world, "", "", true);
	AWAIT(world, HAS_LIBRARY(world));
	test_redis_kill(&world->redis);
	AWAIT(world, world->state == BROKER_CONNECTING);
	test_redis_start(&world->redis, &world->loop);
	AWAIT(world, HAS_LIBRARY(world));
	assert_int_equal(log_text_count(&world->log, ""), 3); /* ready; lost and back: nothing besides */
}

static void leaves_redis_alone_until_the_library_is_needed(void **state)
{
	struct world *world = *state;

	start(world);
	assert_false(HAS_LIBRARY(world));
	assert_int_equal(publish(world, "{}"), 0);
	assert_true(HAS_LIBRARY(world));
}

static void repeats_calls_in_order_when_the_library_is_flushed(void **state)
{
	struct world *world = *state;

	start(world);
	for (unsigned int round = 0; round < 5; round++) {
		for (unsigned int i = 0; i < 50; i++)
			send_out(world, slice_of("{}"), &kept);
		if (round % 2) /* some are sent, some wait, some have not left */
			loop_turn(&world->loop);
		REDIS(world, "FUNCTION", "FLUSH", "SYNC");
		for (unsigned int i = 0; i < 50; i++)
			send_out(world, slice_of("{}"), &kept);
		AWAIT(world, world->n_done == 100 * (round + 1));
	}
	assert_in_order(world, 500);
	REDIS(world, "FUNCTION", "FLUSH", "SYNC");
	assert_int_equal(read_range(world, 490, 100), 0);
	assert_int_equal(world->n_entries, 11);
	assert_in_range(log_text_count(&world->log, "INFO  redis has our library again"), 1, 6);
	assert_int_equal(log_text_count(&world->log, "WARN"), 0);
}

static void replaces_an_older_library_and_no_newer_one(void **state)
{
	static const char older[] =
		"#!lua name=tidegate\n"
		"redis.register_function('tidegate_publish', function() return 'old' end)\n";
	static const char newer[] = "#!lua name=tidegate\n"
				    "redis.register_function('tidegate_version', function() return 999 end)\n"
				    "redis.register_function('tidegate_publish',\n"
				    "  function() return {'5-6', 0, 'newer'} end)\n";
	struct world *world = *state;

	test_redis_start(&world->redis, &world->loop);
	REDIS(world, "FUNCTION", "LOAD", older);
	start_broker(world, "", "", false);
	assert_int_equal(publish(world, "{}"), 0);
	assert_int_equal(world->ids[0].offset, 1);
	REDIS(world, "FUNCTION", "LOAD", "REPLACE", newer);
	REDIS(world, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
	AWAIT(world, world->state == BROKER_CONNECTING);
	AWAIT(world, world->state == BROKER_READY);
	assert_int_equal(publish(world, "{}"), 0);
	assert_int_equal(world->ids[1].offset, 5);
	assert_string_equal(world->ids[1].epoch.text, "newer");
}

static void says_once_how_to_load_it_by_hand_and_notices_when_that_is_done(void **state)
{
	struct world *world = *state;
	struct buf library = {0};

	start_as_gate(world, "+ping");
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(publish(world, "{}"), -EACCES);
	assert_int_equal(log_text_count(&world->log, "WARN"), 1);
	assert_int_equal(log_text_count(&world->log,
				 "remedy=\"tidegate functions | redis-cli -x FUNCTION LOAD REPLACE\""),
		1);
	assert_int_equal(log_text_count(&world->log, "NOPERM"), 1);
	assert_int_equal(world->state, BROKER_READY);
	redis_broker_library(&library);
	REDIS(world, "FUNCTION", "LOAD", "REPLACE", buf_text(&library));
	assert_int_equal(publish(world, "{}"), 0);
	assert_int_equal(log_text_count(&world->log, "INFO  redis has our library again"), 1);
	buf_deinit(&library);
}

static void says_who_may_not_call_functions(void **state)
{
	struct world *world = *state;

	start_as_gate(world, "-fcall");
	assert_int_equal(publish(world, "{}"), -EACCES);
	assert_int_equal(read_range(world, 0, 1), -EACCES);
	assert_int_equal(log_text_count(&world->log, "redis does not let us call functions"), 1);
	assert_true(log_text_count(&world->log, "needs=\"+fcall") >= 1);
	assert_int_equal(
		log_text_count(&world->log, "needs="), log_text_count(&world->log, "needs=\"+fcall"));
	assert_int_equal(log_text_count(&world->log, "FUNCTION LOAD"), 0); /* which would not help */
	assert_non_null(memmem(
		broker_complaint(world->broker).data, broker_complaint(world->broker).len, "NOPERM", 6));
	REDIS(world, "ACL", "SETUSER", "gate", "+fcall", "+function|load");
	REDIS(world, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
	AWAIT(world, world->state == BROKER_CONNECTING);
	AWAIT(world, world->state == BROKER_READY);
	assert_int_equal(publish(world, "{}"), 0);
	assert_int_equal(broker_complaint(world->broker).len, 0);
}

static void writes_nothing_when_the_channel_is_forbidden(void **state)
{
	struct world *world = *state;

	test_redis_start(&world->redis, &world->loop);
	REDIS(world, "ACL", "SETUSER", "gate", "on", ">secret", "allkeys", "+@all", "resetchannels",
		"&tidegate:*");
	start_broker(world, "gate:secret@", "", false);
	assert_int_equal(publish(world, "{}"), -EACCES);
	assert_int_equal(ASK(world, "DBSIZE"), 0);
}

static void start_without_functions(struct world *world)
{
	static const char *const config[TEST_REDIS_CONFIG_WORDS] = {
		"--rename-command", "FCALL", "", "--rename-command", "FUNCTION", ""};

	memcpy(world->redis.config, config, sizeof(config));
	test_redis_start(&world->redis, &world->loop);
	assert_int_equal(ASK(world, "FUNCTION", "LIST"), -1);
}

static void sends_scripts_where_there_are_no_functions(void **state)
{
	struct world *world = *state;

	start_without_functions(world);
	start_broker(world, "", "", true);
	subscribe(world, "cards");
	for (unsigned int round = 0; round < 4; round++) {
		for (unsigned int i = 0; i < 50; i++)
			send_out(world, slice_of("{}"), &kept);
		AWAIT(world, world->n_done == 50 * (round + 1));
		REDIS(world, "SCRIPT", "FLUSH"); /* and the next is answered with NOSCRIPT */
	}
	assert_in_order(world, 200);
	AWAIT(world, world->n_events == 200);
	assert_true(world->is_chained);
	assert_int_equal(read_range(world, 191, 100), 0);
	assert_int_equal(world->n_entries, 10);
	assert_true(position_equal(&world->top, &world->ids[199]));
	assert_int_equal(log_text_count(&world->log, "WARN"), 0);
}

static void sends_scripts_whole_without_the_right_to_leave_them_there(void **state)
{
	struct world *world = *state;

	start_without_functions(world);
	REDIS(world, "ACL", "SETUSER", "gate", "on", ">secret", "allchannels", "allkeys", "+@all", "-script");
	start_broker(world, "gate:secret@", "", false);
	assert_int_equal(publish(world, "{}"), 0);
	assert_int_equal(publish(world, "{}"), 0);
	assert_int_equal(read_range(world, 0, 10), 0);
	assert_int_equal(world->n_entries, 2);
}

static void says_what_redis_cannot_do_now_and_goes_on_when_it_can(void **state)
{
	struct world *world = *state;

	start(world);
	REDIS(world, "REPLICAOF", "127.0.0.1", "1");
	assert_int_equal(publish(world, "{}"), -EROFS); /* the library cannot be loaded */
	REDIS(world, "REPLICAOF", "NO", "ONE");
	assert_int_equal(publish(world, "{}"), 0);
	REDIS(world, "REPLICAOF", "127.0.0.1", "1");
	assert_int_equal(publish(world, "{}"), -EROFS); /* the library is there */
	AWAIT(world, world->state != BROKER_READY);     /* its name may lead to another one by now */
	REDIS(world, "REPLICAOF", "NO", "ONE");
	AWAIT(world, world->state == BROKER_READY);
	REDIS(world, "CONFIG", "SET", "maxmemory", "1");
	assert_int_equal(publish(world, "{}"), -ENOSPC);
	REDIS(world, "CONFIG", "SET", "maxmemory", "0");
	assert_int_equal(publish(world, "{}"), 0);
	assert_int_equal(world->ids[world->n_done - 1].offset, 2);
	assert_int_equal(world->state, BROKER_READY);
}

static void lives_with_keys_that_are_something_else(void **state)
{
	struct world *world = *state;

	start(world);
	REDIS(world, "SET", "tg:m:{cards}", "x");
	assert_int_equal(publish(world, "{}"), -EIO);
	assert_int_equal(read_range(world, 0, 1), -EIO);
	REDIS(world, "DEL", "tg:m:{cards}");
	REDIS(world, "SET", "tg:s:{cards}", "x"); /* without its meta hash it means nothing: begun anew */
	assert_int_equal(publish(world, "{}"), 0);
	REDIS(world, "HDEL", "tg:m:{cards}", "n");
	assert_int_equal(publish(world, "{}"), 0);
	assert_int_equal(world->ids[2].offset, 1);
	assert_false(epoch_equal(&world->ids[1].epoch, &world->ids[2].epoch));
	REDIS(world, "HSET", "tg:m:{cards}", "t", "no tag");
	assert_int_equal(read_range(world, 0, 1), -EIO);
	assert_int_equal(metrics_get(&world->metrics, METRIC_REDIS_BAD_MESSAGES), 1);
	REDIS(world, "HSET", "tg:m:{cards}", "t", "9");
	REDIS(world, "XADD", "tg:s:{cards}", "2-0", "x", "y");
	REDIS(world, "XADD", "tg:s:{cards}", "3-1", "x", "y");
	assert_int_equal(read_range(world, 0, 10), 0);
	assert_int_equal(world->n_entries, 2); /* 2-0 is no entry, 3-1 is one without a payload */
	assert_int_equal(world->entries[1].offset, 3);
	assert_int_equal(world->entries[1].len, -1);
	assert_int_equal(metrics_get(&world->metrics, METRIC_REDIS_BAD_MESSAGES), 2);
	assert_int_equal(world->state, BROKER_READY);
}

static void tells_what_was_under_way_when_the_link_broke(void **state)
{
	struct world *world = *state;

	start(world);
	kill(world->redis.pid, SIGSTOP);
	send_out(world, slice_of("{}"), &kept); /* waits for the library */
	loop_turn(&world->loop);
	test_redis_kill(&world->redis);
	AWAIT(world, world->n_done == 1);
	assert_int_equal(world->results[0], -ENOTCONN);
	assert_int_equal(
		broker_log_publish(world->broker, slice_of("cards"), slice_of("{}"), &kept, on_done, world),
		-ENOTCONN);
	assert_int_equal(
		broker_log_read(world->broker, slice_of("cards"), 0, 1, HOUR_MS, on_read, world), -ENOTCONN);
	test_redis_start(&world->redis, &world->loop);
	AWAIT(world, world->state == BROKER_READY);
	assert_int_equal(publish(world, "{}"), 0);
	kill(world->redis.pid, SIGSTOP);
	send_out(world, slice_of("{}"), &kept); /* is sent */
	loop_turn(&world->loop);
	test_redis_kill(&world->redis);
	AWAIT(world, world->n_done == 3);
	assert_int_equal(world->results[2], -ETIMEDOUT);
}

static void cancels_what_is_under_way_when_it_is_freed(void **state)
{
	for (unsigned int round = 0; round < 2; round++) {
		struct world *world = *state;

		start(world);
		if (round)
			assert_int_equal(publish(world, "{}"), 0); /* the library is there: sent, not kept */
		world->n_done = 0;
		kill(world->redis.pid, SIGSTOP);
		send_out(world, slice_of("{}"), &kept);
		assert_int_equal(
			broker_log_read(world->broker, slice_of("cards"), 0, 1, HOUR_MS, on_read, world), 0);
		assert_int_equal(broker_log_publish(
					 world->broker, slice_of("cards"), slice_of("{}"), &kept, NULL, NULL),
			0);
		broker_free(world->broker);
		world->broker = NULL;
		assert_int_equal(world->n_done, 1);
		assert_int_equal(world->results[0], -ECANCELED);
		assert_int_equal(world->read_result, -ECANCELED);
		world->state = BROKER_CONNECTING;
		test_redis_kill(&world->redis);
	}
}

static void bounds_what_waits_for_the_library(void **state)
{
	struct world *world = *state;
	char *payload = calloc(1, PAYLOAD_MAX);
	unsigned int n = 0;
	int r = 0;

	start(world);
	kill(world->redis.pid, SIGSTOP);
	while (n < N_DONE_MAX && r == 0) {
		r = broker_log_publish(world->broker, slice_of("cards"), (struct slice){payload, PAYLOAD_MAX},
			&kept, on_done, world);
		n += r == 0;
	}
	assert_int_equal(r, -EAGAIN);
	assert_in_range(n, 60, 70); /* of 256 KiB, until 16 MiB are reached */
	kill(world->redis.pid, SIGCONT);
	AWAIT(world, world->n_done == n);
	free(payload);
}

/*
 * A Redis of our own, for what a real one does not do on demand: it subscribes and publishes as far as the
 * probe needs it, and answers FCALL and FUNCTION with what it is told to.
 */

struct fake {
	struct event *acceptable;
	int fd;
	struct fake_peer {
		struct fake *fake;
		int fd;
		struct event *readable;
		struct redis_parser *parser;
	} peers[2];
	unsigned int n_peers;
	struct fake_peer *subscriber;
	struct fake_peer *commander;
	const char *version;
	const char *call; /* "": nothing, the test does it */
	const char *load;
	char payloads[16]; /* first letters of what was to be published */
	unsigned int n_calls;
	unsigned int n_loads;
};

static void fake_say(const struct fake_peer *peer, const char *text)
{
	assert_int_equal(send(peer->fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* "message" or "subscribe", the channel, and a payload as it stands in the protocol. */
static void fake_push(const struct fake_peer *peer, const char *kind, struct slice channel, const char *start,
	struct slice rest)
{
	struct buf text = {0};

	buf_printf(&text, "*3\r\n$%zu\r\n%s\r\n$%zu\r\n%.*s\r\n%s%.*s\r\n", strlen(kind), kind, channel.len,
		(int)channel.len, channel.data, start, (int)rest.len, rest.data);
	fake_say(peer, buf_text(&text));
	buf_deinit(&text);
}

static int on_fake_command(void *arg, const struct redis_reply *command)
{
	struct fake_peer *peer = arg;
	struct fake *fake = peer->fake;
	struct slice verb = redis_reply_text(command, 1);
	struct slice word = redis_reply_text(command, 2);
	char length[16];

	if (strncmp(verb.data, "SUBSCRIBE", verb.len) == 0) {
		fake->subscriber = peer;
		fake_push(peer, "subscribe", word, ":1", slice_of(""));
	} else if (strncmp(verb.data, "PUBLISH", verb.len) == 0) {
		snprintf(length, sizeof(length), "$%zu\r\n", redis_reply_text(command, 3).len);
		fake_push(fake->subscriber, "message", word, length, redis_reply_text(command, 3));
		fake_say(peer, ":900\r\n");
	} else if (strncmp(verb.data, "FUNCTION", verb.len) == 0) {
		fake->n_loads++;
		fake_say(peer, fake->load);
	} else if (strncmp(verb.data, "FCALL", verb.len) == 0) {
		bool asks_version = strncmp(word.data, "tidegate_version", word.len) == 0;

		fake->commander = peer;
		if (!asks_version && fake->n_calls < sizeof(fake->payloads) - 1)
			fake->payloads[fake->n_calls] = *redis_reply_text(command, 6).data;
		fake->n_calls += !asks_version;
		fake_say(peer, asks_version ? fake->version : fake->call);
	} else {
		fake_say(peer, "+OK\r\n");
	}
	return 0;
}

static void on_fake_readable(evutil_socket_t fd, short what, void *arg)
{
	struct fake_peer *peer = arg;
	char text[16384];
	ssize_t n = recv(fd, text, sizeof(text), 0);

	(void)what;
	if (n > 0)
		assert_int_equal(redis_parser_feed(peer->parser, text, (size_t)n, on_fake_command, peer), 0);
	else
		event_del(peer->readable);
}

static void on_fake_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct fake *fake = arg;
	struct fake_peer *peer = &fake->peers[fake->n_peers];

	(void)what;
	assert_true(fake->n_peers < 2);
	fake->n_peers++;
	peer->fake = fake;
	peer->fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	assert_int_equal(redis_parser_new(1024 * 1024, &peer->parser), 0);
	peer->readable = event_new(
		event_get_base(fake->acceptable), peer->fd, EV_READ | EV_PERSIST, on_fake_readable, peer);
	event_add(peer->readable, NULL);
}

static void fake_start(struct world *world, struct fake *fake)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strcpy(address.sun_path, world->redis.socket);
	fake->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fake->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fake->fd, 16), 0);
	fake->acceptable =
		event_new(world->loop.base, fake->fd, EV_READ | EV_PERSIST, on_fake_acceptable, fake);
	event_add(fake->acceptable, NULL);
	start_broker(world, "", "", false);
}

static void fake_stop(struct world *world, struct fake *fake)
{
	broker_free(world->broker);
	world->broker = NULL;
	for (unsigned int i = 0; i < fake->n_peers; i++) {
		event_free(fake->peers[i].readable);
		redis_parser_free(fake->peers[i].parser);
		close(fake->peers[i].fd);
	}
	event_free(fake->acceptable);
	close(fake->fd);
	unlink(world->redis.socket);
}

static void repeats_a_call_once_and_no_more(void **state)
{
	struct world *world = *state;
	struct fake fake = {
		.version = ":900\r\n",
		.call = "-ERR Function not found\r\n",
		.load = "$8\r\ntidegate\r\n",
	};

	fake_start(world, &fake);
	assert_int_equal(publish(world, "{}"), -EAGAIN);
	assert_int_equal(fake.n_calls, 2);
	assert_int_equal(fake.n_loads, 1);
	assert_int_equal(publish(world, "{}"), -EAGAIN);
	assert_int_equal(fake.n_calls, 4);
	fake_stop(world, &fake);
}

static void keeps_the_order_however_late_a_call_is_missed(void **state)
{
	static const char missing[] = "-ERR Function not found\r\n";
	struct world *world = *state;
	struct fake fake = {.version = ":900\r\n", .call = "", .load = ""};

	fake_start(world, &fake);
	send_out(world, slice_of("a"), &kept);
	send_out(world, slice_of("b"), &kept);
	AWAIT(world, fake.n_calls == 2);
	fake_say(fake.commander, missing);
	AWAIT(world, fake.n_loads == 1);
	send_out(world, slice_of("c"), &kept);
	fake_say(fake.commander, missing);
	fake_say(fake.commander, "$8\r\ntidegate\r\n");
	AWAIT(world, fake.n_calls == 5);
	assert_string_equal(fake.payloads, "ababc");
	fake_stop(world, &fake);
}

static void looks_again_when_redis_could_not_answer_yet(void **state)
{
	struct world *world = *state;
	struct fake fake = {
		.version = "-LOADING Redis is loading the dataset in memory\r\n",
		.call = "*3\r\n$3\r\n1-2\r\n:0\r\n$5\r\nepoch\r\n",
	};

	fake_start(world, &fake);
	assert_int_equal(publish(world, "{}"), -EAGAIN);
	assert_int_equal(fake.n_calls, 0);
	fake.version = "-ERR Function not found\r\n";
	fake.load = "-MISCONF the disk is full\r\n";
	assert_int_equal(publish(world, "{}"), -EROFS);
	fake.load = "$8\r\ntidegate\r\n";
	assert_int_equal(publish(world, "{}"), 0);
	assert_int_equal(fake.n_calls, 1);
	assert_int_equal(fake.n_loads, 2);
	fake_stop(world, &fake);
}

static void tells_nonsense_from_an_answer(void **state)
{
	struct world *world = *state;
	struct fake fake = {.version = ":900\r\n", .call = "+OK\r\n"};

	fake_start(world, &fake);
	assert_int_equal(publish(world, "{}"), -EIO);
	assert_int_equal(read_range(world, 0, 10), -EIO);
	assert_int_equal(metrics_get(&world->metrics, METRIC_REDIS_BAD_MESSAGES), 2);
	assert_int_equal(log_text_count(&world->log, "nonsense"), 2);
	assert_int_equal(world->state, BROKER_READY);
	fake_stop(world, &fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define PROMISE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		PROMISE(publishes_to_the_log_and_pushes_what_it_appended),
		PROMISE(reads_back_what_was_published),
		PROMISE(puts_the_prefix_before_keys_and_channel),
		PROMISE(publishes_once_under_one_key),
		PROMISE(refuses_options_out_of_their_bounds),
		PROMISE(a_read_ends_where_it_is_large_enough),
		PROMISE(the_bound_of_payloads_does_not_count_the_envelope),
		PROMISE(loads_the_library_after_each_connect_if_told_to),
		PROMISE(leaves_redis_alone_until_the_library_is_needed),
		PROMISE(repeats_calls_in_order_when_the_library_is_flushed),
		PROMISE(replaces_an_older_library_and_no_newer_one),
		PROMISE(says_once_how_to_load_it_by_hand_and_notices_when_that_is_done),
		PROMISE(says_who_may_not_call_functions),
		PROMISE(writes_nothing_when_the_channel_is_forbidden),
		PROMISE(sends_scripts_where_there_are_no_functions),
		PROMISE(sends_scripts_whole_without_the_right_to_leave_them_there),
		PROMISE(says_what_redis_cannot_do_now_and_goes_on_when_it_can),
		PROMISE(lives_with_keys_that_are_something_else),
		PROMISE(tells_what_was_under_way_when_the_link_broke),
		PROMISE(cancels_what_is_under_way_when_it_is_freed),
		PROMISE(bounds_what_waits_for_the_library),
		PROMISE(repeats_a_call_once_and_no_more),
		PROMISE(keeps_the_order_however_late_a_call_is_missed),
		PROMISE(looks_again_when_redis_could_not_answer_yet),
		PROMISE(tells_nonsense_from_an_answer),
#undef PROMISE
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
