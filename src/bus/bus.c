/* Bus: the switch between the broker and the workers; see the header. */

#include "bus/bus.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/broker.h"
#include "bus/bus_channel.h"
#include "bus/bus_private.h"
#include "bus/own_channel.h"
#include "bus/tickets.h"
#include "core/clock.h"
#include "core/mailbox.h"
#include "mail/action.h"
#include "mail/bus_mail.h"
#include "mail/join.h"
#include "mail/order.h"
#include "mail/presence.h"
#include "mail/survey.h"
#include "mail/ticket.h"
#include "mail/wish.h"
#include "protocol/message.h"
#include "route/route.h"
#include "worker/worker.h"

/* From a worker. */
struct wish_mail {
	struct bus_mail mail;
	unsigned int worker;
	struct wish wish; /* its slice is what follows */
	char channel[];
};

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

void bus_give_back(struct bus *bus, struct join *join)
{
	if (join->worker >= bus->n_workers) {
		join_free(join); /* the workers are gone */
		return;
	}
	replays_sent(&bus->replays, join);
	worker_post_flush(bus->workers[join->worker]);
	worker_post_joined(bus->workers[join->worker], join);
}

static bool wants_entries(const struct join *join)
{
	return join->since.kind == SINCE_START || join->since.kind == SINCE_POSITION;
}

static void take_join(struct bus *bus, struct join *join)
{
	struct bus_channel *channel = bus_channel_find(bus, join->hash, join_channel(join));

	/* A client that asks and leaves must not cause reads of logs that no client needs and others
	 * have to wait for. */
	if (join_is_abandoned(join)) {
		join->r = -EAGAIN;
		bus_give_back(bus, join);
		return;
	}
	if (bus->is_short && wants_entries(join)) {
		join->r = -EAGAIN;
		bus_give_back(bus, join);
		return;
	}
	if (channel && channel->history) {
		history_join(channel->history, join, clock_monotonic_ms());
		return;
	}
	join->r = channel ? -ENOENT : -EAGAIN;
	bus_give_back(bus, join);
}

static void take_spent(struct bus *bus, struct credit *credit)
{
	struct join *join;

	replays_spent(&bus->replays, credit);
	credit_free(credit);
	while ((join = replays_next(&bus->replays)))
		take_join(bus, join);
}

void bus_set_short(struct bus *bus, bool is_short)
{
	bus->is_short = is_short;
	histories_set_short(&bus->histories, is_short);
	while (is_short && !list_empty(&bus->replays.held)) {
		struct join *join = list_entry(bus->replays.held.next, struct join, due);

		list_remove(&join->due);
		take_join(bus, join);
	}
}

static void take_wanted(struct bus *bus, const struct wish_mail *mail)
{
	const struct wish *wish = &mail->wish;
	struct bus_channel *channel = bus_channel_get(bus, wish->hash, wish->channel);

	if (!channel) {
		log_error(bus->log, "channel not subscribed: out of memory",
			log_slice("channel", wish->channel));
		return;
	}
	bus_channel_want(channel, mail->worker, wish->generation);
	if (wish->urgent && !channel->confirmed)
		broker_hurry(bus->broker, wish->channel);
}

static void take_wish(struct bus *bus, struct wish_mail *mail)
{
	const struct wish *wish = &mail->wish;
	struct bus_channel *channel;

	if (wish->wanted) {
		take_wanted(bus, mail);
	} else {
		channel = bus_channel_find(bus, wish->hash, wish->channel);
		if (channel)
			bus_channel_unwant(channel, mail->worker, wish->generation);
	}
	free(mail);
}

/* --- presence --- */

static void wake_presence(struct bus *bus)
{
	static const struct timeval interval = {0, PRESENCE_TICK_MS * 1000};

	if (presence_is_active(&bus->presence) && !event_pending(bus->presence_tick, EV_TIMEOUT, NULL))
		event_add(bus->presence_tick, &interval);
}

static void on_presence_tick(evutil_socket_t fd, short events, void *arg)
{
	struct bus *bus = arg;

	(void)fd;
	(void)events;
	presence_tick(&bus->presence, clock_monotonic_ms());
	wake_presence(bus);
}

