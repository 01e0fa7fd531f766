#ifndef TIDEGATE_CORE_CLOCK_H
#define TIDEGATE_CORE_CLOCK_H

/* Clock: the only place that asks the kernel for the time. Modules that promise something about time
 * have it handed in. */

#include <stddef.h>
#include <stdint.h>

enum {
	CLOCK_TIMESTAMP_LEN = 24, /* "2026-01-01T00:00:00.000Z" */
};

/* CLOCK_MONOTONIC, which never jumps with the wall clock: for every timer and age. */
uint64_t clock_monotonic_ms(void);
uint64_t clock_monotonic_us(void);

/* CLOCK_REALTIME since 1970: for times that people read. */
uint64_t clock_wall_ms(void);

/* RFC 3339 in UTC with milliseconds. Writes CLOCK_TIMESTAMP_LEN bytes, no NUL. */
void clock_format(uint64_t wall_ms, char out[CLOCK_TIMESTAMP_LEN]);

/* The timestamp that was asked for last. Zeroed memory has none. */
struct clock_text {
	uint64_t wall_ms;
	char text[CLOCK_TIMESTAMP_LEN];
};

/* The same, formatted only if the time is another than last time: many events have the time of one turn.
 * Borrowed until the next call. */
const char *clock_text_at(struct clock_text *last, uint64_t wall_ms);

#endif
