#ifndef TIDEGATE_BUS_BUS_LIFECYCLE_H
#define TIDEGATE_BUS_BUS_LIFECYCLE_H

/* The bus' clock of bus/lifecycle, and what the bus tells it. */

#include <stdbool.h>

#include "core/slice.h"

struct bus;
struct session_change;

int bus_lifecycle_init(struct bus *bus);
void bus_lifecycle_deinit(struct bus *bus);

/* There are other routes. */
void bus_lifecycle_configure(struct bus *bus);

/* A connection is open, or has ended. Takes over the change. */
void bus_lifecycle_take(struct bus *bus, struct session_change *change);

/* Some worker wants the channel, or none does any more. */
void bus_lifecycle_channel(struct bus *bus, struct slice channel, bool is_wanted);

/* There may be something to do. */
void bus_lifecycle_wake(struct bus *bus);

#endif
