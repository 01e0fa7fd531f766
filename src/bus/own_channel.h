#ifndef TIDEGATE_BUS_OWN_CHANNEL_H
#define TIDEGATE_BUS_OWN_CHANNEL_H

/*
 * Own channel: a channel with a history that the node itself follows, beside those of its clients.
 *
 * What is published there while the link is lost is heard when it is back, like with any history. A node that
 * begins to follow begins with what is published from then on. On the bus thread.
 */

#include <stdbool.h>

#include "bus/bus.h"
#include "core/list.h"
#include "core/slice.h"
#include "route/route.h"

enum {
	OWN_CHANNEL_MAX = 12 + BUS_NODE_MAX, /* bytes of its name: tg:, a word, a node, a number */
};

struct own_channel {
	struct bus *bus;
	struct list link; /* in bus.own_channels while it is followed */
	struct bus_tap tap;
	struct route_history history;
	char name[OWN_CHANNEL_MAX + 1];
};

/* The name is one of ours (tg:…), in two parts; event() gets what is published. */
void own_channel_init(struct own_channel *own, struct bus *bus, const char *start, const char *rest,
	const struct route_history *history, bus_tap_fn event, void *arg);

/* Follows it, or no longer does. Without memory for that it is as before. */
void own_channel_follow(struct own_channel *own, bool wanted);

/* Is every event heard that is published from now on? */
bool own_channel_is_live(const struct own_channel *own);

static inline struct slice own_channel_name(const struct own_channel *own)
{
	return slice_of(own->name);
}

/* The history of a channel that is followed; NULL: this is another one. */
const struct route_history *own_channels_history(const struct bus *bus, struct slice channel);

/* The bus is about to free its channels: nothing is followed any more. */
void own_channels_forget(struct bus *bus);

#endif
