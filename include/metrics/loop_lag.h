#ifndef TIDEGATE_METRICS_LOOP_LAG_H
#define TIDEGATE_METRICS_LOOP_LAG_H

/*
 * Loop lag: how late a thread comes to its work.
 *
 * A loop that is busy with one thing lets everything else wait, and nobody sees it but in latencies. So each
 * thread has a timer that is due at even intervals, and how late it is called is how long anything else would
 * have waited there and then. A thread that waits for nothing is late by the few milliseconds that libevent's
 * timers are coarse.
 *
 * What is told is the largest lateness of the last LOOP_LAG_WINDOW_MS to twice as long, so that who looks
 * every 15 s misses none. Time is handed in.
 */

#include <stdint.h>

enum {
	LOOP_LAG_WINDOW_MS = 10000,
};

struct loop_lag {
	uint64_t due_us;
	uint64_t window_us; /* when this window began */
	uint64_t current_us;
	uint64_t previous_us; /* of the window before */
};

/* The loop begins; the timer is to be called after one interval, or sooner where it was set before. */
void loop_lag_start(struct loop_lag *lag, uint64_t now_us, uint64_t interval_us);

/* The timer was called: the largest lateness, in microseconds. */
uint64_t loop_lag_tick(struct loop_lag *lag, uint64_t now_us, uint64_t interval_us);

#endif
