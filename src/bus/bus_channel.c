/* Bus channel: a channel that a worker or a tap wants, or wanted a moment ago; see the header. */

#include "bus/bus_channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/broker.h"
#include "bus/bus_lifecycle.h"
#include "bus/bus_private.h"
#include "bus/own_channel.h"
#include "channel_log/envelope.h"
#include "core/clock.h"
#include "core/prefetch.h"
#include "core/text.h"
#include "mail/confirmation.h"
#include "mail/join.h"
#include "protocol/message.h"
#include "protocol/reply.h"
#include "route/route.h"
#include "worker/worker.h"

enum {
	US_PER_MS = 1000,
	ENDING_MS = 30000, /* for the log of a history that is to end to be read once more */
};

/* --- coming and going --- */

struct bus_channel *bus_channel_find(const struct bus *bus, uint64_t hash, struct slice name)
{
	struct map_entry *entry = map_find(&bus->channels, hash, name.data, name.len);

	return entry ? map_value(entry, struct bus_channel, entry) : NULL;
}

static size_t wishes_bytes(const struct bus *bus)
{
	return bus->n_workers * sizeof(struct wanting);
}

void bus_channel_expect(const struct bus *bus, uint64_t hash)
{
	const struct map_entry *entry = map_peek(&bus->channels, hash);

	if (!entry)
		return;
	prefetch(entry, BUS_CHANNEL_HOT);
	prefetch((const char *)entry + sizeof(struct bus_channel) + wishes_bytes(bus), PREFETCH_LINE_BYTES);
}

static struct message_channel hashed_name(const struct bus_channel *channel)
{
	return (struct message_channel){bus_channel_name(channel), channel->entry.hash,
		bus_channel_quoted(channel), &channel->bus->histories.clock};
}

static void stop_lingering(struct bus_channel *channel)
{
	channel->bus->n_lingering -= list_linked(&channel->linger);
	list_remove(&channel->linger);
}

void bus_channel_free(struct bus_channel *channel)
{
	struct bus *bus = channel->bus;

	history_free(channel->history);
	stop_lingering(channel);
	list_remove(&channel->ending);
	map_remove(&bus->channels, &channel->entry);
	metrics_set(bus->metrics, METRIC_CHANNELS, bus->channels.n_entries);
	free(channel);
}

/* For this channel: others may be served by another part of it. */
static bool broker_is_there(const struct bus_channel *channel)
{
	return broker_channel_state(channel->bus->broker, bus_channel_name(channel)) == BROKER_READY;
}

int bus_channel_configure(struct bus_channel *channel)
{
	struct bus *bus = channel->bus;
	const struct route_history *history;

	if (!bus->routes)
		return 0;
	channel->key = route_table_key(bus->routes, bus_channel_name(channel));
	history = own_channels_history(bus, bus_channel_name(channel));
	if (!history)
		history = route_table_history(bus->routes, bus_channel_name(channel));
	if (history)
		channel->close_on_gap =
			history->close_on_gap; /* and until the history that is to end has ended */
	list_remove(&channel->ending);
	if (!history && channel->history) {
		channel->ending_ms = clock_monotonic_ms() + ENDING_MS;
		list_push_back(&bus->ending, &channel->ending);
	}
	if (!history)
		return 0;
	if (channel->history) {
		history_set_ttl(channel->history, history->ttl_ms);
		return 0;
	}
	channel->history = history_new(&bus->histories, hashed_name(channel), history->ttl_ms, channel);
	channel->era = bus->era;
	/* Until the log has been read for the first time, nothing brings an event that is published. */
	channel->blind = !channel->confirmed && (channel->wanted || !broker_is_there(channel));
	if (channel->history && channel->confirmed) {
		channel->settling = SETTLING_READ;
		history_subscribed(channel->history);
	}
	return channel->history ? 0 : -ENOMEM;
}

static struct bus_channel *channel_new(struct bus *bus, uint64_t hash, struct slice name)
{
	size_t wishes = wishes_bytes(bus);
	size_t quoted_len = text_json_quote(NULL, name.data, name.len);
	struct bus_channel *channel = calloc(1, sizeof(*channel) + wishes + name.len + 1 + quoted_len);

