/*
 * Loop lag: how late a thread comes to its work; see the header.
 *
 * libevent does not tell when a timer is due, so its rule for persistent timers is followed here: one
 * interval after the timer was due, or after it was called if that time is over already. A timer that comes
 * too early shows that we were wrong, and corrects us.
 */

#include "metrics/loop_lag.h"

enum {
	US_PER_MS = 1000,
};

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void next_window(struct loop_lag *lag, uint64_t now_us)
{
	if (now_us - lag->window_us < LOOP_LAG_WINDOW_MS * US_PER_MS)
		return;
	lag->previous_us = lag->current_us;
	lag->current_us = 0;
	lag->window_us = now_us;
}

void loop_lag_start(struct loop_lag *lag, uint64_t now_us, uint64_t interval_us)
{
	*lag = (struct loop_lag){.due_us = now_us + interval_us, .window_us = now_us};
}

uint64_t loop_lag_tick(struct loop_lag *lag, uint64_t now_us, uint64_t interval_us)
{
	next_window(lag, now_us);
	if (now_us > lag->due_us)
		lag->current_us = larger(lag->current_us, now_us - lag->due_us);
	else
		lag->due_us = now_us;
	lag->due_us += interval_us;
	if (lag->due_us <= now_us)
		lag->due_us = now_us + interval_us;
	return larger(lag->current_us, lag->previous_us);
}
