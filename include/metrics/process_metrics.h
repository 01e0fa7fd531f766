#ifndef TIDEGATE_METRICS_PROCESS_METRICS_H
#define TIDEGATE_METRICS_PROCESS_METRICS_H

/*
 * Process metrics: the kernel's figures about this process, under the names that all exporters use.
 *
 * They are read when somebody asks, into a block that is added to those of the threads. A figure that cannot
 * be read stays 0: a gateway does not fail for its metrics.
 */

#include <stdint.h>

struct metrics;

enum {
	PROCESS_FDS_MS = 10000, /* how old the count of file descriptors may be where counting is not cheap */
};

/* Zeroed memory with started_us set is a fresh one. */
struct process_metrics {
	uint64_t started_us; /* wall clock when the process began */
	uint64_t n_fds;      /* as counted at counted_ms; 0: not counted yet */
	uint64_t counted_ms;
};

/* now_ms is monotonic. */
void process_metrics_read(struct process_metrics *process, struct metrics *metrics, uint64_t now_ms);

/* Open file descriptors, looked at one by one: 20 ms for 18,000. */
uint64_t process_metrics_count_fds(void);

#endif
