/*
 * Memory broker: for a node alone. Events that are published here arrive here, with no Redis behind it.
 *
 * All its reports wait in one queue, the oldest first, and are delivered on the next turn of the loop. So no
 * call re-enters, and a subscription that was confirmed before a publication gets it. Publications that the
 * listener makes while it is called wait for the turn after, so a loop of echoes cannot starve the sockets.
 *
 * Logs are kept in memory_store.h as Redis would keep them, and asked for in the same queue: an entry is
 * appended and pushed in one step, in its place in the queue.
 *
 * It is always ready, and refuses a call only for want of memory.
 */

#include "broker/memory_broker.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/memory_presence.h"
#include "broker/memory_store.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/list.h"
#include "core/map.h"
#include "core/priority.h"

struct memory_channel {
	struct map_entry entry;
	char name[];
};

enum memory_kind {
	MEMORY_SUBSCRIPTION, /* to be answered */
	MEMORY_PUBLICATION,
	MEMORY_LOG_PUBLICATION,
	MEMORY_LOG_READ,
	MEMORY_ROLL, /* of what was asked: its users are the payload */
};

/* A report for the next turn. Channel, payload and idempotency key stand in bytes[], in this order. */
struct memory_job {
	struct list link;
	enum memory_kind kind;
	union {
		broker_published_fn published;
		broker_log_published_fn log_published;
		broker_log_read_fn log_read;
		broker_roll_fn roll;
	} done;
	void *arg;
	struct broker_log_options options; /* of a log publication; its key points into bytes[] */
	struct broker_roll roll;           /* of MEMORY_ROLL */
	int r;                             /* likewise */
	uint64_t from;                     /* these of a log read */
	uint64_t ttl_ms;
	uint32_t count;
	size_t channel_len;
	size_t payload_len;
	char bytes[];
};

enum {
	/* items that are dropped in one tick: worth some milliseconds of all threads that want memory */
	TRIM_ITEMS = 5000,
};

struct memory_broker {
	struct broker broker; /* first: the interface casts to us */
	struct broker_listener listener;
	struct event *turn; /* pending when there is something to say */
	struct event *tick;
	struct list jobs;
	struct list mark; /* stands among the jobs during a turn, behind the last job of that turn */
	struct map channels;
	struct memory_store *store;
	struct memory_presence presence;
	struct buf push; /* the envelope that is being handed over */
	bool announced;  /* that it is ready */
};

static struct map_entry *memory_find(const struct memory_broker *memory, struct slice channel)
{
	return map_find(&memory->channels, map_hash(channel.data, channel.len), channel.data, channel.len);
}

static void memory_wake(struct memory_broker *memory)
{
	static const struct timeval at_once;

	event_add(memory->turn, &at_once);
}

static int memory_push(struct memory_broker *memory, const struct memory_job *head, struct slice channel,
	struct slice payload)
{
	struct memory_job *job;

	if (!memory->turn)
		return -ENOTCONN; /* being freed: nothing will be said any more */
	job = malloc(sizeof(*job) + channel.len + payload.len + head->options.key.len);
	if (!job)
		return -ENOMEM;
	*job = *head;
	job->channel_len = channel.len;
	job->payload_len = payload.len;
	if (channel.len)
		memcpy(job->bytes, channel.data, channel.len);
	if (payload.len)
		memcpy(job->bytes + channel.len, payload.data, payload.len);
	if (head->options.key.data) {
		job->options.key.data = job->bytes + channel.len + payload.len;
		memcpy(job->bytes + channel.len + payload.len, head->options.key.data, head->options.key.len);
	}
	list_push_back(&memory->jobs, &job->link);
	memory_wake(memory);
	return 0;
}

static int memory_subscribe(struct broker *broker, struct slice channel)
{
	struct memory_broker *memory = (struct memory_broker *)broker;
	struct memory_channel *new = NULL;
	int r;

	if (!memory_find(memory, channel)) {
		new = calloc(1, sizeof(*new) + channel.len);
		if (!new)
			return -ENOMEM;
		if (channel.len)
			memcpy(new->name, channel.data, channel.len);
		new->entry.key = new->name;
		new->entry.key_len = channel.len;
		new->entry.hash = map_hash(new->name, channel.len);
		r = map_insert(&memory->channels, &new->entry);
		if (r < 0) {
			free(new);
			return r;
		}
	}
	r = memory_push(memory, &(struct memory_job){0}, channel, (struct slice){0});
	if (r < 0 && new) {
		map_remove(&memory->channels, &new->entry);
		free(new);
	}
	return r;
}

