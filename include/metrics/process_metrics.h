#ifndef TIDEGATE_METRICS_PROCESS_METRICS_H
#define TIDEGATE_METRICS_PROCESS_METRICS_H

/*
 * Process metrics: what the kernel says of this process, under the names that all exporters use.
 *
 * Read when somebody asks, into a block that is added to those of the threads. What cannot be read stays 0: a
 * gateway does not fail for its metrics.
 */

#include <stdint.h>

struct metrics;

/* start_us: the wall clock when the process began. */
void process_metrics_read(struct metrics *metrics, uint64_t start_us);

#endif
