/*
 * Bus: what bus/bus.h promises, between a broker and workers made of paper: what is asked of them is written
 * down, one word each. Time is handed in through clock_gettime(2), which libevent and core/clock ask alike.
 */

#include "bus/bus.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "broker/broker.h"
#include "core/buf.h"
#include "core/map.h"
#include "mail/confirmation.h"
#include "mail/join.h"
#include "mail/order.h"
#include "mail/survey.h"
#include "mail/ticket.h"
#include "mail/wish.h"
#include "metrics/metrics.h"
#include "protocol/message.h"
#include "route/route.h"
#include "support/fake_clock.h"
#include "support/fake_log.h"
#include "support/log_text.h"
#include "worker/worker.h"

#define STAMP "2026-01-01T00:00:00.000Z"

enum {
	WORKERS = 3,
	STEP_MS = 100,
};

/* Stands in the place of src/worker: the linker finds these first. */
struct worker {
	struct buf *said;
	char number;
	bool full;
	struct message *last;       /* borrowed */
	struct survey_part *asked;  /* until it is sent home */
	struct order_part *ordered; /* likewise */
};

struct world {
	struct broker broker; /* first: it is cast back */
	struct broker_listener up;
	enum broker_state state;
	enum broker_state control_state; /* of the server of tg:control */
	broker_revocations_fn set_read;  /* of the reading that is under way */
	void *set_arg;
	int refuses; /* negative errno of every subscribe */
	struct event_base *base;
	struct bus *bus;
	broker_ticket_fn ticket_done; /* of the ticket that was asked for last */
	void *ticket_arg;
	struct log_text log;
	struct metrics *metrics;
	struct worker workers[WORKERS];
	struct worker *list[WORKERS];
	struct buf said;
};

int worker_post_event(struct worker *worker, struct message *event)
{
	if (worker->full)
		return -ENOMEM;
	worker->last = event;
	buf_printf(worker->said, "%c:", worker->number);
	buf_printf(worker->said, "%ld ", event_number(event));
	return 0;
}

void worker_post_flush(struct worker *worker)
{
	buf_printf(worker->said, "%c:flush ", worker->number);
}

void worker_post_confirm(
	struct worker *worker, struct slice channel, uint64_t hash, const struct confirmation *confirmation)
{
	assert_true(hash == map_hash(channel.data, channel.len));
	buf_printf(worker->said, "%c:%.*s@%u ", worker->number, (int)channel.len, channel.data,
		(unsigned int)confirmation->generation);
}

void worker_post_channel_lost(struct worker *worker, struct slice channel, uint64_t hash)
{
	assert_true(hash == map_hash(channel.data, channel.len));
	buf_printf(worker->said, "%c:lost-%.*s ", worker->number, (int)channel.len, channel.data);
}

void worker_post_told(struct worker *worker, struct slice channel, uint64_t hash, struct message *told)
{
	const char *text = message_text(told).data;

	assert_true(hash == map_hash(channel.data, channel.len));
	assert_non_null(strstr(text, "\"channel\":\"x\""));
	buf_printf(worker->said, "%c:%s-%.*s ", worker->number,
		strstr(text, "degraded") ? "degraded" : "restored", (int)channel.len, channel.data);
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
	(void)worker;
	join_free(join); /* no test asks for a history here: tests/integration does */
}

void worker_post_resync(
	struct worker *worker, struct slice channel, uint64_t hash, struct message *told, bool close_others)
{
	(void)worker;
	(void)channel;
	(void)hash;
	(void)told;
	(void)close_others;
}

int worker_post_late(
	struct worker *worker, struct slice channel, uint64_t hash, struct message *event, uint16_t era)
{
	(void)channel;
	(void)hash;
	(void)era;
	return worker_post_event(worker, event);
}

void worker_post_ticket(struct worker *worker, struct ticket *ticket)
{
	buf_printf(worker->said, "%c:%s=%d:", worker->number, "ticket", ticket->r);
	buf_append(worker->said, ticket->text, ticket->text_len);
	buf_append_char(worker->said, ' ');
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
	if (worker->full)
		return -ENOMEM;
	order_send(part);
	buf_printf(worker->said, "%c:order ", worker->number);
	worker->ordered = part;
	return 0;
}

int worker_post_survey(struct worker *worker, struct survey_part *part)
{
	if (worker->full)
		return -ENOMEM;
	survey_send(part);
	worker->asked = part;
	return 0;
}

void worker_post_connected(struct worker *worker, bool connected)
{
	buf_printf(worker->said, "%c:%s ", worker->number, connected ? "up" : "down");
}

static int fake_subscribe(struct broker *broker, struct slice channel)
{
	struct world *world = (struct world *)broker;

	buf_printf(&world->said, "+%.*s ", (int)channel.len, channel.data);
	return world->refuses;
}

static void fake_unsubscribe(struct broker *broker, struct slice channel)
{
	buf_printf(&((struct world *)broker)->said, "-%.*s ", (int)channel.len, channel.data);
}

static void fake_hurry(struct broker *broker, struct slice channel)
{
	buf_printf(&((struct world *)broker)->said, "!%.*s ", (int)channel.len, channel.data);
}

static int fake_take_ticket(struct broker *broker, struct slice ticket, broker_ticket_fn done, void *arg)
{
	struct world *world = (struct world *)broker;

	buf_printf(&world->said, "?%.*s ", (int)ticket.len, ticket.data);
	if (world->refuses)
		return world->refuses;
	world->ticket_done = done;
	world->ticket_arg = arg;
	return 0;
}

