/* Bus: the switch between the broker and the workers; see the header. */

#include "bus/bus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/broker.h"
#include "bus/bus_mail.h"
#include "bus/join.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mailbox.h"
#include "core/map.h"
#include "metrics/loop_lag.h"
#include "metrics/metrics.h"
#include "protocol/message.h"
#include "protocol/reply.h"
#include "route/route.h"
#include "worker/worker.h"
#include "history.h"
#include "replays.h"

/*
 * A channel that is heard already gets a history by a reload. Its log begins with a read, on another
 * connection than the events come by: which of the two is the first to bring an entry is open. Those who hear
 * the channel must get each once, so they go on hearing what comes over pub/sub until it has caught up with
 * the log.
 */
enum settling {
	SETTLED,
	SETTLING_READ, /* the log's first read is out: it is fed, and not heard */
	SETTLING_LATE, /* the log is live: it is heard, but what it has already may still come for the first
			  time */
};

/* One channel that somebody on this node wants, or wanted a moment ago. */
struct bus_channel {
	struct map_entry entry; /* key points at name, behind the turns */
	uint64_t wanted;        /* bit i: worker i wants it */
	struct list taps;
	struct list linger;         /* in bus.lingering while nobody wants it */
	uint64_t linger_ms;         /* until then */
	bool confirmed;             /* the broker says that every event comes */
	const struct key_path *key; /* of bus.routes; NULL: its events have none */
	struct bus *bus;
	struct history *history; /* NULL: the channel keeps none */
	struct list ending;      /* in bus.ending while its history is to end */
	enum settling settling;
	bool close_on_gap; /* clients that know nothing of recovery, where entries are lost to them */
	char *name;
	uint64_t turns[]; /* by worker: the hub's turn in which it was asked for */
};

struct bus {
	struct event_base *base;
	struct broker *broker;
	struct worker *const *workers;
	unsigned int n_workers;
	struct route_table *routes; /* one reference, or NULL */
	struct map channels;
	struct histories histories;
	struct replays replays;
	struct list lingering; /* in order of linger_ms */
	struct list ending;    /* channels whose history is no longer kept, but still holds something back */
	struct list surveys;   /* in order of deadline_ms */
	struct mailbox *inbox;
	struct event *mail_event;
	struct event *tick;
	struct loop_lag lag;
	struct log *log;
	struct metrics *metrics;
	struct log_limit drop_limit;
	size_t event_bytes_max;
	uint64_t now_us; /* of the events that are being handed over; 0 between such runs */
	uint64_t wall_ms;
};

/* From a worker. */
struct interest {
	struct bus_mail mail;
	unsigned int worker;
	bool wanted;
	uint64_t hash;
	uint64_t turn;
	size_t len;
	char channel[];
};

enum {
	TICK_MS = 500,
	DROP_LINES = 5, /* of the log in a minute, about payloads that were dropped */
};

static struct slice channel_name(const struct bus_channel *channel)
{
	return (struct slice){channel->name, channel->entry.key_len};
}

static struct bus_channel *channel_find(const struct bus *bus, uint64_t hash, struct slice name)
{
	struct map_entry *entry = map_find(&bus->channels, hash, name.data, name.len);

	return entry ? map_value(entry, struct bus_channel, entry) : NULL;
}

static void channel_free(struct bus *bus, struct bus_channel *channel)
{
	history_free(channel->history);
	list_remove(&channel->linger);
	list_remove(&channel->ending);
	map_remove(&bus->channels, &channel->entry);
	metrics_set(bus->metrics, METRIC_CHANNELS, bus->channels.n_entries);
	free(channel);
}

/* What the routes say of it. 0 or -ENOMEM. */
static int channel_configure(struct bus *bus, struct bus_channel *channel)
{
	const struct route_history *history;

	if (!bus->routes)
		return 0;
	channel->key = route_table_key(bus->routes, channel_name(channel));
	history = route_table_history(bus->routes, channel_name(channel));
	channel->close_on_gap = history && history->close_on_gap;
	list_remove(&channel->ending);
	if (!history && channel->history)
		list_push_back(&bus->ending, &channel->ending);
	if (!history)
		return 0;
	if (channel->history) {
		history_set_ttl(channel->history, history->ttl_ms);
		return 0;
	}
	channel->history = history_new(&bus->histories, channel_name(channel), history->ttl_ms, channel);
	if (channel->history && channel->confirmed) {
		channel->settling = SETTLING_READ;
		history_subscribed(channel->history);
	}
	return channel->history ? 0 : -ENOMEM;
}