static void take_presence(struct bus *bus, struct presence_change *change)
{
	if (presence_take(&bus->presence, change, clock_monotonic_ms()) < 0)
		log_error(bus->log, "a user's presence is lost: out of memory",
			log_slice("channel", presence_change_channel(change)));
	free(change);
	wake_presence(bus);
}

/* --- the node's lease --- */

static void on_lease_held(void *arg, const char *node, uint64_t until_ms)
{
	struct bus *bus = arg;

	presence_set_node(&bus->presence, node, until_ms);
	wake_presence(bus);
}

static void on_lease_lost(void *arg)
{
	struct bus *bus = arg;

	log_warn(bus->log, "other gateways took this one for dead: its users are said to be there again");
	presence_set_node(&bus->presence, "", 0);
}

static void on_lease_renewed(void *arg)
{
	struct bus *bus = arg;

	presence_set_node(&bus->presence, "", 0);
}

static void on_dead(void *arg, struct slice node)
{
	struct bus *bus = arg;

	reaper_begin(&bus->reaper, node);
}

static struct slice on_busy(void *arg)
{
	struct bus *bus = arg;

	return reaper_busy(&bus->reaper);
}

static void on_lease_tick(evutil_socket_t fd, short events, void *arg)
{
	struct bus *bus = arg;

	(void)fd;
	(void)events;
	node_lease_tick(&bus->lease, broker_state(bus->broker) != BROKER_CONNECTING, clock_monotonic_ms());
}

/* From the first route on that keeps presence. Without memory for it the next reload tries again. */
static void keep_lease(struct bus *bus)
{
	uint64_t ms = bus->lease.ttl_ms / NODE_LEASE_PARTS;
	struct timeval interval = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};

	if (bus->lease_tick)
		return;
	bus->reaper = (struct reaper){
		.broker = bus->broker, .presence = &bus->presence, .log = bus->log, .metrics = bus->metrics};
	bus->lease.broker = bus->broker;
	bus->lease_tick = event_new(bus->base, -1, EV_PERSIST, on_lease_tick, bus);
	if (bus->lease_tick && event_add(bus->lease_tick, &interval) < 0) {
		event_free(bus->lease_tick);
		bus->lease_tick = NULL;
	}
}

/* Once for each time that a server of the broker has come back. */
static void look_for_returns(struct bus *bus)
{
	uint64_t n = broker_n_returns(bus->broker);

	if (n != bus->n_returns && bus->lease_tick)
		node_lease_renew(&bus->lease);
	bus->n_returns = n;
}

void bus_leave(struct bus *bus)
{
	if (!bus->lease_tick)
		return;
	event_del(bus->lease_tick); /* or it would say that we are there again */
	node_lease_end(&bus->lease);
}

static void take_mail(struct bus *bus, struct bus_mail *mail)
{
	switch (mail->kind) {
	case BUS_WISH:
		take_wish(bus, (struct wish_mail *)mail);
		break;
	case BUS_JOIN:
		if (replays_admit(&bus->replays, (struct join *)mail))
			take_join(bus, (struct join *)mail);
		break;
	case BUS_SPENT:
		take_spent(bus, (struct credit *)mail);
		break;
	case BUS_SURVEY:
		survey_return((struct survey_part *)mail);
		break;
	case BUS_ORDER:
		order_return((struct order_part *)mail);
		break;
	case BUS_ACTION:
		actions_take(&bus->actions, (struct action *)mail);
		break;
	case BUS_PRESENCE:
		take_presence(bus, (struct presence_change *)mail);
		break;
	case BUS_ROLL_CALL:
		roll_calls_take(&bus->roll_calls, (struct roll_call *)mail);
		break;
	case BUS_KEYS:
		if (bus->keys.wanted)
			bus->keys.wanted(bus->keys.arg);
		free(mail);
		break;
	case BUS_TICKET:
		tickets_take(bus, (struct ticket *)mail);
		break;
	}
}

