#ifndef TIDEGATE_BUS_LIFECYCLE_H
#define TIDEGATE_BUS_LIFECYCLE_H

/*
 * Lifecycle: which connections are open on this node and which channels are occupied by it, and what the
 * broker knows of that.
 *
 *     came, went ──► things that are to be said, by stream ──► with the next tick ──► broker_say()
 *
 * A stream has one call under way, with as many as one call may have; the next follows its answer. A call
 * that failed is repeated under its number until it does not, so each thing is said once, whatever became of
 * the call. Before the first call about a stream the node says that it holds it, so that others know what to
 * clear up if it dies. Under another name all that is here is said anew; what the broker has already is not
 * told to backends twice.
 *
 * While the broker is away, connections that both came and went are kept up to a bound; the others are as
 * many as were open. Time is handed in; on the bus thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/presence.h"
#include "core/list.h"
#include "core/log.h"
#include "core/map.h"
#include "core/slice.h"

struct broker;
struct metrics;
struct route_table;
struct session_change;

/* The first letter of what a node holds: a stream in which something of it was said. */
#define LIFECYCLE_HELD 'l'

enum {
	LIFECYCLE_TICK_MS = 100,
	LIFECYCLE_AGAIN_MS = 1000, /* after a call that failed */
	LIFECYCLE_VACANT_MS =
		2000, /* a channel that nobody listens to is vacated: a page may be loaded anew */
	LIFECYCLE_UNSAID_MAX = 10000, /* connections that came and went and are not said yet */
};

struct lifecycle {
	struct broker *broker;
	struct log *log;
	struct metrics *metrics;
	const struct route_table *routes; /* borrowed; NULL: none says anything of its channels */
	struct map things;                /* by name: a connection's number, or '#' and a channel */
	struct list streams;
	struct list leaving;              /* channels that nobody listens to, the first one first */
	char node[PRESENCE_NODE_MAX + 1]; /* "": nothing is said, because no lease is held */
	uint64_t era;                     /* how often the name was another */
	uint64_t until_ms;                /* how long the name is ours */
	uint64_t now_ms;                  /* of the last tick */
	size_t n_waiting;                 /* things that are to be said, but for those in calls */
	size_t n_calls;                   /* under way, or to be repeated */
	size_t n_unsaid;                  /* connections that came and went */
	struct log_limit drop_limit;
};

void lifecycle_init(struct lifecycle *lifecycle, struct log *log, struct metrics *metrics);
void lifecycle_deinit(struct lifecycle *lifecycle); /* no call may be under way */

/* What is said of channels from now on. Then lifecycle_channel() is wanted for each that is listened to. */
void lifecycle_configure(struct lifecycle *lifecycle, const struct route_table *routes);

/* As presence_set_node(). */
void lifecycle_set_node(struct lifecycle *lifecycle, const char *node, uint64_t until_ms);

/* A connection is open, or has ended. 0 or -ENOMEM. */
int lifecycle_take(struct lifecycle *lifecycle, const struct session_change *change, uint64_t now_ms);

/* Somebody on this node listens to the channel, or nobody does any more. */
void lifecycle_channel(struct lifecycle *lifecycle, struct slice channel, bool is_here, uint64_t now_ms);

/* Is there anything to do? Then lifecycle_tick() is wanted after LIFECYCLE_TICK_MS. */
bool lifecycle_is_active(const struct lifecycle *lifecycle);
void lifecycle_tick(struct lifecycle *lifecycle, uint64_t now_ms);

/* Has all been said that is to be said? */
bool lifecycle_has_said_all(const struct lifecycle *lifecycle);

#endif
