#ifndef TIDEGATE_BROKER_REDIS_CHANNELS_H
#define TIDEGATE_BROKER_REDIS_CHANNELS_H

/*
 * Redis channels: what we want to hear, what Redis was asked for, and what it has confirmed.
 *
 * A channel has at most one command under way. Whatever was wanted or unwanted meanwhile waits for the
 * answer, which then decides by the newest wish: so flips, however quick, end right. Commands carry many
 * channels each, and a window bounds how many are under way, so 100,000 channels fill no buffer on either
 * side.
 *
 * Redis checks the rights of a command as a whole: one forbidden channel refuses the 511 beside it. So the
 * channels of a refused command are asked for again one by one, and only those refused alone are given up,
 * until retried.
 *
 * Sharded channels are those of a cluster: a server has them only while it has their slot, and may end a
 * subscription at any time. Answers and such ends cross, so that their order says little, and each channel
 * goes in a command of its own. The caller puts a fence behind the commands of a batch, and sends no more
 * before it is back: then all has been answered, and what was not confirmed was refused.
 *
 * Pure: commands come out as words, answers go in as names. No sockets, no clock.
 */

#include <stdbool.h>
#include <stddef.h>

#include "core/list.h"
#include "core/map.h"
#include "core/slice.h"

enum {
	REDIS_CHANNELS_PER_COMMAND = 512,
	REDIS_CHANNELS_IN_FLIGHT_MAX = 2048,
};

/* How channels are heard. */
enum redis_hearing {
	REDIS_CLASSIC, /* SUBSCRIBE: any server of a cluster will do */
	REDIS_SHARDED, /* SSUBSCRIBE */
	N_REDIS_HEARINGS,
};

/* The meaning of an answer. */
enum {
	REDIS_CHANNELS_QUIET = 0,   /* nothing to tell anybody */
	REDIS_CHANNELS_LISTENS = 1, /* *channelp is subscribed, and wanted */
	REDIS_CHANNELS_REFUSED = 2, /* *channelp is forbidden; given up until redis_channels_retry() */
	REDIS_CHANNELS_STAYS =
		3, /* some cannot be left: they are forgotten, and Redis goes on sending them */
};

struct redis_channels {
	struct map by_name; /* all that are wanted, or not yet rid of */
	char *prefix;
	size_t prefix_len;
	size_t n_wanted;
	size_t n_in_flight;
	bool sharded;       /* the caller's to set, after redis_channels_init() */
	bool forbidden;     /* an error of this batch was about rights */
	bool astray;        /* one was about something else, such as a slot that others have */
	bool leaves_next;   /* an UNSUBSCRIBE goes next, if there is one to say */
	bool doubtful;      /* what Redis confirms is not announced yet: the link is not proven */
	struct list urgent; /* to be subscribed before the others */
	struct list to_subscribe;
	struct list to_unsubscribe;
	struct list in_flight;   /* in the order in which Redis will answer */
	struct list to_announce; /* subscribed while there was doubt, or wanted again since: to be told */
	struct list lost;        /* with a link that was proven: to be told, and then asked for again */
	struct list settled;
	struct list refused;
	struct list gone; /* sharded: they are not this server's, or not now. To be told, and then unwanted */
};

int redis_channels_init(struct redis_channels *channels, const char *prefix); /* 0 or -ENOMEM */
void redis_channels_deinit(struct redis_channels *channels);

int redis_channels_want(struct redis_channels *channels, struct slice channel); /* 0 or -ENOMEM */
void redis_channels_unwant(struct redis_channels *channels, struct slice channel);

/* It goes before others, if it is wanted and not subscribed yet. */
void redis_channels_hurry(struct redis_channels *channels, struct slice channel);

/*
 * The next command to send, (S)SUBSCRIBE or (S)UNSUBSCRIBE and full names, and counts it as sent: how
 * many words, 0 when there is nothing to ask or enough under way. argv holds 1 +
 * REDIS_CHANNELS_PER_COMMAND; borrowed until anything changes.
 */
size_t redis_channels_next(struct redis_channels *channels, struct slice *argv);

/* Is there something to ask Redis for? */
bool redis_channels_has_next(const struct redis_channels *channels);

/* The next channel that has to be told, for the first time or again, and counts it as told. */
bool redis_channels_announce(struct redis_channels *channels, struct slice *channelp);

/*
 * Redis has confirmed: subscribed or not, and the full name. REDIS_CHANNELS_QUIET, REDIS_CHANNELS_LISTENS
 * (*channelp points into name), or -EPROTO when that is not what it was asked next.
 */
int redis_channels_confirmed(
	struct redis_channels *channels, bool subscribed, struct slice name, struct slice *channelp);

/*
 * Redis has refused the oldest command. REDIS_CHANNELS_QUIET: its channels will be asked for one by one.
 * REDIS_CHANNELS_REFUSED: it had one, *channelp, borrowed until anything changes. REDIS_CHANNELS_STAYS: it
 * was an UNSUBSCRIBE. -EPROTO: no command was under way.
 */
int redis_channels_refused(struct redis_channels *channels, struct slice *channelp);

/* Sharded: this error answers a command of the batch. */
void redis_channels_erred(struct redis_channels *channels, struct slice error);

/*
 * Sharded: the fence is back. To be called until it is REDIS_CHANNELS_QUIET; REDIS_CHANNELS_REFUSED and
 * REDIS_CHANNELS_STAYS as of redis_channels_refused(), of one channel.
 */
int redis_channels_fenced(struct redis_channels *channels, struct slice *channelp);

/* Sharded: the next channel that is gone. It is the same one until it is unwanted. */
bool redis_channels_gone(const struct redis_channels *channels, struct slice *channelp);

/* Asks again for up to n of the channels that were given up. */
void redis_channels_retry(struct redis_channels *channels, size_t n);

/*
 * The link is gone: nothing is subscribed or under way, and all that is wanted is to be asked for. If the
 * link was proven, somebody relies on it: a channel is not asked for again before
 * redis_channels_tell_lost().
 */
void redis_channels_lost(struct redis_channels *channels);

/* The wanted channels one after the other, from *atp NULL on, while none is dropped. */
bool redis_channels_walk(
	const struct redis_channels *channels, struct map_entry **atp, struct slice *channelp);

/* The next channel whose loss has to be told, and counts it as told. */
bool redis_channels_tell_lost(struct redis_channels *channels, struct slice *channelp);

/* The name without the prefix; data NULL if it does not have it. */
struct slice redis_channels_strip(const struct redis_channels *channels, struct slice name);

#endif
