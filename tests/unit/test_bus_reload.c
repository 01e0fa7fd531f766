/*
 * Bus, reloaded: what bus_set_routes() promises for channels that are being listened to. The broker is made
 * of paper: reads of the log are answered when the test says so. One worker, which writes down what it hears.
 */

#include "bus/bus.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>

#include "broker/broker.h"
#include "channel_log/envelope.h"
#include "core/buf.h"
#include "core/map.h"
#include "mail/confirmation.h"
#include "mail/join.h"
#include "mail/ticket.h"
#include "mail/wish.h"
#include "metrics/metrics.h"
#include "protocol/message.h"
#include "route/route.h"
#include "support/fake_clock.h"
#include "support/fake_log.h"
#include "worker/worker.h"

#define CHANNEL "x"

enum {
	TTL_MS = 60000,
	OTHER_TTL_MS = 70000,
	CYCLE_MS = 10000, /* within it every tail is looked at */
	STEP_MS = 100,
	CROWD = 2048, /* channels: so many that their tails are not all looked at by reads of one moment */
};

struct worker {
	struct buf heard; /* the numbers of events */
	int joined;       /* join.r of the last one that came back; 1: none has */
	uint16_t era;     /* of its answer; 0: none was */
	unsigned int n_confirmed;
	bool is_told; /* with the last of them: who was let in before this time is told of a gap */
	uint64_t from_ms;
	unsigned int n_resyncs_before; /* the last confirmation */
	unsigned int n_resyncs;        /* where the test expects none, teardown says so */
	unsigned int n_positions;      /* events with one */
};

/* The reads of many channels, named by their numbers. */
struct crowd {
	unsigned int n_reads[CROWD];
	size_t n_out;
	struct {
		broker_log_read_fn done;
		void *arg;
	} out[CROWD];
};

struct world {
	struct broker broker; /* first: it is cast back */
	struct broker_listener up;
	struct event_base *base;
	struct bus *bus;
	struct metrics *metrics;
	struct worker worker;
	struct worker *list[1];
	broker_log_read_fn done; /* of the read that is out; NULL: none is */
	void *arg;
	bool is_away;
	const char *away;    /* a channel that alone is served by nobody; NULL: there is none */
	uint32_t asked;      /* entries */
	struct crowd *crowd; /* NULL: there is one channel */
	uint64_t ttl_ms;
	unsigned int n_reads;
};

/* Stands in the place of src/worker: the linker finds these first. */
int worker_post_event(struct worker *worker, struct message *event)
{
	struct slice text = message_text(event);

	worker->n_positions += memmem(text.data, text.len, "\"pos\":", 6) != NULL;
	buf_printf(&worker->heard, "%ld ", event_number(event));
	return 0;
}

void worker_post_flush(struct worker *worker)
{
	(void)worker;
}

void worker_post_confirm(
	struct worker *worker, struct slice channel, uint64_t hash, const struct confirmation *confirmation)
{
	(void)channel;
	(void)hash;
	worker->n_confirmed++;
	worker->n_resyncs_before = worker->n_resyncs;
	worker->is_told = confirmation->told;
	worker->from_ms = confirmation->from_ms;
}

void worker_post_channel_lost(struct worker *worker, struct slice channel, uint64_t hash)
{
	(void)worker; /* see test_bus.c */
	(void)channel;
	(void)hash;
}

void worker_post_told(struct worker *worker, struct slice channel, uint64_t hash, struct message *told)
{
	(void)worker;
	(void)channel;
	(void)hash;
	(void)told;
}

void worker_post_answer(struct worker *worker, const struct action_answer *answer)
{
	(void)worker; /* no route of these tests carries actions: tests/integration/test_actions.py does */
	(void)answer;
}

void worker_post_roll(struct worker *worker, struct roll_call *call)
{
	(void)worker; /* nobody asks here: tests/integration/test_presence.py does */
	(void)call;
}

void worker_post_joined(struct worker *worker, struct join *join)
{
	worker->joined = join->r;
	worker->era = join->era;
	for (uint32_t i = 0; i < join->n_events; i++)
		worker_post_event(worker, join->events[i]);
	join_free(join);
}

void worker_post_resync(
	struct worker *worker, struct slice channel, uint64_t hash, struct message *told, bool close_others)
{
	(void)channel;
	(void)hash;
	(void)told;
	(void)close_others;
	worker->n_resyncs++;
}