static void memory_unsubscribe(struct broker *broker, struct slice channel)
{
	struct memory_broker *memory = (struct memory_broker *)broker;
	struct map_entry *entry = memory_find(memory, channel);

	if (!entry)
		return;
	map_remove(&memory->channels, entry);
	free(map_value(entry, struct memory_channel, entry));
}

static int memory_publish(struct broker *broker, struct slice channel, struct slice payload,
	broker_published_fn done, void *arg)
{
	struct memory_broker *memory = (struct memory_broker *)broker;

	return memory_push(memory,
		&(struct memory_job){.kind = MEMORY_PUBLICATION, .done.published = done, .arg = arg}, channel,
		payload);
}

static int memory_log_publish(struct broker *broker, struct slice channel, struct slice payload,
	const struct broker_log_options *options, broker_log_published_fn done, void *arg)
{
	struct memory_broker *memory = (struct memory_broker *)broker;
	const struct memory_job job = {
		.kind = MEMORY_LOG_PUBLICATION, .done.log_published = done, .arg = arg, .options = *options};

	return memory_push(memory, &job, channel, payload);
}

static int memory_read(struct broker *broker, struct slice channel, uint64_t from, uint32_t count,
	uint64_t ttl_ms, broker_log_read_fn done, void *arg)
{
	struct memory_broker *memory = (struct memory_broker *)broker;
	const struct memory_job job = {.kind = MEMORY_LOG_READ,
		.done.log_read = done,
		.arg = arg,
		.from = from,
		.count = count,
		.ttl_ms = ttl_ms};

	return memory_push(memory, &job, channel, (struct slice){0});
}

static int memory_push_roll(struct memory_broker *memory, struct slice channel, int r,
	const struct broker_roll *roll, struct slice users, broker_roll_fn done, void *arg)
{
	const struct memory_job job = {
		.kind = MEMORY_ROLL, .done.roll = done, .arg = arg, .r = r, .roll = *roll};

	return memory_push(memory, &job, channel, users);
}

/* The event has its place among the others now. Without memory for it nobody is told. */
static void memory_push_event(
	struct memory_broker *memory, const struct broker_presence *presence, const struct buf *event)
{
	const struct broker_log_options options = {
		.size = presence->log_size, .ttl_ms = presence->log_ttl_ms};

	if (event->failed || !event->len)
		return;
	(void)memory_push(memory,
		&(struct memory_job){.kind = presence->log_size ? MEMORY_LOG_PUBLICATION : MEMORY_PUBLICATION,
			.options = options},
		presence->channel, buf_slice(event));
}

static int memory_set_presence(struct broker *broker, const struct broker_presence *presence,
	const struct broker_user *users, size_t n, broker_roll_fn done, void *arg)
{
	struct memory_broker *memory = (struct memory_broker *)broker;
	struct broker_roll roll;
	struct buf event = {0};
	int r = memory_presence_set(
		&memory->presence, presence, users, n, &roll, presence->tells ? &event : NULL);

	memory_push_event(memory, presence, &event);
	buf_deinit(&event);
	return memory_push_roll(memory, presence->channel, r, &roll, (struct slice){0}, done, arg);
}

static int memory_ask_presence(
	struct broker *broker, struct slice channel, bool names, broker_roll_fn done, void *arg)
{
	struct memory_broker *memory = (struct memory_broker *)broker;
	struct broker_roll roll;
	struct buf texts = {0};
	int r = -ENOMEM;

	memory_presence_ask(&memory->presence, channel, names, &roll, &texts);
	if (!texts.failed)
		r = memory_push_roll(memory, channel, 0, &roll, buf_slice(&texts), done, arg);
	buf_deinit(&texts);
	return r;
}

/* Delivers a publication. True if the channel is wanted. */
static bool memory_say_publication(struct memory_broker *memory, const struct memory_job *job,
	struct slice channel, struct slice payload)
{
	bool wanted = memory_find(memory, channel) != NULL;

