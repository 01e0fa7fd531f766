/*
 * Redis broker and link: what include/broker/broker.h promises, against a real redis-server that the test
 * starts on a Unix socket (or a free port), kills, freezes and starts again; and against servers that are
 * none.
 *
 * Nothing sleeps: the loop runs until what is awaited has happened, or fails when it takes too long.
 */

#include "broker/redis_broker.h"

#include <arpa/inet.h>
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

#include "broker/redis/server.h"
#include "broker/redis/slot.h"
#include "broker/redis/stream.h"
#include "broker/redis/urls.h"
#include "core/buf.h"
#include "core/clock.h"
#include "metrics/metrics.h"
#include "support/log_text.h"
#include "support/loop.h"
#include "support/test_redis.h"

struct world {
	struct loop loop;
	struct test_redis redis;
	struct broker *broker;
	struct log_text log;
	struct metrics metrics;

	bool has_several; /* servers: each of them says when it changes */
	enum broker_state state;
	unsigned int n_states;
	char reason[256];
	unsigned int n_events;
	unsigned int n_events_undrained;
	unsigned int n_subscribed;
	unsigned int n_lost;
	char last_subscribed[64];
	char last_channel[64];
	char last_payload[64];
	bool is_in_order; /* payloads are numbers that grow by one */
	int published;
	unsigned int n_published;
	uint64_t n_receivers;
};

static void copy(char *to, size_t cap, struct slice from)
{
	snprintf(to, cap, "%.*s", (int)from.len, from.data);
}

static void on_event(void *arg, struct slice channel, struct slice payload)
{
	struct world *world = arg;
	long before = strtol(world->last_payload, NULL, 10);

	copy(world->last_channel, sizeof(world->last_channel), channel);
	copy(world->last_payload, sizeof(world->last_payload), payload);
	if (world->n_events && strtol(world->last_payload, NULL, 10) != before + 1)
		world->is_in_order = false;
	world->n_events++;
	world->n_events_undrained++;
}

static void on_drained(void *arg)
{
	struct world *world = arg;

	assert_true(world->n_events_undrained > 0);
	world->n_events_undrained = 0;
}

static void on_subscribed(void *arg, struct slice channel)
{
	struct world *world = arg;

	copy(world->last_subscribed, sizeof(world->last_subscribed), channel);
	world->n_subscribed++;
}

/* Before the state is said, and true already. */
static void on_lost(void *arg, struct slice channel)
{
	struct world *world = arg;

	assert_int_equal(world->state, BROKER_READY);
	assert_int_equal(broker_state(world->broker), BROKER_CONNECTING);
	assert_int_equal(broker_channel_state(world->broker, channel), BROKER_CONNECTING);
	world->n_lost++;
}

static void on_state(void *arg, enum broker_state state, const char *reason)
{
	struct world *world = arg;

	assert_true(world->has_several || state != world->state);
	world->state = state;
	world->n_states++;
	snprintf(world->reason, sizeof(world->reason), "%s", reason);
}

static void on_published(void *arg, int r, uint64_t n_receivers)
{
	struct world *world = arg;

	world->published = r;
	world->n_receivers = n_receivers;
	world->n_published++;
}

/* Runs the loop until the condition holds. */
#define AWAIT(world, condition) LOOP_AWAIT(&(world)->loop, condition, log_text_read(&(world)->log))

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
	world->is_in_order = true;
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

static void start_broker(
	struct world *world, const char *text, const char *prefix, struct redis_options options)
{
	const struct broker_listener listener = {
		world, on_event, on_drained, on_subscribed, on_lost, on_state};
	struct redis_urls urls;
	struct buf error = {0};

	assert_int_equal(redis_urls_parse(text, &urls, &error), 0);
	options.urls = &urls;
	options.channel_prefix = prefix;
	options.node_id = "test node";
	options.seed = 42;
	assert_int_equal(redis_broker_new(world->loop.base, &options, &listener, world->log.log,
				 &world->metrics, &world->broker),
		0);
	redis_urls_deinit(&urls);
}

/* A broker on the Unix socket, with probes quick enough for a test. */
static void start_on_socket(struct world *world, const char *login, const char *prefix)
{
	char text[160];

	snprintf(text, sizeof(text), "unix://%s%s", login, world->redis.socket);
	start_broker(
		world, text, prefix, (struct redis_options){.probe_idle_ms = 200, .probe_timeout_ms = 300});
}

