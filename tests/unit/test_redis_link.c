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
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>

#include "broker/redis/server.h"
#include "broker/redis/url.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/log.h"
#include "metrics/metrics.h"

enum {
	PATIENCE_MS = 20000, /* of every wait; generous, because sanitizers and a busy machine are slow */
};

struct world {
	struct event_base *base;
	struct event *tick; /* so that the loop looks at its condition now and then */
	struct broker *broker;
	struct log *log;
	int log_fd;
	struct metrics metrics;

	char dir[64];
	char socket[96];
	int port; /* 0: the Unix socket only */
	pid_t server;
	redisContext *redis; /* the backend's own connection */

	enum broker_state state;
	unsigned int n_states;
	char reason[256];
	unsigned int n_events;
	unsigned int n_events_undrained;
	unsigned int n_subscribed;
	unsigned int n_lost;
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
	(void)channel;
	((struct world *)arg)->n_subscribed++;
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

	assert_int_not_equal(state, world->state);
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

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

/* Runs the loop until the condition holds. */
#define AWAIT(world, condition)                                                                              \
	do {                                                                                                 \
		uint64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;                                      \
		while (!(condition)) {                                                                       \
			if (clock_monotonic_ms() > until_ms)                                                 \
				fail_msg(                                                                    \
					"waited in vain for: %s (reason: %s)", #condition, (world)->reason); \
			event_base_loop((world)->base, EVLOOP_ONCE);                                         \
		}                                                                                            \
	} while (0)

static void run_for(struct world *world, uint64_t ms)
{
	uint64_t until_ms = clock_monotonic_ms() + ms;

	while (clock_monotonic_ms() < until_ms)
		event_base_loop(world->base, EVLOOP_ONCE);
}

/*
 * The server.
 */

static void server_exec(const struct world *world)
{
	char port[16];
	int null = open("/dev/null", O_WRONLY);

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that dies leaves nothing behind */
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	snprintf(port, sizeof(port), "%d", world->port);
	execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--unixsocket",
		world->socket, "--dir", world->dir, "--save", "", "--appendonly", "no", "--loglevel",
		"warning", (char *)NULL);
	_exit(127);
}

static void server_start(struct world *world)
{
	uint64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;

	world->server = fork();
	assert_true(world->server >= 0);
	if (world->server == 0)
		server_exec(world);
	for (;;) {
		world->redis = redisConnectUnix(world->socket);
		if (world->redis && !world->redis->err)
			return;
		redisFree(world->redis);
		world->redis = NULL;
		if (clock_monotonic_ms() > until_ms || waitpid(world->server, NULL, WNOHANG) != 0)
			fail_msg("redis-server did not start");
		event_base_loop(world->base, EVLOOP_ONCE);
	}
}

static void server_kill(struct world *world)
{
	if (world->redis)
		redisFree(world->redis);
	world->redis = NULL;
	if (world->server <= 0)
		return;
	kill(world->server, SIGKILL);
	waitpid(world->server, NULL, 0);
	world->server = 0;
	unlink(world->socket);
}

/* Says something to Redis and returns its integer answer; an error fails the test. */
static long long server_do(struct world *world, unsigned int n, const char *const *words)
{
	redisReply *reply = redisCommandArgv(world->redis, (int)n, (const char **)words, NULL);
	long long integer;

	assert_non_null(reply);
	if (reply->type == REDIS_REPLY_ERROR)
		fail_msg("%s: %s", words[0], reply->str);
	integer = reply->type == REDIS_REPLY_ARRAY ? (long long)reply->elements : reply->integer;
	freeReplyObject(reply);
	return integer;
}

#define REDIS(world, ...)                                                                                    \
	server_do(world, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *),                  \
		(const char *const[]){__VA_ARGS__})

