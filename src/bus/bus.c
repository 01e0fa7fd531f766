/* Bus: the switch between the broker and the workers; see the header. */

#include "bus/bus.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/broker.h"
#include "bus/bus_channel.h"
#include "bus/bus_inbox.h"
#include "bus/bus_lifecycle.h"
#include "bus/bus_presence.h"
#include "bus/bus_private.h"
#include "bus/own_channel.h"
#include "core/clock.h"
#include "mail/survey.h"
#include "protocol/message.h"
#include "route/route.h"
#include "worker/worker.h"

enum {
	TICK_MS = 500,
	/* channels given up at once: worth some milliseconds of all threads that want memory */
	TRIM_CHANNELS = 10000,
	TRIM_MS = 10000,
	DROP_LINES = 5, /* of the log in a minute, about payloads that were dropped */
};

void bus_flush(struct bus *bus)
{
	for (unsigned int i = 0; i < bus->n_workers; i++)
		worker_post_flush(bus->workers[i]);
}

/* The memory of a flood of names lies in small pieces between others that are in use: malloc(3) keeps it. */
static void give_memory_back(struct bus *bus, uint64_t now_ms)
{
	if (bus->n_given_up < TRIM_CHANNELS || now_ms < bus->trimmed_ms + TRIM_MS)
		return;
	bus->n_given_up = 0;
	bus->trimmed_ms = now_ms;
	malloc_trim(0);
}

static void on_tick(evutil_socket_t fd, short events, void *arg)
{
	struct bus *bus = arg;
	uint64_t now_ms = clock_monotonic_ms();

	(void)fd;
	(void)events;
	metrics_set(bus->metrics, METRIC_LOOP_LAG,
		loop_lag_tick(&bus->lag, clock_monotonic_us(), TICK_MS * 1000));
	bus_channels_end_histories(bus, now_ms);
	histories_tick(&bus->histories, now_ms);
	surveys_tick(&bus->surveys, now_ms);
	bus_channels_expire(bus, now_ms);
	absence_tick(bus, now_ms);
	answers_tick(&bus->actions.answers);
	if (bus->controlled)
		revoking_tick(&bus->control.revoking);
	map_tidy(&bus->channels);
	give_memory_back(bus, now_ms);
}

void bus_drop(struct bus *bus, struct slice channel, enum metric metric, const char *reason)
{
	uint64_t suppressed;

	metrics_add(bus->metrics, metric, 1);
	if (log_limit_allow(bus->log, &bus->drop_limit, clock_monotonic_ms(), &suppressed))
		log_warn(bus->log, "event dropped", log_slice("channel", channel), log_str("reason", reason),
			log_uint("suppressed", suppressed));
}

void bus_renamed(struct bus *bus, struct slice channel)
{
	uint64_t suppressed;

	metrics_add(bus->metrics, METRIC_EVENTS_RENAMED, 1);
	if (log_limit_allow(bus->log, &bus->rename_limit, clock_monotonic_ms(), &suppressed))
		log_warn(bus->log, "event has a reserved name", log_slice("channel", channel),
			log_str("remedy", "call the payload's own members neither channel nor pos, or put "
					  "them in data"),
			log_uint("suppressed", suppressed));
}

static void take_event(struct bus *bus, const struct arrival *arrival)
{
	struct bus_channel *channel = bus_channel_find(bus, arrival->hash, arrival->name);
	int r;

	if (!channel || (list_linked(&channel->linger) && !channel->history))
		return; /* was under way when its last subscriber left */
	if (!bus->now_us) {
		bus->now_us = clock_monotonic_us();
		bus->wall_ms = clock_wall_ms();
	}
	metrics_add(bus->metrics, METRIC_EVENTS, 1);
	r = bus_channel_event(channel, arrival->payload);
	if (r == MESSAGE_NOT_JSON)
		bus_drop(bus, arrival->name, METRIC_EVENTS_DROPPED, "not JSON");
	else if (r < 0)
		bus_drop(bus, arrival->name, METRIC_EVENTS_DROPPED_MEMORY, "out of memory");
}

/* Before anything else that the broker says. */
static void take_arrivals(struct bus *bus)
{
	struct arrivals *arrivals = &bus->arrivals;
	size_t n = arrivals->n;

	for (size_t i = 0; n >= ARRIVALS_WORTH && i < n; i++)
		bus_channel_expect(bus, arrivals->all[i].hash);
	for (size_t i = 0; i < n; i++)
		take_event(bus, &arrivals->all[i]);
	arrivals->n = arrivals->n_bytes = 0;
}