static void start_ready(struct world *world)
{
	test_redis_start(&world->redis, &world->loop);
	start_on_socket(world, "", "");
	AWAIT(world, world->state == BROKER_READY);
}

static void subscribe(struct world *world, const char *channel)
{
	world->last_subscribed[0] = '\0';
	assert_int_equal(broker_subscribe(world->broker, slice_of(channel)), 0);
	AWAIT(world, strcmp(world->last_subscribed, channel) == 0);
}

/* A number that the broker describes itself with; 0 when it does not. */
static unsigned long described(struct world *world, const char *before)
{
	struct buf text = {0};
	const char *found;
	unsigned long number;

	broker_describe(world->broker, &text);
	found = strstr(buf_text(&text), before);
	number = found ? strtoul(found + strlen(before), NULL, 10) : 0;
	buf_deinit(&text);
	return number;
}

static bool is_described(struct world *world, const char *word)
{
	struct buf text = {0};
	bool found;

	broker_describe(world->broker, &text);
	found = strstr(buf_text(&text), word) != NULL;
	buf_deinit(&text);
	return found;
}

/*
 * The promises.
 */

static void delivers_what_is_published_in_order_and_once(void **state)
{
	struct world *world = *state;

	test_redis_start(&world->redis, &world->loop);
	start_on_socket(world, "", "app:");
	assert_int_equal(
		broker_subscribe(world->broker, slice_of("cards")), 0); /* before it is ready: remembered */
	AWAIT(world, world->n_subscribed == 1);
	for (unsigned int i = 0; i < 1000; i++) {
		char number[16];
		const char *const words[] = {"PUBLISH", "app:cards", number};

		snprintf(number, sizeof(number), "%u", i);
		redisAppendCommandArgv(world->redis.context, 3, (const char **)words, NULL);
	}
	assert_int_equal(REDIS(world, "PUBLISH", "cards", "not ours"), 1); /* the first answer of the 1,001 */
	for (unsigned int i = 0; i < 1000; i++) {                          /* and the others */
		void *reply;

		assert_int_equal(redisGetReply(world->redis.context, &reply), REDIS_OK);
		freeReplyObject(reply);
	}
	AWAIT(world, world->n_events == 1000);
	assert_true(world->is_in_order);
	assert_string_equal(world->last_channel, "cards");
	AWAIT(world, world->n_events_undrained == 0);
	assert_int_equal(REDIS(world, "PUBLISH", "app:cards", "1000"), 1); /* the marker behind the last */
	AWAIT(world, strcmp(world->last_payload, "1000") == 0);
	assert_int_equal(world->n_events, 1001);
	assert_true(world->is_in_order);
}

static void says_subscribed_only_when_redis_has_confirmed(void **state)
{
	struct world *world = *state;

	start_ready(world);
	for (unsigned int i = 0; i < 20; i++) {
		char channel[16];

		snprintf(channel, sizeof(channel), "c%u", i);
		subscribe(world, channel);
		assert_int_equal(REDIS(world, "PUBLISH", channel, "x"), 1);
	}
	subscribe(world, "c0"); /* asked again, told again */
	AWAIT(world, world->n_events == 20);
	broker_unsubscribe(world->broker, slice_of("c0"));
	AWAIT(world, REDIS(world, "PUBLISH", "c0", "x") == 0);
}

static void refuses_its_own_probe_channel(void **state)
{
	struct world *world = *state;

	start_ready(world);
	assert_int_equal(broker_subscribe(world->broker, slice_of("tidegate:probe:test node")), -EINVAL);
}

static void ends_right_after_quick_flips(void **state)
{
	struct world *world = *state;
	bool wanted[8] = {0};
	unsigned int random = 1;

	start_ready(world);
	for (unsigned int i = 0; i < 3000; i++) {
		char channel[] = "flip0";
		unsigned int which;

		random = random * 1103515245u + 12345u;
		which = (random >> 16) % 8;
		channel[4] = (char)('0' + which);
		wanted[which] = random >> 31;
		if (wanted[which])
			assert_int_equal(broker_subscribe(world->broker, slice_of(channel)), 0);
		else
			broker_unsubscribe(world->broker, slice_of(channel));
		if ((random >> 20) % 3 == 0)
			loop_turn(&world->loop);
	}
	for (unsigned int which = 0; which < 8; which++) {
		char channel[] = "flip0";

		channel[4] = (char)('0' + which);
		AWAIT(world, REDIS(world, "PUBLISH", channel, "x") == wanted[which]);
	}
	/* What waits for an earlier confirmation is said behind it: before the second marker. */
	subscribe(world, "marker1");
	subscribe(world, "marker2");
	for (unsigned int which = 0; which < 8; which++) {
		char channel[] = "flip0";

		channel[4] = (char)('0' + which);
		assert_int_equal(REDIS(world, "PUBLISH", channel, "x"), wanted[which]);
	}
	assert_int_equal(world->n_states, 1);
}