static struct bus_channel *channel_new(struct bus *bus, uint64_t hash, struct slice name)
{
	size_t turns = bus->n_workers * sizeof(uint64_t);
	struct bus_channel *channel = calloc(1, sizeof(struct bus_channel) + turns + name.len + 1);

	if (!channel)
		return NULL;
	channel->name = (char *)channel->turns + turns;
	memcpy(channel->name, name.data, name.len);
	channel->entry = (struct map_entry){.hash = hash, .key = channel->name, .key_len = name.len};
	list_init(&channel->taps);
	channel->bus = bus;
	if (map_insert(&bus->channels, &channel->entry) < 0) {
		free(channel);
		return NULL;
	}
	metrics_set(bus->metrics, METRIC_CHANNELS, bus->channels.n_entries);
	if (channel_configure(bus, channel) < 0 || broker_subscribe(bus->broker, name) < 0) {
		channel_free(bus, channel);
		return NULL;
	}
	return channel;
}

/* The channel, about to be wanted: found or made, no longer lingering. NULL: out of memory. */
static struct bus_channel *channel_get(struct bus *bus, uint64_t hash, struct slice name)
{
	struct bus_channel *channel = channel_find(bus, hash, name);

	if (!channel)
		return channel_new(bus, hash, name);
	list_remove(&channel->linger);
	return channel;
}

static void linger_if_unwanted(struct bus *bus, struct bus_channel *channel)
{
	if (channel->wanted || !list_empty(&channel->taps) || list_linked(&channel->linger))
		return;
	channel->linger_ms = clock_monotonic_ms() + BUS_LINGER_MS;
	list_push_back(&bus->lingering, &channel->linger);
}

static void want(struct bus *bus, const struct interest *interest)
{
	struct slice name = {interest->channel, interest->len};
	struct bus_channel *channel = channel_get(bus, interest->hash, name);

	if (!channel) {
		log_error(bus->log, "channel not subscribed: out of memory",
			log_mem("channel", name.data, name.len));
		return;
	}
	channel->wanted |= (uint64_t)1 << interest->worker;
	channel->turns[interest->worker] = interest->turn;
	if (channel->confirmed)
		worker_post_confirm(bus->workers[interest->worker], name, interest->hash, interest->turn);
}

static void unwant(struct bus *bus, const struct interest *interest)
{
	struct bus_channel *channel =
		channel_find(bus, interest->hash, (struct slice){interest->channel, interest->len});

	if (!channel || channel->turns[interest->worker] != interest->turn)
		return;
	channel->wanted &= ~((uint64_t)1 << interest->worker);
	linger_if_unwanted(bus, channel);
}

static void post_flush(struct bus *bus)
{
	for (unsigned int i = 0; i < bus->n_workers; i++)
		worker_post_flush(bus->workers[i]);
}

/* Back to its worker, behind the events that came before. */
static void give_back(struct bus *bus, struct join *join)
{
	if (join->worker >= bus->n_workers) {
		join_free(join); /* the workers are gone */
		return;
	}
	replays_sent(&bus->replays, join);
	worker_post_flush(bus->workers[join->worker]);
	worker_post_joined(bus->workers[join->worker], join);
}

static void take_join(struct bus *bus, struct join *join)
{
	struct bus_channel *channel = channel_find(bus, join->hash, join_channel(join));

	if (channel && channel->history) {
		history_join(channel->history, join, clock_monotonic_ms());
		return;
	}
	join->r = channel ? -ENOENT : -EAGAIN;
	give_back(bus, join);
}

static void take_spent(struct bus *bus, struct join *join)
{
	replays_spent(&bus->replays, join);
	join_free(join);
	while ((join = replays_next(&bus->replays)))
		take_join(bus, join);
}

static void take_interest(struct bus *bus, struct interest *interest)
{
	if (interest->wanted)
		want(bus, interest);
	else
		unwant(bus, interest);
	free(interest);
}

static void take_mail(struct bus *bus, struct bus_mail *mail)
{
	switch (mail->kind) {
	case BUS_INTEREST:
		take_interest(bus, (struct interest *)mail);
		break;
	case BUS_JOIN:
		if (replays_admit(&bus->replays, (struct join *)mail))
			take_join(bus, (struct join *)mail);
		break;
	case BUS_SPENT:
		take_spent(bus, (struct join *)mail);
		break;
	case BUS_SURVEY:
		survey_return((struct survey_part *)mail);
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
		mail = next;
	}
}

