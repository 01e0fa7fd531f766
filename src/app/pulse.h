#ifndef TIDEGATE_APP_PULSE_H
#define TIDEGATE_APP_PULSE_H

/*
 * Pulse: events, messages and bytes of the last seconds, per second, and how long deliveries took.
 *
 * Counters only grow, and an operator wants to know how fast. So the growth is measured from beat to beat,
 * and even a single look shows it. Pure: counts and time are handed in.
 */

#include <stdint.h>

#include "metrics/metrics.h"

enum {
	PULSE_MS = 5000, /* from beat to beat: long enough to be steady, short enough to be now */
};

struct pulse_counts {
	uint64_t events;
	uint64_t messages;
	uint64_t bytes;
	uint64_t deliveries[METRICS_N_BUCKETS + 1]; /* by how long they took, as in the histogram */
};

/* Zeroed memory: nothing is known yet. */
struct pulse {
	struct pulse_counts counts;
	uint64_t at_ms; /* the time of the last beat; 0 before the first */
	double events;  /* per second */
	double messages;
	double bytes;
	double p50_seconds; /* negative: nothing was delivered */
	double p99_seconds;
};

void pulse_beat(struct pulse *pulse, const struct pulse_counts *counts, uint64_t now_ms);

/* The q-quantile of the values in these buckets, interpolated; negative if the buckets are empty. */
double pulse_quantile(const uint64_t buckets[METRICS_N_BUCKETS + 1], double q);

#endif