/*
 * The world.
 */

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	const struct timeval tick = {.tv_usec = 5000};

	assert_non_null(world);
	world->base = event_base_new();
	world->tick = event_new(world->base, -1, EV_PERSIST, on_tick, NULL);
	event_add(world->tick, &tick);
	strcpy(world->dir, "/tmp/tidegate-test-XXXXXX");
	assert_non_null(mkdtemp(world->dir));
	snprintf(world->socket, sizeof(world->socket), "%s/redis.sock", world->dir);
	world->log_fd = memfd_create("log", MFD_CLOEXEC);
	world->log = log_new(world->log_fd, LOG_INFO, LOG_FORMAT_TEXT);
	world->is_in_order = true;
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	broker_free(world->broker);
	server_kill(world);
	log_free(world->log);
	close(world->log_fd);
	event_free(world->tick);
	event_base_free(world->base);
	rmdir(world->dir);
	free(world);
	return 0;
}

static void start_broker(
	struct world *world, const char *text, const char *prefix, struct redis_options options)
{
	const struct broker_listener listener = {
		world, on_event, on_drained, on_subscribed, on_lost, on_state};
	struct redis_url url;
	struct buf error = {0};

	assert_int_equal(redis_url_parse(text, &url, &error), 0);
	options.url = &url;
	options.channel_prefix = prefix;
	options.node_id = "test node";
	options.seed = 42;
	assert_int_equal(redis_broker_new(world->base, &options, &listener, world->log, &world->metrics,
				 &world->broker),
		0);
	redis_url_deinit(&url);
}

/* A broker on the Unix socket, with probes quick enough for a test. */
static void start_on_socket(struct world *world, const char *login, const char *prefix)
{
	char text[160];

	snprintf(text, sizeof(text), "unix://%s%s", login, world->socket);
	start_broker(
		world, text, prefix, (struct redis_options){.probe_idle_ms = 200, .probe_timeout_ms = 300});
}

static void start_ready(struct world *world)
{
	server_start(world);
	start_on_socket(world, "", "");
	AWAIT(world, world->state == BROKER_READY);
}

static void subscribe(struct world *world, const char *channel)
{
	unsigned int n = world->n_subscribed;

	assert_int_equal(broker_subscribe(world->broker, slice_of(channel)), 0);
	AWAIT(world, world->n_subscribed == n + 1);
}

/* The log so far, for the test to search; and how many lines it has. */
static unsigned int log_read(struct world *world, char *text, size_t cap)
{
	unsigned int n_lines = 0;
	ssize_t n;

	log_flush(world->log);
	n = pread(world->log_fd, text, cap - 1, 0);
	assert_true(n >= 0);
	text[n] = '\0';
	for (const char *c = text; *c; c++)
		n_lines += *c == '\n';
	return n_lines;
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

	server_start(world);
	start_on_socket(world, "", "app:");
	assert_int_equal(
		broker_subscribe(world->broker, slice_of("cards")), 0); /* before it is ready: remembered */
	AWAIT(world, world->n_subscribed == 1);
	for (unsigned int i = 0; i < 1000; i++) {
		char number[16];
		const char *const words[] = {"PUBLISH", "app:cards", number};

		snprintf(number, sizeof(number), "%u", i);
		redisAppendCommandArgv(world->redis, 3, (const char **)words, NULL);
	}
	assert_int_equal(REDIS(world, "PUBLISH", "cards", "not ours"), 1); /* the first answer of the 1,001 */
	AWAIT(world, world->n_events == 1000);
	assert_true(world->is_in_order);
	assert_string_equal(world->last_channel, "cards");
	AWAIT(world, world->n_events_undrained == 0);
	run_for(world, 50);
	assert_int_equal(world->n_events, 1000);
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
			event_base_loop(world->base, EVLOOP_NONBLOCK);
	}
	for (unsigned int which = 0; which < 8; which++) {
		char channel[] = "flip0";

		channel[4] = (char)('0' + which);
		AWAIT(world, REDIS(world, "PUBLISH", channel, "x") == wanted[which]);
	}
	run_for(world, 50);
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
	char text[4096];
	uint64_t back_ms;

	start_ready(world);
	subscribe(world, "cards");
	assert_int_equal(log_read(world, text, sizeof(text)), 1);
	for (unsigned int round = 0; round < 3; round++) {
		server_kill(world);
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
		server_start(world);
		back_ms = clock_monotonic_ms();
		AWAIT(world, world->state == BROKER_READY && world->n_subscribed == 2 + round);
		if (clock_monotonic_ms() - back_ms > 2000)
			fail_msg("back after %u ms", (unsigned int)(clock_monotonic_ms() - back_ms));
		assert_int_equal(REDIS(world, "PUBLISH", "cards", "x"), 1);
		AWAIT(world, world->n_events == 1 + round);
		assert_int_equal(log_read(world, text, sizeof(text)), 1 + 2 * (round + 1));
		assert_int_equal(metrics_get(&world->metrics, METRIC_REDIS_RECONNECTS), round + 1);
	}
	assert_non_null(strstr(text, "WARN  redis is lost, dialling again"));
	assert_non_null(strstr(text, "INFO  redis is back"));
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

