#ifndef TIDEGATE_SUPPORT_FAKE_CLOCK_H
#define TIDEGATE_SUPPORT_FAKE_CLOCK_H

/*
 * Fake clock: all clocks of a program that is linked with it, the event loop's too, stand at this time
 * until the program moves it. It begins on 1 January 2026, so that it is a wall clock as well.
 */

#include <stdint.h>

#define FAKE_CLOCK_BEGIN_MS UINT64_C(1767225600000)

/* Of the program alone; a clock has no context to be handed. */
extern uint64_t fake_clock_ms;

#endif
