#ifndef TIDEGATE_APP_SHUTDOWN_H
#define TIDEGATE_APP_SHUTDOWN_H

/*
 * Shutdown: carries out what its plan decides: tells the workers, looks after them, says so in log and
 * metrics.
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

/* Whose end it is; borrowed. */
struct shutdown_party {
	struct worker *const *workers;
	unsigned int n_workers;
	uint64_t seed; /* of what clients are told */
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

/* The operator wants it to end; `signal` is for the log. False: he said so before, and now it is to end at
 * once.
 */
bool shutdown_ask(struct shutdown *shutdown, const struct shutdown_times *times, const char *signal);

static inline bool shutdown_begun(const struct shutdown *shutdown)
{
	return shutdown->plan.phase != SHUTDOWN_NONE;
}

#endif