static void on_mail(evutil_socket_t fd, short events, void *arg)
{
	struct bus *bus = arg;
	struct mail *mail = mailbox_take(bus->inbox);

	(void)fd;
	(void)events;
	while (mail) {
		struct mail *next = mail->next;

		take_mail(bus, (struct bus_mail *)mail);
		if (bus->n_lingering > BUS_LINGERING_MAX)
			bus_channels_expire(bus, clock_monotonic_ms());
		mail = next;
	}
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

static void on_event(void *arg, struct slice name, struct slice payload)
{
	struct bus *bus = arg;
	struct bus_channel *channel = bus_channel_find(bus, map_hash(name.data, name.len), name);
	int r;

	if (!channel || (list_linked(&channel->linger) && !channel->history))
		return; /* was under way when its last subscriber left */
	if (!bus->now_us) {
		bus->now_us = clock_monotonic_us();
		bus->wall_ms = clock_wall_ms();
	}
	metrics_add(bus->metrics, METRIC_EVENTS, 1);
	r = bus_channel_event(channel, payload);
	if (r == MESSAGE_NOT_JSON)
		bus_drop(bus, name, METRIC_EVENTS_DROPPED, "not JSON");
	else if (r < 0)
		bus_drop(bus, name, METRIC_EVENTS_DROPPED_MEMORY, "out of memory");
}

static void on_drained(void *arg)
{
	struct bus *bus = arg;

	bus->now_us = 0;
	bus_flush(bus);
}

static void on_subscribed(void *arg, struct slice name)
{
	struct bus *bus = arg;
	struct bus_channel *channel = bus_channel_find(bus, map_hash(name.data, name.len), name);

	if (channel)
		bus_channel_subscribed(channel);
}

static void on_lost(void *arg, struct slice name)
{
	struct bus *bus = arg;
	struct bus_channel *channel = bus_channel_find(bus, map_hash(name.data, name.len), name);

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
	if (connected != bus->is_connected)
		post_connected(bus, connected);
	else if (state == BROKER_PARTIAL)
		tell_lost_channels(bus);
	look_for_control(bus);
	look_for_returns(bus);
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
	presence_init(&bus->presence, metrics);
	bus->roll_calls.bus = bus;
	bus->presence_tick = evtimer_new(base, on_presence_tick, bus);
	histories_init(&bus->histories, &bus_channel_history_listener, log, metrics);
	bus->inbox = mailbox_new();
	if (bus->inbox)
		bus->mail_event = event_new(base, mailbox_fd(bus->inbox), EV_READ | EV_PERSIST, on_mail, bus);
	bus->tick = event_new(base, -1, EV_PERSIST, on_tick, bus);
	if (!bus->mail_event || !bus->tick || !bus->presence_tick || event_add(bus->mail_event, NULL) < 0 ||
		event_add(bus->tick, &interval) < 0)
		goto fail;
	return bus;

fail:
	bus_free(bus);
	return NULL;
}

void bus_set_node(struct bus *bus, const char *node, uint64_t lease_ms)
{
	actions_init(&bus->actions, bus, node);
	control_init(&bus->control, bus, node);
	node_lease_init(&bus->lease,
		&(struct node_lease_listener){
			bus, on_lease_held, on_lease_lost, on_lease_renewed, on_dead, on_busy},
		node, lease_ms);
}

struct broker_listener bus_broker_listener(struct bus *bus)
{
	return (struct broker_listener){bus, on_event, on_drained, on_subscribed, on_lost, on_state};
}

static void listen_for_answers(struct bus *bus)
{
	if (bus->broker && bus->routes && bus->actions.bus && route_table_keeps_presence(bus->routes))
		keep_lease(bus);
	if (bus->broker && bus->routes && bus->actions.bus)
		actions_configure(&bus->actions, route_table_carries_actions(bus->routes));
}

void bus_connect(
	struct bus *bus, struct broker *broker, struct worker *const *workers, unsigned int n_workers)
{
	bus->broker = broker;
	bus->histories.broker = bus->presence.broker = broker;
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

static void free_mail(struct bus_mail *mail)
{
	switch (mail->kind) {
	case BUS_WISH:
	case BUS_PRESENCE:
	case BUS_ACTION:
	case BUS_KEYS:
		free(mail);
		break;
	case BUS_JOIN:
		join_free((struct join *)mail);
		break;
	case BUS_SPENT:
		credit_free((struct credit *)mail);
		break;
	case BUS_SURVEY:
		survey_lost((struct survey_part *)mail);
		break;
	case BUS_ORDER:
		order_return((struct order_part *)mail);
		break;
	case BUS_ROLL_CALL:
		roll_call_free((struct roll_call *)mail);
		break;
	case BUS_TICKET:
		ticket_free((struct ticket *)mail);
		break;
	}
}

void bus_fall_silent(struct bus *bus)
{
	if (bus)
		bus->control.silent = true;
}

void bus_free(struct bus *bus)
{
	struct map_entry *entry, *next;
	struct mail *mail;

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
	presence_deinit(&bus->presence);
	roll_calls_deinit(&bus->roll_calls);
	if (bus->presence_tick)
		event_free(bus->presence_tick);
	if (bus->lease_tick)
		event_free(bus->lease_tick);
	if (bus->mail_event)
		event_free(bus->mail_event);
	if (bus->tick)
		event_free(bus->tick);
	while (bus->inbox && (mail = mailbox_take(bus->inbox))) {
		while (mail) {
			struct mail *after = mail->next;

			free_mail((struct bus_mail *)mail);
			mail = after;
		}
	}
	mailbox_free(bus->inbox);
	/* surveys whose parts could not be sent; all parts are home */
	surveys_tick(&bus->surveys, UINT64_MAX);
	route_table_unref(bus->routes);
	free(bus);
}

static void post_wish(void *arg, unsigned int worker, const struct wish *wish)
{
	struct bus *bus = arg;
	struct wish_mail *mail = malloc(sizeof(*mail) + wish->channel.len);

	if (!mail)
		return; /* a subscriber is told after its deadline; a channel that was left stays in Redis */
	mail->mail.kind = BUS_WISH;
	mail->worker = worker;
	mail->wish = *wish;
	mail->wish.channel.data = memcpy(mail->channel, wish->channel.data, wish->channel.len);
	mailbox_push(bus->inbox, &mail->mail.mail);
}

static void post_join(void *arg, struct join *join)
{
	struct bus *bus = arg;

	mailbox_push(bus->inbox, &join->mail.mail);
}

static void post_spent(void *arg, struct credit *credit)
{
	struct bus *bus = arg;

	mailbox_push(bus->inbox, &credit->mail.mail);
}

static void post_action(void *arg, struct action *action)
{
	struct bus *bus = arg;

	mailbox_push(bus->inbox, &action->mail.mail);
}

static void post_presence(void *arg, struct presence_change *change)
{
	struct bus *bus = arg;

	mailbox_push(bus->inbox, &change->mail.mail);
}

static void post_roll_call(void *arg, struct roll_call *call)
{
	struct bus *bus = arg;

	mailbox_push(bus->inbox, &call->mail.mail);
}

static void post_survey(void *arg, struct survey_part *part)
{
	struct bus *bus = arg;

	mailbox_push(bus->inbox, &part->mail.mail);
}

static void post_order(void *arg, struct order_part *part)
{
	struct bus *bus = arg;

	mailbox_push(bus->inbox, &part->mail.mail);
}

static void post_ticket(void *arg, struct ticket *ticket)
{
	struct bus *bus = arg;

	mailbox_push(bus->inbox, &ticket->mail.mail);
}

static int post_keys(void *arg)
{
	struct bus *bus = arg;
	struct bus_mail *mail = malloc(sizeof(*mail));

	if (!mail)
		return -ENOMEM;
	mail->kind = BUS_KEYS;
	mailbox_push(bus->inbox, &mail->mail);
	return 0;
}

struct worker_listener bus_worker_listener(struct bus *bus)
{
	return (struct worker_listener){bus, post_wish, post_join, post_spent, post_action, post_presence,
		post_roll_call, post_survey, post_order, post_ticket, post_keys};
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
