#ifndef TIDEGATE_BROKER_REDIS_HOLDINGS_H
#define TIDEGATE_BROKER_REDIS_HOLDINGS_H

/*
 * Holdings: what nodes hold, where several servers stand side by side.
 *
 * The first server has the leases and the names of all that is held. If it loses them, nobody would ever
 * clear up what a dead node left on the others. So each of these has the names of what is held there once
 * more, and a set of the nodes that hold it.
 *
 * A server that is away takes no names. When it is back all nodes say everything anew. One that answers and
 * does not write (its memory or disk is full) takes none either, and fails nothing here but the question what
 * a dead node holds: that node is not over before all have answered.
 */

#include "broker/broker.h"
#include "broker/redis/urls.h"

struct redis_leases;

/* The servers as they are now, in their order; borrowed for one call. */
struct redis_holdings {
	struct redis_leases *servers[REDIS_ELEMENTS_MAX]; /* NULL: it is away */
	unsigned int n;
};

/* As the functions of the broker. places: by name, the number of the server that has it. */
int redis_holdings_hold(const struct redis_holdings *holdings, struct slice node, bool hold,
	const struct slice *names, const unsigned char *places, size_t n, broker_done_fn done, void *arg);
int redis_holdings_some(
	const struct redis_holdings *holdings, struct slice node, broker_held_fn done, void *arg);
int redis_holdings_cleared(
	const struct redis_holdings *holdings, struct slice node, broker_done_fn done, void *arg);

/* each() hears of nodes that hold something, once for each server but the first. */
void redis_holdings_seek(const struct redis_holdings *holdings, broker_held_fn each, void *arg);

#endif
