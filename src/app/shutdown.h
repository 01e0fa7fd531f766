#ifndef TIDEGATE_APP_SHUTDOWN_H
#define TIDEGATE_APP_SHUTDOWN_H

/*
 * Shutdown: carries out the decisions of its plan: tells the workers, watches them, and
 * reports in log and metrics.
 *
 * On the bus thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "app/shutdown_plan.h"

struct event;
struct event_base;
struct log;
struct metrics;
struct worker;

/* The parts that are to end; borrowed. */
struct shutdown_party {
	struct worker *const *workers;
	unsigned int n_workers;
	uint64_t seed; /* for the random waits that clients are told */
	struct log *log;
	struct metrics *metrics;
};

struct shutdown {
	struct shutdown_plan plan;
	struct shutdown_party party;
	struct event *poll;
	bool over; /* the process may end */
};

/* 0 or -ENOMEM. */
int shutdown_init(struct shutdown *shutdown, struct event_base *base);
void shutdown_deinit(struct shutdown *shutdown); /* harmless on zeroed memory */

/* Set before the first shutdown_ask(). */
void shutdown_set_party(struct shutdown *shutdown, const struct shutdown_party *party);

/* The operator wants the process to end. signal: for the log. False if it was asked before: then the process
 * is to end at once. */
bool shutdown_ask(struct shutdown *shutdown, const struct shutdown_times *times, const char *signal);

static inline bool shutdown_begun(const struct shutdown *shutdown)
{
	return shutdown->plan.phase != SHUTDOWN_NONE;
}

#endif
