#ifndef TIDEGATE_BUS_BUS_CHANNEL_H
#define TIDEGATE_BUS_BUS_CHANNEL_H

/*
 * Bus channel: one channel that somebody on this node wants, or wanted a moment ago.
 *
 * It is subscribed at the broker while it is there. What it is told goes to the workers that want it and to
 * its taps, through its history where it keeps one. With the last of them gone it lingers for a while, if it
 * was ever confirmed.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/list.h"
#include "core/map.h"
#include "core/slice.h"
#include "history.h"

struct bus;
struct key_path;

/*
 * A channel that is heard already gets a history by a reload. Its log begins with a read, on another
 * connection than the events come by: which of the two is the first to bring an entry is open. Those who hear
 * the channel must get each once, so they go on hearing what comes over pub/sub until it has caught up with
 * the log; but for those who joined meanwhile, to whom the log itself has told what it had.
 */
enum settling {
	SETTLED,
	SETTLING_READ, /* the log's first read is out: it is fed, and not heard */
	SETTLING_LATE, /* the log is live: it is heard, but what it has already may still come for the first
			  time */
};

/* What a worker asked for, and what it is handed. */
struct wanting {
	uint64_t generation; /* of its hub */
	uint64_t from_ms; /* it is handed each entry that was published after this; 0: the log's first read is
			     still to say which */
};

struct bus_channel {
	struct map_entry entry; /* key points at name, behind the wishes */
	uint64_t wanted;        /* bit i: worker i wants it */
	struct list taps;
	struct list linger; /* in bus.lingering while nobody wants it */
	uint64_t linger_ms; /* until then */
	bool confirmed;     /* the broker says that every event comes */
	bool was_confirmed; /* at some time */
	uint64_t lost_ms;   /* when what served it was lost last */
	/* It had listeners before its log was read for the first time: nobody can tell what they missed. They
	 * are told so when it is. */
	bool blind;
	/* A history that ended may have been ahead of pub/sub, which then repeats entries: listeners have all
	 * up to this one. Offset 0: nothing is repeated. */
	struct position ended;
	uint16_t ended_era;
	uint64_t late_until;   /* but up to here only those have them who joined that history */
	uint16_t late_era;     /* the era of the late entry that is being handed out */
	struct position heard; /* the newest entry that came over pub/sub while there was no history; offset
				  0: none did */
	const struct key_path *key; /* of bus.routes; NULL: its events have none */
	struct bus *bus;
	struct history *history; /* NULL: the channel keeps none */
	struct list ending;      /* in bus.ending while its history is to end */
	uint64_t ending_ms;      /* until then that may hold something back */
	enum settling settling;
	uint16_t era;      /* bus.era when its history began */
	bool close_on_gap; /* clients that know nothing of recovery, where entries are lost to them */
	char *name;
	struct wanting wishes[]; /* by worker */
};

static inline struct slice bus_channel_name(const struct bus_channel *channel)
{
	return (struct slice){channel->name, channel->entry.key_len};
}

/* NULL when there is none. */
struct bus_channel *bus_channel_find(const struct bus *bus, uint64_t hash, struct slice name);

/* The channel, about to be wanted: found or made, no longer lingering. NULL: out of memory. */
struct bus_channel *bus_channel_get(struct bus *bus, uint64_t hash, struct slice name);

/* Says nothing to the broker. */
void bus_channel_free(struct bus_channel *channel);

/* What bus.routes says of it, from now on. 0 or -ENOMEM. */
int bus_channel_configure(struct bus_channel *channel);

/* A worker does (not) want it, as its hub said with this generation. */
void bus_channel_want(struct bus_channel *channel, unsigned int worker, uint64_t generation);
void bus_channel_unwant(struct bus_channel *channel, unsigned int worker, uint64_t generation);

/* Somebody left: without anybody it lingers, or goes if it was never confirmed. */
void bus_channel_left(struct bus_channel *channel);

/* The broker says that every event comes from now on; or that events may be missing from now on. */
void bus_channel_subscribed(struct bus_channel *channel);
void bus_channel_lost(struct bus_channel *channel);

/* What came over pub/sub. 0; MESSAGE_NOT_JSON or -ENOMEM, then nobody hears it. */
int bus_channel_event(struct bus_channel *channel, struct slice payload);

/* Those whose histories are to end, as far as these hold nothing back, or have done so for too long. */
void bus_channels_end_histories(struct bus *bus, uint64_t now_ms);

/* Gives up those that nobody has wanted for long enough. */
void bus_channels_expire(struct bus *bus, uint64_t now_ms);

/* For all histories of the bus; arg is the channel. */
extern const struct history_listener bus_channel_history_listener;

#endif
