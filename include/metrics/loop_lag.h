#ifndef TIDEGATE_METRICS_LOOP_LAG_H
#define TIDEGATE_METRICS_LOOP_LAG_H

/*
 * Loop lag: how late a thread comes to its work.
 *
 * A loop that is busy with one thing lets everything else wait, and only latencies show it. So each thread
 * has a timer that is due at even intervals: its lateness is the time that any other work would have waited
 * there. An idle thread is late by a few milliseconds, because libevent's timers are coarse.
 *
 * The reported value is the largest lateness of the last LOOP_LAG_WINDOW_MS to twice that time, so a
 * Prometheus that asks every 15 s misses no peak. Time is handed in.
 */

#include <stdint.h>

enum {
	LOOP_LAG_WINDOW_MS = 10000,
};

struct loop_lag {
	uint64_t due_us;
	uint64_t window_us; /* when this window began */
	uint64_t current_us;
	uint64_t previous_us; /* the largest lateness of the window before */
};

/* The loop begins. The timer will be called after one interval, or sooner if it was set before. */
void loop_lag_start(struct loop_lag *lag, uint64_t now_us, uint64_t interval_us);

/* The timer was called. Returns the largest lateness, in microseconds. */
uint64_t loop_lag_tick(struct loop_lag *lag, uint64_t now_us, uint64_t interval_us);

#endif
