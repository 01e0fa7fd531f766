#ifndef TIDEGATE_ROUTE_ACCESS_H
#define TIDEGATE_ROUTE_ACCESS_H

/*
 * Access: may a connection come in by this path, and what may it subscribe to afterwards?
 *
 * There is one door. A socket that is open gives no more than opening paths does: `subscribe: any` means
 * each channel that this very connection could have joined by some path, with what its token says, and
 * besides what the token's `channels` list. `subscribe: none` and lists give less. Where a route says
 * `access: token`, each channel must be in the token's list too, the route's own as well as those in its
 * list.
 */

#include <stdbool.h>

#include "core/slice.h"

struct route_match;
struct route_table;

/* May the match's identity join the channels of its path? If so, they all have valid names. */
bool access_may_enter(const struct route_match *match);

/*
 * May a connection that came in by this match subscribe to this channel? It may have back the channels that
 * it joined at once, and variables of the path are its own ids in the route's list. False also for what is no
 * channel's name.
 */
bool access_may_subscribe(
	const struct route_table *table, const struct route_match *match, struct slice channel);

#endif
