#ifndef TIDEGATE_BUS_ACTIONS_H
#define TIDEGATE_BUS_ACTIONS_H

/*
 * Actions: what clients ask of backends, from the workers to Redis, and the answers back.
 *
 * Answers come over a channel of this node's own, tg:r:NODE, which keeps a history like others: so those that
 * were published while the link was lost are heard when it is back. An action is sent only while that channel
 * is heard, because its answer may be there a moment later. On the bus thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "bus/bus.h"
#include "core/log.h"
#include "core/slice.h"
#include "route/route.h"

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
	char channel[sizeof("tg:r:") + BUS_NODE_MAX]; /* of the answers */
	bool listens;                                 /* the tap is there */
	struct bus_tap tap;
	struct log_limit stray_limit;
};

/* node: this one's id, at most BUS_NODE_MAX bytes. */
void actions_init(struct actions *actions, struct bus *bus, const char *node);
void actions_stop(struct actions *actions);

/* Some route carries actions, or none does. */
void actions_configure(struct actions *actions, bool carries);

/* Hands it to Redis. Takes it over. */
void actions_take(struct actions *actions, struct action *action);

/* The history of the answers; NULL: this is another channel. */
const struct route_history *actions_history(const struct actions *actions, struct slice channel);

#endif
