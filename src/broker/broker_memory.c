/*
 * Memory broker: one node alone. What is published here arrives here, with no Redis behind it.
 *
 * Whatever it has to say waits in one queue, oldest first, and is said on the next turn of the loop: so no
 * call re-enters, and a subscription that was answered before a publication was taken sees it. What its
 * listener publishes while it listens waits for the turn after, so a loop of echoes cannot starve the
 * sockets.
 *
 * It is always ready and refuses nothing but for want of memory.
 */

#include "broker/broker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "core/buf.h"
#include "core/list.h"
#include "core/map.h"

struct memory_channel {
	struct map_entry entry;
	char name[];
};

/* What the next turn has to say. Channel first, then the payload, both in bytes[]. */
struct memory_job {
	struct list link;
	bool is_publication; /* false: the channel's subscription is to be answered */
	broker_published_fn done;
	void *arg;
	size_t channel_len;
	size_t payload_len;
	char bytes[];
};

struct memory_broker {
	struct broker broker; /* first: the interface casts to us */
	struct broker_listener listener;
	struct event *turn; /* pending when there is something to say */
	struct list jobs;
	struct list mark; /* stands among the jobs during a turn, behind the last one of it */
	struct map channels;
	bool announced; /* that it is ready */
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
	job = malloc(sizeof(*job) + channel.len + payload.len);
	if (!job)
		return -ENOMEM;
	*job = *head;
	job->channel_len = channel.len;
	job->payload_len = payload.len;
	if (channel.len)
		memcpy(job->bytes, channel.data, channel.len);
	if (payload.len)
		memcpy(job->bytes + channel.len, payload.data, payload.len);
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

	return memory_push(memory, &(struct memory_job){.is_publication = true, .done = done, .arg = arg},
		channel, payload);
}

/* Says one thing; true if it was an event. */
static bool memory_say(struct memory_broker *memory, struct memory_job *job)
{
	struct slice channel = {job->bytes, job->channel_len};
	struct slice payload = {job->bytes + job->channel_len, job->payload_len};
	bool is_wanted = memory_find(memory, channel) != NULL;

	if (!job->is_publication) {
		if (is_wanted)
			memory->listener.subscribed(memory->listener.arg, channel);
		return false;
	}
	if (is_wanted)
		memory->listener.event(memory->listener.arg, channel, payload);
	if (job->done)
		job->done(job->arg, 0, is_wanted);
	return is_wanted;
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
	/* What is published from now on stands behind the mark, and waits for the next turn. */
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

static enum broker_state memory_state(const struct broker *broker)
{
	const struct memory_broker *memory = (const struct memory_broker *)broker;

	return memory->announced ? BROKER_READY : BROKER_CONNECTING;
}

static void memory_describe(const struct broker *broker, struct buf *out)
{
	const struct memory_broker *memory = (const struct memory_broker *)broker;

	buf_printf(out, "{\"kind\":\"memory\",\"state\":\"%s\",\"n_channels\":%zu}",
		memory->announced ? "ready" : "connecting", memory->channels.n_entries);
}

static void memory_free(struct broker *broker)
{
	struct memory_broker *memory = (struct memory_broker *)broker;
	struct map_entry *entry, *next;

	if (memory->turn)
		event_free(memory->turn);
	memory->turn = NULL;
	while (!list_empty(&memory->jobs)) {
		struct memory_job *job = list_entry(memory->jobs.next, struct memory_job, link);

		list_remove(&job->link);
		if (job->done)
			job->done(job->arg, -ECANCELED, 0);
		free(job);
	}
	for (entry = map_next(&memory->channels, NULL); entry; entry = next) {
		next = map_next(&memory->channels, entry);
		free(map_value(entry, struct memory_channel, entry));
	}
	map_deinit(&memory->channels);
	free(memory);
}

static const struct broker_ops memory_ops = {
	.subscribe = memory_subscribe,
	.unsubscribe = memory_unsubscribe,
	.publish = memory_publish,
	.state = memory_state,
	.describe = memory_describe,
	.free = memory_free,
};

int broker_memory_new(
	struct event_base *base, const struct broker_listener *listener, struct broker **brokerp)
{
	struct memory_broker *memory = calloc(1, sizeof(*memory));

	if (!memory)
		return -ENOMEM;
	memory->broker.ops = &memory_ops;
	memory->listener = *listener;
	list_init(&memory->jobs);
	memory->turn = evtimer_new(base, memory_turn, memory);
	if (!memory->turn) {
		memory_free(&memory->broker);
		return -ENOMEM;
	}
	memory_wake(memory);
	*brokerp = &memory->broker;
	return 0;
}