int worker_post_late(
	struct worker *worker, struct slice channel, uint64_t hash, struct message *event, uint16_t era)
{
	(void)channel;
	(void)hash;
	if (worker->era != era)
		return worker_post_event(worker, event);
	return 0;
}

void worker_post_ticket(struct worker *worker, struct ticket *ticket)
{
	(void)worker;
	ticket_free(ticket);
}

int worker_post_revocations(struct worker *worker, struct revocations *revocations)
{
	(void)worker;
	(void)revocations;
	return 0;
}

int worker_post_order(struct worker *worker, struct order_part *part)
{
	(void)worker;
	(void)part;
	return -ENOMEM; /* nobody commands here */
}

int worker_post_survey(struct worker *worker, struct survey_part *part)
{
	(void)worker;
	(void)part;
	return -ENOMEM; /* nobody asks here */
}

void worker_post_connected(struct worker *worker, bool connected)
{
	(void)worker;
	(void)connected;
}

static int fake_subscribe(struct broker *broker, struct slice channel)
{
	(void)broker;
	(void)channel;
	return 0;
}

static void fake_unsubscribe(struct broker *broker, struct slice channel)
{
	(void)broker;
	(void)channel;
}

static enum broker_state fake_state(const struct broker *broker)
{
	return ((const struct world *)broker)->is_away ? BROKER_CONNECTING : BROKER_READY;
}

static enum broker_state fake_channel_state(const struct broker *broker, struct slice channel)
{
	const char *away = ((const struct world *)broker)->away;

	if (away && strlen(away) == channel.len && memcmp(away, channel.data, channel.len) == 0)
		return BROKER_CONNECTING;
	return fake_state(broker);
}

static int fake_log_read(struct broker *broker, struct slice channel, uint64_t from, uint32_t count,
	uint64_t ttl_ms, broker_log_read_fn done, void *arg)
{
	struct world *world = (struct world *)broker;

	(void)from;
	world->n_reads++;
	if (world->crowd) {
		world->crowd->n_reads[strtoul(channel.data, NULL, 10)]++;
		world->crowd->out[world->crowd->n_out].done = done;
		world->crowd->out[world->crowd->n_out++].arg = arg;
		return 0;
	}
	assert_null(world->done);
	world->done = done;
	world->arg = arg;
	world->asked = count;
	world->ttl_ms = ttl_ms;
	return 0;
}

static const struct broker_ops fake_ops = {
	.subscribe = fake_subscribe,
	.unsubscribe = fake_unsubscribe,
	.state = fake_state,
	.channel_state = fake_channel_state,
	.log_read = fake_log_read,
};

static void want(struct world *world, const char *channel, uint64_t turn_no)
{
	const struct wish wish = {.channel = slice_of(channel),
		.hash = map_hash(channel, strlen(channel)),
		.generation = turn_no,
		.wanted = true};

	bus_worker_listener(world->bus).wish(world->bus, 0, &wish);
}

static void turn(struct world *world)
{
	event_base_loop(world->base, EVLOOP_NONBLOCK);
}

static void pass(struct world *world, unsigned int ms)
{
	for (; ms; ms -= STEP_MS) {
		fake_clock_ms += STEP_MS;
		turn(world);
	}
}

/* The entry of that log comes over pub/sub. */
static void pushed_of(struct world *world, const struct epoch *log, uint64_t offset)
{
	char text[FAKE_LOG_PUSH_MAX];
	size_t len = fake_log_push(log, offset, text);

	world->up.event(world->up.arg, slice_of(CHANNEL), (struct slice){text, len});
	world->up.drained(world->up.arg);
}

static void pushed(struct world *world, uint64_t offset)
{
	pushed_of(world, &fake_log_epoch, offset);
}

/* The read that is out finds the log with so many entries. */
static void answered(struct world *world, uint64_t top_offset)
{
	struct position top = {fake_log_epoch, top_offset, fake_log_tag(top_offset)};
	struct broker_log_entry entry = {
		top_offset, fake_log_tag(top_offset), slice_of("{\"type\":\"n\",\"data\":-1}")};
	broker_log_read_fn done = world->done;

	assert_non_null(done);
	world->done = NULL;
	done(world->arg, 0, &top, &entry, top_offset && world->asked ? 1 : 0);
}

/* It finds the entries from this one up to the top. */
static void answered_from(struct world *world, uint64_t from, uint64_t top_offset)
{
	struct position top = {fake_log_epoch, top_offset, fake_log_tag(top_offset)};
	struct broker_log_entry entries[8];
	broker_log_read_fn done = world->done;
	size_t n = 0;

	assert_non_null(done);
	for (; from <= top_offset; from++)
		entries[n++] = (struct broker_log_entry){
			from, fake_log_tag(from), slice_of("{\"type\":\"n\",\"data\":-1}")};
	world->done = NULL;
	done(world->arg, 0, &top, entries, n);
}