static void comes_back_after_a_kill_and_says_so_in_two_lines(void **state)
{
	struct world *world = *state;
	uint64_t back_ms;

	start_ready(world);
	subscribe(world, "cards");
	assert_int_equal(log_text_count(&world->log, ""), 1);
	for (unsigned int round = 0; round < 3; round++) {
		test_redis_kill(&world->redis);
		AWAIT(world, world->state == BROKER_CONNECTING);
		assert_true(is_described(world, "\"state\":\"connecting\""));
		assert_int_equal(world->n_lost, 1 + round);
		AWAIT(world,
			is_described(world, "\"reason\":\"connecting failed: No such file or directory\""));
		AWAIT(world, is_described(world, "\"n_attempts\":3"));
		assert_int_equal(world->n_lost, 1 + round); /* once an outage, not once an attempt */
		assert_int_equal(
			broker_publish(world->broker, slice_of("cards"), slice_of("x"), on_published, world),
			-ENOTCONN);
		assert_int_equal(metrics_get(&world->metrics, METRIC_REDIS_READY), 0);
		test_redis_start(&world->redis, &world->loop);
		back_ms = clock_monotonic_ms();
		AWAIT(world, world->state == BROKER_READY && world->n_subscribed == 2 + round);
		if (clock_monotonic_ms() - back_ms > 5000) /* 1 s at the most, on a machine that is idle */
			fail_msg("back after %u ms", (unsigned int)(clock_monotonic_ms() - back_ms));
		assert_int_equal(REDIS(world, "PUBLISH", "cards", "x"), 1);
		AWAIT(world, world->n_events == 1 + round);
		assert_int_equal(log_text_count(&world->log, ""), 1 + 2 * (round + 1));
		assert_int_equal(metrics_get(&world->metrics, METRIC_REDIS_RECONNECTS), round + 1);
	}
	assert_int_equal(log_text_count(&world->log, "WARN  redis is lost, dialling again"), 3);
	assert_int_equal(log_text_count(&world->log, "INFO  redis is back"), 3);
}