static enum broker_state fake_state(const struct broker *broker)
{
	return ((const struct world *)broker)->state;
}

static enum broker_state fake_channel_state(const struct broker *broker, struct slice channel)
{
	const struct world *world = (const struct world *)broker;

	if (world->state == BROKER_CONNECTING)
		return BROKER_CONNECTING;
	return slice_is(channel, BROKER_CONTROL_CHANNEL) ? world->control_state : BROKER_READY;
}

static int fake_revocations(struct broker *broker, broker_revocations_fn each, void *arg)
{
	struct world *world = (struct world *)broker;

	buf_append_str(&world->said, "set? ");
	world->set_read = each;
	world->set_arg = arg;
	return 0;
}

static int fake_revoke(struct broker *broker, const struct broker_revocation *revocation)
{
	buf_printf(&((struct world *)broker)->said, "add(%.*s) ", (int)revocation->text.len,
		revocation->text.data);
	return 0;
}

/* It is empty so far. */
static int fake_log_read(struct broker *broker, struct slice channel, uint64_t from, uint32_t count,
	uint64_t ttl_ms, broker_log_read_fn done, void *arg)
{
	(void)broker;
	(void)channel;
	(void)from;
	(void)count;
	(void)ttl_ms;
	(void)done;
	(void)arg;
	return -EAGAIN;
}

static const struct broker_ops fake_ops = {
	.subscribe = fake_subscribe,
	.unsubscribe = fake_unsubscribe,
	.hurry = fake_hurry,
	.take_ticket = fake_take_ticket,
	.state = fake_state,
	.channel_state = fake_channel_state,
	.revocations = fake_revocations,
	.revoke = fake_revoke,
	.log_read = fake_log_read,
};

/* What was said since the last time is exactly this. */
static void says(struct world *world, const char *expected)
{
	assert_string_equal(buf_text(&world->said), expected);
	buf_reset(&world->said);
}

static struct world *make_world(void)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	map_seed();
	world->metrics = aligned_alloc(64, sizeof(struct metrics));
	memset(world->metrics, 0, sizeof(struct metrics));
	log_text_init(&world->log);
	world->broker.ops = &fake_ops;
	world->state = world->control_state = BROKER_READY;
	world->base = event_base_new();
	world->bus = bus_new(world->base, world->log.log, world->metrics);
	assert_non_null(world->bus);
	world->up = bus_broker_listener(world->bus);
	for (unsigned int i = 0; i < WORKERS; i++) {
		world->workers[i] = (struct worker){.said = &world->said, .number = (char)('0' + i)};
		world->list[i] = &world->workers[i];
	}
	return world;
}

static struct world *new_world(unsigned int n_workers)
{
	struct world *world = make_world();

	bus_connect(world->bus, &world->broker, world->list, n_workers);
	return world;
}

/* As with several servers: one of them has the channel of control, and what was revoked. */
static int setup_controlled(void **state)
{
	struct world *world = make_world();

	bus_set_node(world->bus, "n", 1000);
	assert_int_equal(bus_set_controlled(world->bus), 0);
	world->control_state = BROKER_CONNECTING;
	world->state = BROKER_PARTIAL;
	bus_connect(world->bus, &world->broker, world->list, 0);
	buf_reset(&world->said);
	*state = world;
	return 0;
}

static int setup(void **state)
{
	struct world *world = new_world(WORKERS);

	says(world, "0:up 1:up 2:up ");
	*state = world;
	return 0;
}