static void hears(struct world *world, const char *expected)
{
	const char *heard = buf_text(&world->worker.heard);

	assert_string_equal(heard ? heard : "", expected);
	buf_reset(&world->worker.heard);
}

/* ttl_ms 0: no history. */
static void reload_route(struct world *world, const char *path, const char *channel, uint64_t ttl_ms)
{
	const struct route_spec spec = {.path = path,
		.channels = &channel,
		.n_channels = 1,
		.history = {.size = ttl_ms ? 100 : 0, .ttl_ms = ttl_ms}};
	struct route_table *table = route_table_new();
	struct buf error = {0};

	assert_int_equal(route_table_add(table, &spec, &error), 0);
	bus_set_routes(world->bus, table);
	route_table_unref(table);
	buf_deinit(&error);
}

static void reload(struct world *world, uint64_t ttl_ms)
{
	reload_route(world, "/ws/x", CHANNEL, ttl_ms);
}

static void join_as(struct world *world, bool abandoned)
{
	struct since since = {.kind = SINCE_NOW};
	struct join *one = join_new(0, slice_of(CHANNEL), &since);

	assert_non_null(one);
	atomic_store(&one->abandoned, abandoned);
	world->worker.joined = 1;
	bus_worker_listener(world->bus).join(world->bus, one);
	turn(world);
}

static void join(struct world *world)
{
	join_as(world, false);
}

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	map_seed();
	world->metrics = aligned_alloc(64, sizeof(struct metrics));
	memset(world->metrics, 0, sizeof(struct metrics));
	world->broker.ops = &fake_ops;
	world->base = event_base_new();
	world->bus = bus_new(world->base, NULL, world->metrics);
	assert_non_null(world->bus);
	world->up = bus_broker_listener(world->bus);
	world->list[0] = &world->worker;
	bus_connect(world->bus, &world->broker, world->list, 1);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	assert_int_equal(world->worker.n_resyncs, 0);
	bus_free(world->bus);
	free(world->done ? world->arg : NULL); /* what the broker was given and never gave back */
	event_base_free(world->base);
	free(world->metrics);
	buf_deinit(&world->worker.heard);
	free(world);
	return 0;
}

static void listen_to(struct world *world, uint64_t ttl_ms)
{
	reload(world, ttl_ms);
	want(world, CHANNEL, 1);
	turn(world);
	world->up.subscribed(world->up.arg, slice_of(CHANNEL));
}

static void what_comes_while_the_log_is_read_is_heard_once(void **state)
{
	struct world *world = *state;

	listen_to(world, 0);
	pushed(world, 4);
	reload(world, TTL_MS);
	pushed(world, 5);
	hears(world, "4 5 ");
	answered(world, 5);
	hears(world, "");
	pushed(world, 6);
	pushed(world, 7);
	hears(world, "6 7 ");
	assert_int_equal(world->n_reads, 1);
}

static void what_the_read_did_not_see_yet_is_heard_once(void **state)
{
	struct world *world = *state;

	listen_to(world, 0);
	reload(world, TTL_MS);
	pushed(world, 5);
	pushed(world, 6);
	answered(world, 5);
	pushed(world, 7);
	hears(world, "5 6 7 ");
	assert_int_equal(world->n_reads, 1); /* there is no gap */
}

/* Its numbers say nothing of those of the log that there is now. */
static void what_was_heard_of_a_log_that_is_gone_takes_nothing_from_the_next_one(void **state)
{
	static const struct epoch gone = {"zyxwvuts"};
	struct world *world = *state;

	listen_to(world, 0);
	pushed_of(world, &gone, 1000);
	reload(world, TTL_MS);
	answered(world, 6);
	pushed(world, 6);
	pushed(world, 7);
	hears(world, "1000 6 7 ");
}

/* The two connections to the broker know nothing of each other. */
static void what_the_read_saw_before_it_came_is_heard_once(void **state)
{
	struct world *world = *state;

	listen_to(world, 0);
	reload(world, TTL_MS);
	answered(world, 6);
	pushed(world, 5);
	pushed(world, 6);
	pushed(world, 7);
	pushed(world, 7); /* a repetition, of one that was heard from the log */
	hears(world, "5 6 7 ");
}

