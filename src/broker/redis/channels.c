/*
 * Redis channels: the state of each channel that we want to hear. See channels.h.
 *
 *                want                  sent                  confirmed
 *     (nothing) ─────► IDLE ────────► SUBSCRIBING ─────────► SUBSCRIBED
 *         ▲             ▲                  │ refused alone        │ sent, when unwanted
 *         │ unwanted    │ wanted           ▼                      ▼
 *         └─────────────┴──── confirmed ── REFUSED ◄─ ─ ─   UNSUBSCRIBING
 *
 * When the link goes, whatever is wanted is IDLE again: by way of LOST, until that is told, if the link was
 * proven.
 */

#include "broker/redis/channels.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum channel_state {
	CHANNEL_IDLE, /* wanted, and Redis does not know */
	CHANNEL_SUBSCRIBING,
	CHANNEL_SUBSCRIBED,
	CHANNEL_UNSUBSCRIBING,
	CHANNEL_REFUSED,
	CHANNEL_LOST, /* with its link, and nobody was told */
};

struct channel {
	struct map_entry entry; /* by its name without the prefix */
	struct list link;       /* in the one list of its state */
	enum channel_state state;
	bool wanted;
	bool announced;    /* false: somebody waits to hear that it is subscribed */
	bool urgent;       /* somebody waits for it who is not served before */
	bool alone;        /* was in a refused command: goes in one of its own */
	bool ends_command; /* the last one of its command */
	size_t name_len;
	char name[]; /* as Redis knows it, prefix and all */
};

static struct channel *channels_find(const struct redis_channels *channels, struct slice channel)
{
	struct map_entry *entry =
		map_find(&channels->by_name, map_hash(channel.data, channel.len), channel.data, channel.len);

	return entry ? map_value(entry, struct channel, entry) : NULL;
}

static bool channel_is_in_flight(const struct channel *channel)
{
	return channel->state == CHANNEL_SUBSCRIBING || channel->state == CHANNEL_UNSUBSCRIBING;
}

static struct list *channels_list(struct redis_channels *channels, const struct channel *channel)
{
	switch (channel->state) {
	case CHANNEL_IDLE:
		return channel->urgent ? &channels->urgent : &channels->to_subscribe;
	case CHANNEL_SUBSCRIBING:
	case CHANNEL_UNSUBSCRIBING:
		return &channels->in_flight;
	case CHANNEL_REFUSED:
		return &channels->refused;
	case CHANNEL_LOST:
		return &channels->lost;
	case CHANNEL_SUBSCRIBED:
		break;
	}
	if (!channel->wanted)
		return &channels->to_unsubscribe;
	return channel->announced ? &channels->settled : &channels->to_announce;
}

static void channel_drop(struct redis_channels *channels, struct channel *channel)
{
	list_remove(&channel->link);
	map_remove(&channels->by_name, &channel->entry);
	free(channel);
}

static bool redis_does_not_know(enum channel_state state)
{
	return state == CHANNEL_IDLE || state == CHANNEL_REFUSED || state == CHANNEL_LOST;
}

/* The only place where a state changes. A channel that neither Redis nor we know of goes. */
static void channel_enter(struct redis_channels *channels, struct channel *channel, enum channel_state state)
{
	if (channel_is_in_flight(channel))
		channels->n_in_flight--;
	channel->state = state;
	if (channel_is_in_flight(channel))
		channels->n_in_flight++;
	if (!channel->wanted && redis_does_not_know(state)) {
		channel_drop(channels, channel);
		return;
	}
	list_remove(&channel->link);
	list_push_back(channels_list(channels, channel), &channel->link);
}

int redis_channels_init(struct redis_channels *channels, const char *prefix)
{
	*channels = (struct redis_channels){0};
	list_init(&channels->urgent);
	list_init(&channels->to_subscribe);
	list_init(&channels->to_unsubscribe);
	list_init(&channels->in_flight);
	list_init(&channels->to_announce);
	list_init(&channels->settled);
	list_init(&channels->refused);
	list_init(&channels->lost);
	channels->prefix_len = strlen(prefix);
	channels->prefix = strdup(prefix);
	return channels->prefix ? 0 : -ENOMEM;
}

