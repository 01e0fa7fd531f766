#ifndef TIDEGATE_BROKER_REDIS_WAITERS_H
#define TIDEGATE_BROKER_REDIS_WAITERS_H

/*
 * Redis waiters: the commands of a link that await their answers, first in, first out. A ring that doubles.
 */

#include <stddef.h>

#include "broker/redis/link.h"

struct redis_waiter {
	redis_answer_fn fn;
	void *arg;
	size_t n_bytes; /* of the command */
};

struct redis_waiters {
	struct redis_waiter *ring;
	size_t cap; /* a power of two, or 0 */
	size_t head;
	size_t n;
};

void redis_waiters_deinit(struct redis_waiters *waiters); /* harmless on zeroed memory */
int redis_waiters_push(struct redis_waiters *waiters, struct redis_waiter waiter); /* 0 or -ENOMEM */

/* Of waiters, not of none. The last one is borrowed until anything changes. */
struct redis_waiter redis_waiters_pop(struct redis_waiters *waiters);
struct redis_waiter *redis_waiters_last(struct redis_waiters *waiters);
void redis_waiters_drop_last(struct redis_waiters *waiters);

#endif