static void on_event(void *arg, struct slice name, struct slice payload)
{
	struct bus *bus = arg;
	const struct arrival arrival = {map_hash(name.data, name.len), name, payload};

	map_prefetch_bucket(&bus->channels, arrival.hash);
	if (arrivals_add(&bus->arrivals, arrival.hash, name, payload))
		return;
	take_arrivals(bus);
	if (!arrivals_add(&bus->arrivals, arrival.hash, name, payload))
		take_event(bus, &arrival); /* it is larger than what is copied */
}

static void on_drained(void *arg)
{
	struct bus *bus = arg;

	take_arrivals(bus);
	bus->now_us = 0;
	bus_flush(bus);
}

static void on_subscribed(void *arg, struct slice name)
{
	struct bus *bus = arg;
	struct bus_channel *channel;

	take_arrivals(bus);
	channel = bus_channel_find(bus, map_hash(name.data, name.len), name);
	if (channel)
		bus_channel_subscribed(channel);
}

static void on_lost(void *arg, struct slice name)
{
	struct bus *bus = arg;
	struct bus_channel *channel;

	take_arrivals(bus);
	channel = bus_channel_find(bus, map_hash(name.data, name.len), name);
	if (channel)
		bus_channel_lost(channel);
}

static void post_connected(struct bus *bus, bool connected)
{
	bus->is_connected = connected;
	for (unsigned int i = 0; i < bus->n_workers; i++)
		worker_post_connected(bus->workers[i], connected);
}

/* Of several servers one has the control channel, and the revocations. */
static void look_for_control(struct bus *bus)
{
	bool there = broker_channel_state(bus->broker, slice_of(BROKER_CONTROL_CHANNEL)) == BROKER_READY;

	if (bus->controlled && there != bus->has_control)
		control_connected(&bus->control, there);
	bus->has_control = there;
}

/* A part of the broker is away, and its channels were lost one by one. */
static void tell_lost_channels(struct bus *bus)
{
	for (struct map_entry *e = map_next(&bus->channels, NULL); e; e = map_next(&bus->channels, e))
		bus_channel_tell_lost(map_value(e, struct bus_channel, entry));
}

static void on_state(void *arg, enum broker_state state, const char *reason)
{
	struct bus *bus = arg;
	bool connected = state != BROKER_CONNECTING;

	(void)reason; /* the broker logs it and tells it to /ready */
	take_arrivals(bus);
	if (connected != bus->is_connected) {
		post_connected(bus, connected);
		absence_over(&bus->absence, clock_monotonic_ms());
	} else if (state == BROKER_PARTIAL)
		tell_lost_channels(bus);
	look_for_control(bus);
	bus_presence_look_for_returns(bus);
	if (connected)
		histories_retry(&bus->histories);
}

struct bus *bus_new(struct event_base *base, struct log *log, struct metrics *metrics)
{
	struct timeval interval = {0, TICK_MS * 1000};
	struct bus *bus = calloc(1, sizeof(*bus));

	if (!bus)
		return NULL;
	bus->base = base;
	bus->log = log;
	bus->metrics = metrics;
	bus->drop_limit = (struct log_limit){.burst = DROP_LINES, .interval_ms = 60000};
	bus->rename_limit = bus->drop_limit;
	list_init(&bus->lingering);
	replays_init(&bus->replays);
	list_init(&bus->ending);
	list_init(&bus->surveys);
	list_init(&bus->own_channels);
	bus->roll_calls.bus = bus;
	histories_init(&bus->histories, &bus_channel_history_listener, log, metrics);
	bus->tick = event_new(base, -1, EV_PERSIST, on_tick, bus);
	if (bus_presence_init(bus) < 0 || bus_lifecycle_init(bus) < 0 || bus_inbox_open(bus) < 0 ||
		!bus->tick || event_add(bus->tick, &interval) < 0)
		goto fail;
	return bus;

fail:
	bus_free(bus);
	return NULL;
}

void bus_share_loop(struct bus *bus)
{
	bus_inbox_share_loop(bus);
}

void bus_set_node(struct bus *bus, const char *node, uint64_t lease_ms)
{
	actions_init(&bus->actions, bus, node);
	control_init(&bus->control, bus, node);
	bus_presence_set_node(bus, node, lease_ms);
}

struct broker_listener bus_broker_listener(struct bus *bus)
{
	return (struct broker_listener){bus, on_event, on_drained, on_subscribed, on_lost, on_state};
}

static void listen_for_answers(struct bus *bus)
{
	if (bus->broker && bus->routes && bus->actions.bus &&
		(route_table_keeps_presence(bus->routes) || route_table_tells_lifecycle(bus->routes)))
		bus_presence_keep_lease(bus);
	if (bus->broker && bus->routes && bus->actions.bus)
		actions_configure(&bus->actions, route_table_carries_actions(bus->routes));
}

