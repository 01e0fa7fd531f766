#ifndef TIDEGATE_BUS_REPLAYS_H
#define TIDEGATE_BUS_REPLAYS_H

/*
 * Replays: bounds the missed events that are on their way to the workers.
 *
 * In a reconnect storm thousands of joins are answered in one turn of the loop. A worker takes all arrived
 * mail before it writes, so live events would wait behind all replays. So there is a window, and a join
 * beyond it is held back. When a worker has queued a replay, which it writes in the same turn, it gives the
 * credit back, and the next join goes. Live events thus wait behind one window of replays, and behind the
 * joins that one read of the log answers together.
 *
 * A held join was not looked at yet: it is answered as of the moment when it goes on. On the bus thread.
 */

#include <stdbool.h>
#include <stddef.h>

#include "core/list.h"

struct credit;
struct join;

enum {
	REPLAYS_BYTES_MAX = 8 << 20, /* of frames under way: some 10 ms of a worker's time */
};

struct replays {
	struct list held; /* join.due, in the order in which they came */
	size_t bytes;     /* under way; the last replay may have passed the bound */
};

void replays_init(struct replays *replays);

/* Frees the joins that are held. */
void replays_deinit(struct replays *replays);

/* May it be asked and answered now? Otherwise it is held, and comes out of replays_next() in its turn. */
bool replays_admit(struct replays *replays, struct join *join);

/* It is answered and goes to its worker. */
void replays_sent(struct replays *replays, struct join *join);

/* The worker has queued an answer for its client. */
void replays_spent(struct replays *replays, const struct credit *credit);

/* A held join that may go on now, or NULL. */
struct join *replays_next(struct replays *replays);

#endif