	if (!channel)
		return NULL;
	channel->name = (char *)channel->wishes + wishes;
	memcpy(channel->name, name.data, name.len);
	channel->quoted_len = text_json_quote(channel->name + name.len + 1, name.data, name.len);
	channel->entry = (struct map_entry){.hash = hash, .key = channel->name, .key_len = name.len};
	list_init(&channel->taps);
	channel->bus = bus;
	if (map_insert(&bus->channels, &channel->entry) < 0) {
		free(channel);
		return NULL;
	}
	metrics_set(bus->metrics, METRIC_CHANNELS, bus->channels.n_entries);
	if (bus_channel_configure(channel) < 0 || broker_subscribe(bus->broker, name) < 0)
		goto fail;
	return channel;

fail:
	bus_channel_free(channel);
	return NULL;
}

struct bus_channel *bus_channel_get(struct bus *bus, uint64_t hash, struct slice name)
{
	struct bus_channel *channel = bus_channel_find(bus, hash, name);

	if (!channel)
		return channel_new(bus, hash, name);
	stop_lingering(channel);
	return channel;
}

static void give_up(struct bus_channel *channel)
{
	broker_unsubscribe(channel->bus->broker, bus_channel_name(channel));
	channel->bus->n_given_up++;
	bus_channel_free(channel);
}

void bus_channel_left(struct bus_channel *channel)
{
	if (channel->wanted || !list_empty(&channel->taps) || list_linked(&channel->linger))
		return;
	/* A channel that was never confirmed saves no work; the channels that Redis is asked for next would
	 * wait behind it. */
	if (!channel->was_confirmed) {
		give_up(channel);
		return;
	}
	channel->linger_ms = clock_monotonic_ms() + BUS_LINGER_MS;
	list_push_back(&channel->bus->lingering, &channel->linger);
	channel->bus->n_lingering++;
}

/* --- workers that want it --- */

/* A resync with the log's position, for clients that were let in before every event came to them. NULL if the
 * channel keeps no history, or when out of memory. */
static struct message *say_away(const struct bus_channel *channel)
{
	const struct position *at =
		channel->history ? channel_log_position(history_channel_log(channel->history)) : NULL;
	char pos[POSITION_TEXT_MAX];

	if (!at)
		return NULL;
	position_format(at, pos);
	return reply_resync(bus_channel_name(channel), "away", false, 0, pos, clock_wall_ms());
}

static void post_confirm(struct bus_channel *channel, unsigned int worker, struct message *told)
{
	const struct confirmation confirmation = {channel->wishes[worker].generation,
		channel->wishes[worker].from_ms, told, channel->close_on_gap};

	worker_post_confirm(
		channel->bus->workers[worker], bus_channel_name(channel), channel->entry.hash, &confirmation);
}

/* A worker that comes now did not get the events that were handed out before. While the link is lost no event
 * is handed out, and the log will have those that came since. */
static uint64_t heard_from(const struct bus_channel *channel)
{
	if (!channel->history || !channel_log_position(history_channel_log(channel->history)))
		return 0;
	return channel->confirmed ? clock_monotonic_ms() : channel->lost_ms;
}

void bus_channel_want(struct bus_channel *channel, unsigned int worker, uint64_t generation)
{
	struct message *told;
	uint64_t bit = (uint64_t)1 << worker;

	if ((channel->wanted & bit) && channel->wishes[worker].generation == generation)
		return; /* said again: it has become urgent */
	if (!channel->wanted)
		bus_lifecycle_channel(channel->bus, bus_channel_name(channel), true);
	channel->wanted |= bit;
	channel->wishes[worker] = (struct wanting){generation, heard_from(channel)};
	if (!channel->confirmed)
		return;
	told = say_away(channel);
	post_confirm(channel, worker, told);
	message_unref(told);
}

void bus_channel_unwant(struct bus_channel *channel, unsigned int worker, uint64_t generation)
{
	if (channel->wishes[worker].generation != generation)
		return;
	channel->wanted &= ~((uint64_t)1 << worker);
	if (!channel->wanted)
		bus_lifecycle_channel(channel->bus, bus_channel_name(channel), false);
	bus_channel_left(channel);
}