static void comes_back_after_its_connections_are_killed(void **state)
{
	struct world *world = *state;

	start_ready(world);
	subscribe(world, "cards");
	assert_int_equal(REDIS(world, "CLIENT", "KILL", "TYPE", "pubsub"), 1);
	AWAIT(world, world->n_states == 3 && world->n_subscribed == 2);
	assert_int_equal(REDIS(world, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"), 1);
	AWAIT(world, world->n_states == 5 && world->n_subscribed == 3);
	assert_int_equal(REDIS(world, "PUBLISH", "cards", "x"), 1);
	AWAIT(world, world->n_events == 1);
}

static unsigned long long n_published(struct world *world)
{
	return test_redis_info(&world->redis, "commandstats", "cmdstat_publish:calls=");
}

static void notices_a_frozen_redis(void **state)
{
	struct world *world = *state;
	unsigned long long n_probes;
	uint64_t frozen_ms;

	start_ready(world);
	subscribe(world, "cards");
	n_probes = n_published(world);
	AWAIT(world, n_published(world) >= n_probes + 4); /* with nothing to do but probes: stays ready */
	assert_int_equal(world->n_states, 1);
	frozen_ms = clock_monotonic_ms();
	kill(world->redis.pid, SIGSTOP);
	AWAIT(world, world->state == BROKER_CONNECTING);
	assert_in_range(
		clock_monotonic_ms() - frozen_ms, 500, 15000); /* 200 of idling and two tries of 300 */
	assert_non_null(strstr(world->reason, "probe"));
	AWAIT(world, described(world, "\"n_attempts\":") > 0);
	kill(world->redis.pid, SIGCONT);
	AWAIT(world, world->n_subscribed == 2);
	assert_int_equal(REDIS(world, "PUBLISH", "cards", "x"), 1);
	AWAIT(world, world->n_events == 1);
}

static void carries_a_hundred_thousand_channels_over_a_cut(void **state)
{
	enum {
		N = 100000,
	};
	struct world *world = *state;
	char text[160];

	test_redis_start(&world->redis, &world->loop);
	snprintf(text, sizeof(text), "unix://%s", world->redis.socket);
	/* a Redis with so much to do on a busy machine is late, and not away */
	start_broker(
		world, text, "", (struct redis_options){.probe_idle_ms = 200, .probe_timeout_ms = 10000});
	AWAIT(world, world->state == BROKER_READY);
	for (unsigned int i = 0; i < N; i++) {
		char channel[32];

		snprintf(channel, sizeof(channel), "execution:%u", i);
		assert_int_equal(broker_subscribe(world->broker, slice_of(channel)), 0);
	}
	AWAIT(world, world->n_subscribed == N);
	assert_true(is_described(world, "\"n_channels\":100000"));
	assert_int_equal(REDIS(world, "PUBLISH", "execution:99999", "x"), 1);
	AWAIT(world, world->n_events == 1);
	assert_int_equal(REDIS(world, "CLIENT", "KILL", "TYPE", "pubsub"), 1);
	AWAIT(world, world->n_subscribed == 2 * N);
	assert_int_equal(world->n_lost, N);
	assert_int_equal(REDIS(world, "PUBLISH", "execution:0", "x"), 1);
	AWAIT(world, world->n_events == 2);
	assert_int_equal(world->n_states, 3);
}

static void publishes_and_tells_how_it_ended(void **state)
{
	struct world *world = *state;

	start_ready(world);
	subscribe(world, "cards");
	assert_int_equal(
		broker_publish(world->broker, slice_of("cards"), slice_of("{}"), on_published, world), 0);
	assert_int_equal(broker_publish(world->broker, slice_of("cards"), slice_of("a\r\nb"), NULL, NULL), 0);
	assert_int_equal(world->n_published, 0);
	AWAIT(world, world->n_events == 2 && world->n_published == 1);
	assert_int_equal(world->published, 0);
	assert_int_equal(world->n_receivers, 1);
	assert_string_equal(world->last_payload, "a\r\nb");
	/* Under way when the link breaks: nobody knows. */
	kill(world->redis.pid, SIGSTOP);
	assert_int_equal(
		broker_publish(world->broker, slice_of("cards"), slice_of("{}"), on_published, world), 0);
	loop_turn(&world->loop); /* in which it is written */
	test_redis_kill(&world->redis);
	AWAIT(world, world->n_published == 2);
	assert_int_equal(world->published, -ETIMEDOUT);
	assert_int_equal(world->state, BROKER_CONNECTING);
}

static void bounds_what_is_under_way_and_cancels_it_when_freed(void **state)
{
	struct world *world = *state;
	char *payload = calloc(1, 200000);
	unsigned int n = 0;
	int r = 0;

	start_ready(world);
	kill(world->redis.pid, SIGSTOP);
	while (n < 1000 && (r = broker_publish(world->broker, slice_of("cards"),
				    (struct slice){payload, 200000}, on_published, world)) == 0)
		n++;
	assert_int_equal(r, -EAGAIN);
	assert_in_range(n, 80, 90); /* of 200 KB, until 16 MiB are reached */
	broker_free(world->broker);
	world->broker = NULL;
	assert_int_equal(world->n_published, n);
	assert_int_equal(world->published, -ECANCELED);
	free(payload);
}

/* A channel of the server at this place of two. */
static struct slice channel_at(unsigned int place, char name[16])
{
	for (int i = 0; i < 1000; i++) {
		snprintf(name, 16, "c%d", i);
		if (redis_slot_server(redis_slot(slice_of(name)), 2) == place)
			break;
	}
	return slice_of(name);
}

static void on_published_asks_the_first(void *arg, int r, uint64_t n_receivers)
{
	struct world *world = arg;
	char name[16];
	struct slice channel = channel_at(0, name);

	on_published(world, r, n_receivers);
	assert_int_equal(broker_channel_state(world->broker, channel), BROKER_CONNECTING);
	assert_int_equal(
		broker_publish(world->broker, channel, slice_of("2"), on_published, world), -ENOTCONN);
}

/* Those who wait for the second of two servers are told when the first takes no more calls, but is there. */
static void may_be_asked_by_those_whom_its_end_cancels(void **state)
{
	struct world *world = *state;
	struct test_redis other;
	char text[240], name[16];

	test_redis_init(&other);
	test_redis_start(&other, &world->loop);
	test_redis_start(&world->redis, &world->loop);
	world->has_several = true;
	snprintf(text, sizeof(text), "unix://%s,unix://%s", world->redis.socket, other.socket);
	start_broker(world, text, "", (struct redis_options){0});
	AWAIT(world, world->state == BROKER_READY);
	for (unsigned int place = 0; place < 2; place++)
		assert_int_equal(broker_publish(world->broker, channel_at(place, name), slice_of("1"),
					 on_published_asks_the_first, world),
			0);
	broker_free(world->broker);
	world->broker = NULL;
	assert_int_equal(world->n_published, 2);
	assert_int_equal(world->published, -ECANCELED);
	test_redis_deinit(&other);
}

static void drops_a_payload_past_its_bound_and_lives_on(void **state)
{
	struct world *world = *state;
	char *payload = malloc(1000001);

	memset(payload, 'x', 1000000);
	payload[1000000] = '\0';
	start_ready(world);
	subscribe(world, "cards");
	for (unsigned int i = 0; i < 20; i++) /* 20 MB: below the 32 at which Redis would cut us off */
		assert_int_equal(REDIS(world, "PUBLISH", "cards", payload), 1);
	assert_int_equal(REDIS(world, "PUBLISH", "cards", "small"), 1);
	AWAIT(world, world->n_events == 1);
	assert_string_equal(world->last_payload, "small");
	assert_int_equal(metrics_get(&world->metrics, METRIC_EVENTS_DROPPED_SIZE), 20);
	assert_int_equal(world->n_states, 1);
	assert_in_range(log_text_count(&world->log, ""), 2, 12); /* at most five in ten seconds */
	free(payload);
}

static void says_who_it_is(void **state)
{
	struct world *world = *state;
	redisReply *list;

	test_redis_start(&world->redis, &world->loop);
	REDIS(world, "ACL", "SETUSER", "gate", "on", ">se:cret/%", "allchannels", "+@pubsub", "+client",
		"+select", "+ping");
	start_on_socket(world, "gate:se%3Acret%2F%25@", "");
	AWAIT(world, world->state == BROKER_READY);
	list = redisCommand(world->redis.context, "CLIENT LIST");
	assert_non_null(strstr(list->str, "name=tidegate-test-node "));
	assert_non_null(strstr(list->str, "user=gate "));
	freeReplyObject(list);
}

static void is_ready_without_the_right_to_name_itself(void **state)
{
	struct world *world = *state;

	test_redis_start(&world->redis, &world->loop);
	REDIS(world, "ACL", "SETUSER", "gate", "on", ">secret", "allchannels", "+publish", "+subscribe",
		"+unsubscribe");
	start_on_socket(world, "gate:secret@", "");
	AWAIT(world, world->state == BROKER_READY);
}

static void keeps_trying_with_a_wrong_password_and_never_tells_it(void **state)
{
	struct world *world = *state;
	uint64_t refused_ms;

	test_redis_start(&world->redis, &world->loop);
	start_on_socket(world, ":hunter2@", "");
	REDIS(world, "CONFIG", "SET", "requirepass", "right");
	AWAIT(world, is_described(world, "Redis refused us at AUTH: WRONGPASS"));
	refused_ms = clock_monotonic_ms();
	REDIS(world, "CONFIG", "SET", "requirepass", "hunter2");
	AWAIT(world, world->state == BROKER_READY);
	assert_true(clock_monotonic_ms() - refused_ms > 2000); /* seconds between attempts, for this */
	assert_int_equal(log_text_count(&world->log, ""), 2);
	assert_int_equal(log_text_count(&world->log, "WARN  redis cannot be reached, trying on"), 1);
	assert_int_equal(log_text_count(&world->log, "WRONGPASS"), 1);
	assert_int_equal(log_text_count(&world->log, "hunter2"), 0);
}

static void says_that_a_password_is_needed(void **state)
{
	struct world *world = *state;

	test_redis_start(&world->redis, &world->loop);
	REDIS(world, "CONFIG", "SET", "requirepass", "right");
	start_on_socket(world, "", "");
	AWAIT(world, is_described(world, "Redis refused us at CLIENT SETNAME: NOAUTH"));
}

static void lives_with_a_forbidden_channel(void **state)
{
	struct world *world = *state;
	unsigned long long n_refusals;

	test_redis_start(&world->redis, &world->loop);
	REDIS(world, "ACL", "SETUSER", "gate", "on", ">secret", "&tidegate:*", "&ok*", "+@pubsub", "+client");
	start_on_socket(world, "gate:secret@", "");
	assert_int_equal(broker_subscribe(world->broker, slice_of("ok1")), 0);
	assert_int_equal(broker_subscribe(world->broker, slice_of("forbidden")), 0);
	assert_int_equal(broker_subscribe(world->broker, slice_of("ok2")), 0);
	AWAIT(world, world->state == BROKER_READY && world->n_subscribed == 2);
	assert_int_equal(
		broker_publish(world->broker, slice_of("forbidden"), slice_of("x"), on_published, world), 0);
	AWAIT(world, world->n_published == 1);
	assert_int_equal(world->published, -EACCES);
	n_refusals = test_redis_info(&world->redis, "errorstats", "errorstat_NOPERM:count=");
	assert_int_not_equal(n_refusals, 0);
	AWAIT(world,
		test_redis_info(&world->redis, "errorstats", "errorstat_NOPERM:count=") >= n_refusals + 3);
	assert_int_equal(world->n_subscribed, 2);
	assert_int_equal(world->n_states, 1);
	assert_in_range(log_text_count(&world->log, ""), 2, 8);
	assert_int_not_equal(log_text_count(&world->log, "channel=forbidden"), 0);
	REDIS(world, "ACL", "SETUSER", "gate", "&forbidden");
	AWAIT(world, world->n_subscribed == 3);
	assert_int_equal(REDIS(world, "PUBLISH", "forbidden", "x"), 1);
}

/* One of two servers, side by side: users of one Redis, so that each can be cut alone. */
struct side {
	struct redis_server *server;
	unsigned int n_changes;
	unsigned int n_subscribed;
	unsigned int n_lost;
	unsigned int n_events;
};

static void on_side_event(void *arg, struct slice channel, struct slice payload)
{
	(void)channel;
	(void)payload;
	((struct side *)arg)->n_events++;
}

static void on_side_drained(void *arg)
{
	(void)arg;
}

static void on_side_subscribed(void *arg, struct slice channel)
{
	(void)channel;
	((struct side *)arg)->n_subscribed++;
}

static void on_side_lost(void *arg, struct slice channel)
{
	(void)channel;
	((struct side *)arg)->n_lost++;
}

static void on_side_changed(void *arg, struct redis_server *server, const char *reason)
{
	struct side *side = arg;

	(void)server;
	(void)reason;
	side->n_changes++;
}

static void on_side_measured(void *arg, struct redis_server *server, uint64_t took_us)
{
	(void)arg;
	(void)server;
	(void)took_us;
}

static void start_side(struct world *world, struct side *side, const char *user)
{
	const struct broker_listener events = {
		side, on_side_event, on_side_drained, on_side_subscribed, on_side_lost, NULL};
	const struct redis_server_listener listener = {
		.arg = side, .changed = on_side_changed, .measured = on_side_measured};
	const struct redis_options options = {.channel_prefix = "", .node_id = user};
	const struct redis_url url = {
		.unix_path = world->redis.socket, .user = (char *)user, .password = (char *)"secret"};

	REDIS(world, "ACL", "SETUSER", user, "on", ">secret", "allchannels", "+@pubsub", "+client", "+ping");
	*side = (struct side){0};
	assert_int_equal(redis_server_new(world->loop.base, &url, &options, &events, &listener,
				 world->log.log, &world->metrics, &side->server),
		0);
	AWAIT(world, redis_server_is_ready(side->server));
}

static void two_servers_know_nothing_of_each_other(void **state)
{
	struct world *world = *state;
	struct side left, right;

	test_redis_start(&world->redis, &world->loop);
	start_side(world, &left, "left");
	start_side(world, &right, "right");
	assert_int_equal(redis_server_subscribe(left.server, REDIS_CLASSIC, slice_of("a")), 0);
	assert_int_equal(redis_server_subscribe(left.server, REDIS_CLASSIC, slice_of("b")), 0);
	assert_int_equal(redis_server_subscribe(right.server, REDIS_CLASSIC, slice_of("c")), 0);
	AWAIT(world, left.n_subscribed == 2 && right.n_subscribed == 1);
	assert_int_equal(REDIS(world, "CLIENT", "KILL", "USER", "left"), 2);
	AWAIT(world, left.n_lost == 2);
	assert_false(redis_server_is_ready(left.server));
	assert_int_equal(
		redis_server_publish(left.server, slice_of("c"), slice_of("x"), NULL, NULL), -ENOTCONN);
	assert_int_equal(redis_server_publish(right.server, slice_of("c"), slice_of("x"), NULL, NULL), 0);
	AWAIT(world, right.n_events == 1);
	AWAIT(world, left.n_subscribed == 4);
	assert_int_equal(left.n_changes, 3);
	redis_server_free(left.server);
	assert_int_equal(redis_server_publish(right.server, slice_of("c"), slice_of("y"), NULL, NULL), 0);
	AWAIT(world, right.n_events == 2);
	assert_int_equal(right.n_changes, 1);
	assert_int_equal(right.n_subscribed, 1);
	assert_int_equal(right.n_lost, 0);
	redis_server_free(right.server);
}

/* Binds a free port and gives it back at once. */
static int free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	close(fd);
	return ntohs(address.sin_port);
}

static void finds_a_redis_by_number_and_by_name(void **state)
{
	/* Of localhost's addresses Redis listens on the IPv4 one only. */
	static const char *const hosts[] = {"127.0.0.1", "localhost"};
	struct world *world = *state;

	world->redis.port = free_port();
	test_redis_start(&world->redis, &world->loop);
	for (unsigned int i = 0; i < 2; i++) {
		char text[64];

		world->state = BROKER_CONNECTING;
		snprintf(text, sizeof(text), "redis://%s:%d/3", hosts[i], world->redis.port);
		start_broker(world, text, "", (struct redis_options){0});
		AWAIT(world, world->state == BROKER_READY);
		snprintf(text, sizeof(text), "\"address\":\"%s:%d/3\"", hosts[i], world->redis.port);
		assert_true(is_described(world, text));
		broker_free(world->broker);
		world->broker = NULL;
	}
}

static void says_why_a_name_does_not_resolve(void **state)
{
	struct world *world = *state;

	start_broker(world, "redis://no-such-host.invalid", "", (struct redis_options){0});
	broker_free(world->broker); /* while the lookup runs: it is let go */
	start_broker(world, "redis://no-such-host.invalid", "", (struct redis_options){0});
	AWAIT(world, log_text_count(&world->log, "") == 1);
	assert_int_equal(log_text_count(&world->log, "resolving the name failed"), 1);
}

static void is_not_in_a_hurry_when_nobody_listens(void **state)
{
	struct world *world = *state;
	uint64_t begin_ms = clock_monotonic_ms();

	start_on_socket(world, "", "");
	AWAIT(world, described(world, "\"n_attempts\":") >= 7);
	assert_true(clock_monotonic_ms() - begin_ms > 500); /* 828 with this seed */
	assert_int_equal(log_text_count(&world->log, ""), 1);
	assert_int_equal(world->n_states, 0);
}

/*
 * Servers that are none: each connection is told the same, whatever it asks.
 */

struct fake {
	struct event *acceptable;
	int fd;
	const char *text;
	int peers[16];
	unsigned int n_peers;
};

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct fake *fake = arg;
	int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	(void)what;
	if (peer < 0)
		return;
	if (fake->n_peers == 16) {
		close(peer);
		return;
	}
	fake->peers[fake->n_peers++] = peer;
	if (fake->text[0])
		assert_true(send(peer, fake->text, strlen(fake->text), MSG_NOSIGNAL) > 0);
}