void redis_channels_deinit(struct redis_channels *channels)
{
	struct map_entry *entry, *next;

	for (entry = map_next(&channels->by_name, NULL); entry; entry = next) {
		next = map_next(&channels->by_name, entry);
		free(map_value(entry, struct channel, entry));
	}
	map_deinit(&channels->by_name);
	free(channels->prefix);
	*channels = (struct redis_channels){0};
}

static struct channel *channels_add(struct redis_channels *channels, struct slice name)
{
	struct channel *channel = calloc(1, sizeof(*channel) + channels->prefix_len + name.len);

	if (!channel)
		return NULL;
	memcpy(channel->name, channels->prefix, channels->prefix_len);
	memcpy(channel->name + channels->prefix_len, name.data, name.len);
	channel->name_len = channels->prefix_len + name.len;
	channel->entry.key = channel->name + channels->prefix_len;
	channel->entry.key_len = name.len;
	channel->entry.hash = map_hash(name.data, name.len);
	if (map_insert(&channels->by_name, &channel->entry) < 0) {
		free(channel);
		return NULL;
	}
	return channel;
}

int redis_channels_want(struct redis_channels *channels, struct slice name)
{
	struct channel *channel = channels_find(channels, name);

	if (!channel)
		channel = channels_add(channels, name);
	if (!channel)
		return -ENOMEM;
	if (!channel->wanted)
		channels->n_wanted++;
	channel->wanted = true;
	channel->announced = false;
	if (channel->state == CHANNEL_SUBSCRIBED)
		channel_enter(channels, channel, CHANNEL_SUBSCRIBED);
	else if (channel->state == CHANNEL_REFUSED || !list_linked(&channel->link))
		channel_enter(channels, channel, CHANNEL_IDLE);
	return 0;
}

void redis_channels_unwant(struct redis_channels *channels, struct slice name)
{
	struct channel *channel = channels_find(channels, name);

	if (!channel || !channel->wanted)
		return;
	channels->n_wanted--;
	channel->wanted = false;
	if (!channel_is_in_flight(channel))
		channel_enter(channels, channel, channel->state);
}

void redis_channels_hurry(struct redis_channels *channels, struct slice name)
{
	struct channel *channel = channels_find(channels, name);

	if (!channel || !channel->wanted || channel->urgent || channel->state == CHANNEL_SUBSCRIBED)
		return;
	channel->urgent = true;
	if (channel->state == CHANNEL_IDLE)
		channel_enter(channels, channel, CHANNEL_IDLE);
}

/* Those who are to be subscribed next. */
static struct list *next_to_subscribe(struct redis_channels *channels)
{
	return list_empty(&channels->urgent) ? &channels->to_subscribe : &channels->urgent;
}

/* By turns, if both wait: or what was left would add up for as long as somebody subscribes. */
static bool subscribes_next(struct redis_channels *channels)
{
	bool may_leave = !list_empty(&channels->to_unsubscribe);

	return !list_empty(next_to_subscribe(channels)) && (!channels->leaves_next || !may_leave);
}

size_t redis_channels_next(struct redis_channels *channels, struct slice *argv)
{
	bool subscribe = subscribes_next(channels);
	struct list *from = subscribe ? next_to_subscribe(channels) : &channels->to_unsubscribe;
	struct channel *channel = NULL;
	size_t n = 0;

	argv[0] = subscribe ? (struct slice){"SUBSCRIBE", 9} : (struct slice){"UNSUBSCRIBE", 11};
	while (!list_empty(from) && n < REDIS_CHANNELS_PER_COMMAND &&
		channels->n_in_flight < REDIS_CHANNELS_IN_FLIGHT_MAX) {
		struct channel *candidate = list_entry(from->next, struct channel, link);

		if (n && (candidate->alone || channel->alone))
			break;
		channel = candidate;
		channel->ends_command = false;
		channel_enter(channels, channel, subscribe ? CHANNEL_SUBSCRIBING : CHANNEL_UNSUBSCRIBING);
		argv[++n] = (struct slice){channel->name, channel->name_len};
		if (subscribe)
			from = next_to_subscribe(channels);
	}
	if (!channel)
		return 0;
	channel->ends_command = true;
	channels->leaves_next = subscribe;
	return n + 1;
}

bool redis_channels_announce(struct redis_channels *channels, struct slice *channelp)
{
	struct channel *channel;

	if (channels->doubtful || list_empty(&channels->to_announce))
		return false;
	channel = list_entry(channels->to_announce.next, struct channel, link);
	channel->announced = true;
	channel_enter(channels, channel, channel->state);
	*channelp = (struct slice){channel->entry.key, channel->entry.key_len};
	return true;
}

