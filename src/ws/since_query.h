#ifndef TIDEGATE_WS_SINCE_QUERY_H
#define TIDEGATE_WS_SINCE_QUERY_H

/* Since query: where a client was, as its URL says: ?since=…, once for each channel, in any order. */

#include <stdbool.h>

#include "channel_log/position.h"
#include "core/slice.h"
#include "route/route.h"

/* False if it says nothing. lists: one may name several channels, as a Last-Event-ID does. *since borrows
 * the others. */
bool since_query_read(
	struct slice query, bool lists, struct position others[ROUTE_CHANNELS_MAX - 1], struct since *since);

#endif
