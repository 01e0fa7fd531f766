#ifndef TIDEGATE_BROKER_REDIS_LEASE_H
#define TIDEGATE_BROKER_REDIS_LEASE_H

/*
 * Redis lease: which nodes are there, which have died, and what has to be cleared up behind them.
 *
 *     tg:{nodes}:leases   sorted set: nodes, by the time when their leases end
 *     tg:{nodes}:dead     sorted set: nodes whose lease has ended, by the end of the claim on them
 *     tg:n:{NODE}         set: names of what this node has put into Redis
 *     tg:{nodes}:holders  set: nodes that have put something there, on each but the first of several servers
 *
 * channel_prefix stands between the brace and "nodes". Times are those of Redis' clock.
 */

#include "broker/broker.h"
#include "core/buf.h"

struct redis_library;

struct redis_leases {
	struct redis_library *library; /* borrowed */
	struct buf leases;             /* the keys */
	struct buf dead;
	struct buf holders;
};

/* 0 or -ENOMEM. */
int redis_leases_init(struct redis_leases *leases, struct redis_library *library, const char *prefix);
void redis_leases_deinit(struct redis_leases *leases); /* harmless on zeroed memory */

/* As the functions of the broker. */
int redis_lease_renew(
	struct redis_leases *leases, const struct broker_lease *lease, broker_lease_fn done, void *arg);
int redis_lease_end(
	struct redis_leases *leases, struct slice node, uint64_t in_ms, broker_done_fn done, void *arg);
int redis_lease_cleared(struct redis_leases *leases, struct slice node, broker_done_fn done, void *arg);
int redis_lease_hold(struct redis_leases *leases, struct slice node, bool hold, const struct slice *names,
	size_t n, broker_done_fn done, void *arg);
int redis_lease_hold_some(struct redis_leases *leases, struct slice node, broker_held_fn done, void *arg);

/* Where several servers stand side by side: as redis_lease_hold(), and the node is one of the holders. */
int redis_lease_hold_there(struct redis_leases *leases, struct slice node, const struct slice *names,
	size_t n, broker_done_fn done, void *arg);
/* Some of the holders. */
int redis_lease_holders(struct redis_leases *leases, broker_held_fn done, void *arg);
/* The node is none of them any more. */
int redis_lease_forget(struct redis_leases *leases, struct slice node);
/* Those of these nodes of whom no lease is known are dead. */
int redis_lease_missed(struct redis_leases *leases, const struct slice *nodes, size_t n);

#endif