static void a_join_that_nobody_waits_for_comes_back_unanswered(void **state)
{
	struct world *world = *state;

	listen_to(world, 0);
	reload(world, TTL_MS);
	answered(world, 6);
	join_as(world, true);
	assert_int_equal(world->worker.joined, -EAGAIN);
	join(world);
	assert_int_equal(world->worker.joined, 0);
}

/* Its join was answered with what the log had: what still comes of that is not new to it. */
static void who_joined_a_young_history_hears_nothing_twice(void **state)
{
	struct world *world = *state;

	listen_to(world, 0);
	reload(world, TTL_MS);
	answered(world, 6);
	join(world);
	assert_int_equal(world->worker.joined, 0);
	pushed(world, 5);
	pushed(world, 6);
	hears(world, "");
	pushed(world, 7);
	hears(world, "7 ");
	reload(world, 0);
	pushed(world, 8);
	reload(world, TTL_MS); /* another history, which has answered nobody */
	answered(world, 9);
	pushed(world, 9);
	hears(world, "8 9 ");
}

/* They are entries of the log: who stores where it was can tell a repetition. */
static void what_comes_while_a_history_begins_says_where_it_stands(void **state)
{
	struct world *world = *state;

	listen_to(world, 0);
	pushed(world, 4);
	assert_int_equal(world->worker.n_positions, 0);
	reload(world, TTL_MS);
	pushed(world, 5);
	answered(world, 6);
	pushed(world, 6);
	pushed(world, 7);
	hears(world, "4 5 6 7 ");
	assert_int_equal(world->worker.n_positions, 3);
}

/* After a reconnect what was missed comes out of the log, and may be pushed too. */
static void what_comes_out_of_the_log_after_that_is_heard_once(void **state)
{
	struct world *world = *state;

	listen_to(world, 0);
	reload(world, TTL_MS);
	answered(world, 5);
	world->up.lost(world->up.arg, slice_of(CHANNEL));
	world->up.state(world->up.arg, BROKER_CONNECTING, "");
	world->up.state(world->up.arg, BROKER_READY, "");
	world->up.subscribed(world->up.arg, slice_of(CHANNEL));
	answered_from(world, 5, 6);
	hears(world, "-1 ");
	pushed(world, 6);
	pushed(world, 7);
	hears(world, "7 ");
	assert_int_equal(world->worker.n_resyncs, 1); /* what was still to come when the link broke is lost */
	world->worker.n_resyncs = 0;
}

static void a_history_that_settled_misses_nothing(void **state)
{
	struct world *world = *state;

	listen_to(world, 0);
	reload(world, TTL_MS);
	answered(world, 5);
	pushed(world, 6);
	pushed(world, 8); /* 7 is lost on the way */
	hears(world, "6 ");
	assert_int_equal(world->n_reads, 2);
}

static void nobody_waits_for_a_channel_that_was_confirmed(void **state)
{
	struct world *world = *state;

	listen_to(world, 0);
	assert_int_equal(world->worker.n_confirmed, 1);
	reload(world, TTL_MS);
	want(world, CHANNEL, 2);
	turn(world);
	assert_int_equal(world->worker.n_confirmed, 2);
}

static void a_history_that_ends_leaves_its_listeners(void **state)
{
	struct world *world = *state;

	listen_to(world, TTL_MS);
	answered(world, 4);
	pushed(world, 5);
	reload(world, 0);
	pushed(world, 6);
	hears(world, "5 6 ");
	join(world);
	assert_int_equal(world->worker.joined, -ENOENT);
	pass(world, CYCLE_MS);
	assert_int_equal(world->n_reads, 1); /* nobody looks at its tail */
}

/* What it holds back is heard first. */
static void a_history_ends_once_it_has_caught_up(void **state)
{
	struct world *world = *state;

	listen_to(world, TTL_MS);
	pushed(world, 5); /* the read is out: it is kept */
	reload(world, 0);
	hears(world, "");
	pass(world, CYCLE_MS);
	hears(world, "");
	answered(world, 4);
	hears(world, "5 ");
	assert_true(world->worker.is_told); /* who came meanwhile was let in long before */
	pass(world, CYCLE_MS);
	pushed(world, 6);
	hears(world, "6 ");
	join(world);
	assert_int_equal(world->worker.joined, -ENOENT);
	assert_int_equal(world->n_reads, 1);
}

