/* Shutdown: the order in which the process ends; see the header. */

#include "shutdown.h"

static enum shutdown_step begin_closing(struct shutdown *shutdown, uint64_t now_ms)
{
	shutdown->phase = SHUTDOWN_CLOSING;
	shutdown->deadline_ms = now_ms + shutdown->times.spread_ms + shutdown->times.timeout_ms;
	return SHUTDOWN_CLOSE;
}

enum shutdown_step shutdown_ask(
	struct shutdown *shutdown, const struct shutdown_times *times, uint64_t now_ms)
{
	if (shutdown->phase != SHUTDOWN_NONE)
		return now_ms - shutdown->asked_ms < SHUTDOWN_REPEAT_MS ? SHUTDOWN_SAME : SHUTDOWN_ABORT;
	shutdown->times = *times;
	shutdown->asked_ms = now_ms;
	shutdown->closing_ms = now_ms + times->delay_ms;
	if (!times->delay_ms)
		return begin_closing(shutdown, now_ms);
	shutdown->phase = SHUTDOWN_DELAY;
	return SHUTDOWN_WAIT;
}

enum shutdown_step shutdown_poll(struct shutdown *shutdown, bool gone, uint64_t now_ms)
{
	switch (shutdown->phase) {
	case SHUTDOWN_DELAY:
		return now_ms >= shutdown->closing_ms ? begin_closing(shutdown, now_ms) : SHUTDOWN_WAIT;
	case SHUTDOWN_CLOSING:
		if (!gone && now_ms < shutdown->deadline_ms)
			return SHUTDOWN_WAIT;
		shutdown->phase = SHUTDOWN_OVER;
		return gone ? SHUTDOWN_END : SHUTDOWN_LATE;
	case SHUTDOWN_NONE:
	case SHUTDOWN_OVER:
		break;
	}
	return SHUTDOWN_WAIT;
}
