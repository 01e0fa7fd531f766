#ifndef TIDEGATE_BROKER_BACKOFF_H
#define TIDEGATE_BROKER_BACKOFF_H

/*
 * Backoff: how long to wait before the next attempt.
 *
 * Exponential with jitter: a time drawn evenly from the upper half below a ceiling, which doubles with each
 * failure up to a cap, so that many nodes that lost the same Redis do not come back in step. Never shorter
 * than that half: with a first ceiling of 50 ms, attempts that each follow a wait and fail at once are no
 * more than five in any second. (The first one of a start follows none: there may be six then.) It knows no
 * clock; randomness comes from the seed.
 */

#include <stdint.h>

struct backoff {
	uint32_t base_ms; /* the first ceiling */
	uint32_t cap_ms;  /* the last one */
	uint32_t n_failures;
	uint64_t random;
};

void backoff_init(struct backoff *backoff, uint32_t base_ms, uint32_t cap_ms, uint64_t seed);

/* One more attempt failed. Returns the milliseconds until the next one, at least 1. */
uint32_t backoff_next(struct backoff *backoff);

/* An attempt failed in a way that only people can mend: a wait near the given time, evenly
 * in its upper half. */
uint32_t backoff_slow(struct backoff *backoff, uint32_t slow_ms);

/* An attempt succeeded: the next wait is a short one again. */
void backoff_reset(struct backoff *backoff);

#endif