/* Its log cannot be read: that may be why it was taken away. */
static void a_history_that_cannot_be_read_ends_all_the_same(void **state)
{
	struct world *world = *state;

	listen_to(world, TTL_MS);
	reload(world, 0);
	pass(world, CYCLE_MS);
	assert_int_equal(world->worker.n_confirmed, 0);
	pass(world, 3 * CYCLE_MS);
	assert_int_equal(world->worker.n_confirmed, 1);
	pushed(world, 6);
	hears(world, "6 ");
	join(world);
	assert_int_equal(world->worker.joined, -ENOENT);
}

static void link_lost(struct world *world)
{
	world->is_away = true;
	world->up.lost(world->up.arg, slice_of(CHANNEL));
	world->up.state(world->up.arg, BROKER_CONNECTING, "");
}

static void link_back(struct world *world)
{
	world->is_away = false;
	world->up.state(world->up.arg, BROKER_READY, "");
}

/* The end of a history is a gap like any other: repaired first. */
static void a_history_that_ends_while_redis_is_away_is_read_once_more(void **state)
{
	struct world *world = *state;

	listen_to(world, TTL_MS);
	answered(world, 4);
	link_lost(world);
	reload(world, 0);
	pass(world, 5 * CYCLE_MS);
	link_back(world);
	pass(world, CYCLE_MS);
	world->up.subscribed(world->up.arg, slice_of(CHANNEL));
	pushed(world, 7);
	hears(world, "");
	answered_from(world, 4, 6);
	hears(world, "-1 -1 7 ");
	pass(world, CYCLE_MS);
	pushed(world, 8);
	hears(world, "8 ");
	join(world);
	assert_int_equal(world->worker.joined, -ENOENT);
	assert_int_equal(world->n_reads, 2);
}

/* Or announced. */
static void a_history_that_ends_unread_says_that_events_are_missing(void **state)
{
	struct world *world = *state;

	listen_to(world, TTL_MS);
	answered(world, 4);
	link_lost(world);
	reload(world, 0);
	link_back(world);
	world->up.subscribed(world->up.arg, slice_of(CHANNEL));
	pass(world, 2 * CYCLE_MS);
	assert_int_equal(world->worker.n_resyncs, 0);
	pass(world, 2 * CYCLE_MS);
	assert_int_equal(world->worker.n_resyncs, 1);
	world->worker.n_resyncs = 0;
	pushed(world, 8);
	hears(world, "8 ");
}

static void who_was_let_in_while_redis_was_away_is_told_that_events_may_be_missing(void **state)
{
	struct world *world = *state;

	link_lost(world);
	reload(world, TTL_MS);
	want(world, CHANNEL, 1);
	turn(world);
	link_back(world);
	world->up.subscribed(world->up.arg, slice_of(CHANNEL));
	assert_int_equal(world->worker.n_resyncs, 0);
	answered(world, 4);
	assert_int_equal(world->worker.n_resyncs, 1);
	assert_int_equal(
		world->worker.n_resyncs_before, 1); /* whoever waits for the confirmation is not told */
	link_lost(world);
	link_back(world);
	world->up.subscribed(world->up.arg, slice_of(CHANNEL));
	answered_from(world, 4, 5); /* now it is known what was missed */
	hears(world, "-1 ");
	assert_int_equal(world->worker.n_resyncs, 1);
	world->worker.n_resyncs = 0;
}

static void who_was_let_in_before_the_first_read_is_told_that_events_may_be_missing(void **state)
{
	struct world *world = *state;

	reload(world, TTL_MS);
	want(world, CHANNEL, 1);
	turn(world);
	pass(world, 1000);
	world->up.subscribed(world->up.arg, slice_of(CHANNEL));
	answered(world, 4);
	assert_true(world->worker.is_told);
	assert_true(world->worker.from_ms == fake_clock_ms);
}

/* What the bus had handed out by then, this worker was not handed. */
static void a_worker_hears_from_when_its_wish_came(void **state)
{
	struct world *world = *state;

	listen_to(world, TTL_MS);
	answered(world, 4);
	pushed(world, 5);
	pass(world, 1000);
	want(world, CHANNEL, 2);
	turn(world);
	assert_true(world->worker.is_told);
	assert_true(world->worker.from_ms == fake_clock_ms);
	hears(world, "5 ");
}

static void a_worker_hears_all_that_was_published_while_the_link_was_lost(void **state)
{
	struct world *world = *state;
	uint64_t lost_ms;

	listen_to(world, TTL_MS);
	answered(world, 4);
	link_lost(world);
	lost_ms = fake_clock_ms;
	pass(world, 1000);
	want(world, CHANNEL, 2);
	turn(world);
	link_back(world);
	world->up.subscribed(world->up.arg, slice_of(CHANNEL));
	answered_from(world, 4, 6);
	hears(world, "-1 -1 ");
	assert_true(world->worker.from_ms == lost_ms);
}

