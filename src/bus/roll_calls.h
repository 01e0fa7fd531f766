#ifndef TIDEGATE_BUS_ROLL_CALLS_H
#define TIDEGATE_BUS_ROLL_CALLS_H

/*
 * Roll calls: clients ask who is on a channel.
 *
 * However many ask at one moment, Redis is asked once: a question waits for the answer that is under way
 * for its channel, and then shares the next, because the one under way may be older than what its client
 * has seen.
 */

#include "core/map.h"

struct bus;
struct roll_call;

struct roll_calls {
	struct bus *bus;
	struct map channels; /* about which a question is under way */
};

void roll_calls_take(struct roll_calls *calls, struct roll_call *call); /* takes it over */

/* All questions have been cancelled by the broker. */
void roll_calls_deinit(struct roll_calls *calls);

#endif