struct slice redis_channels_strip(const struct redis_channels *channels, struct slice name)
{
	if (name.len < channels->prefix_len || memcmp(name.data, channels->prefix, channels->prefix_len) != 0)
		return (struct slice){0};
	return (struct slice){name.data + channels->prefix_len, name.len - channels->prefix_len};
}

int redis_channels_confirmed(
	struct redis_channels *channels, bool subscribed, struct slice name, struct slice *channelp)
{
	struct channel *channel;

	if (list_empty(&channels->in_flight))
		return -EPROTO;
	channel = list_entry(channels->in_flight.next, struct channel, link);
	if (subscribed != (channel->state == CHANNEL_SUBSCRIBING) || name.len != channel->name_len ||
		memcmp(name.data, channel->name, name.len) != 0)
		return -EPROTO;
	if (!subscribed) {
		channel_enter(channels, channel, CHANNEL_IDLE);
		map_tidy(&channels->by_name);
		return REDIS_CHANNELS_QUIET;
	}
	channel->alone = channel->urgent = false;
	channel->announced = channel->wanted && !channels->doubtful;
	channel_enter(channels, channel, CHANNEL_SUBSCRIBED);
	if (!channel->announced)
		return REDIS_CHANNELS_QUIET;
	*channelp = redis_channels_strip(channels, name);
	return REDIS_CHANNELS_LISTENS;
}

/* The channels of the oldest command are as if nothing had been asked for them. */
static void command_undone(struct redis_channels *channels)
{
	bool is_last;

	do {
		struct channel *channel = list_entry(channels->in_flight.next, struct channel, link);

		is_last = channel->ends_command;
		channel->alone |= channel->state == CHANNEL_SUBSCRIBING;
		channel_enter(channels, channel, CHANNEL_IDLE);
	} while (!is_last);
}

int redis_channels_refused(struct redis_channels *channels, struct slice *channelp)
{
	struct channel *channel;
	bool wanted;

	if (list_empty(&channels->in_flight))
		return -EPROTO;
	channel = list_entry(channels->in_flight.next, struct channel, link);
	if (channel->state != CHANNEL_SUBSCRIBING) {
		command_undone(channels);
		return REDIS_CHANNELS_STAYS;
	}
	if (!channel->ends_command) {
		command_undone(channels);
		return REDIS_CHANNELS_QUIET;
	}
	wanted = channel->wanted;
	*channelp = (struct slice){channel->entry.key, channel->entry.key_len};
	channel->alone = true;
	channel_enter(channels, channel, CHANNEL_REFUSED); /* frees it if it is no longer wanted */
	return wanted ? REDIS_CHANNELS_REFUSED : REDIS_CHANNELS_QUIET;
}

void redis_channels_retry(struct redis_channels *channels, size_t n)
{
	while (n-- && !list_empty(&channels->refused))
		channel_enter(
			channels, list_entry(channels->refused.next, struct channel, link), CHANNEL_IDLE);
}

void redis_channels_lost(struct redis_channels *channels)
{
	enum channel_state state = channels->doubtful ? CHANNEL_IDLE : CHANNEL_LOST;
	struct map_entry *entry, *next;

	for (entry = map_next(&channels->by_name, NULL); entry; entry = next) {
		struct channel *channel = map_value(entry, struct channel, entry);

		next = map_next(&channels->by_name, entry);
		channel->alone = false;
		channel->urgent = false; /* handshakes that waited for it were let in */
		channel->announced = false;
		channel_enter(channels, channel, state);
	}
}

bool redis_channels_tell_lost(struct redis_channels *channels, struct slice *channelp)
{
	struct channel *channel;

	if (list_empty(&channels->lost))
		return false;
	channel = list_entry(channels->lost.next, struct channel, link);
	channel_enter(channels, channel, CHANNEL_IDLE);
	*channelp = (struct slice){channel->entry.key, channel->entry.key_len};
	return true;
}

bool redis_channels_walk(
	const struct redis_channels *channels, struct map_entry **atp, struct slice *channelp)
{
	while ((*atp = map_next(&channels->by_name, *atp))) {
		*channelp = (struct slice){(*atp)->key, (*atp)->key_len};
		if (map_value(*atp, struct channel, entry)->wanted)
			return true;
	}
	return false;
}