static void a_worker_is_told_of_no_gap_where_no_history_is_kept(void **state)
{
	struct world *world = *state;

	listen_to(world, 0);
	assert_int_equal(world->worker.n_confirmed, 1);
	assert_false(world->worker.is_told);
}

/* It had caught up over the other connection. */
static void what_comes_late_when_a_history_has_ended_is_heard_once(void **state)
{
	struct world *world = *state;

	listen_to(world, TTL_MS);
	answered(world, 4);
	pushed(world, 6);
	answered_from(world, 4, 6);
	hears(world, "-1 -1 ");
	reload(world, 0);
	pushed(world, 5);
	pushed(world, 6);
	hears(world, "");
	pushed(world, 7);
	hears(world, "7 ");
}

/* It has no place in the log to catch up from. */
static void a_history_that_begins_while_redis_is_away_says_that_events_may_be_missing(void **state)
{
	struct world *world = *state;

	listen_to(world, 0);
	link_lost(world);
	reload(world, TTL_MS);
	link_back(world);
	world->up.subscribed(world->up.arg, slice_of(CHANNEL));
	answered(world, 4);
	assert_int_equal(world->worker.n_resyncs, 1);
	world->worker.n_resyncs = 0;
	pushed(world, 5);
	hears(world, "5 ");
}

static void who_waits_to_join_is_told_that_there_is_no_history(void **state)
{
	struct world *world = *state;

	reload(world, TTL_MS);
	want(world, CHANNEL, 1);
	turn(world);
	join(world);
	assert_int_equal(world->worker.joined, 1); /* not subscribed yet: it waits */
	reload(world, 0);
	assert_int_equal(world->worker.joined, -ENOENT);
	world->up.subscribed(world->up.arg, slice_of(CHANNEL));
	assert_int_equal(world->worker.n_confirmed, 1);
}

static void another_time_holds_from_the_next_read_on(void **state)
{
	struct world *world = *state;

	listen_to(world, TTL_MS);
	assert_int_equal(world->ttl_ms, TTL_MS);
	answered(world, 4);
	reload(world, OTHER_TTL_MS);
	pass(world, CYCLE_MS);
	assert_int_equal(world->n_reads, 2);
	assert_int_equal(world->ttl_ms, OTHER_TTL_MS);
}

static void a_history_that_was_to_end_and_comes_back_goes_on(void **state)
{
	struct world *world = *state;

	listen_to(world, TTL_MS);
	reload(world, 0); /* the read is out: it cannot end yet */
	reload(world, TTL_MS);
	answered(world, 4);
	pushed(world, 5);
	hears(world, "5 ");
	join(world);
	assert_int_equal(world->worker.joined, 0);
	assert_int_equal(world->n_reads, 1);
}

/* All that are out at the moment find a log with so many entries. */
static void answer_crowd_with(struct crowd *crowd, const struct broker_log_entry *entries, size_t n_entries)
{
	const struct position top = {fake_log_epoch, n_entries, fake_log_tag(n_entries)};

	for (size_t n = crowd->n_out; n; n--) {
		broker_log_read_fn done = crowd->out[0].done;
		void *arg = crowd->out[0].arg;

		memmove(&crowd->out[0], &crowd->out[1], --crowd->n_out * sizeof(crowd->out[0]));
		done(arg, 0, &top, entries, n_entries);
	}
}

static void answer_crowd(struct crowd *crowd)
{
	answer_crowd_with(crowd, NULL, 0);
}

static void want_named(struct world *world, const char *name)
{
	want(world, name, 1);
	turn(world);
}

static bool is_live(const struct world *world, const char *name)
{
	struct bus_view view;

	assert_true(bus_look(world->bus, slice_of(name), &view));
	return view.channel_log && channel_log_state(view.channel_log) == CHANNEL_LOG_LIVE;
}

static void one_is_away(struct world *world, const char *name)
{
	world->away = name;
	world->up.lost(world->up.arg, slice_of(name));
}

static void one_is_back(struct world *world)
{
	const char *name = world->away;

	world->away = NULL;
	world->up.subscribed(world->up.arg, slice_of(name));
	answer_crowd(world->crowd);
}

/* Two channels with history, "0" and "1", both live. */
static struct crowd *listen_to_two(struct world *world)
{
	struct crowd *crowd = world->crowd = calloc(1, sizeof(*crowd));