/* Every event from now on comes: whoever waited for that is told. */
static void confirm(struct bus_channel *channel)
{
	struct bus *bus = channel->bus;

	if (channel->confirmed)
		return;
	channel->confirmed = true;
	for (uint64_t left = channel->wanted; left; left &= left - 1) {
		int i = __builtin_ctzll(left);

		worker_post_confirm(
			bus->workers[i], channel_name(channel), channel->entry.hash, channel->turns[i]);
	}
}

static void end_histories(struct bus *bus)
{
	struct list *link = bus->ending.next;

	while (link != &bus->ending) {
		struct bus_channel *channel = list_entry(link, struct bus_channel, ending);
		bool was_live;

		link = link->next;
		if (!history_end(channel->history, &was_live))
			continue;
		channel->history = NULL;
		channel->settling = SETTLED;
		list_remove(&channel->ending);
		if (was_live)
			confirm(channel);
	}
}

static void on_tick(evutil_socket_t fd, short events, void *arg)
{
	struct bus *bus = arg;
	uint64_t now_ms = clock_monotonic_ms();

	(void)fd;
	(void)events;
	metrics_set(bus->metrics, METRIC_LOOP_LAG,
		loop_lag_tick(&bus->lag, clock_monotonic_us(), TICK_MS * 1000));
	end_histories(bus);
	histories_tick(&bus->histories, now_ms);
	surveys_tick(&bus->surveys, now_ms);
	while (!list_empty(&bus->lingering)) {
		struct bus_channel *channel = list_entry(bus->lingering.next, struct bus_channel, linger);

		if (channel->linger_ms > now_ms)
			return;
		broker_unsubscribe(bus->broker, channel_name(channel));
		channel_free(bus, channel);
	}
}

static void drop(struct bus *bus, struct slice channel, enum metric metric, const char *reason)
{
	uint64_t suppressed;

	metrics_add(bus->metrics, metric, 1);
	if (log_limit_allow(bus->log, &bus->drop_limit, clock_monotonic_ms(), &suppressed))
		log_warn(bus->log, "event dropped", log_mem("channel", channel.data, channel.len),
			log_str("reason", reason), log_uint("suppressed", suppressed));
}

/* To all who want it. The reference stays the caller's. */
static void hand_out(struct bus *bus, struct bus_channel *channel, struct message *event)
{
	for (uint64_t left = channel->wanted; left; left &= left - 1) {
		if (worker_post_event(bus->workers[__builtin_ctzll(left)], event) < 0)
			drop(bus, channel_name(channel), METRIC_EVENTS_DROPPED_MEMORY, "out of memory");
	}
	for (struct list *link = channel->taps.next; link != &channel->taps; link = link->next) {
		struct bus_tap *tap = list_entry(link, struct bus_tap, link);

		tap->event(tap->arg, event);
	}
}

static void on_history_live(void *arg)
{
	confirm(arg);
}

static void on_made(void *arg, struct message *event)
{
	struct bus_channel *channel = arg;

	if (channel->key)
		message_set_key(event, channel->key);
}

static void on_history_deliver(void *arg, struct message *event)
{
	struct bus_channel *channel = arg;

	if (channel->settling != SETTLING_READ)
		hand_out(channel->bus, channel, event);
}

static void on_history_resync(void *arg, const struct channel_log_resync *resync)
{
	struct bus_channel *channel = arg;
	struct bus *bus = channel->bus;
	char pos[POSITION_TEXT_MAX];
	struct message *told;

	position_format(&resync->position, pos);
	told = reply_resync(channel_name(channel), channel_log_reason_name(resync->reason),
		resync->continuous, resync->retracted, pos, clock_wall_ms());
	for (uint64_t left = told ? channel->wanted : 0; left; left &= left - 1) {
		struct worker *worker = bus->workers[__builtin_ctzll(left)];

		worker_post_flush(worker);
		worker_post_resync(worker, channel_name(channel), channel->entry.hash, told,
			channel->close_on_gap && !resync->continuous);
	}
	message_unref(told);
}

static void on_history_drained(void *arg)
{
	struct bus_channel *channel = arg;

	if (channel->settling == SETTLING_READ && history_is_live(channel->history))
		channel->settling = SETTLING_LATE;
	post_flush(channel->bus);
}

static void on_history_answered(void *arg, struct join *join)
{
	struct bus_channel *channel = arg;

	give_back(channel->bus, join);
}

/* An event of a channel without a history. */
static int take_event(struct bus *bus, struct bus_channel *channel, struct slice payload)
{
	struct envelope envelope;
	struct message *event;
	int r = envelope_parse(payload, &envelope);

	if (r == ENVELOPE_MALFORMED)
		return MESSAGE_NOT_JSON;
	/* Published with history by a backend, which this gateway's configuration knows nothing of. */
	if (r == 0)
		payload = envelope.payload;
	r = message_from_event(
		channel_name(channel), payload, (struct slice){0}, bus->wall_ms, bus->now_us, &event);
	if (r)
		return r;
	on_made(channel, event);
	hand_out(bus, channel, event);
	message_unref(event);
	return 0;
}