static void tell_taps_confirmed(struct bus_channel *channel)
{
	for (struct list *link = channel->taps.next; link != &channel->taps; link = link->next) {
		struct bus_tap *tap = list_entry(link, struct bus_tap, link);

		if (tap->confirmed)
			tap->confirmed(tap->arg);
	}
}

/* Every event from now on comes: tells the workers that waited for it. */
static void confirm(struct bus_channel *channel)
{
	struct message *told;

	if (channel->confirmed)
		return;
	channel->confirmed = channel->was_confirmed = true;
	absence_end(channel);
	told = channel->blind ? NULL : say_away(channel); /* or all are told */
	for (uint64_t left = channel->wanted; left; left &= left - 1) {
		unsigned int i = (unsigned int)__builtin_ctzll(left);

		if (!channel->wishes[i].from_ms)
			channel->wishes[i].from_ms = clock_monotonic_ms();
		post_confirm(channel, i, told);
	}
	message_unref(told);
	tell_taps_confirmed(channel);
}

/* --- the end of its history --- */

/* Clients that wait for a log that cannot be read are better off without the history. */
static void end_history(struct bus_channel *channel, uint64_t now_ms)
{
	const struct position *at = channel_log_position(history_channel_log(channel->history));
	struct position ended = at ? *at : (struct position){0};
	uint64_t late_until = channel->settling == SETTLING_LATE ? history_began_at(channel->history) : 0;
	bool give_up, subscribed;

	/* Nothing can be read, and nothing is heard either: the time is that of a log that could be. */
	if (!broker_is_there(channel))
		channel->ending_ms = now_ms + ENDING_MS;
	give_up = channel->ending_ms <= now_ms;
	if (channel->blind && !give_up)
		return; /* listeners are still to be told of it, with a position: the log must be read first
			 */
	if (!history_end(channel->history, give_up, &subscribed))
		return;
	channel->history = NULL;
	channel->heard = ended;
	channel->ended = ended;
	channel->ended_era = channel->era;
	channel->late_until = late_until;
	channel->settling = SETTLED;
	list_remove(&channel->ending);
	bus_flush(channel->bus);
	if (subscribed)
		confirm(channel);
}

void bus_channels_end_histories(struct bus *bus, uint64_t now_ms)
{
	struct list *link = bus->ending.next;

	while (link != &bus->ending) {
		struct bus_channel *channel = list_entry(link, struct bus_channel, ending);

		link = link->next;
		end_history(channel, now_ms);
	}
}

void bus_channels_expire(struct bus *bus, uint64_t now_ms)
{
	while (!list_empty(&bus->lingering)) {
		struct bus_channel *channel = list_entry(bus->lingering.next, struct bus_channel, linger);

		if (channel->linger_ms > now_ms && bus->n_lingering <= BUS_LINGERING_MAX)
			return;
		give_up(channel);
	}
}

/* --- handing out --- */

static void tell_taps(struct bus_channel *channel, struct message *event)
{
	for (struct list *link = channel->taps.next; link != &channel->taps; link = link->next) {
		struct bus_tap *tap = list_entry(link, struct bus_tap, link);

		tap->event(tap->arg, event);
	}
}

/* Hands an event to all workers and taps that want it. The reference stays the caller's. */
static void hand_out(struct bus_channel *channel, struct message *event)
{
	struct bus *bus = channel->bus;

	for (uint64_t left = channel->wanted; left; left &= left - 1) {
		if (worker_post_event(bus->workers[__builtin_ctzll(left)], event) < 0)
			bus_drop(bus, bus_channel_name(channel), METRIC_EVENTS_DROPPED_MEMORY,
				"out of memory");
	}
	tell_taps(channel, event);
}

/* Hands it only to clients that the history has not given it to. */
static void hand_out_late(struct bus_channel *channel, struct message *event)
{
	struct bus *bus = channel->bus;

	for (uint64_t left = channel->wanted; left; left &= left - 1) {
		struct worker *worker = bus->workers[__builtin_ctzll(left)];

		worker_post_flush(worker);
		if (worker_post_late(worker, bus_channel_name(channel), channel->entry.hash, event,
			    channel->late_era) < 0)
			bus_drop(bus, bus_channel_name(channel), METRIC_EVENTS_DROPPED_MEMORY,
				"out of memory");
	}
	tell_taps(channel, event);
}

