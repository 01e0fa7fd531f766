#ifndef TIDEGATE_BUS_ACTIONS_H
#define TIDEGATE_BUS_ACTIONS_H

/*
 * Actions: what clients ask of backends, from the workers to Redis, and the answers back.
 *
 * Answers come over a channel of this node's own, so those that were published while the link was
 * lost are heard when it is back (bus/answers). An action is sent only while such a channel
 * is heard, because its answer may be there a moment later. On the bus thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "bus/answers.h"
#include "bus/bus.h"
#include "core/list.h"
#include "core/log.h"

struct action;
struct message;
struct metrics;

enum {
	/* the log of answers: what many clients ask within a second, kept for longer than one waits */
	BUS_ANSWERS_SIZE = 1000,
	BUS_ANSWERS_TTL_MS = 60000,
};

struct actions {
	struct bus *bus;
	char node[BUS_NODE_MAX + 1];
	struct list taken; /* actions, in the order in which they came */
	struct answers answers;
	struct log_limit stray_limit;
};

/* node: this one's id, at most BUS_NODE_MAX bytes. */
void actions_init(struct actions *actions, struct bus *bus, const char *node);

/* Some route carries actions, or none does. */
void actions_configure(struct actions *actions, bool carries);

/* Takes it over, until the flush. */
void actions_take(struct actions *actions, struct action *action);

/* Hands what was taken to Redis, in calls of several: to be called when no more is there for now. */
void actions_flush(struct actions *actions);

#endif
