#ifndef TIDEGATE_BENCH_RUN_H
#define TIDEGATE_BENCH_RUN_H

/*
 * Run: one measurement, phase by phase: open, prime, load, drain.
 *
 * The first crowd, the publisher, the clock and Ctrl-C are served by the caller's thread; further crowds have
 * a thread or a process each (run_crowds.c). Every phase returns 0, or negative after it has appended one
 * sentence to run->error.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bench/crowd.h"
#include "bench/event.h"
#include "bench/plan.h"
#include "bench/report.h"
#include "bench/window.h"
#include "core/buf.h"

struct publisher;

struct run {
	const struct plan *plan;
	struct publisher *publisher; /* borrowed; NULL with --open-only */
	struct crowd_shared shared;
	struct wire_tls *tls; /* NULL: plain */
	struct event event;
	struct window window;
	struct crowd *crowds[PLAN_CROWDS_MAX];
	pthread_t threads[PLAN_CROWDS_MAX];
	int processes[PLAN_CROWDS_MAX]; /* the same in processes: their ids */
	uint32_t n_crowds;
	uint32_t n_running; /* of crowds 1 and up */
	atomic_bool stop;
	bool interrupted; /* Ctrl-C */
	int wake_fd;      /* a crowd of another thread has something whole */
	int timer_fd;     /* the next event is due */
	int signal_fd;

	uint64_t started_us;
	uint64_t load_us;     /* the load began */
	uint64_t n_load;      /* events published since */
	uint64_t expected;    /* deliveries, of all that was published */
	uint64_t advanced_us; /* the window last moved */

	const char *phase; /* for the progress line */
	bool progress;
	uint64_t second_us;
	uint64_t second_delivered;
	uint64_t second_published;

	struct buf error;
	struct report report;
};

/* Zeroed memory is what run_deinit() accepts; with processes it is of shared_memory_new(). Blocks SIGINT and
 * SIGTERM. */
int run_init(struct run *run, const struct plan *plan, struct publisher *publisher);
void run_deinit(struct run *run);

/* Opens all connections and lets them rest a while. */
int run_open(struct run *run);

/* Publishes until every connection has seen an event of its channel. */
int run_prime(struct run *run);

/* Warms up and measures. Ctrl-C ends it early, with what has been measured. */
int run_load(struct run *run);

/* Waits for what is under way, then counts what never came. */
int run_drain(struct run *run);

#endif
