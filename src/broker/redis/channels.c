/*
 * Redis channels: the state of each channel that we want to hear. See channels.h.
 *
 *                want                  sent                  confirmed
 *     (nothing) ─────► IDLE ────────► SUBSCRIBING ─────────► SUBSCRIBED
 *         ▲             ▲                  │ refused alone        │ sent, when unwanted
 *         │ unwanted    │ wanted           ▼                      ▼
 *         └─────────────┴──── confirmed ── REFUSED ◄─ ─ ─   UNSUBSCRIBING
 *
 * A sharded one that the server ended, or did not take, is GONE until it is unwanted.
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
	CHANNEL_GONE, /* not this server's, and nobody was told */
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
	case CHANNEL_GONE:
		return &channels->gone;
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
	return state == CHANNEL_IDLE || state == CHANNEL_REFUSED || state == CHANNEL_LOST ||
	       state == CHANNEL_GONE;
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
	list_init(&channels->gone);
	channels->prefix_len = strlen(prefix);
	channels->prefix = strdup(prefix);
	return channels->prefix ? 0 : -ENOMEM;
}

void redis_channels_deinit(struct redis_channels *channels)
{
	map_free_all(&channels->by_name, offsetof(struct channel, entry));
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

static struct slice command(const struct redis_channels *channels, bool subscribe)
{
	if (channels->sharded)
		return subscribe ? (struct slice){"SSUBSCRIBE", 10} : (struct slice){"SUNSUBSCRIBE", 12};
	return subscribe ? (struct slice){"SUBSCRIBE", 9} : (struct slice){"UNSUBSCRIBE", 11};
}

size_t redis_channels_next(struct redis_channels *channels, struct slice *argv)
{
	bool subscribe = subscribes_next(channels);
	size_t n_max = channels->sharded ? 1 : REDIS_CHANNELS_PER_COMMAND;
	struct list *from = subscribe ? next_to_subscribe(channels) : &channels->to_unsubscribe;
	struct channel *channel = NULL;
	size_t n = 0;

	argv[0] = command(channels, subscribe);
	while (!list_empty(from) && n < n_max && channels->n_in_flight < REDIS_CHANNELS_IN_FLIGHT_MAX) {
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

bool redis_channels_has_next(const struct redis_channels *channels)
{
	return !list_empty(&channels->urgent) || !list_empty(&channels->to_subscribe) ||
	       !list_empty(&channels->to_unsubscribe);
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

/* Redis has it. */
static int subscribed_here(struct redis_channels *channels, struct channel *channel, struct slice *channelp)
{
	channel->alone = channel->urgent = false;
	channel->announced = channel->wanted && !channels->doubtful;
	channel_enter(channels, channel, CHANNEL_SUBSCRIBED);
	if (!channel->announced)
		return REDIS_CHANNELS_QUIET;
	*channelp = (struct slice){channel->entry.key, channel->entry.key_len};
	return REDIS_CHANNELS_LISTENS;
}

/* Redis does not have it any more, because we said so, or for reasons of its own. Both may come of one
 * channel. */
static void sharded_ended(struct redis_channels *channels, struct channel *channel)
{
	if (channel->state == CHANNEL_UNSUBSCRIBING ||
		(channel->state == CHANNEL_SUBSCRIBED && !channel->wanted))
		channel_enter(channels, channel, CHANNEL_IDLE);
	else if (channel->state == CHANNEL_SUBSCRIBED)
		channel_enter(channels, channel, CHANNEL_GONE);
	map_tidy(&channels->by_name);
}

static int sharded_confirmed(
	struct redis_channels *channels, bool subscribed, struct slice name, struct slice *channelp)
{
	struct slice own = redis_channels_strip(channels, name);
	struct channel *channel = own.data ? channels_find(channels, own) : NULL;

	if (subscribed && (!channel || channel->state != CHANNEL_SUBSCRIBING))
		return -EPROTO;
	if (subscribed)
		return subscribed_here(channels, channel, channelp);
	if (channel)
		sharded_ended(channels, channel);
	return REDIS_CHANNELS_QUIET;
}

int redis_channels_confirmed(
	struct redis_channels *channels, bool subscribed, struct slice name, struct slice *channelp)
{
	struct channel *channel;

	if (channels->sharded)
		return sharded_confirmed(channels, subscribed, name, channelp);
	if (list_empty(&channels->in_flight))
		return -EPROTO;
	channel = list_entry(channels->in_flight.next, struct channel, link);
	if (subscribed != (channel->state == CHANNEL_SUBSCRIBING) || name.len != channel->name_len ||
		memcmp(name.data, channel->name, name.len) != 0)
		return -EPROTO;
	if (subscribed)
		return subscribed_here(channels, channel, channelp);
	channel_enter(channels, channel, CHANNEL_IDLE);
	map_tidy(&channels->by_name);
	return REDIS_CHANNELS_QUIET;
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

void redis_channels_erred(struct redis_channels *channels, struct slice error)
{
	bool forbidden = slice_starts(error, "NOPERM");

	channels->forbidden |= forbidden;
	channels->astray |= !forbidden;
}

/* Which of several errors is whose is not known: a channel that is forbidden beside one that went astray
 * comes back, and is refused then. */
int redis_channels_fenced(struct redis_channels *channels, struct slice *channelp)
{
	bool forbidden = channels->forbidden && !channels->astray;

	while (!list_empty(&channels->in_flight)) {
		struct channel *channel = list_entry(channels->in_flight.next, struct channel, link);
		bool subscribing = channel->state == CHANNEL_SUBSCRIBING;
		bool wanted = channel->wanted;

		*channelp = (struct slice){channel->entry.key, channel->entry.key_len};
		if (!subscribing)
			channel_enter(channels, channel, CHANNEL_IDLE); /* frees it if it is not wanted */
		else
			channel_enter(channels, channel, forbidden ? CHANNEL_REFUSED : CHANNEL_GONE);
		if (forbidden && subscribing && wanted)
			return REDIS_CHANNELS_REFUSED;
		if (forbidden && !subscribing)
			return REDIS_CHANNELS_STAYS;
	}
	channels->forbidden = channels->astray = false;
	return REDIS_CHANNELS_QUIET;
}

bool redis_channels_gone(const struct redis_channels *channels, struct slice *channelp)
{
	const struct channel *channel;

	if (list_empty(&channels->gone))
		return false;
	channel = list_entry(channels->gone.next, struct channel, link);
	*channelp = (struct slice){channel->entry.key, channel->entry.key_len};
	return true;
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

	channels->forbidden = channels->astray = false;
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