void bus_connect(
	struct bus *bus, struct broker *broker, struct worker *const *workers, unsigned int n_workers)
{
	bus->broker = broker;
	bus->histories.broker = bus->presence.broker = bus->lifecycle.broker = broker;
	bus->workers = workers;
	bus->n_workers = n_workers;
	loop_lag_start(&bus->lag, clock_monotonic_us(), TICK_MS * 1000);
	post_connected(bus, broker_state(broker) != BROKER_CONNECTING);
	bus->has_control = broker_channel_state(broker, slice_of(BROKER_CONTROL_CHANNEL)) == BROKER_READY;
	if (bus->controlled)
		control_connected(&bus->control, bus->has_control);
	if (bus->is_connected)
		histories_retry(&bus->histories);
	listen_for_answers(bus);
	if (bus->controlled)
		control_start(&bus->control);
}

int bus_set_controlled(struct bus *bus)
{
	const struct revoking_listener listener = {&bus->control, control_told};
	int r = revoking_init(&bus->control.revoking, bus, &listener);

	bus->controlled = r == 0;
	return r;
}

void bus_set_routes(struct bus *bus, struct route_table *routes)
{
	struct route_table *old = bus->routes;

	bus->routes = route_table_ref(routes);
	bus->presence.routes = bus->routes;
	if (!++bus->era)
		bus->era++;
	for (struct map_entry *e = map_next(&bus->channels, NULL); e; e = map_next(&bus->channels, e)) {
		struct bus_channel *channel = map_value(e, struct bus_channel, entry);

		/* Without memory for a history the channel goes on without one; the next
		 * reload tries again. */
		(void)bus_channel_configure(channel);
	}
	bus_lifecycle_configure(bus);
	bus_channels_end_histories(bus, clock_monotonic_ms());
	listen_for_answers(bus);
	route_table_unref(old);
}

void bus_set_keys(struct bus *bus, const struct bus_keys_listener *keys)
{
	bus->keys = *keys;
}

#ifdef TIDEGATE_FAULT_CONTROLS
void bus_set_fault_off(struct bus *bus, const struct fault_off *off)
{
	bus->histories.fault_off = *off;
}
#endif

void bus_fall_silent(struct bus *bus)
{
	if (bus)
		bus->control.silent = true;
}

void bus_free(struct bus *bus)
{
	struct map_entry *entry, *next;

	if (!bus)
		return;
	bus->n_workers = 0; /* they are gone: nothing is posted any more */
	own_channels_forget(bus);
	for (entry = map_next(&bus->channels, NULL); entry; entry = next) {
		next = map_next(&bus->channels, entry);
		bus_channel_free(map_value(entry, struct bus_channel, entry));
	}
	map_deinit(&bus->channels);
	control_deinit(&bus->control);
	replays_deinit(&bus->replays);
	bus_presence_deinit(bus);
	bus_lifecycle_deinit(bus);
	roll_calls_deinit(&bus->roll_calls);
	if (bus->tick)
		event_free(bus->tick);
	bus_inbox_close(bus);
	/* surveys whose parts could not be sent; all parts are home */
	surveys_tick(&bus->surveys, UINT64_MAX);
	route_table_unref(bus->routes);
	free(bus);
}

struct survey *bus_survey(
	struct bus *bus, const struct census_question *question, survey_done_fn done, void *arg)
{
	struct survey *survey = survey_new(question, bus->n_workers, done, arg);

	if (!survey)
		return NULL;
	list_push_back(&bus->surveys, &survey->due);
	for (unsigned int i = 0; i < bus->n_workers; i++)
		if (worker_post_survey(bus->workers[i], &survey->parts[i]) < 0)
			survey->parts[i].census.r = -ENOMEM;
	return survey;
}

bool bus_look(const struct bus *bus, struct slice name, struct bus_view *view)
{
	const struct bus_channel *channel = bus_channel_find(bus, map_hash(name.data, name.len), name);

	if (!channel)
		return false;
	*view = (struct bus_view){
		.subscribed = channel->confirmed,
		.channel_log = channel->history ? history_channel_log(channel->history) : NULL,
	};
	return true;
}

int bus_tap_add(struct bus *bus, struct bus_tap *tap, struct slice channel)
{
	tap->channel = bus_channel_get(bus, map_hash(channel.data, channel.len), channel);
	if (!tap->channel)
		return -ENOMEM;
	list_push_back(&tap->channel->taps, &tap->link);
	return 0;
}

void bus_tap_remove(struct bus *bus, struct bus_tap *tap)
{
	(void)bus; /* the channel knows it */
	if (!tap->channel)
		return;
	list_remove(&tap->link);
	bus_channel_left(tap->channel);
	tap->channel = NULL;
}

size_t bus_n_channels(const struct bus *bus)
{
	return bus->channels.n_entries;
}
