#ifndef TIDEGATE_APP_SHUTDOWN_PLAN_H
#define TIDEGATE_APP_SHUTDOWN_PLAN_H

/*
 * Shutdown plan: the order in which the process ends.
 *
 * 	asked ── delay ──► closing ── spread ── timeout ──► the end, at the latest
 * 	         serving,           1012         who has not
 * 	         /ready is red                   left by then
 *
 * After the delay clients are sent away over the spread. The process ends when the last client is gone, at
 * the latest a timeout after the last one was asked to go: delay + spread + timeout in all. Asked a second
 * time, it ends at once. But a signal within SHUTDOWN_REPEAT_MS is the same wish: timeout(1) signals the
 * process and its group, and a terminal and a supervisor may both do so.
 *
 * Pure: time is handed in, and the answer says what to do; the gateway does it.
 */

#include <stdbool.h>
#include <stdint.h>

enum {
	SHUTDOWN_REPEAT_MS = 250, /* more than a process needs to send two signals, less than a person */
};

struct shutdown_times {
	uint64_t delay_ms;
	uint64_t spread_ms;
	uint64_t timeout_ms;
};

enum shutdown_phase {
	SHUTDOWN_NONE, /* serving */
	SHUTDOWN_DELAY,
	SHUTDOWN_CLOSING,
	SHUTDOWN_OVER,
};

/* What to do now. */
enum shutdown_step {
	SHUTDOWN_WAIT,  /* nothing */
	SHUTDOWN_CLOSE, /* stop accepting, send clients away over the spread */
	SHUTDOWN_END,   /* all are gone */
	SHUTDOWN_LATE,  /* the deadline has passed: end without the clients that are left */
	SHUTDOWN_SAME,  /* asked for already, a moment ago: nothing */
	SHUTDOWN_ABORT, /* end at once, without a word to anybody */
};

/* Zeroed memory serves. */
struct shutdown_plan {
	enum shutdown_phase phase;
	struct shutdown_times times;
	uint64_t asked_ms;    /* when it was first wanted */
	uint64_t closing_ms;  /* when the delay is over */
	uint64_t deadline_ms; /* of all */
};

/* The operator wants it to end. */
enum shutdown_step shutdown_plan_ask(
	struct shutdown_plan *plan, const struct shutdown_times *times, uint64_t now_ms);

/* Time has passed. gone: no client is left, and no new one can come. */
enum shutdown_step shutdown_plan_poll(struct shutdown_plan *plan, bool gone, uint64_t now_ms);

#endif
