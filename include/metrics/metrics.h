#ifndef TIDEGATE_METRICS_METRICS_H
#define TIDEGATE_METRICS_METRICS_H

/*
 * Metrics: what is measured, one table for all (metrics/metrics.def).
 *
 * Each thread has its own block and is the only one to write it; whoever reports reads all blocks and adds
 * them up. So no counter is shared on the hot path, and no cache line either. A reader may see a block in
 * the middle of a batch, never a torn number.
 *
 * A histogram takes several places of the block, one behind the other: a count for each of its buckets, one
 * for what is larger than all of them, and the sum of what was observed. metrics_observe() is for them, the
 * other functions are for all other rows.
 */

#include <stdatomic.h>
#include <stdint.h>

struct buf;

/*
 * The upper bounds of every histogram's buckets, BUCKET(microseconds, as printed). From what one system call
 * costs on a loaded machine to the age at which a slow client is closed.
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

/* One thread's block. Zeroed memory is a fresh one. Aligned, so that blocks of two threads share no line. */
struct metrics {
	_Alignas(64) _Atomic uint64_t values[METRIC_COUNT];
};

/* Only by the thread that owns the block. NULL block: nothing. */
static inline void metrics_add(struct metrics *metrics, enum metric id, uint64_t n)
{
	if (metrics)
		atomic_store_explicit(&metrics->values[id],
			atomic_load_explicit(&metrics->values[id], memory_order_relaxed) + n,
			memory_order_relaxed);
}

/* Gauges; they may go down. A sum over threads must make sense, or the largest where the row is a peak. */
static inline void metrics_set(struct metrics *metrics, enum metric id, uint64_t value)
{
	if (metrics)
		atomic_store_explicit(&metrics->values[id], value, memory_order_relaxed);
}

static inline void metrics_sub(struct metrics *metrics, enum metric id, uint64_t n)
{
	metrics_add(metrics, id, (uint64_t)0 - n);
}

/* Notes n times that something took so long. Only by the thread that owns the block. NULL block: nothing. */
void metrics_observe(struct metrics *metrics, enum metric id, uint64_t us, uint64_t n);

static inline uint64_t metrics_get(const struct metrics *metrics, enum metric id)
{
	return atomic_load_explicit(&metrics->values[id], memory_order_relaxed);
}

/* How often metrics_observe() noted something. */
uint64_t metrics_n_observed(const struct metrics *metrics, enum metric id);

/* The upper bound of a histogram's bucket, i below METRICS_N_BUCKETS. */
uint64_t metrics_bucket_us(unsigned int i);

/* What n blocks hold at this place: one number, in the row's unit. */
uint64_t metrics_together(const struct metrics *const *blocks, unsigned int n, enum metric id);

/* Likewise of all rows of its name, whatever their labels. */
uint64_t metrics_total(const struct metrics *const *blocks, unsigned int n, enum metric id);

/* Prometheus text (exposition format 0.0.4) of n blocks. Any thread. */
void metrics_write(const struct metrics *const *blocks, unsigned int n, struct buf *out);

#endif
