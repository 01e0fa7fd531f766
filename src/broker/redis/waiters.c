/* Redis waiters: the commands of a link that await their answers; see waiters.h. */

#include "broker/redis/waiters.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int redis_waiters_push(struct redis_waiters *waiters, struct redis_waiter waiter)
{
	if (waiters->n == waiters->cap) {
		size_t cap = waiters->cap ? waiters->cap * 2 : 16;
		struct redis_waiter *ring = malloc(cap * sizeof(*ring));

		if (!ring)
			return -ENOMEM;
		for (size_t i = 0; i < waiters->n; i++)
			ring[i] = waiters->ring[(waiters->head + i) & (waiters->cap - 1)];
		free(waiters->ring);
		*waiters = (struct redis_waiters){ring, cap, 0, waiters->n};
	}
	waiters->ring[(waiters->head + waiters->n++) & (waiters->cap - 1)] = waiter;
	return 0;
}

struct redis_waiter redis_waiters_pop(struct redis_waiters *waiters)
{
	struct redis_waiter waiter = waiters->ring[waiters->head];

	assert(waiters->n > 0);
	waiters->head = (waiters->head + 1) & (waiters->cap - 1);
	waiters->n--;
	return waiter;
}

struct redis_waiter *redis_waiters_last(struct redis_waiters *waiters)
{
	assert(waiters->n > 0);
	return &waiters->ring[(waiters->head + waiters->n - 1) & (waiters->cap - 1)];
}

void redis_waiters_drop_last(struct redis_waiters *waiters)
{
	assert(waiters->n > 0);
	waiters->n--;
}

void redis_waiters_deinit(struct redis_waiters *waiters)
{
	free(waiters->ring);
	*waiters = (struct redis_waiters){0};
}
