#ifndef TIDEGATE_BENCH_RUN_PRIVATE_H
#define TIDEGATE_BENCH_RUN_PRIVATE_H

/* Run, inside: what run.c and run_load.c share. */

#include "bench/run.h"

enum {
	/* Who woke the first crowd. */
	RUN_WAKE = 1,
	RUN_TIMER = 2,
	RUN_SIGNAL = 4,
	RUN_PUBLISHER = 8,

	RUN_POLL_MS = 50,           /* the longest turn: phases end and Ctrl-C is seen within it */
	RUN_REST_US = 500000,       /* after opening, so that what is freed late is freed */
	RUN_PATIENCE_US = 15000000, /* without any progress, until a phase is given up */
	RUN_SLOW_US = 500000,       /* without a read, until those that were slow have read all there was */
	RUN_QUIET_US = 2000000,     /* without a delivery, until what is missing is lost */
};

/* The counts of all crowds, added up. */
struct crowd_totals {
	uint64_t opened, failed, closed, slow_closed, deflated, primed;
	uint64_t delivered, bytes, reads, doubled, reordered, misdelivered, foreign;
	uint64_t cut, put_off, recovered, unrecovered, replayed;
};

struct crowd_totals run_totals(const struct run *run);

/* Why the first connection was lost; empty if none was. */
const char *run_trouble(const struct run *run);

/* Starts the crowds that are not the caller's. */
int run_start_crowds(struct run *run);

/* Ends all crowds, each with what it has received. Negative, with a sentence, if a process did not end as it
 * should: what its clients got is not known. */
int run_stop_crowds(struct run *run);

/* CPU of all crowds so far. */
uint64_t run_client_ns(const struct run *run);

/* One turn of the first crowd, and of what is served beside it. */
int run_turn(struct run *run, int timeout_ms);

/* Turns for a while. */
int run_rest(struct run *run, uint64_t us);

/* Reads what the servers have cost so far; zero without any. */
int run_cost(struct run *run, struct server_cost *cost);

/* All were cut off, and not all are back. */
bool run_is_storm(const struct run *run);

/* The storm, within the load: all are cut off and come back. */
int run_storm(struct run *run);

/* Publishes and turns until then. */
int run_load_until(struct run *run, uint64_t end_us);

/* Ends turns so often a second; 0: no more. */
int run_set_timer(struct run *run, double rate);

#endif
