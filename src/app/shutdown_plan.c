/* Shutdown plan: the order in which the process ends; see the header. */

#include "app/shutdown_plan.h"

static enum shutdown_step begin_closing(struct shutdown_plan *plan, uint64_t now_ms)
{
	plan->phase = SHUTDOWN_CLOSING;
	plan->deadline_ms = now_ms + plan->times.spread_ms + plan->times.timeout_ms;
	return SHUTDOWN_CLOSE;
}

enum shutdown_step shutdown_plan_ask(
	struct shutdown_plan *plan, const struct shutdown_times *times, uint64_t now_ms)
{
	if (plan->phase != SHUTDOWN_NONE)
		return now_ms - plan->asked_ms < SHUTDOWN_REPEAT_MS ? SHUTDOWN_SAME : SHUTDOWN_ABORT;
	plan->times = *times;
	plan->asked_ms = now_ms;
	plan->closing_ms = now_ms + times->delay_ms + 1; /* a part of a millisecond was cut off */
	if (!times->delay_ms)
		return begin_closing(plan, now_ms);
	plan->phase = SHUTDOWN_DELAY;
	return SHUTDOWN_WAIT;
}

enum shutdown_step shutdown_plan_poll(struct shutdown_plan *plan, bool gone, uint64_t now_ms)
{
	switch (plan->phase) {
	case SHUTDOWN_DELAY:
		return now_ms >= plan->closing_ms ? begin_closing(plan, now_ms) : SHUTDOWN_WAIT;
	case SHUTDOWN_CLOSING:
		if (!gone && now_ms < plan->deadline_ms)
			return SHUTDOWN_WAIT;
		plan->phase = SHUTDOWN_OVER;
		return gone ? SHUTDOWN_END : SHUTDOWN_LATE;
	case SHUTDOWN_NONE:
	case SHUTDOWN_OVER:
		break;
	}
	return SHUTDOWN_WAIT;
}
