#ifndef TIDEGATE_BROKER_MEMORY_PRESENCE_H
#define TIDEGATE_BROKER_MEMORY_PRESENCE_H

/*
 * Memory presence: who is on which channel, for a node that has no Redis. It does what our library does
 * there: users come and go as they are said to, and the event that tells of it is made in the same step.
 */

#include "broker/broker.h"
#include "core/buf.h"
#include "core/map.h"

struct memory_presence {
	struct map channels;
};

void memory_presence_deinit(struct memory_presence *memory);

/* event: appended to, if something has changed; NULL: nobody is told. 0 or -ENOMEM, with part of it done: a
 * call that is repeated does the rest. */
int memory_presence_set(struct memory_presence *memory, const struct broker_presence *presence,
	const struct broker_user *users, size_t n, struct broker_roll *roll, struct buf *event);

/* texts: the users are appended, where names are wanted. */
void memory_presence_ask(const struct memory_presence *memory, struct slice channel, bool names,
	struct broker_roll *roll, struct buf *texts);

#endif