	assert_non_null(crowd);
	reload_route(world, "/ws/{id}", "{id}", TTL_MS);
	want_named(world, "0");
	want_named(world, "1");
	world->up.subscribed(world->up.arg, slice_of("0"));
	world->up.subscribed(world->up.arg, slice_of("1"));
	answer_crowd(crowd);
	assert_true(is_live(world, "0") && is_live(world, "1"));
	assert_int_equal(world->worker.n_confirmed, 2);
	memset(crowd->n_reads, 0, sizeof(crowd->n_reads));
	return crowd;
}

static void free_crowd(struct world *world)
{
	answer_crowd(world->crowd);
	bus_free(world->bus);
	world->bus = NULL;
	free(world->crowd);
}

static void a_loss_of_some_channels_has_only_their_logs_read(void **state)
{
	struct world *world = *state;
	struct crowd *crowd = listen_to_two(world);

	one_is_away(world, "0");
	assert_false(is_live(world, "0"));
	assert_true(is_live(world, "1"));
	world->up.event(world->up.arg, slice_of("1"), slice_of("{\"type\":\"n\",\"data\":7}"));
	world->up.drained(world->up.arg);
	hears(world, "7 ");
	pass(world, 1000);
	assert_int_equal(crowd->n_reads[0], 0); /* nobody would answer */
	one_is_back(world);
	assert_int_equal(crowd->n_reads[0], 1);
	assert_int_equal(world->worker.n_confirmed, 3); /* the other one needs no confirmation */
	assert_true(is_live(world, "0"));
	free_crowd(world);
}

/* Who comes while nobody serves a channel is let in, and told when its log is known. */
static void a_new_channel_is_blind_only_where_nobody_serves_it(void **state)
{
	struct world *world = *state;
	struct crowd *crowd = listen_to_two(world);

	world->away = "2";
	want_named(world, "2");
	want_named(world, "3");
	world->up.subscribed(world->up.arg, slice_of("3"));
	answer_crowd(crowd);
	assert_true(is_live(world, "3"));
	assert_int_equal(world->worker.n_resyncs, 0);
	one_is_back(world);
	assert_int_equal(world->worker.n_resyncs, 1);
	world->worker.n_resyncs = 0;
	free_crowd(world);
}

/* The time that a history has to end in is that of a log that can be read. */
static void a_history_ends_later_where_nobody_serves_its_channel(void **state)
{
	struct world *world = *state;
	struct bus_view view;

	listen_to_two(world);
	one_is_away(world, "0");
	reload_route(world, "/ws/{id}", "{id}", 0);
	pass(world, 5 * CYCLE_MS);
	assert_true(bus_look(world->bus, slice_of("0"), &view) && view.channel_log);
	assert_true(bus_look(world->bus, slice_of("1"), &view) && !view.channel_log);
	one_is_back(world);
	pass(world, CYCLE_MS);
	assert_true(bus_look(world->bus, slice_of("0"), &view) && !view.channel_log);
	free_crowd(world);
}

static void each_of_many_tails_is_looked_at_within_the_cycle(void **state)
{
	struct world *world = *state;
	struct crowd *crowd = world->crowd = calloc(1, sizeof(*crowd));
	char name[16];

	assert_non_null(crowd);
	reload_route(world, "/ws/{id}", "{id}", TTL_MS);
	for (unsigned int i = 0; i < CROWD; i++) {
		snprintf(name, sizeof(name), "%u", i);
		want(world, name, 1);
		turn(world);
		world->up.subscribed(world->up.arg, slice_of(name));
	}
	while (crowd->n_out)
		answer_crowd(crowd);
	memset(crowd->n_reads, 0, sizeof(crowd->n_reads));
	for (unsigned int ms = 0; ms < CYCLE_MS; ms += STEP_MS) {
		pass(world, STEP_MS);
		answer_crowd(crowd);
	}
	for (unsigned int i = 0; i < CROWD; i++)
		assert_in_range(crowd->n_reads[i], 1, 2);
	while (crowd->n_out)
		answer_crowd(crowd);
	bus_free(world->bus);
	world->bus = NULL;
	free(crowd);
}

static void each_of_many(
	struct world *world, unsigned int n, void (*fn)(struct world *world, const char *name))
{
	char name[16];

	for (unsigned int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%u", i);
		fn(world, name);
	}
}

static void is_served(struct world *world, const char *name)
{
	world->up.subscribed(world->up.arg, slice_of(name));
}

