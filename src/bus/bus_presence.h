#ifndef TIDEGATE_BUS_BUS_PRESENCE_H
#define TIDEGATE_BUS_BUS_PRESENCE_H

/*
 * The bus' clocks of presence: when bus/presence has its tick, when the node renews its lease, and what one
 * learns from the other.
 */

#include <stdint.h>

struct bus;
struct presence_change;

int bus_presence_init(struct bus *bus);
void bus_presence_deinit(struct bus *bus);

/* The node's id, and how long it counts as living without a sign of life. */
void bus_presence_set_node(struct bus *bus, const char *node, uint64_t lease_ms);

/* From the first route on that keeps presence. Without memory for it the next reload tries again. */
void bus_presence_keep_lease(struct bus *bus);

/* Once for each time that a server of the broker has come back. */
void bus_presence_look_for_returns(struct bus *bus);

/* Somebody came to a channel, or left it. Takes over the change. */
void bus_presence_take(struct bus *bus, struct presence_change *change);

#endif