static void on_made(void *arg, struct message *event)
{
	struct bus_channel *channel = arg;

	if (channel->key)
		message_set_key(event, channel->key);
	if (event->renames)
		bus_renamed(channel->bus, bus_channel_name(channel));
}

static void on_history_deliver(void *arg, struct message *event)
{
	struct bus_channel *channel = arg;

	if (channel->settling != SETTLING_READ)
		hand_out(channel, event);
}

/* --- what its history says --- */

/* Clients that know of recovery are told; the others go on, or are closed for it. */
static void tell_resync(struct bus_channel *channel, struct message *told, bool close_others)
{
	struct bus *bus = channel->bus;

	for (uint64_t left = channel->wanted; left; left &= left - 1) {
		struct worker *worker = bus->workers[__builtin_ctzll(left)];

		worker_post_flush(worker);
		worker_post_resync(
			worker, bus_channel_name(channel), channel->entry.hash, told, close_others);
	}
}

static void say_resync(
	struct bus_channel *channel, const char *reason, const struct channel_log_resync *resync)
{
	char pos[POSITION_TEXT_MAX];
	struct message *told;

	position_format(&resync->position, pos);
	told = reply_resync(bus_channel_name(channel), reason, resync->continuous, resync->retracted, pos,
		clock_wall_ms());
	if (told)
		tell_resync(channel, told, channel->close_on_gap && !resync->continuous);
	message_unref(told);
}

static void on_history_live(void *arg)
{
	struct bus_channel *channel = arg;

	/* Before the confirmation: whoever waits for that has missed nothing. */
	if (channel->blind)
		say_resync(channel, "away",
			&(struct channel_log_resync){
				.position = *channel_log_position(history_channel_log(channel->history))});
	confirm(channel);
	channel->blind = false;
}

static void on_history_dropped(void *arg, struct message *told)
{
	struct bus_channel *channel = arg;

	if (channel->settling != SETTLING_READ)
		tell_resync(channel, told, channel->close_on_gap);
}

static void on_history_resync(void *arg, const struct channel_log_resync *resync)
{
	const struct bus_channel *channel = arg;

	say_resync(arg, channel_log_reason_name(resync->reason), resync);
	for (struct list *link = channel->taps.next; link != &channel->taps; link = link->next) {
		const struct bus_tap *tap = list_entry(link, struct bus_tap, link);

		if (tap->resync)
			tap->resync(tap->arg, resync);
	}
}

/* The log is live: can pub/sub still bring entries for the first time that the log had already? */
static void settle(struct bus_channel *channel)
{
	channel->settling =
		history_began_ahead_of(channel->history, &channel->heard) ? SETTLING_LATE : SETTLED;
}

static void on_history_drained(void *arg)
{
	struct bus_channel *channel = arg;

	if (channel->settling == SETTLING_READ && history_is_live(channel->history))
		settle(channel);
	bus_flush(channel->bus);
}

static void on_history_answered(void *arg, struct join *join)
{
	struct bus_channel *channel = arg;

	join->era = channel->era;
	bus_give_back(channel->bus, join);
}

const struct history_listener bus_channel_history_listener = {
	.live = on_history_live,
	.made = on_made,
	.deliver = on_history_deliver,
	.resync = on_history_resync,
	.dropped = on_history_dropped,
	.drained = on_history_drained,
	.answered = on_history_answered,
};

/* --- what the broker says --- */

/* Makes a message of an event that came over pub/sub. An entry of a log gets its position if the channel
 * keeps a history. 0; MESSAGE_NOT_JSON or -ENOMEM. */
static int make_event(struct bus_channel *channel, struct slice payload, struct message **eventp)
{
	const struct bus *bus = channel->bus;
	uint64_t wall_ms = bus->wall_ms;
	char pos[POSITION_TEXT_MAX];
	struct slice stands = {0};
	struct envelope envelope;
	int r = envelope_parse(payload, &envelope);

	if (r == ENVELOPE_MALFORMED)
		return MESSAGE_NOT_JSON;
	if (r == 0) {
		/* The backend publishes with history, but this gateway's configuration has
		 * none for the channel. */
		payload = envelope.payload;
		if (!epoch_equal(&channel->heard.epoch, &envelope.epoch) ||
			channel->heard.offset < envelope.offset)
			channel->heard = (struct position){envelope.epoch, envelope.offset, envelope.tag};
	}
	if (r == 0 && channel->history) {
		const struct position at = {envelope.epoch, envelope.offset, envelope.tag};

		stands = (struct slice){pos, position_format(&at, pos)};
		wall_ms = at.tag / US_PER_MS;
	}
	r = message_from_event(hashed_name(channel), payload, stands, wall_ms, bus->now_us, eventp);
	if (r == 0)
		on_made(channel, *eventp);
	return r;
}