	if (wanted)
		memory->listener.event(memory->listener.arg, channel, payload);
	if (job->done.published)
		job->done.published(job->arg, 0, wanted);
	return wanted;
}

/* True if the entry was pushed. Without memory for that it stays in the log, as if the push were lost, and
 * listeners find that out. */
static bool memory_push_envelope(
	struct memory_broker *memory, struct slice channel, const struct envelope *envelope)
{
	char head[ENVELOPE_HEAD_MAX];

	if (!memory_find(memory, channel))
		return false;
	buf_reset(&memory->push);
	buf_append(&memory->push, head, envelope_head_format(envelope, head));
	buf_append(&memory->push, envelope->payload.data, envelope->payload.len);
	if (memory->push.failed)
		return false;
	memory->listener.event(memory->listener.arg, channel, buf_slice(&memory->push));
	return true;
}

static bool memory_say_log_publication(struct memory_broker *memory, const struct memory_job *job,
	struct slice channel, struct slice payload)
{
	const struct memory_time time = {clock_monotonic_ms(), clock_wall_ms() * 1000};
	struct envelope envelope;
	struct position id;
	bool pushed = false;
	int r = memory_store_publish(memory->store, channel, payload, &job->options, time, &id, &envelope);

	if (r == 0)
		pushed = memory_push_envelope(memory, channel, &envelope);
	if (job->done.log_published)
		job->done.log_published(
			job->arg, r < 0 ? r : 0, r < 0 ? NULL : &id, r == MEMORY_STORE_DUPLICATE);
	return pushed;
}

/* Fills in the entries of the range, as many as one read may bring, but at least two. Returns how many. */
static uint32_t memory_fill(const struct memory_range *range, struct broker_log_entry *entries)
{
	size_t n_bytes = 0;
	uint32_t n = 0;

	while (n < range->n && (n_bytes < BROKER_LOG_READ_BYTES || n < 2)) {
		const struct memory_log_entry *entry = memory_log_at(range->log, range->first + n);

		entries[n++] = (struct broker_log_entry){entry->offset, entry->tag, entry->payload};
		n_bytes += entry->payload.len;
	}
	return n;
}

static void memory_say_log_read(
	struct memory_broker *memory, const struct memory_job *job, struct slice channel)
{
	struct broker_log_entry *entries = NULL;
	struct memory_range range = {.n = 0};
	int r = memory_store_read(
		memory->store, channel, job->from, job->count, job->ttl_ms, clock_monotonic_ms(), &range);

	if (r == 0 && range.n) {
		entries = malloc(range.n * sizeof(*entries));
		if (!entries)
			r = -ENOMEM;
	}
	if (r == 0)
		job->done.log_read(job->arg, 0, &range.top, entries, memory_fill(&range, entries));
	else
		job->done.log_read(job->arg, r, NULL, NULL, 0);
	free(entries);
}

static void memory_say_roll(const struct memory_job *job, struct slice users)
{
	struct broker_roll roll = job->roll;

	roll.users = users;
	job->done.roll(job->arg, job->r, job->r == 0 ? &roll : NULL);
}

/* Delivers one report. True if it was an event. */
static bool memory_say(struct memory_broker *memory, const struct memory_job *job)
{
	struct slice channel = {job->bytes, job->channel_len};
	struct slice payload = {job->bytes + job->channel_len, job->payload_len};

	switch (job->kind) {
	case MEMORY_SUBSCRIPTION:
		if (memory_find(memory, channel))
			memory->listener.subscribed(memory->listener.arg, channel);
		return false;
	case MEMORY_PUBLICATION:
		return memory_say_publication(memory, job, channel, payload);
	case MEMORY_LOG_PUBLICATION:
		return memory_say_log_publication(memory, job, channel, payload);
	case MEMORY_LOG_READ:
		memory_say_log_read(memory, job, channel);
		return false;
	case MEMORY_ROLL:
		memory_say_roll(job, payload);
		return false;
	}
	return false;
}

