#ifndef TIDEGATE_METRICS_METRICS_H
#define TIDEGATE_METRICS_METRICS_H

/*
 * Metrics: what is counted, one table for all (metrics/metrics.def).
 *
 * Each thread has its own block and is the only one to write it; whoever reports reads all blocks and adds
 * them up. So no counter is shared on the hot path, and no cache line either. A reader may see a block in
 * the middle of a batch, never a torn number.
 */

#include <stdatomic.h>
#include <stdint.h>

struct buf;

enum metric {
#define METRIC(id, kind, name, labels, help) METRIC_##id,
#include "metrics/metrics.def"
#undef METRIC
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

/* Gauges; they may go down. A sum over threads must make sense. */
static inline void metrics_set(struct metrics *metrics, enum metric id, uint64_t value)
{
	if (metrics)
		atomic_store_explicit(&metrics->values[id], value, memory_order_relaxed);
}

static inline void metrics_sub(struct metrics *metrics, enum metric id, uint64_t n)
{
	metrics_add(metrics, id, (uint64_t)0 - n);
}

static inline uint64_t metrics_get(const struct metrics *metrics, enum metric id)
{
	return atomic_load_explicit(&metrics->values[id], memory_order_relaxed);
}

/* Prometheus text (exposition format 0.0.4) of the sums of n blocks. Any thread. */
void metrics_write(const struct metrics *const *blocks, unsigned int n, struct buf *out);

#endif
