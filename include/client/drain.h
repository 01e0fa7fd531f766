#ifndef TIDEGATE_CLIENT_DRAIN_H
#define TIDEGATE_CLIENT_DRAIN_H

/*
 * Drain: says when each client of a worker is sent away, so that another node gets them as a stream
 * and not as a wave.
 *
 * 	clients  n ┤▔▔▙▖
 * 	           │   ▝▀▙▖      a straight line from all to none over the drain time; who leaves by itself
 * 	         0 ┼──────▝▀▶    counts, so the line is kept and not run ahead of
 *
 * Pure: time is handed in, and so is the seed of the random waits that clients are told.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct drain {
	bool begun;
	size_t n; /* clients when it began */
	uint64_t began_ms;
	uint64_t time_ms; /* 0: all at once */
	uint64_t random;
};

void drain_begin(struct drain *drain, size_t n, uint64_t time_ms, uint64_t seed, uint64_t now_ms);

/* How many of the n_left remaining clients must go now. 0 with zeroed memory. */
size_t drain_n_due(const struct drain *drain, size_t n_left, uint64_t now_ms);

/*
 * When one client should come back: a random number of its own, up to a quarter of the drain time
 * (docs/recovery-protocol.md, Storms). It spreads the clients even more than the closes do.
 */
uint64_t drain_after_ms(struct drain *drain);

#endif