/* An event of a channel whose history has not settled. Once it has, this is no longer called. */
static int take_settling(struct bus *bus, struct bus_channel *channel, struct slice payload)
{
	struct envelope envelope;
	int r = 0;

	if (channel->settling == SETTLING_LATE && envelope_parse(payload, &envelope) == 0) {
		if (history_began_with(channel->history, &envelope))
			return take_event(bus, channel, payload);
		channel->settling = SETTLED;
	}
	if (channel->settling == SETTLING_READ)
		r = take_event(bus, channel, payload);
	return r ? r : history_event(channel->history, payload, bus->wall_ms, bus->now_us);
}

static void on_event(void *arg, struct slice name, struct slice payload)
{
	struct bus *bus = arg;
	struct bus_channel *channel = channel_find(bus, map_hash(name.data, name.len), name);
	int r;

	if (!channel || (list_linked(&channel->linger) && !channel->history))
		return; /* was under way when its last subscriber left */
	if (!bus->now_us) {
		bus->now_us = clock_monotonic_us();
		bus->wall_ms = clock_wall_ms();
	}
	metrics_add(bus->metrics, METRIC_EVENTS, 1);
	if (payload.len > bus->event_bytes_max && envelope_payload_bytes(payload) > bus->event_bytes_max) {
		drop(bus, name, METRIC_EVENTS_DROPPED_SIZE, "larger than event_bytes_max");
		return;
	}
	if (channel->settling != SETTLED)
		r = take_settling(bus, channel, payload);
	else
		r = channel->history ? history_event(channel->history, payload, bus->wall_ms, bus->now_us)
				     : take_event(bus, channel, payload);
	if (r == MESSAGE_NOT_JSON)
		drop(bus, name, METRIC_EVENTS_DROPPED, "not JSON");
	else if (r < 0)
		drop(bus, name, METRIC_EVENTS_DROPPED_MEMORY, "out of memory");
}

static void on_drained(void *arg)
{
	struct bus *bus = arg;

	bus->now_us = 0;
	post_flush(bus);
}

static void on_subscribed(void *arg, struct slice name)
{
	struct bus *bus = arg;
	struct bus_channel *channel = channel_find(bus, map_hash(name.data, name.len), name);

	if (!channel)
		return;
	if (channel->history)
		history_subscribed(channel->history); /* confirms once it is live */
	else
		confirm(channel);
}

static void channel_lost(struct bus_channel *channel)
{
	channel->confirmed = false;
	if (channel->history)
		history_lost(channel->history);
}

static void on_state(void *arg, enum broker_state state, const char *reason)
{
	struct bus *bus = arg;

	(void)reason; /* the broker logs it and tells it to /ready */
	if (state != BROKER_READY) {
		for (struct map_entry *e = map_next(&bus->channels, NULL); e; e = map_next(&bus->channels, e))
			channel_lost(map_value(e, struct bus_channel, entry));
	}
	for (unsigned int i = 0; i < bus->n_workers; i++)
		worker_post_connected(bus->workers[i], state == BROKER_READY);
	if (state == BROKER_READY)
		histories_retry(&bus->histories);
}

struct bus *bus_new(struct event_base *base, size_t event_bytes_max, struct log *log, struct metrics *metrics)
{
	const struct history_listener up = {
		.live = on_history_live,
		.made = on_made,
		.deliver = on_history_deliver,
		.resync = on_history_resync,
		.drained = on_history_drained,
		.answered = on_history_answered,
	};
	struct timeval interval = {0, TICK_MS * 1000};
	struct bus *bus = calloc(1, sizeof(struct bus));

	if (!bus)
		return NULL;
	bus->base = base;
	bus->log = log;
	bus->metrics = metrics;
	bus->event_bytes_max = event_bytes_max;
	bus->drop_limit = (struct log_limit){.burst = DROP_LINES, .interval_ms = 60000};
	list_init(&bus->lingering);
	replays_init(&bus->replays);
	list_init(&bus->ending);
	list_init(&bus->surveys);
	histories_init(&bus->histories, &up, log, metrics);
	bus->inbox = mailbox_new();
	if (bus->inbox)
		bus->mail_event = event_new(base, mailbox_fd(bus->inbox), EV_READ | EV_PERSIST, on_mail, bus);
	bus->tick = event_new(base, -1, EV_PERSIST, on_tick, bus);
	if (!bus->mail_event || !bus->tick || event_add(bus->mail_event, NULL) < 0 ||
		event_add(bus->tick, &interval) < 0) {
		bus_free(bus);
		return NULL;
	}
	return bus;
}

