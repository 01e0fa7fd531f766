#ifndef TIDEGATE_SUPPORT_LOOP_H
#define TIDEGATE_SUPPORT_LOOP_H

/*
 * Loop: an event loop that a test runs until something has happened, for what talks to another process.
 *
 * Nothing sleeps: AWAIT() looks at its condition after every turn, and at least every 5 ms.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/clock.h"

struct event;
struct event_base;

enum {
	PATIENCE_MS = 40000, /* of every wait; generous, because sanitizers and a busy machine are slow */
};

struct loop {
	struct event_base *base;
	struct event *tick;
};

void loop_init(struct loop *loop);
void loop_deinit(struct loop *loop);

/* One turn: the first waits for something to happen, a tick if nothing else; the second does not wait. */
void loop_once(struct loop *loop);
void loop_turn(struct loop *loop);

/* Runs the loop until the condition holds. `told` is what a failure shows besides: the log, say. */
#define LOOP_AWAIT(loop, condition, told)                                                                    \
	do {                                                                                                 \
		uint64_t until_ms = clock_monotonic_ms() + PATIENCE_MS;                                      \
		while (!(condition)) {                                                                       \
			if (clock_monotonic_ms() > until_ms)                                                 \
				fail_msg("waited in vain for: %s\n%s", #condition, told);                    \
			loop_once(loop);                                                                     \
		}                                                                                            \
	} while (0)

#endif