static void fake_start(struct world *world, struct fake *fake, const char *text)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	*fake = (struct fake){.text = text};
	strcpy(address.sun_path, world->redis.socket);
	fake->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fake->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fake->fd, 16), 0);
	fake->acceptable = event_new(world->loop.base, fake->fd, EV_READ | EV_PERSIST, on_acceptable, fake);
	event_add(fake->acceptable, NULL);
}

static void fake_stop(struct world *world, struct fake *fake)
{
	event_free(fake->acceptable);
	close(fake->fd);
	while (fake->n_peers)
		close(fake->peers[--fake->n_peers]);
	unlink(world->redis.socket);
}

/* Answers to CLIENT SETNAME and PING. */
#define GREETED "+OK\r\n+PONG\r\n"

/* How a socket of ours ends for the peer: 0, or the errno of its read. */
static int end_of_stream(bool discards)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct redis_stream stream;
	char byte;
	int peer, r;

	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(peer >= 0);
	assert_int_equal(redis_stream_open(&stream, fd, NULL, "127.0.0.1"), 0);
	if (discards)
		redis_stream_discard(&stream);
	redis_stream_close(&stream);
	r = recv(peer, &byte, 1, 0) < 0 ? errno : 0;
	close(peer);
	close(listener);
	return r;
}

