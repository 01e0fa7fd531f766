#ifndef TIDEGATE_BUS_BUS_CHANNEL_H
#define TIDEGATE_BUS_BUS_CHANNEL_H

/*
 * Bus channel: a channel that a worker or a tap wants, or wanted a moment ago.
 *
 * While it exists it is subscribed at the broker. Its events go to the workers that want it and to
 * its taps, through its history if it keeps one. When the last of them has left, it lingers for a
 * while, if it was ever confirmed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/history.h"
#include "core/list.h"
#include "core/map.h"
#include "core/slice.h"

struct bus;
struct key_path;

enum {
	BUS_CHANNEL_HOT = 128, /* bytes of a channel that each event touches */
};

/*
 * A reload can give a history to a channel that has listeners already. The history's first read uses another
 * connection than the events, so either may be the first to bring an entry. Each listener must get each entry
 * once. So listeners go on getting the events of pub/sub until it has caught up with the log; except for
 * clients that joined meanwhile, which got these entries from the log.
 */
enum settling {
	SETTLED,
	SETTLING_READ, /* the log's first read is out: it is fed, and not heard */
	/* the log is live and hands out entries, but pub/sub may still bring entries for the first time that
	 * the log had */
	SETTLING_LATE,
};

/* A worker's wish for the channel, and from when on it gets entries. */
struct wanting {
	uint64_t generation; /* of its hub */
	/* it gets each entry that was published after this; 0: the log's first read will tell */
	uint64_t from_ms;
};

struct bus_channel {
	/* What each event touches comes first. */
	struct map_entry entry; /* key points at name, behind the wishes */
	uint64_t wanted;        /* bit i: worker i wants it */
	struct list taps;
	struct list linger; /* in bus.lingering while the channel is not wanted */
	struct bus *bus;
	struct history *history;    /* NULL if the channel keeps no history */
	const struct key_path *key; /* of bus.routes; NULL if its events have no key */
	char *name;
	size_t quoted_len; /* of the name as JSON, which follows it */
	enum settling settling;

	uint64_t linger_ms; /* until then */
	bool confirmed;     /* the broker says that every event comes */
	bool was_confirmed; /* at some time */
	bool told_away;     /* its clients heard `degraded` of it */
	uint64_t lost_ms;   /* when its server was lost for the last time */
	/* It had listeners before its log was read for the first time, so it is unknown what they missed.
	 * They are told so after the read. */
	bool blind;
	/* A history that ended may have been ahead of pub/sub, which then repeats entries: listeners have all
	 * entries up to this one. Offset 0: there are no repeated entries. */
	struct position ended;
	uint16_t ended_era;
	uint64_t late_until; /* up to here only the clients that joined that history have the entries */
	uint16_t late_era;   /* the era of the late entry that is being handed out */
	/* the newest entry that came over pub/sub while there was no history; offset 0 without one */
	struct position heard;
	struct list ending;      /* in bus.ending while its history is to end */
	uint64_t ending_ms;      /* until then that may hold something back */
	uint16_t era;            /* bus.era when its history began */
	bool close_on_gap;       /* closes clients that do not know recovery if they lose entries */
	struct wanting wishes[]; /* by worker */
};

static inline struct slice bus_channel_name(const struct bus_channel *channel)
{
	return (struct slice){channel->name, channel->entry.key_len};
}

_Static_assert(offsetof(struct bus_channel, settling) < BUS_CHANNEL_HOT, "each event touches it");

/* The same as JSON, quotes included. */
static inline struct slice bus_channel_quoted(const struct bus_channel *channel)
{
	return (struct slice){channel->name + channel->entry.key_len + 1, channel->quoted_len};
}

/* NULL if there is no such channel. */
struct bus_channel *bus_channel_find(const struct bus *bus, uint64_t hash, struct slice name);

/* Brings what an event of this channel will touch into the cache. */
void bus_channel_expect(const struct bus *bus, uint64_t hash);

/* The channel, about to be wanted: found or made, no longer lingering. NULL: out of memory. */
struct bus_channel *bus_channel_get(struct bus *bus, uint64_t hash, struct slice name);

/* Says nothing to the broker. */
void bus_channel_free(struct bus_channel *channel);

/* Applies bus.routes to the channel. 0 or -ENOMEM. */
int bus_channel_configure(struct bus_channel *channel);

/* A worker does (not) want it, as its hub said with this generation. */
void bus_channel_want(struct bus_channel *channel, unsigned int worker, uint64_t generation);
void bus_channel_unwant(struct bus_channel *channel, unsigned int worker, uint64_t generation);

/* A worker or a tap has left. After the last one the channel lingers, or goes if it was never confirmed. */
void bus_channel_left(struct bus_channel *channel);

/* The broker says that every event comes from now on; or that events may be missing from now on. */
void bus_channel_subscribed(struct bus_channel *channel);
void bus_channel_lost(struct bus_channel *channel);

/* If it is lost, the workers that want it hear so. */
void bus_channel_tell_lost(const struct bus_channel *channel);

/* Takes an event from pub/sub. 0; or MESSAGE_NOT_JSON or -ENOMEM, and the event is lost. */
int bus_channel_event(struct bus_channel *channel, struct slice payload);

/* Ends the histories that are to end, as far as they hold no events back, or have done so for too long. */
void bus_channels_end_histories(struct bus *bus, uint64_t now_ms);

/* Gives up the channels that have not been wanted for long enough. */
void bus_channels_expire(struct bus *bus, uint64_t now_ms);

/* For all histories of the bus; arg is the channel. */
extern const struct history_listener bus_channel_history_listener;

#endif
