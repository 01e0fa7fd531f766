#ifndef TIDEGATE_BENCH_SERVER_COST_H
#define TIDEGATE_BENCH_SERVER_COST_H

/*
 * Server cost: CPU time and resident memory of the processes that serve, from /proc.
 *
 * CPU comes from the scheduler's own account in nanoseconds, summed over the threads that there are, or where
 * the kernel keeps none, from the ticks of /proc/PID/stat. Only processes of this machine, and of a user that
 * we may look at, have one.
 */

#include <stdint.h>

struct server_cost {
	uint64_t cpu_ns;
	uint64_t resident_bytes;
};

/* Of the n processes together. 0, or -ESRCH: one of them is not there or may not be looked at. */
int server_cost_read(const int *pids, uint32_t n, struct server_cost *cost);

#endif
