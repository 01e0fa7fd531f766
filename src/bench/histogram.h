#ifndef TIDEGATE_BENCH_HISTOGRAM_H
#define TIDEGATE_BENCH_HISTOGRAM_H

/*
 * Histogram: how often each value was seen, to within 1 %, over a range from 0 to 2^40 - 1.
 *
 * Buckets are linear within a power of two and double from one to the next ("log-linear", as in
 * HdrHistogram), so that a microsecond and a minute are both told to two digits in 34 KiB. Values past the
 * range count in the last bucket; the largest one seen is kept exactly. Zeroed memory is an empty one. One
 * belongs to one thread.
 */

#include <stdint.h>

enum {
	HISTOGRAM_SUB_BITS = 7, /* 128 steps a power of two: 1/128 is the largest relative error */
	HISTOGRAM_BITS = 40,    /* of the range: 12 days in microseconds */
	HISTOGRAM_BUCKETS = (HISTOGRAM_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS,
};

struct histogram {
	uint64_t n;
	uint64_t max;
	uint64_t counts[HISTOGRAM_BUCKETS];
};

/* Inline, because a load generator calls it for each of several million deliveries a second. */
static inline unsigned int histogram_bucket(uint64_t value)
{
	unsigned int shift;

	if (value >> HISTOGRAM_BITS)
		return HISTOGRAM_BUCKETS - 1;
	if (value < 2u << HISTOGRAM_SUB_BITS)
		return (unsigned int)value;
	shift = 63 - (unsigned int)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
	return (shift << HISTOGRAM_SUB_BITS) + (unsigned int)(value >> shift);
}

static inline void histogram_record(struct histogram *histogram, uint64_t value)
{
	histogram->counts[histogram_bucket(value)]++;
	histogram->n++;
	if (value > histogram->max)
		histogram->max = value;
}

/* Adds all that `from` has seen. */
void histogram_merge(struct histogram *into, const struct histogram *from);

/*
 * The value that `fraction` (0 to 1) of what was seen does not exceed: the upper end of its bucket, but never
 * more than the largest value seen. 0 when empty.
 */
uint64_t histogram_quantile(const struct histogram *histogram, double fraction);

#endif
