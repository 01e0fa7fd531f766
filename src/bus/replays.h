#ifndef TIDEGATE_BUS_REPLAYS_H
#define TIDEGATE_BUS_REPLAYS_H

/*
 * Replays: how much of what clients missed is on its way to the workers.
 *
 * In a reconnect storm thousands of joins are answered in one turn of the loop. A worker takes all that has
 * arrived before it writes, so live events would wait behind all of them. Past the window a join is held
 * back; when a worker has queued a replay, to be written in the same turn, it gives the join back, and the
 * next one goes. So live events wait behind one window of replays, and those who waited for one read of the
 * log together.
 *
 * A held join has not been looked at: it is answered as of when it goes on. On the bus thread.
 */

#include <stdbool.h>
#include <stddef.h>

#include "core/list.h"

struct join;

enum {
	REPLAYS_BYTES_MAX = 8 << 20, /* of frames under way: some 10 ms of a worker's time */
};

struct replays {
	struct list held; /* join.due, in the order in which they came */
	size_t bytes;     /* under way; the last one may have passed the bound */
};

void replays_init(struct replays *replays);

/* Frees what is held. */
void replays_deinit(struct replays *replays);

/* May it be asked and answered now? Otherwise it is held, and comes out of replays_next() in its turn. */
bool replays_admit(struct replays *replays, struct join *join);

/* It is answered and goes to its worker. */
void replays_sent(struct replays *replays, struct join *join);

/* The worker has given it back. It stays the caller's. */
void replays_spent(struct replays *replays, const struct join *join);

/* A held one that may go on now, or NULL. */
struct join *replays_next(struct replays *replays);

#endif
