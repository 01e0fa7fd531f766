#ifndef TIDEGATE_BUS_ARRIVALS_H
#define TIDEGATE_BUS_ARRIVALS_H

/*
 * Arrivals: events that have come and that the bus has not looked at yet.
 *
 * With thousands of channels no part of a channel is in the cache when its event comes. So a few events are
 * gathered, and the memory of all their channels is asked for before the first of them is looked at. Names
 * and payloads are copied, because the next event is read into the place of the last one. Zeroed memory is
 * empty.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"

enum {
	ARRIVALS_MAX = 32,          /* more channels would push each other out of the cache */
	ARRIVALS_BYTES = 16 * 1024, /* of names and payloads: what is copied should stay in the cache */
	ARRIVALS_WORTH = 8,         /* with fewer, asking ahead is not worth its cost */
};

struct arrival {
	uint64_t hash; /* map_hash() of the name */
	struct slice name;
	struct slice payload;
};

struct arrivals {
	size_t n;
	size_t n_bytes;
	struct arrival all[ARRIVALS_MAX];
	char bytes[ARRIVALS_BYTES];
};

/* Copies the event. False: there is no room for it beside those that are there. */
bool arrivals_add(struct arrivals *arrivals, uint64_t hash, struct slice name, struct slice payload);

#endif
