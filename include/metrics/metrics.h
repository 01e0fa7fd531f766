#ifndef TIDEGATE_METRICS_METRICS_H
#define TIDEGATE_METRICS_METRICS_H

/*
 * Metrics: what is measured, one table for all (metrics/metrics.def).
 *
 * Each thread has its own block, and no other thread writes it; a report reads all blocks and adds them up.
 * So threads share neither counters nor cache lines on the hot path. A reader may see a block in the middle
 * of a batch, but never a torn number.
 *
 * A histogram takes several places of the block, one behind the other: a count for each of its buckets, a
 * count of the values above all buckets, and the sum of all values. metrics_observe() is for histograms, the
 * other functions are for all other rows.
 */

#include <stdatomic.h>
#include <stdint.h>

struct buf;

/*
 * The upper bounds of every histogram's buckets, BUCKET(microseconds, as printed). They reach from the cost
 * of one system call on a loaded machine to the age at which a slow client is closed.
 */
#define METRICS_BUCKETS                                                                                      \
	BUCKET(100, "0.0001")                                                                                \
	BUCKET(250, "0.00025")                                                                               \
	BUCKET(500, "0.0005")                                                                                \
	BUCKET(1000, "0.001")                                                                                \
	BUCKET(2500, "0.0025")                                                                               \
	BUCKET(5000, "0.005")                                                                                \
	BUCKET(10000, "0.01")                                                                                \
	BUCKET(25000, "0.025")                                                                               \
	BUCKET(50000, "0.05")                                                                                \
	BUCKET(100000, "0.1")                                                                                \
	BUCKET(250000, "0.25")                                                                               \
	BUCKET(500000, "0.5")                                                                                \
	BUCKET(1000000, "1")                                                                                 \
	BUCKET(2500000, "2.5")                                                                               \
	BUCKET(5000000, "5")                                                                                 \
	BUCKET(10000000, "10")

enum {
#define BUCKET(us, text) +1
	METRICS_N_BUCKETS = METRICS_BUCKETS,
#undef BUCKET
	METRICS_HISTOGRAM_PLACES = METRICS_N_BUCKETS + 2,
};

enum metric {
#define METRIC(id, kind, unit, name, labels, help) METRIC_##id,
#define HISTOGRAM(id, name, help)                                                                            \
	METRIC_##id, METRIC_##id##_LAST = METRIC_##id + METRICS_HISTOGRAM_PLACES - 1,
#include "metrics/metrics.def"
#undef METRIC
#undef HISTOGRAM
	METRIC_COUNT,
};

/* One thread's block. Zeroed memory is a fresh block. It is aligned, so that blocks of two threads
 * share no cache line. */
struct metrics {
	_Alignas(64) _Atomic uint64_t values[METRIC_COUNT];
};

/* Only for the thread that owns the block. Does nothing with a NULL block. */
static inline void metrics_add(struct metrics *metrics, enum metric id, uint64_t n)
{
	if (metrics)
		atomic_store_explicit(&metrics->values[id],
			atomic_load_explicit(&metrics->values[id], memory_order_relaxed) + n,
			memory_order_relaxed);
}

/* For gauges, which may go down. The sum over all threads must make sense, or the maximum where the
 * row is a peak. */
static inline void metrics_set(struct metrics *metrics, enum metric id, uint64_t value)
{
	if (metrics)
		atomic_store_explicit(&metrics->values[id], value, memory_order_relaxed);
}

static inline void metrics_sub(struct metrics *metrics, enum metric id, uint64_t n)
{
	metrics_add(metrics, id, (uint64_t)0 - n);
}

/* Notes n times that something took `us` microseconds. Only for the thread that owns the block. Does nothing
 * with a NULL block. */
void metrics_observe(struct metrics *metrics, enum metric id, uint64_t us, uint64_t n);

static inline uint64_t metrics_get(const struct metrics *metrics, enum metric id)
{
	return atomic_load_explicit(&metrics->values[id], memory_order_relaxed);
}

/* The number of values that metrics_observe() has noted. */
uint64_t metrics_n_observed(const struct metrics *metrics, enum metric id);

/* The upper bound of a histogram's bucket, i below METRICS_N_BUCKETS. */
uint64_t metrics_bucket_us(unsigned int i);

/* The sum or the maximum of n blocks for this row, in the row's unit. */
uint64_t metrics_together(const struct metrics *const *blocks, unsigned int n, enum metric id);

/* The same for all rows that share its name, whatever their labels. */
uint64_t metrics_total(const struct metrics *const *blocks, unsigned int n, enum metric id);

/* Writes n blocks as Prometheus text (exposition format 0.0.4). For any thread. */
void metrics_write(const struct metrics *const *blocks, unsigned int n, struct buf *out);

#endif
