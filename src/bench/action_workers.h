#ifndef TIDEGATE_BENCH_ACTION_WORKERS_H
#define TIDEGATE_BENCH_ACTION_WORKERS_H

/*
 * Action workers: the bench's own backends, a thread and a connection to Redis each, which answer at once;
 * and one more that measures how long a bare PING takes meanwhile.
 *
 * They do as docs/actions.md tells any worker to: XREADGROUP, an answer by tidegate_publish, XACK and XDEL
 * in one step.
 */

#include <stdint.h>

struct action_load;
struct action_workers;
struct buf;
struct histogram;
struct plan;

/* The load is borrowed. 0, or negative errno with one sentence appended to error. */
int action_workers_start(const struct plan *plan, struct action_load *load, struct action_workers **workersp,
	struct buf *error);

/* The pings from now on count. */
void action_workers_measure(struct action_workers *workers);

/* What Redis has used of its CPU so far, in µs; 0 where it does not say. */
uint64_t action_workers_redis_cpu_us(struct action_workers *workers);

/* Ends the threads. -EIO with one sentence if Redis refused a worker something. */
int action_workers_stop(struct action_workers *workers, struct buf *error);

/* Of the pings, after the end. */
const struct histogram *action_workers_pings(const struct action_workers *workers);

void action_workers_free(struct action_workers *workers); /* accepts NULL */

#endif
