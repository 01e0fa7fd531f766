#ifndef TIDEGATE_SRC_ROUTE_ROUTE_MATCH_H
#define TIDEGATE_SRC_ROUTE_ROUTE_MATCH_H

/* Route match: which channels a match is about. The public half is in route/route.h. */

#include <stdbool.h>
#include <stddef.h>

#include "core/slice.h"
#include "route/route.h"

/* Does each channel that it joins get a valid name? asked: also those with claims, whose names are not valid
 * if the identity has no such claim. */
bool route_channels_valid(const struct route_match *match, bool asked);

/* Is the channel, split at ':', one that the route joins or lists for this match? */
bool route_joins(const struct route_match *match, const struct slice *channel, size_t n);
bool route_lists(const struct route_match *match, const struct slice *channel, size_t n);

#endif
