#ifndef TIDEGATE_ROUTE_RIGHTS_H
#define TIDEGATE_ROUTE_RIGHTS_H

/*
 * Rights: what one connection may subscribe to, and as whom.
 *
 * The handshake makes them when it lets a connection in, and the connection keeps them to its end. Whoever
 * asks (client/verbs) does not know what they were made of. So far that is the path alone: the route that it
 * leads to says which channels are joined and which may be, and the ids in the path are all that is known of
 * the peer. What a token says about it will stand beside them.
 *
 * Zeroed memory has no rights and needs no rights_deinit().
 */

#include <stdbool.h>

#include "core/slice.h"

struct route;
struct route_match;
struct route_table;

struct rights {
	const struct route *route;  /* that serves the connection; of the table below */
	struct route_table *routes; /* one reference: a reload must not pull the route away */
	char *ids;                  /* route_ids(); NULL on a route without variables */
};

/* The rights of a connection whose path matched in this table. 0 or -ENOMEM. */
int rights_init(struct rights *rights, struct route_table *routes, const struct route_match *match);
void rights_deinit(struct rights *rights);

/*
 * The table may have been replaced since. The rights are what the newest says, if that has the connection's
 * route unchanged; otherwise they stay what they were.
 */
void rights_follow(struct rights *rights, struct route_table *newest);

/* The match of the connection's path: the channels that it joins at once are those of its route_channel(). */
void rights_match(const struct rights *rights, struct route_match *match);

/* False also for what is no channel's name: names cannot be probed. */
bool rights_may_subscribe(const struct rights *rights, struct slice channel);

#endif
