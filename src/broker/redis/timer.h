#ifndef TIDEGATE_BROKER_REDIS_TIMER_H
#define TIDEGATE_BROKER_REDIS_TIMER_H

/*
 * Redis timer: a libevent timer, set in milliseconds.
 */

#include <stdint.h>

#include <event2/event.h>

/* Set anew if it is pending. 0: on a turn of its own, as soon as there is one. */
static inline void redis_timer_set(struct event *timer, uint32_t ms)
{
	const struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	event_add(timer, &wait);
}

#endif