/* As in `tidegate tail` next to a Redis: somebody taps, and there is no worker. */
static int setup_alone(void **state)
{
	*state = new_world(0);
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	bus_free(world->bus);
	event_base_free(world->base);
	log_text_deinit(&world->log);
	free(world->metrics);
	buf_deinit(&world->said);
	free(world);
	return 0;
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

static void wish(struct world *world, unsigned int worker, const char *channel, uint64_t turn_no, bool wanted)
{
	const struct wish wish = {
		.channel = slice_of(channel),
		.hash = map_hash(channel, strlen(channel)),
		.generation = turn_no,
		.wanted = wanted,
	};

	bus_worker_listener(world->bus).wish(world->bus, worker, &wish);
}

static void want(struct world *world, unsigned int worker, const char *channel, uint64_t turn_no)
{
	wish(world, worker, channel, turn_no, true);
	turn(world);
}

static void unwant(struct world *world, unsigned int worker, const char *channel, uint64_t turn_no)
{
	wish(world, worker, channel, turn_no, false);
	turn(world);
}

static void subscribed(struct world *world, const char *channel)
{
	world->up.subscribed(world->up.arg, slice_of(channel));
}

static void event(struct world *world, const char *channel, const char *payload)
{
	world->up.event(world->up.arg, slice_of(channel), slice_of(payload));
}

static void drained(struct world *world)
{
	world->up.drained(world->up.arg);
}

/* The only event of a turn. That the workers are flushed goes without saying. */
static void alone(struct world *world, const char *channel, const char *payload)
{
	char *flushes;

	event(world, channel, payload);
	drained(world);
	flushes = world->said.len ? strstr(buf_text(&world->said), "0:flush 1:flush 2:flush ") : NULL;
	if (flushes)
		world->said.len = (size_t)(flushes - world->said.data);
}

static void lost(struct world *world, const char *channel)
{
	world->up.lost(world->up.arg, slice_of(channel));
}

static void state_becomes(struct world *world, enum broker_state state)
{
	world->state = state;
	world->up.state(world->up.arg, state, "the test wants it so");
}

static uint64_t count(const struct world *world, enum metric id)
{
	return metrics_get(world->metrics, id);
}

static void subscribes_once_a_channel_and_node(void **state)
{
	struct world *world = *state;

	want(world, 0, "x", 1);
	want(world, 2, "x", 7);
	want(world, 1, "y", 1);
	says(world, "+x +y ");
	assert_int_equal(bus_n_channels(world->bus), 2);
	assert_int_equal(count(world, METRIC_CHANNELS), 2);
	unwant(world, 0, "x", 1);
	pass(world, BUS_LINGER_MS + 1000);
	says(world, ""); /* another wants it still */
}

static void what_a_handshake_waits_for_is_urgent_until_it_is_confirmed(void **state)
{
	struct world *world = *state;
	struct wish wish = {.channel = slice_of("x"),
		.hash = map_hash("x", 1),
		.generation = 1,
		.wanted = true,
		.urgent = true};

	want(world, 1, "x", 1);
	bus_worker_listener(world->bus).wish(world->bus, 0, &wish);
	turn(world);
	says(world, "+x !x ");
	subscribed(world, "x");
	says(world, "0:x@1 1:x@1 ");
	bus_worker_listener(world->bus).wish(world->bus, 0, &wish); /* it crossed the confirmation */
	turn(world);
	says(world, "");
}

static void confirms_to_each_worker_its_own_turn(void **state)
{
	struct world *world = *state;

	want(world, 0, "x", 5);
	want(world, 2, "x", 9);
	says(world, "+x ");
	subscribed(world, "x");
	says(world, "0:x@5 2:x@9 ");
	want(world, 1, "x", 3); /* what is confirmed needs no waiting */
	says(world, "1:x@3 ");
	subscribed(world, "unknown");
	says(world, "");
}

static void confirms_the_newest_turn(void **state)
{
	struct world *world = *state;

	wish(world, 0, "x", 1, true);
	wish(world, 0, "x", 1, false);
	wish(world, 0, "x", 2, true);
	turn(world);
	says(world, "+x -x +x ");
	pass(world, BUS_LINGER_MS + 1000);
	says(world, "");
	subscribed(world, "x");
	says(world, "0:x@2 ");
	unwant(world, 0, "x", 2);
	want(world, 0, "x", 3);
	says(world, "0:x@3 ");
}

static void confirms_nothing_to_one_that_left(void **state)
{
	struct world *world = *state;

	want(world, 0, "x", 1);
	want(world, 1, "x", 1);
	unwant(world, 0, "x", 1);
	buf_reset(&world->said);
	subscribed(world, "x");
	says(world, "1:x@1 ");
}

static void hands_events_to_who_wants_them_in_order(void **state)
{
	struct world *world = *state;

	want(world, 0, "x", 1);
	want(world, 1, "y", 1);
	want(world, 2, "x", 1);
	buf_reset(&world->said);
	event(world, "x", "1");
	event(world, "y", "2");
	event(world, "x", "3");
	event(world, "unknown", "4");
	drained(world);
	says(world, "0:1 2:1 1:2 0:3 2:3 0:flush 1:flush 2:flush ");
}

/* A few events are gathered before they are looked at; however many come, and however large, they keep their
 * order, and what else the broker says comes behind those before it. */
static void keeps_the_order_of_events_that_are_gathered(void **state)
{
	enum {
		LARGE = 20000,
		N = 100
	};
	struct world *world = *state;
	static char text[LARGE + 16];
	struct buf expected = {0};

	memset(text, ' ', LARGE);
	want(world, 0, "x", 1);
	buf_reset(&world->said);
	for (unsigned int i = 0; i < N; i++) {
		snprintf(text + LARGE, 16, "%u", i);
		event(world, "x", i % 40 == 39 ? text : text + LARGE);
		buf_printf(&expected, "0:%u ", i);
	}
	subscribed(world, "x");
	buf_append_str(&expected, "0:x@1 ");
	says(world, buf_text(&expected));
	buf_deinit(&expected);
}

static void hands_on_what_comes_before_the_confirmation(void **state)
{
	struct world *world = *state;

	want(world, 0, "x", 1);
	alone(world, "x", "1");
	says(world, "+x 0:1 ");
}

static void makes_a_message_once_for_all(void **state)
{
	struct world *world = *state;

	want(world, 0, "x", 1);
	want(world, 1, "x", 1);
	alone(world, "x", "1");
	assert_non_null(world->workers[0].last);
	assert_ptr_equal(world->workers[0].last, world->workers[1].last);
}

struct tapped {
	struct bus_tap tap;
	struct buf heard;
	struct message *last; /* a reference */
};

static void on_tap(void *arg, struct message *message)
{
	struct tapped *tapped = arg;

	message_unref(tapped->last);
	tapped->last = message_ref(message);
	buf_printf(&tapped->heard, "%ld ", event_number(message));
}

static void tap(struct world *world, struct tapped *tapped, const char *channel)
{
	tapped->tap = (struct bus_tap){.event = on_tap, .arg = tapped};
	assert_int_equal(bus_tap_add(world->bus, &tapped->tap, slice_of(channel)), 0);
}

static void untap(struct world *world, struct tapped *tapped)
{
	bus_tap_remove(world->bus, &tapped->tap);
	message_unref(tapped->last);
	buf_deinit(&tapped->heard);
	tapped->last = NULL;
}

static void assert_frame(const struct message *message, const char *text)
{
	assert_int_equal(message_text(message).len, strlen(text));
	assert_memory_equal(message_text(message).data, text, strlen(text));
	assert_int_equal(message->frame[0], 0x81);
}

static void taps_hear_events_as_subscribers_see_them(void **state)
{
	struct world *world = *state;
	struct tapped tapped = {0};

	tap(world, &tapped, "cards");
	says(world, "+cards ");
	fake_clock_ms = UINT64_C(1767225600000);
	alone(world, "cards", "{\"type\":\"card\",\"data\":7}");
	assert_frame(tapped.last,
		"{\"type\":\"card\",\"data\":7,\"timestamp\":\"" STAMP "\",\"channel\":\"cards\"}");
	assert_int_equal(tapped.last->channel_len, 5);
	assert_string_equal(tapped.last->channel, "cards");
	assert_true(tapped.last->channel_hash == map_hash("cards", 5));
	assert_true(tapped.last->arrived_us == UINT64_C(1767225600000000));
	alone(world, "cards", "[7]");
	assert_frame(tapped.last,
		"{\"type\":\"update\",\"data\":[7],\"timestamp\":\"" STAMP "\",\"channel\":\"cards\"}");
	untap(world, &tapped);
}

static struct route_table *routes_with_key(const char *channel, const char *key)
{
	const struct route_spec spec = {.path = "/a",
		.channels = &channel,
		.n_channels = 1,
		.slow = {.policy = SLOW_LATEST_BY_KEY, .key = key}};
	struct route_table *table = route_table_new();
	struct buf error = {0};

	assert_int_equal(route_table_add(table, &spec, &error), 0);
	buf_deinit(&error);
	return table;
}

static void assert_key(struct world *world, struct tapped *tapped, const char *channel, const char *expected)
{
	alone(world, channel, "{\"data\":7,\"id\":\"i\"}");
	assert_int_equal(tapped->last->key_len, strlen(expected));
	assert_memory_equal(tapped->last->frame + tapped->last->key_at, expected, strlen(expected));
}

/* Looked up once a channel; a payload without a type is inside the event's data. */
static void notes_the_key_that_the_routes_name(void **state)
{
	struct world *world = *state;
	struct tapped keyed = {0}, plain = {0};
	struct route_table *first = routes_with_key("x", "data.id"),
			   *second = routes_with_key("x", "data.data");

	tap(world, &plain, "y");
	bus_set_routes(world->bus, first);
	route_table_unref(first); /* it has its own reference */
	tap(world, &keyed, "x");
	assert_key(world, &keyed, "x", "\"i\"");
	assert_key(world, &plain, "y", "");
	bus_set_routes(world->bus, second);
	route_table_unref(second);
	assert_key(world, &keyed, "x", "7");
	assert_key(world, &plain, "y", "");
	untap(world, &keyed);
	untap(world, &plain);
}

static void stamps_each_run_of_events_anew(void **state)
{
	struct world *world = *state;
	struct tapped tapped = {0};

	tap(world, &tapped, "x");
	fake_clock_ms = UINT64_C(1767225600000);
	event(world, "x", "1");
	drained(world);
	fake_clock_ms += 1234;
	alone(world, "x", "2");
	assert_frame(tapped.last, "{\"type\":\"update\",\"data\":2,\"timestamp\":\"2026-01-01T00:00:01."
				  "234Z\",\"channel\":\"x\"}");
	assert_true(tapped.last->arrived_us == UINT64_C(1767225601234000));
	untap(world, &tapped);
}

static void taps_need_no_worker(void **state)
{
	struct world *world = *state;
	struct tapped a = {0}, b = {0}, other = {0};

	tap(world, &a, "x");
	tap(world, &other, "y");
	alone(world, "x", "1");
	tap(world, &b, "x");
	says(world, "+x +y ");
	alone(world, "x", "2");
	alone(world, "y", "3");
	drained(world);
	assert_string_equal(buf_text(&a.heard), "1 2 ");
	assert_string_equal(buf_text(&b.heard), "2 ");
	assert_string_equal(buf_text(&other.heard), "3 ");
	bus_tap_remove(world->bus, &a.tap);
	alone(world, "x", "4");
	assert_string_equal(buf_text(&a.heard), "1 2 ");
	assert_string_equal(buf_text(&b.heard), "2 4 ");
	untap(world, &a); /* a second time, harmlessly */
	untap(world, &b);
	untap(world, &other);
	pass(world, BUS_LINGER_MS + 1000);
	says(world, "-x -y ");
	assert_int_equal(bus_n_channels(world->bus), 0);
}

static void a_tap_that_was_never_added_is_harmless(void **state)
{
	struct world *world = *state;
	struct bus_tap never = {0};

	bus_tap_remove(world->bus, &never);
	says(world, "");
}

static void a_tap_and_a_worker_share_a_subscription(void **state)
{
	struct world *world = *state;
	struct tapped tapped = {0};

	want(world, 0, "x", 1);
	tap(world, &tapped, "x");
	alone(world, "x", "1");
	says(world, "+x 0:1 ");
	assert_ptr_equal(tapped.last, world->workers[0].last);
	unwant(world, 0, "x", 1);
	pass(world, BUS_LINGER_MS + 1000);
	alone(world, "x", "2");
	assert_string_equal(buf_text(&tapped.heard), "1 2 ");
	says(world, "");
	untap(world, &tapped);
	pass(world, BUS_LINGER_MS + 1000);
	says(world, "-x ");
}

static void lingers_a_while_and_then_leaves(void **state)
{
	struct world *world = *state;

	want(world, 0, "x", 1);
	want(world, 0, "y", 2);
	subscribed(world, "x");
	unwant(world, 0, "x", 1);
	buf_reset(&world->said);
	pass(world, BUS_LINGER_MS - STEP_MS);
	says(world, "");
	assert_int_equal(bus_n_channels(world->bus), 2);
	pass(world, 1000); /* it looks twice a second */
	says(world, "-x ");
	assert_int_equal(bus_n_channels(world->bus), 1);
	assert_int_equal(count(world, METRIC_CHANNELS), 1);
	pass(world, 10000);
	says(world, "");
	want(world, 0, "x", 3); /* from the beginning: not confirmed */
	says(world, "+x ");
	subscribed(world, "x");
	says(world, "0:x@3 ");
}

/* Nothing is gained by it, and who subscribes and leaves in turn would have others wait for it. */
static void what_was_never_confirmed_does_not_linger(void **state)
{
	struct world *world = *state;

	want(world, 0, "x", 1);
	unwant(world, 0, "x", 1);
	says(world, "+x -x ");
	assert_int_equal(bus_n_channels(world->bus), 0);
	subscribed(world, "x"); /* was under way */
	says(world, "");
}

static void who_comes_back_within_the_linger_costs_redis_nothing(void **state)
{
	struct world *world = *state;

	want(world, 0, "x", 1);
	subscribed(world, "x");
	unwant(world, 0, "x", 1);
	pass(world, BUS_LINGER_MS - STEP_MS);
	buf_reset(&world->said);
	want(world, 1, "x", 1);
	says(world, "1:x@1 "); /* confirmed all the time */
	pass(world, 10 * BUS_LINGER_MS);
	says(world, "");
	alone(world, "x", "1");
	says(world, "1:1 ");
	unwant(world, 1, "x", 1); /* its time begins anew */
	pass(world, BUS_LINGER_MS - STEP_MS);
	says(world, "");
	pass(world, 1000);
	says(world, "-x ");
}

static void nobody_is_handed_what_comes_while_it_lingers(void **state)
{
	struct world *world = *state;

	want(world, 0, "x", 1);
	subscribed(world, "x");
	unwant(world, 0, "x", 1);
	buf_reset(&world->said);
	alone(world, "x", "1");
	says(world, "");
	pass(world, BUS_LINGER_MS + 1000);
	buf_reset(&world->said);
	alone(world, "x", "2"); /* was under way at Redis */
	says(world, "");
}

static void tells_the_workers_when_the_broker_comes_and_goes(void **state)
{
	struct world *world = *state;

	want(world, 0, "x", 1);
	subscribed(world, "x");
	buf_reset(&world->said);
	lost(world, "x");
	state_becomes(world, BROKER_CONNECTING);
	says(world, "0:down 1:down 2:down ");
	want(world, 1, "x", 4); /* nobody can promise it anything now */
	says(world, "");
	state_becomes(world, BROKER_READY);
	says(world, "0:up 1:up 2:up "); /* the broker remembers the channels itself */
	want(world, 2, "x", 6);
	says(world, "");
	subscribed(world, "x");
	says(world, "0:x@1 1:x@4 2:x@6 ");
}

static void a_channel_that_is_away_for_long_is_told_once_and_its_return_too(void **state)
{
	struct world *world = *state;

	for (unsigned int i = 0; i < 2; i++) {
		want(world, i, "x", 1);
		want(world, i, "y", 1);
	}
	subscribed(world, "x");
	subscribed(world, "y");
	lost(world, "x");
	state_becomes(world, BROKER_PARTIAL);
	pass(world, 2000);
	subscribed(world, "x"); /* soon enough: nobody need know */
	lost(world, "x");
	buf_reset(&world->said);
	pass(world, 2900);
	says(world, "");
	pass(world, 1000); /* it looks twice a second */
	says(world, "0:degraded-x 1:degraded-x ");
	pass(world, 10000);
	says(world, "");
	subscribed(world, "x");
	says(world, "0:restored-x 1:restored-x 0:x@1 1:x@1 ");
}

static void a_channel_is_not_told_away_while_all_are(void **state)
{
	struct world *world = *state;

	want(world, 0, "x", 1);
	subscribed(world, "x");
	lost(world, "x");
	state_becomes(world, BROKER_CONNECTING);
	pass(world, 10000); /* the worker tells that all of Redis is away */
	buf_reset(&world->said);
	state_becomes(world, BROKER_PARTIAL);
	pass(world, 2900);
	says(world, "0:up 1:up 2:up ");
	pass(world, 1000);
	says(world, "0:degraded-x ");
}

static void a_loss_of_some_channels_touches_only_these(void **state)
{
	struct world *world = *state;

	want(world, 0, "x", 1);
	want(world, 0, "y", 1);
	subscribed(world, "x");
	subscribed(world, "y");
	buf_reset(&world->said);
	lost(world, "x");
	lost(world, "unknown");
	says(world, ""); /* the broker is there as before */
	state_becomes(world, BROKER_PARTIAL);
	says(world, "0:lost-x "); /* who comes there now waits */
	event(world, "y", "1");
	drained(world);
	says(world, "0:1 0:flush 1:flush 2:flush ");
	want(world, 1, "y", 5);
	says(world, "1:y@5 ");
	want(world, 1, "x", 6); /* nobody can promise it anything now */
	says(world, "");
	subscribed(world, "x");
	says(world, "0:x@1 1:x@6 ");
}

static void control_becomes(struct world *world, enum broker_state state)
{
	world->control_state = state;
	if (state == BROKER_CONNECTING)
		lost(world, BROKER_CONTROL_CHANNEL);
	state_becomes(world, world->state);
	if (state == BROKER_READY)
		subscribed(world, BROKER_CONTROL_CHANNEL);
}

static void a_node_that_never_read_what_was_revoked_waits_for_it_and_others_go_on(void **state)
{
	struct world *world = *state;

	assert_int_equal(bus_control_state(world->bus), BUS_CONTROL_AWAITED);
	control_becomes(world, BROKER_READY);
	assert_int_equal(bus_control_state(world->bus), BUS_CONTROL_AWAITED);
	control_becomes(world, BROKER_CONNECTING); /* before the answer */
	world->set_read(world->set_arg, -ENOTCONN, NULL, 0, true);
	assert_int_equal(bus_control_state(world->bus), BUS_CONTROL_AWAITED);
	control_becomes(world, BROKER_READY);
	world->set_read(world->set_arg, 0, NULL, 0, true);
	assert_int_equal(bus_control_state(world->bus), BUS_CONTROL_READY);
	control_becomes(world, BROKER_CONNECTING);
	assert_int_equal(bus_control_state(world->bus), BUS_CONTROL_AWAY);
	control_becomes(world, BROKER_READY); /* what was said meanwhile is not known yet */
	assert_int_equal(bus_control_state(world->bus), BUS_CONTROL_AWAITED);
}

static void what_a_new_primary_lacks_of_the_revoked_is_written_there(void **state)
{
	struct world *world = *state;

	control_becomes(world, BROKER_READY);
	world->set_read(world->set_arg, 0, NULL, 0, true);
	alone(world, BROKER_CONTROL_CHANNEL, "{\"do\":\"revoke\",\"token\":\"j7\",\"until\":99999999999}");
	says(world, "set? add(t j7) ");
	lost(world, BROKER_CONTROL_CHANNEL); /* another server takes over at once, and is ready */
	subscribed(world, BROKER_CONTROL_CHANNEL);
	says(world, "set? ");
	assert_int_equal(bus_control_state(world->bus), BUS_CONTROL_READY);
	world->set_read(world->set_arg, 0, NULL, 0, true);
	says(world, "add(t j7) ");
	assert_int_equal(bus_control_state(world->bus), BUS_CONTROL_READY);
}

static void a_channel_that_lingers_through_a_loss_is_confirmed_anew(void **state)
{
	struct world *world = *state;

	want(world, 0, "x", 1);
	subscribed(world, "x");
	unwant(world, 0, "x", 1);
	lost(world, "x");
	state_becomes(world, BROKER_CONNECTING);
	state_becomes(world, BROKER_READY);
	buf_reset(&world->said);
	want(world, 0, "x", 2);
	says(world, "");
	subscribed(world, "x");
	says(world, "0:x@2 ");
}

static void drops_and_counts_what_is_not_json(void **state)
{
	static const char *const junk[] = {"", "hello", "{\"a\":1", "{,}", "[1,]", "\"\xff\"", "1 2"};
	struct world *world = *state;
	size_t n = sizeof(junk) / sizeof(junk[0]);

	want(world, 0, "x", 1);
	buf_reset(&world->said);
	for (size_t i = 0; i < n; i++)
		alone(world, "x", junk[i]);
	says(world, "");
	assert_int_equal(count(world, METRIC_EVENTS_DROPPED), n);
	alone(world, "x", "1");
	says(world, "0:1 ");
	assert_int_equal(count(world, METRIC_EVENTS), n + 1);
	assert_int_equal(count(world, METRIC_EVENTS_DROPPED), n);
}

static void one_worker_without_memory_costs_the_others_nothing(void **state)
{
	struct world *world = *state;

	want(world, 0, "x", 1);
	want(world, 1, "x", 1);
	buf_reset(&world->said);
	world->workers[0].full = true;
	alone(world, "x", "1");
	says(world, "1:1 ");
	assert_int_equal(count(world, METRIC_EVENTS_DROPPED_MEMORY), 1);
}

/* A backend that publishes junk must not fill the disk with it, nor go unnoticed for ever. */
static void logs_drops_at_a_bounded_rate(void **state)
{
	struct world *world = *state;
	unsigned int n, m;

	want(world, 0, "x", 1);
	for (int i = 0; i < 1000; i++)
		event(world, "x", "junk");
	drained(world);
	n = log_text_count(&world->log, "");
	assert_true(n >= 1 && n <= 20);
	pass(world, 120000);
	for (int i = 0; i < 1000; i++)
		event(world, "x", "junk");
	drained(world);
	m = log_text_count(&world->log, "");
	assert_true(m > n && m <= 2 * n);
	assert_int_equal(count(world, METRIC_EVENTS_DROPPED), 2000);
}

static void a_channel_that_the_broker_refuses_is_not_kept(void **state)
{
	struct world *world = *state;
	struct bus_tap unheard = {.event = on_tap};

	world->refuses = -EINVAL;
	want(world, 0, "x", 1);
	assert_true(bus_tap_add(world->bus, &unheard, slice_of("x")) < 0);
	bus_tap_remove(world->bus, &unheard);
	assert_int_equal(bus_n_channels(world->bus), 0);
	buf_reset(&world->said);
	unwant(world, 0, "x", 1);
	subscribed(world, "x");
	alone(world, "x", "1");
	pass(world, BUS_LINGER_MS + 1000);
	says(world, "");
	world->refuses = 0;
	want(world, 0, "x", 2);
	says(world, "+x ");
}

struct poster {
	struct world *world;
	unsigned int worker;
	pthread_t thread;
};

static void *post(void *arg)
{
	struct poster *poster = arg;
	char name[16];

	for (unsigned int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		wish(poster->world, poster->worker, name, i + 1, true);
		if (i % 2)
			wish(poster->world, poster->worker, name, i + 1, false);
	}
	return NULL;
}

static void any_thread_may_post_wishes(void **state)
{
	struct world *world = *state;
	struct poster posters[WORKERS];

	for (unsigned int i = 0; i < WORKERS; i++) {
		posters[i].world = world;
		posters[i].worker = i;
		assert_int_equal(pthread_create(&posters[i].thread, NULL, post, &posters[i]), 0);
	}
	for (unsigned int i = 0; i < WORKERS; i++)
		pthread_join(posters[i].thread, NULL);
	turn(world);
	assert_int_equal(bus_n_channels(world->bus), 100); /* each post of a worker in its order */
}

/* The slice is borrowed, and mail that nobody read is freed with the bus. */
static void may_be_freed_with_mail_unread(void **state)
{
	struct world *world = *state;
	char name[] = "cards";

	wish(world, 0, name, 1, true);
	memset(name, '#', 5);
	turn(world);
	says(world, "+cards ");
	wish(world, 1, "x", 1, true);
	wish(world, 1, "y", 2, true);
	bus_free(NULL);
}

/* What came of a survey. */
struct surveyed {
	unsigned int n_done;
	unsigned int n_home;
	uint64_t sum;
};

static void on_surveyed(void *arg, const struct survey *survey)
{
	struct surveyed *surveyed = arg;

	surveyed->n_done++;
	for (unsigned int i = 0; i < survey->n_parts; i++) {
		surveyed->n_home += survey->parts[i].home;
		surveyed->sum += survey->parts[i].home ? survey->parts[i].census.n : 0;
	}
}

static struct survey *ask_workers(struct world *world, struct surveyed *surveyed)
{
	const struct census_question question = {.subject = CENSUS_CHANNELS};

	*surveyed = (struct surveyed){0};
	return bus_survey(world->bus, &question, on_surveyed, surveyed);
}

static void answer(struct world *world, unsigned int worker, uint64_t n)
{
	world->workers[worker].asked->census.n = n;
	bus_worker_listener(world->bus).surveyed(world->bus, world->workers[worker].asked);
	turn(world);
}

static void a_survey_is_done_with_the_last_answer(void **state)
{
	struct world *world = *state;
	struct surveyed surveyed;

	assert_non_null(ask_workers(world, &surveyed));
	answer(world, 1, 10);
	answer(world, 0, 1);
	assert_int_equal(surveyed.n_done, 0);
	answer(world, 2, 100);
	assert_int_equal(surveyed.n_done, 1);
	assert_int_equal(surveyed.n_home, 3);
	assert_int_equal(surveyed.sum, 111);
}

static void nobody_hears_of_a_survey_that_was_cancelled(void **state)
{
	struct world *world = *state;
	struct surveyed surveyed;

	survey_cancel(ask_workers(world, &surveyed));
	for (unsigned int i = 0; i < WORKERS; i++)
		answer(world, i, 1);
	pass(world, 2 * SURVEY_MS);
	assert_int_equal(surveyed.n_done, 0);
}

static void a_survey_does_not_wait_for_a_stuck_worker(void **state)
{
	struct world *world = *state;
	struct surveyed surveyed;

	ask_workers(world, &surveyed);
	answer(world, 0, 1);
	answer(world, 1, 2);
	pass(world, SURVEY_MS + 1000);
	assert_int_equal(surveyed.n_done, 1);
	assert_int_equal(surveyed.n_home, 2);
	assert_int_equal(surveyed.sum, 3);
	answer(world, 2, 4); /* it is freed then, and nobody hears of it again */
	assert_int_equal(surveyed.n_done, 1);
}

static void a_worker_that_ends_gives_its_part_back(void **state)
{
	struct world *world = *state;
	struct surveyed surveyed;

	ask_workers(world, &surveyed);
	answer(world, 0, 1);
	answer(world, 1, 1);
	world->workers[2].asked->census.n = 77;
	survey_lost(world->workers[2].asked); /* as worker_free() does with what is in its inbox */
	assert_int_equal(surveyed.n_done, 1);
	assert_int_equal(surveyed.sum, 2);
}

static void a_survey_that_nobody_could_be_asked_ends_with_the_bus(void **state)
{
	struct world *world = *state;
	struct surveyed surveyed;

	for (unsigned int i = 0; i < WORKERS; i++)
		world->workers[i].full = true;
	survey_cancel(ask_workers(world, &surveyed));
}

static void what_is_in_the_inbox_at_the_end_is_freed(void **state)
{
	struct world *world = *state;
	struct surveyed surveyed;

	survey_cancel(ask_workers(world, &surveyed));
	for (unsigned int i = 0; i < WORKERS; i++)
		bus_worker_listener(world->bus).surveyed(world->bus, world->workers[i].asked);
	/* teardown frees the bus; the address sanitizer sees whether that is all */
}

static void a_survey_that_nobody_could_be_sent_is_done_soon(void **state)
{
	struct world *world = *state;
	struct surveyed surveyed;

	for (unsigned int i = 0; i < WORKERS; i++)
		world->workers[i].full = true;
	ask_workers(world, &surveyed);
	pass(world, SURVEY_MS + 1000);
	assert_int_equal(surveyed.n_done, 1);
}

static struct ticket *ask_ticket(struct world *world, unsigned int worker)
{
	struct ticket *ticket = ticket_new(worker, slice_of("secret"), NULL);

	assert_non_null(ticket);
	bus_worker_listener(world->bus).ticket(world->bus, ticket);
	return ticket;
}

static void a_ticket_is_asked_for_once_and_answered_to_its_worker(void **state)
{
	struct world *world = *state;

	ask_ticket(world, 1);
	turn(world);
	says(world, "?secret ");
	world->ticket_done(world->ticket_arg, 0, slice_of("{}"));
	says(world, "1:ticket=0:{} ");
	ask_ticket(world, 2);
	turn(world);
	world->ticket_done(world->ticket_arg, BROKER_TICKET_UNKNOWN, (struct slice){0});
	says(world, "?secret 2:ticket=1: ");
}

static void a_ticket_that_cannot_be_asked_for_comes_back_at_once(void **state)
{
	struct world *world = *state;

	world->refuses = -ENOTCONN;
	ask_ticket(world, 0);
	turn(world);
	assert_non_null(strstr(buf_text(&world->said), "?secret 0:ticket=-"));
}

static void a_ticket_whose_client_has_left_is_not_used_up(void **state)
{
	struct world *world = *state;

	ticket_abandon(ask_ticket(world, 0));
	turn(world);
	assert_null(strstr(buf_text(&world->said), "?secret"));
	assert_non_null(strstr(buf_text(&world->said), "0:ticket=-"));
}

static void a_ticket_in_the_inbox_at_the_end_is_freed(void **state)
{
	ask_ticket(*state, 0); /* a leak would fail under the address sanitizer */
}

#define TEST(name)            cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_CONTROLLED(name) cmocka_unit_test_setup_teardown(name, setup_controlled, teardown)
#define TEST_ALONE(name)      cmocka_unit_test_setup_teardown(name, setup_alone, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(subscribes_once_a_channel_and_node),
		TEST(what_a_handshake_waits_for_is_urgent_until_it_is_confirmed),
		TEST(confirms_to_each_worker_its_own_turn),
		TEST(confirms_the_newest_turn),
		TEST(confirms_nothing_to_one_that_left),
		TEST(hands_events_to_who_wants_them_in_order),
		TEST(keeps_the_order_of_events_that_are_gathered),
		TEST(hands_on_what_comes_before_the_confirmation),
		TEST(makes_a_message_once_for_all),
		TEST_ALONE(taps_hear_events_as_subscribers_see_them),
		TEST_ALONE(notes_the_key_that_the_routes_name),
		TEST_ALONE(stamps_each_run_of_events_anew),
		TEST_ALONE(taps_need_no_worker),
		TEST(a_tap_that_was_never_added_is_harmless),
		TEST(a_tap_and_a_worker_share_a_subscription),
		TEST(lingers_a_while_and_then_leaves),
		TEST(what_was_never_confirmed_does_not_linger),
		TEST(who_comes_back_within_the_linger_costs_redis_nothing),
		TEST(nobody_is_handed_what_comes_while_it_lingers),
		TEST(tells_the_workers_when_the_broker_comes_and_goes),
		TEST(a_channel_that_is_away_for_long_is_told_once_and_its_return_too),
		TEST(a_channel_is_not_told_away_while_all_are),
		TEST(a_loss_of_some_channels_touches_only_these),
		TEST_CONTROLLED(a_node_that_never_read_what_was_revoked_waits_for_it_and_others_go_on),
		TEST_CONTROLLED(what_a_new_primary_lacks_of_the_revoked_is_written_there),
		TEST(a_channel_that_lingers_through_a_loss_is_confirmed_anew),
		TEST(drops_and_counts_what_is_not_json),
		TEST(one_worker_without_memory_costs_the_others_nothing),
		TEST(logs_drops_at_a_bounded_rate),
		TEST(a_channel_that_the_broker_refuses_is_not_kept),
		TEST(any_thread_may_post_wishes),
		TEST(may_be_freed_with_mail_unread),
		TEST(a_survey_is_done_with_the_last_answer),
		TEST(nobody_hears_of_a_survey_that_was_cancelled),
		TEST(a_survey_does_not_wait_for_a_stuck_worker),
		TEST(a_worker_that_ends_gives_its_part_back),
		TEST(a_survey_that_nobody_could_be_asked_ends_with_the_bus),
		TEST(what_is_in_the_inbox_at_the_end_is_freed),
		TEST(a_survey_that_nobody_could_be_sent_is_done_soon),
		TEST(a_ticket_is_asked_for_once_and_answered_to_its_worker),
		TEST(a_ticket_that_cannot_be_asked_for_comes_back_at_once),
		TEST(a_ticket_whose_client_has_left_is_not_used_up),
		TEST(a_ticket_in_the_inbox_at_the_end_is_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
