#ifndef TIDEGATE_BROKER_REDIS_SLOT_H
#define TIDEGATE_BROKER_REDIS_SLOT_H

/*
 * Redis slot: from a name in Redis, a channel's or a key's, to the server that has it. Pure.
 *
 * A channel and the keys of its log have the same slot: tg:s:{cards} is hashed by what stands in its braces.
 */

#include "core/slice.h"

enum {
	REDIS_SLOTS = 16384,
};

/* As Redis Cluster computes it: CRC16 of the name, or of what stands between its first { and the next },
 * unless that is nothing. */
unsigned int redis_slot(struct slice name);

/*
 * The server of a slot, 0 to n - 1, where n servers stand side by side: the jump hash of Lamping and Veach
 * (arXiv:1406.2294). From n to n + 1 servers one slot of n + 1 moves, and only to the new one. n at least 1.
 */
unsigned int redis_slot_server(unsigned int slot, unsigned int n);

#endif