struct broker_listener bus_broker_listener(struct bus *bus)
{
	return (struct broker_listener){bus, on_event, on_drained, on_subscribed, on_state};
}

void bus_connect(
	struct bus *bus, struct broker *broker, struct worker *const *workers, unsigned int n_workers)
{
	bus->broker = broker;
	bus->histories.broker = broker;
	bus->workers = workers;
	bus->n_workers = n_workers;
	loop_lag_start(&bus->lag, clock_monotonic_us(), TICK_MS * 1000);
	on_state(bus, broker_state(broker), "");
}

void bus_set_routes(struct bus *bus, struct route_table *routes)
{
	struct route_table *old = bus->routes;

	bus->routes = route_table_ref(routes);
	for (struct map_entry *e = map_next(&bus->channels, NULL); e; e = map_next(&bus->channels, e)) {
		struct bus_channel *channel = map_value(e, struct bus_channel, entry);

		/* Without memory for a history it goes on without one; the next reload tries again. */
		(void)channel_configure(bus, channel);
	}
	end_histories(bus);
	route_table_unref(old);
}

#ifdef TIDEGATE_FAULT_CONTROLS
void bus_set_fault_off(struct bus *bus, const struct fault_off *off)
{
	bus->histories.fault_off = *off;
}
#endif

void bus_set_event_max(struct bus *bus, size_t event_bytes_max)
{
	bus->event_bytes_max = event_bytes_max;
}

static void free_mail(struct bus_mail *mail)
{
	switch (mail->kind) {
	case BUS_INTEREST:
		free(mail);
		break;
	case BUS_JOIN:
	case BUS_SPENT:
		join_free((struct join *)mail);
		break;
	case BUS_SURVEY:
		survey_lost((struct survey_part *)mail);
		break;
	}
}

void bus_free(struct bus *bus)
{
	struct map_entry *entry, *next;
	struct mail *mail;

	if (!bus)
		return;
	bus->n_workers = 0; /* they are gone: nothing is posted any more */
	for (entry = map_next(&bus->channels, NULL); entry; entry = next) {
		next = map_next(&bus->channels, entry);
		channel_free(bus, map_value(entry, struct bus_channel, entry));
	}
	map_deinit(&bus->channels);
	replays_deinit(&bus->replays);
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
	surveys_tick(&bus->surveys, UINT64_MAX); /* those that nobody could be asked; all parts are home */
	route_table_unref(bus->routes);
	free(bus);
}

void bus_post_interest(
	struct bus *bus, unsigned int worker, struct slice channel, uint64_t hash, uint64_t turn, bool wanted)
{
	struct interest *interest = malloc(sizeof(struct interest) + channel.len);

	if (!interest)
		return; /* who subscribed is told after its deadline; who left costs Redis a channel */
	interest->mail.kind = BUS_INTEREST;
	interest->worker = worker;
	interest->wanted = wanted;
	interest->hash = hash;
	interest->turn = turn;
	interest->len = channel.len;
	memcpy(interest->channel, channel.data, channel.len);
	mailbox_push(bus->inbox, &interest->mail.mail);
}

void bus_post_join(struct bus *bus, struct join *join)
{
	mailbox_push(bus->inbox, &join->mail.mail);
}

void bus_post_survey(struct bus *bus, struct survey_part *part)
{
	mailbox_push(bus->inbox, &part->mail.mail);
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
	const struct bus_channel *channel = channel_find(bus, map_hash(name.data, name.len), name);

	if (!channel)
		return false;
	*view = (struct bus_view){
		.subscribed = channel->confirmed,
		.log = channel->history ? history_log(channel->history) : NULL,
	};
	return true;
}

int bus_tap_add(struct bus *bus, struct bus_tap *tap, struct slice channel)
{
	tap->channel = channel_get(bus, map_hash(channel.data, channel.len), channel);
	if (!tap->channel)
		return -ENOMEM;
	list_push_back(&tap->channel->taps, &tap->link);
	return 0;
}

void bus_tap_remove(struct bus *bus, struct bus_tap *tap)
{
	if (!tap->channel)
		return;
	list_remove(&tap->link);
	linger_if_unwanted(bus, tap->channel);
	tap->channel = NULL;
}

size_t bus_n_channels(const struct bus *bus)
{
	return bus->channels.n_entries;
}