static void is_lost(struct world *world, const char *name)
{
	world->up.lost(world->up.arg, slice_of(name));
}

static size_t bytes_of(const struct world *world, unsigned int n)
{
	size_t bytes = 0;
	char name[16];

	for (unsigned int i = 0; i < n; i++) {
		struct bus_view view;

		snprintf(name, sizeof(name), "%u", i);
		assert_true(bus_look(world->bus, slice_of(name), &view));
		bytes += channel_log_bytes(view.channel_log);
	}
	return bytes;
}

/* After an outage all catch up at once, and a log that is being read cannot forget anything. */
static void many_logs_that_catch_up_at_once_remember_no_more_than_they_may_for_long(void **state)
{
	enum {
		N = 400,
		LARGE = 100000, /* bytes; each log has two entries of that size */
		REMEMBERED_MAX = 64 << 20,
	};
	struct world *world = *state;
	char *payload = malloc(LARGE);
	const struct broker_log_entry entries[] = {
		{1, fake_log_tag(1), {payload, LARGE}}, {2, fake_log_tag(2), {payload, LARGE}}};

	assert_non_null(payload);
	memset(payload, ' ', LARGE);
	memcpy(payload, "{\"data\":1", 9);
	payload[LARGE - 1] = '}';
	world->crowd = calloc(1, sizeof(*world->crowd));
	assert_non_null(world->crowd);
	reload_route(world, "/ws/{id}", "{id}", TTL_MS);
	each_of_many(world, N, want_named);
	each_of_many(world, N, is_served);
	while (world->crowd->n_out)
		answer_crowd(world->crowd);
	each_of_many(world, N, is_lost);
	each_of_many(world, N, is_served);
	while (world->crowd->n_out)
		answer_crowd_with(world->crowd, entries, 2);
	pass(world, 1000);
	assert_in_range(bytes_of(world, N), REMEMBERED_MAX / 2, REMEMBERED_MAX);
	while (world->crowd->n_out)
		answer_crowd_with(world->crowd, entries, 2);
	assert_true(is_live(world, "0") && is_live(world, "399"));
	buf_reset(&world->worker.heard);
	free(payload);
	free_crowd(world);
}

#define with_world(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_world(what_comes_while_the_log_is_read_is_heard_once),
		with_world(what_the_read_did_not_see_yet_is_heard_once),
		with_world(what_was_heard_of_a_log_that_is_gone_takes_nothing_from_the_next_one),
		with_world(what_the_read_saw_before_it_came_is_heard_once),
		with_world(a_join_that_nobody_waits_for_comes_back_unanswered),
		with_world(who_joined_a_young_history_hears_nothing_twice),
		with_world(what_comes_while_a_history_begins_says_where_it_stands),
		with_world(what_comes_out_of_the_log_after_that_is_heard_once),
		with_world(a_history_that_settled_misses_nothing),
		with_world(nobody_waits_for_a_channel_that_was_confirmed),
		with_world(a_history_that_ends_leaves_its_listeners),
		with_world(a_history_ends_once_it_has_caught_up),
		with_world(a_history_that_cannot_be_read_ends_all_the_same),
		with_world(a_history_that_ends_while_redis_is_away_is_read_once_more),
		with_world(a_history_that_ends_unread_says_that_events_are_missing),
		with_world(who_was_let_in_while_redis_was_away_is_told_that_events_may_be_missing),
		with_world(who_was_let_in_before_the_first_read_is_told_that_events_may_be_missing),
		with_world(a_worker_hears_from_when_its_wish_came),
		with_world(a_worker_hears_all_that_was_published_while_the_link_was_lost),
		with_world(a_worker_is_told_of_no_gap_where_no_history_is_kept),
		with_world(what_comes_late_when_a_history_has_ended_is_heard_once),
		with_world(a_history_that_begins_while_redis_is_away_says_that_events_may_be_missing),
		with_world(who_waits_to_join_is_told_that_there_is_no_history),
		with_world(another_time_holds_from_the_next_read_on),
		with_world(a_history_that_was_to_end_and_comes_back_goes_on),
		with_world(a_loss_of_some_channels_has_only_their_logs_read),
		with_world(a_new_channel_is_blind_only_where_nobody_serves_it),
		with_world(a_history_ends_later_where_nobody_serves_its_channel),
		with_world(each_of_many_tails_is_looked_at_within_the_cycle),
		with_world(many_logs_that_catch_up_at_once_remember_no_more_than_they_may_for_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
