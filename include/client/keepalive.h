#ifndef TIDEGATE_CLIENT_KEEPALIVE_H
#define TIDEGATE_CLIENT_KEEPALIVE_H

/*
 * Keepalive: who is to be pinged, who owes a pong, who ran out of time.
 *
 * All clients of a worker share one interval, so each of the queues is in order of its deadlines by
 * construction: nothing is sorted, and a turn looks only at what is due. (libwebsockets' own timers are one
 * sorted list with linear insertion: 16,000 idle connections cost it 10 s to open.)
 *
 * Time is handed in, in milliseconds of a clock that never jumps.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/list.h"

struct keepalive {
	struct list quiet;    /* in order of due_ms: to be pinged */
	struct list expected; /* in order of due_ms: a pong is owed */
	uint64_t interval_ms;
	uint64_t timeout_ms;
};

/* Embedded in what is kept alive. Zeroed: not taking part. */
struct keepalive_link {
	struct list link;
	uint64_t due_ms;
	bool owes_pong;
};

void keepalive_init(struct keepalive *keepalive, uint64_t interval_ms, uint64_t timeout_ms);

/*
 * Other times, from now on: who is to be pinged is in time with them, at once if that has passed; whoever
 * owes a pong has all of the new time for it, so that nobody dies of the change.
 */
void keepalive_set(struct keepalive *keepalive, uint64_t interval_ms, uint64_t timeout_ms, uint64_t now_ms);

/* Takes part from now on; first ping after one interval. */
void keepalive_add(struct keepalive *keepalive, struct keepalive_link *link, uint64_t now_ms);

/* Leaves. Harmless when it took no part. */
void keepalive_remove(struct keepalive_link *link);

/*
 * Heard from it (a pong, or anything else): a pong that it owes is forgiven. One that owes none is pinged
 * when it was due anyway: pings come every interval, whatever else the peer says. Harmless when it takes no
 * part.
 */
void keepalive_heard(struct keepalive *keepalive, struct keepalive_link *link, uint64_t now_ms);

/* The next one that is due for a ping, moved to those who owe a pong; NULL when nobody is. */
struct keepalive_link *keepalive_next_ping(struct keepalive *keepalive, uint64_t now_ms);

/* The next one whose pong is overdue, taken out; NULL when nobody is. */
struct keepalive_link *keepalive_next_dead(struct keepalive *keepalive, uint64_t now_ms);

#endif