static void notices_a_frozen_redis(void **state)
{
	struct world *world = *state;
	uint64_t frozen_ms;

	start_ready(world);
	subscribe(world, "cards");
	run_for(world, 1000); /* with nothing to do but probes: stays ready */
	assert_int_equal(world->n_states, 1);
	frozen_ms = clock_monotonic_ms();
	kill(world->server, SIGSTOP);
	AWAIT(world, world->state == BROKER_CONNECTING);
	assert_in_range(clock_monotonic_ms() - frozen_ms, 500, 2000); /* 200 of idling and two tries of 300 */
	assert_non_null(strstr(world->reason, "probe"));
	run_for(world, 500);
	kill(world->server, SIGCONT);
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

	start_ready(world);
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
	kill(world->server, SIGSTOP);
	assert_int_equal(
		broker_publish(world->broker, slice_of("cards"), slice_of("{}"), on_published, world), 0);
	run_for(world, 20);
	server_kill(world);
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
	kill(world->server, SIGSTOP);
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

static void drops_a_payload_past_its_bound_and_lives_on(void **state)
{
	struct world *world = *state;
	char *payload = malloc(1000001);
	char text[4096];

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
	assert_in_range(log_read(world, text, sizeof(text)), 2, 12); /* at most five in ten seconds */
	free(payload);
}

static void says_who_it_is(void **state)
{
	struct world *world = *state;
	redisReply *list;

	server_start(world);
	REDIS(world, "ACL", "SETUSER", "gate", "on", ">se:cret/%", "allchannels", "+@pubsub", "+client",
		"+select", "+ping");
	start_on_socket(world, "gate:se%3Acret%2F%25@", "");
	AWAIT(world, world->state == BROKER_READY);
	list = redisCommand(world->redis, "CLIENT LIST");
	assert_non_null(strstr(list->str, "name=tidegate-test-node "));
	assert_non_null(strstr(list->str, "user=gate "));
	freeReplyObject(list);
}

static void is_ready_without_the_right_to_name_itself(void **state)
{
	struct world *world = *state;

	server_start(world);
	REDIS(world, "ACL", "SETUSER", "gate", "on", ">secret", "allchannels", "+publish", "+subscribe",
		"+unsubscribe");
	start_on_socket(world, "gate:secret@", "");
	AWAIT(world, world->state == BROKER_READY);
}

static void keeps_trying_with_a_wrong_password_and_never_tells_it(void **state)
{
	struct world *world = *state;
	char text[4096];

	server_start(world);
	start_on_socket(world, ":hunter2@", "");
	REDIS(world, "CONFIG", "SET", "requirepass", "right");
	run_for(world, 300);
	assert_true(is_described(world, "Redis refused us at AUTH: WRONGPASS"));
	assert_true(is_described(world, "\"n_attempts\":1")); /* at the slow end: seconds between them */
	assert_int_equal(log_read(world, text, sizeof(text)), 1);
	assert_non_null(strstr(text, "WARN  redis cannot be reached, trying on"));
	assert_non_null(strstr(text, "WRONGPASS"));
	assert_null(strstr(text, "hunter2"));
	REDIS(world, "CONFIG", "SET", "requirepass", "hunter2");
	AWAIT(world, world->state == BROKER_READY);
}

static void says_that_a_password_is_needed(void **state)
{
	struct world *world = *state;

	server_start(world);
	REDIS(world, "CONFIG", "SET", "requirepass", "right");
	start_on_socket(world, "", "");
	run_for(world, 300);
	assert_true(is_described(world, "Redis refused us at CLIENT SETNAME: NOAUTH"));
}

static void lives_with_a_forbidden_channel(void **state)
{
	struct world *world = *state;
	char text[4096];

	server_start(world);
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
	run_for(world, 600); /* some retries in vain */
	assert_int_equal(world->n_subscribed, 2);
	assert_int_equal(world->n_states, 1);
	assert_in_range(log_read(world, text, sizeof(text)), 2, 8);
	assert_non_null(strstr(text, "channel=forbidden"));
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
	const struct redis_server_listener listener = {side, on_side_changed, on_side_measured};
	const struct redis_options options = {.channel_prefix = "", .node_id = user};
	const struct redis_url url = {
		.unix_path = world->socket, .user = (char *)user, .password = (char *)"secret"};

	REDIS(world, "ACL", "SETUSER", user, "on", ">secret", "allchannels", "+@pubsub", "+client", "+ping");
	*side = (struct side){0};
	assert_int_equal(redis_server_new(world->base, &url, &options, &events, &listener, world->log,
				 &world->metrics, &side->server),
		0);
	AWAIT(world, redis_server_is_ready(side->server));
}

static void two_servers_know_nothing_of_each_other(void **state)
{
	struct world *world = *state;
	struct side left, right;

	server_start(world);
	start_side(world, &left, "left");
	start_side(world, &right, "right");
	assert_int_equal(redis_server_subscribe(left.server, slice_of("a")), 0);
	assert_int_equal(redis_server_subscribe(left.server, slice_of("b")), 0);
	assert_int_equal(redis_server_subscribe(right.server, slice_of("c")), 0);
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

	world->port = free_port();
	server_start(world);
	for (unsigned int i = 0; i < 2; i++) {
		char text[64];

		world->state = BROKER_CONNECTING;
		snprintf(text, sizeof(text), "redis://%s:%d/3", hosts[i], world->port);
		start_broker(world, text, "", (struct redis_options){0});
		AWAIT(world, world->state == BROKER_READY);
		snprintf(text, sizeof(text), "\"address\":\"%s:%d/3\"", hosts[i], world->port);
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
	run_for(world, 50);
	world->reason[0] = '\0';
	AWAIT(world, log_read(world, world->reason, sizeof(world->reason)) == 1);
	assert_non_null(strstr(world->reason, "resolving the name failed"));
}

static void is_not_in_a_hurry_when_nobody_listens(void **state)
{
	struct world *world = *state;
	char text[4096];
	struct buf described = {0};
	const char *attempts;

	start_on_socket(world, "", "");
	run_for(world, 1500);
	broker_describe(world->broker, &described);
	attempts = strstr(buf_text(&described), "\"n_attempts\":");
	assert_non_null(attempts);
	assert_in_range(strtol(attempts + strlen("\"n_attempts\":"), NULL, 10), 3, 12);
	assert_int_equal(log_read(world, text, sizeof(text)), 1);
	assert_int_equal(world->n_states, 0);
	buf_deinit(&described);
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
	strcpy(address.sun_path, world->socket);
	fake->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fake->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fake->fd, 16), 0);
	fake->acceptable = event_new(world->base, fake->fd, EV_READ | EV_PERSIST, on_acceptable, fake);
	event_add(fake->acceptable, NULL);
}

static void fake_stop(struct world *world, struct fake *fake)
{
	event_free(fake->acceptable);
	close(fake->fd);
	while (fake->n_peers)
		close(fake->peers[--fake->n_peers]);
	unlink(world->socket);
}

/* Answers to CLIENT SETNAME and PING. */
#define GREETED "+OK\r\n+PONG\r\n"

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
		snprintf(url, sizeof(url), "unix://%s", world->socket);
		start_broker(world, url, "", (struct redis_options){.dial_timeout_ms = 100});
		do {
			buf_reset(&text);
			event_base_loop(world->base, EVLOOP_ONCE);
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
		PROMISE(says_what_is_wrong_with_a_server_that_is_none),
#undef PROMISE
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
