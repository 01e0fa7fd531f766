#ifndef TIDEGATE_CORE_BUCKET_H
#define TIDEGATE_CORE_BUCKET_H

/*
 * Bucket: how often something may happen.
 *
 * It may happen so many times at once, and then as fast as a steady rate fills the bucket again. Time is
 * handed in. A bucket of zeroed memory is full, and costs 8 bytes; the rate is kept once for all of a kind.
 */

#include <stdbool.h>
#include <stdint.h>

struct bucket_rate {
	uint32_t cost_us; /* the time in which the bucket gets back what one costs; 0: there is no bound */
	uint32_t depth_us;
};

struct bucket {
	uint32_t at_ms; /* when it was looked at last, as much of it as fits */
	uint32_t spent_us;
};

/*
 * n in each period, and `burst` at once, at least one. n of 0: no bound. A burst that the rate makes good
 * only in more than 71 minutes is cut to that.
 */
struct bucket_rate bucket_rate(unsigned int n, unsigned int period_ms, unsigned int burst);

/* The largest burst that is not cut. */
unsigned int bucket_burst_max(unsigned int n, unsigned int period_ms);

/* May it happen now? True counts it. */
bool bucket_take(struct bucket *bucket, const struct bucket_rate *rate, uint64_t now_ms);

/* Has it all that it can have? Then it may be forgotten. */
bool bucket_is_full(const struct bucket *bucket, uint64_t now_ms);

#endif
