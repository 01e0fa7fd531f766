#ifndef TIDEGATE_BROKER_REDIS_PRESENCE_H
#define TIDEGATE_BROKER_REDIS_PRESENCE_H

/*
 * Redis presence: who is on which channel, over all nodes, as our library's functions keep it.
 *
 *     tg:p:{cards}:NODE   hash: user, and its connections on this node
 *     tg:q:{cards}        hash: user; its connections on all nodes, a blank, a JSON object of it
 *
 * The event that says who came or went is published by the same call, so its order is that of Redis. The
 * name of the channel is that in Redis, prefix and all.
 */

#include "broker/broker.h"

struct redis_library;

/* As the functions of the broker. */
int redis_presence_set(struct redis_library *library, const struct broker_presence *presence,
	const struct broker_user *users, size_t n, broker_roll_fn done, void *arg);
int redis_presence_clear(struct redis_library *library, const struct broker_presence *presence,
	uint64_t cursor, broker_roll_fn done, void *arg);
int redis_presence_ask(
	struct redis_library *library, struct slice channel, bool names, broker_roll_fn done, void *arg);

#endif
