#ifndef TIDEGATE_APP_STATUS_H
#define TIDEGATE_APP_STATUS_H

/* Status: this node's state, for its operator and for the other nodes. */

#include <stdbool.h>
#include <stdint.h>

#include "app/pulse.h"

struct broker;
struct memory_watch;
struct buf;
struct config;
struct metrics;

/* The parts that know it; borrowed for the call. */
struct status {
	const char *node_id;
	const struct config *config;
	const struct broker *broker;
	const struct metrics *const *blocks;
	unsigned int n_blocks;
	const struct pulse *pulse;
	const struct memory_watch *memory;
	uint16_t port;
	uint64_t started_ms; /* clock_monotonic_ms() */
	const char *refusal; /* why a newer configuration was refused, or NULL */
	bool ready;
	bool draining;
};

/* One JSON object. */
void status_write(const struct status *status, struct buf *out);

/* Adds up the counts that the pulse is made of. */
void status_count(const struct metrics *const *blocks, unsigned int n_blocks, struct pulse_counts *counts);

#endif
