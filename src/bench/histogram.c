/*
 * Histogram: log-linear buckets; see the header for what it promises.
 *
 * Bucket numbers: values below 256 have one each. From there on, a value whose highest bit is 7 + s is cut to
 * its top 8 bits (128 to 255) and counted in bucket s * 128 + those. So bucket numbers have no holes.
 */

#include "bench/histogram.h"

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->counts[i] += from->counts[i];
	into->n += from->n;
	if (from->max > into->max)
		into->max = from->max;
}

/* The largest value that counts in this bucket. */
static uint64_t bucket_end(unsigned int bucket)
{
	unsigned int shift = bucket >> HISTOGRAM_SUB_BITS;

	shift = shift ? shift - 1 : 0; /* the first two steps of 128 are both of single values */
	return ((uint64_t)(bucket - (shift << HISTOGRAM_SUB_BITS) + 1) << shift) - 1;
}

uint64_t histogram_quantile(const struct histogram *histogram, double fraction)
{
	uint64_t rank = (uint64_t)(fraction * (double)histogram->n);
	uint64_t seen = 0;

	if ((double)rank < fraction * (double)histogram->n)
		rank++;
	if (rank == 0)
		rank = 1; /* the smallest value is at least as small as any share */
	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->counts[i];
		if (seen >= rank)
			return bucket_end(i) < histogram->max && i < HISTOGRAM_BUCKETS - 1 ? bucket_end(i)
											   : histogram->max;
	}
	return histogram->max;
}