static void a_stream_that_is_discarded_sends_no_more(void **state)
{
	(void)state;
	assert_int_equal(end_of_stream(false), 0);
	assert_int_equal(end_of_stream(true), ECONNRESET);
}

static void says_what_is_wrong_with_a_server_that_is_none(void **state)
{
	static const struct {
		const char *text;
		const char *reason;
	} rows[] = {
		{"", "did not answer in time"},
		{"HTTP/1.1 400 Bad Request\r\n\r\n", "what came is not Redis: Protocol error"},
		{"-ERR max number of clients reached\r\n",
			"Redis refused us at CLIENT SETNAME: ERR max number of clients reached"},
		{"+OK\r\n-LOADING Redis is loading the dataset in memory\r\n",
			"Redis refused us at PING: LOADING"},
		{"-DENIED Redis is running in protected mode\r\n", "DENIED"},
		{GREETED, "did not answer SUBSCRIBE in time"},
		{GREETED "-NOPERM this user\r\n",
			"Redis refuses SUBSCRIBE tidegate:probe:test node: NOPERM this user"},
		{GREETED "+PONG\r\n", "makes no sense"},
		{GREETED "*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n:1\r\n", "makes no sense"},
		{GREETED "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n", "makes no sense"},
		{GREETED "*2\r\n$7\r\nmessage\r\n$1\r\nx\r\n", "makes no sense"},
		{GREETED "*3\r\n*1\r\n+a\r\n$1\r\nx\r\n$1\r\ny\r\n", "makes no sense"},
		{GREETED "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", "nested deeper"},
	};
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct fake fake;
		char url[128];
		struct buf text = {0};

		print_message("%s\n", rows[i].reason);
		fake_start(world, &fake, rows[i].text);
		snprintf(url, sizeof(url), "unix://%s", world->redis.socket);
		start_broker(world, url, "", (struct redis_options){.dial_timeout_ms = 100});
		do {
			buf_reset(&text);
			loop_once(&world->loop);
			broker_describe(world->broker, &text);
		} while (strstr(buf_text(&text), "not connected yet"));
		if (!strstr(buf_text(&text), rows[i].reason) &&
			!strstr(buf_text(&text), "what was not asked"))
			fail_msg("%s does not say: %s", buf_text(&text), rows[i].reason);
		assert_int_equal(world->n_states, 0);
		broker_free(world->broker);
		world->broker = NULL;
		fake_stop(world, &fake);
		buf_deinit(&text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define PROMISE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		PROMISE(delivers_what_is_published_in_order_and_once),
		PROMISE(says_subscribed_only_when_redis_has_confirmed),
		PROMISE(refuses_its_own_probe_channel),
		PROMISE(ends_right_after_quick_flips),
		PROMISE(comes_back_after_a_kill_and_says_so_in_two_lines),
		PROMISE(comes_back_after_its_connections_are_killed),
		PROMISE(notices_a_frozen_redis),
		PROMISE(carries_a_hundred_thousand_channels_over_a_cut),
		PROMISE(publishes_and_tells_how_it_ended),
		PROMISE(bounds_what_is_under_way_and_cancels_it_when_freed),
		PROMISE(may_be_asked_by_those_whom_its_end_cancels),
		PROMISE(drops_a_payload_past_its_bound_and_lives_on),
		PROMISE(two_servers_know_nothing_of_each_other),
		PROMISE(says_who_it_is),
		PROMISE(is_ready_without_the_right_to_name_itself),
		PROMISE(keeps_trying_with_a_wrong_password_and_never_tells_it),
		PROMISE(says_that_a_password_is_needed),
		PROMISE(lives_with_a_forbidden_channel),
		PROMISE(finds_a_redis_by_number_and_by_name),
		PROMISE(says_why_a_name_does_not_resolve),
		PROMISE(is_not_in_a_hurry_when_nobody_listens),
		PROMISE(a_stream_that_is_discarded_sends_no_more),
		PROMISE(says_what_is_wrong_with_a_server_that_is_none),
#undef PROMISE
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
