#ifndef TIDEGATE_APP_LEAVE_H
#define TIDEGATE_APP_LEAVE_H

/*
 * Leave: carries out what shutdown decides: tells the workers, looks after them, says so in log and metrics.
 *
 * On the bus thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "shutdown.h"

struct event;
struct event_base;
struct log;
struct metrics;
struct worker;

/* Who takes leave; borrowed. */
struct leave_party {
	struct worker *const *workers;
	unsigned int n_workers;
	uint64_t seed; /* of what clients are told */
	struct log *log;
	struct metrics *metrics;
};

struct leave {
	struct shutdown shutdown;
	struct leave_party party;
	struct event *poll;
	bool over; /* the process may end */
};

/* 0 or -ENOMEM. */
int leave_init(struct leave *leave, struct event_base *base);
void leave_deinit(struct leave *leave); /* harmless on zeroed memory */

/* Set before the first leave_ask(). */
void leave_set_party(struct leave *leave, const struct leave_party *party);

/* The operator wants it to end; `signal` is for the log. False: he said so before, and now it is to end at
 * once.
 */
bool leave_ask(struct leave *leave, const struct shutdown_times *times, const char *signal);

static inline bool leave_begun(const struct leave *leave)
{
	return leave->shutdown.phase != SHUTDOWN_NONE;
}

#endif