/* Hands out an event that the history, if there is one, does not hand out. */
static int take_event(struct bus_channel *channel, struct slice payload,
	void (*give)(struct bus_channel *channel, struct message *event))
{
	struct message *event;
	int r = make_event(channel, payload, &event);

	if (r)
		return r;
	give(channel, event);
	message_unref(event);
	return 0;
}

enum news {
	NEWS,
	NEWS_LATE, /* only to clients that no history of that era or a later one has given it to */
	NO_NEWS,   /* all subscribers of the channel have it */
};

/* To which clients an entry from pub/sub is new, if no history decides it. */
static enum news news_of(struct bus_channel *channel, const struct envelope *envelope)
{
	if (channel->ended.offset && epoch_equal(&envelope->epoch, &channel->ended.epoch) &&
		envelope->offset <= channel->ended.offset) {
		channel->late_era = channel->ended_era;
		return envelope->offset <= channel->late_until ? NEWS_LATE : NO_NEWS;
	}
	channel->ended.offset = 0;
	if (channel->settling != SETTLING_LATE || !history_began_with(channel->history, envelope))
		return NEWS;
	channel->late_era = channel->era;
	return NEWS_LATE;
}

/* Takes an event of a channel without a history, or with one that has not settled yet. */
static int take_unsettled(struct bus_channel *channel, struct slice payload)
{
	const struct bus *bus = channel->bus;
	struct envelope envelope;
	bool is_entry = envelope_parse(payload, &envelope) == 0;
	enum news news = is_entry ? news_of(channel, &envelope) : NEWS;
	bool was_late = channel->settling == SETTLING_LATE;
	int r = 0;

	if (was_late && is_entry && news == NEWS)
		channel->settling = SETTLED;
	if (news == NEWS_LATE)
		r = take_event(channel, payload, hand_out_late);
	else if (news == NEWS && !was_late)
		r = take_event(channel, payload, hand_out);
	if (was_late && news != NEWS)
		settle(channel);
	else if (r == 0 && channel->history)
		r = history_event(channel->history, payload, bus->wall_ms, bus->now_us);
	return r;
}

int bus_channel_event(struct bus_channel *channel, struct slice payload)
{
	const struct bus *bus = channel->bus;

	if (!channel->history || channel->settling != SETTLED)
		return take_unsettled(channel, payload);
	return history_event(channel->history, payload, bus->wall_ms, bus->now_us);
}

void bus_channel_subscribed(struct bus_channel *channel)
{
	if (channel->history)
		history_subscribed(channel->history); /* confirms once it is live */
	else
		confirm(channel);
}

void bus_channel_lost(struct bus_channel *channel)
{
	const struct position *at;

	channel->confirmed = false;
	channel->lost_ms = clock_monotonic_ms();
	absence_begin(&channel->bus->absence, channel->lost_ms);
	channel->ended.offset = 0;
	if (!channel->history)
		return;
	at = channel_log_position(history_channel_log(channel->history));
	channel->blind = channel->blind || !at;
	/* Pub/sub will not bring the late entries any more, and the log gives them only to
	 * clients that joined. */
	if (channel->settling == SETTLING_LATE)
		say_resync(channel, "away", &(struct channel_log_resync){.position = *at});
	channel->settling = SETTLED;
	history_lost(channel->history);
}

void bus_channel_tell_lost(const struct bus_channel *channel)
{
	if (channel->confirmed || !channel->was_confirmed)
		return;
	for (uint64_t left = channel->wanted; left; left &= left - 1)
		worker_post_channel_lost(channel->bus->workers[__builtin_ctzll(left)],
			bus_channel_name(channel), channel->entry.hash);
}
