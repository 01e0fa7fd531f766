#ifndef TIDEGATE_WS_SINCE_QUERY_H
#define TIDEGATE_WS_SINCE_QUERY_H

/* Since query: where a client was, as its URL says: ?since=…, once for each channel, in any order. Event
 * streams also take ?lastEventId=…: so polyfills of EventSource say what a browser says in a header. */

#include <stdbool.h>

#include "channel_log/position.h"
#include "core/slice.h"
#include "route/route.h"

/* False if the query has no member of this name. lists: one may name several channels, as a Last-Event-ID
 * does. *since borrows the others. */
bool since_query_read(struct slice query, const char *name, bool lists,
	struct position others[ROUTE_CHANNELS_MAX - 1], struct since *since);

#endif
