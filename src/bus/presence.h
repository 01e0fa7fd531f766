#ifndef TIDEGATE_BUS_PRESENCE_H
#define TIDEGATE_BUS_PRESENCE_H

/*
 * Presence: which users are on which channels by this node, and what the broker knows of that.
 *
 *     came, left ──► a user's connections ──► after its grace, with the next tick ──► broker_set_presence()
 *
 * Who leaves is there for the channel's grace, so a page that is loaded anew is silent. Changes are
 * gathered: with each tick a channel makes one call at most, and that says how many connections a user has
 * and not how many more. So a call of which nobody knows what became of it is repeated. Before the first
 * call about a channel the node says that it holds it, so that others know what to clear up if it dies.
 *
 * Time is handed in; the broker is asked for all else. On the bus thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/broker.h"
#include "core/list.h"
#include "core/map.h"
#include "core/slice.h"

struct metrics;
struct presence_change;
struct route_table;

/* The first letter of what a node holds: a channel with users on it. */
#define PRESENCE_HELD BROKER_HELD_CHANNEL

enum {
	PRESENCE_HELD_MAX = 256, /* bytes of what is held: that letter, and the channel */
	PRESENCE_TICK_MS = 250,
	PRESENCE_NODE_MAX = 96,    /* bytes of the name under which a node's users are kept */
	PRESENCE_CALLS_MAX = 1000, /* under way at once */
	PRESENCE_AGAIN_MS = 1000,  /* after a call that failed */
};

struct presence {
	struct broker *broker;
	const struct route_table *routes; /* borrowed; NULL: none yet */
	struct metrics *metrics;
	struct map channels;
	struct list active;               /* channels with something to do in a tick */
	char node[PRESENCE_NODE_MAX + 1]; /* "": nothing is said, because no lease is held */
	uint64_t era;                     /* how often the name was another */
	uint64_t n_users;                 /* on all channels, users and nameless ones */
	size_t n_calls;                   /* under way */
	uint64_t until_ms;                /* how long the name is ours */
	uint64_t now_ms;                  /* of the last tick */
};

void presence_init(struct presence *presence, struct metrics *metrics);
void presence_deinit(struct presence *presence); /* no call may be under way */

/*
 * The name is this node's until then. Under another name than before all users are put into the broker
 * anew. "": nothing is said, until there is a name.
 */
void presence_set_node(struct presence *presence, const char *node, uint64_t until_ms);

/* A connection came or left. 0 or -ENOMEM. */
int presence_take(struct presence *presence, const struct presence_change *change, uint64_t now_ms);

/* Is there anything to do? Then presence_tick() is wanted after PRESENCE_TICK_MS. */
bool presence_is_active(const struct presence *presence);
void presence_tick(struct presence *presence, uint64_t now_ms);

/* How many users are on this channel by this node, and connections without one; who left and may come back
 * counts. */
void presence_count(
	const struct presence *presence, struct slice channel, uint64_t *n_usersp, uint64_t *n_anonymousp);

/* Where users of this channel are kept, and who is told, but for the node. */
void presence_place(const struct presence *presence, struct slice channel, struct broker_presence *place);

#endif