static void memory_turn(evutil_socket_t fd, short what, void *arg)
{
	struct memory_broker *memory = arg;
	bool has_events = false;

	(void)fd;
	(void)what;
	if (!memory->announced) {
		memory->announced = true;
		memory->listener.state(memory->listener.arg, BROKER_READY, "in memory, this node alone");
	}
	/* A publication from now on stands behind the mark, and waits for the next turn. */
	list_push_back(&memory->jobs, &memory->mark);
	while (memory->jobs.next != &memory->mark) {
		struct memory_job *job = list_entry(memory->jobs.next, struct memory_job, link);

		list_remove(&job->link);
		has_events |= memory_say(memory, job);
		free(job);
	}
	list_remove(&memory->mark);
	if (has_events)
		memory->listener.drained(memory->listener.arg);
}

static bool memory_look(struct broker *broker)
{
	struct memory_broker *memory = (struct memory_broker *)broker;

	if (!list_empty(&memory->jobs))
		memory_turn(-1, 0, memory);
	return false;
}

static void memory_tick(evutil_socket_t fd, short what, void *arg)
{
	struct memory_broker *memory = arg;

	(void)fd;
	(void)what;
	map_tidy(&memory->channels);
	if (memory_store_tick(memory->store, clock_monotonic_ms()) >= TRIM_ITEMS)
		malloc_trim(0); /* the dropped items lay in small pieces between others that are in use */
}

static enum broker_state memory_state(const struct broker *broker)
{
	const struct memory_broker *memory = (const struct memory_broker *)broker;

	return memory->announced ? BROKER_READY : BROKER_CONNECTING;
}

static void memory_describe(const struct broker *broker, struct buf *out)
{
	const struct memory_broker *memory = (const struct memory_broker *)broker;

	buf_printf(out,
		"{\"kind\":\"memory\",\"state\":\"%s\",\"n_channels\":%zu,"
		"\"note\":\"no redis is set: events stay in this process\"}",
		memory->announced ? "ready" : "connecting", memory->channels.n_entries);
}

static void memory_cancel(const struct memory_job *job)
{
	if (job->kind == MEMORY_PUBLICATION && job->done.published)
		job->done.published(job->arg, -ECANCELED, 0);
	else if (job->kind == MEMORY_LOG_PUBLICATION && job->done.log_published)
		job->done.log_published(job->arg, -ECANCELED, NULL, false);
	else if (job->kind == MEMORY_LOG_READ)
		job->done.log_read(job->arg, -ECANCELED, NULL, NULL, 0);
	else if (job->kind == MEMORY_ROLL)
		job->done.roll(job->arg, -ECANCELED, NULL);
}

static void memory_free(struct broker *broker)
{
	struct memory_broker *memory = (struct memory_broker *)broker;

	if (memory->turn)
		event_free(memory->turn);
	memory->turn = NULL;
	if (memory->tick)
		event_free(memory->tick);
	while (!list_empty(&memory->jobs)) {
		struct memory_job *job = list_entry(memory->jobs.next, struct memory_job, link);

		list_remove(&job->link);
		memory_cancel(job);
		free(job);
	}
	map_free_all(&memory->channels, offsetof(struct memory_channel, entry));
	memory_store_free(memory->store);
	memory_presence_deinit(&memory->presence);
	buf_deinit(&memory->push);
	free(memory);
}

static const struct broker_ops memory_ops = {
	.subscribe = memory_subscribe,
	.unsubscribe = memory_unsubscribe,
	.look = memory_look,
	.publish = memory_publish,
	.log_publish = memory_log_publish,
	.log_read = memory_read,
	.state = memory_state,
	.describe = memory_describe,
	.set_presence = memory_set_presence,
	.ask_presence = memory_ask_presence,
	.free = memory_free,
};

int memory_broker_new(
	struct event_base *base, const struct broker_listener *listener, struct broker **brokerp)
{
	static const struct timeval second = {1, 0};
	struct memory_broker *memory = calloc(1, sizeof(*memory));

	if (!memory)
		return -ENOMEM;
	memory->broker.ops = &memory_ops;
	memory->listener = *listener;
	list_init(&memory->jobs);
	memory->turn = evtimer_new(base, memory_turn, memory);
	memory->tick = event_new(base, -1, EV_PERSIST, memory_tick, memory);
	if (!memory->turn || !memory->tick || memory_store_new(&memory->store) < 0 ||
		event_add(memory->tick, &second) < 0) {
		memory_free(&memory->broker);
		return -ENOMEM;
	}
	event_priority_set(memory->turn, PRIORITY_LAST);
	memory_wake(memory);
	*brokerp = &memory->broker;
	return 0;
}
