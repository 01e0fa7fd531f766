#ifndef TIDEGATE_BROKER_REDIS_NODES_H
#define TIDEGATE_BROKER_REDIS_NODES_H

/*
 * Redis nodes: the announcements of the gateways of one Redis to each other.
 *
 *     tg:{nodes}      set: the ids of nodes that were there lately
 *     tg:{nodes}:ID   string: the announcement of one, which expires with it
 *
 * channel_prefix stands between the brace and "nodes": applications that share a Redis do not see each other.
 * The braces put all of it into one slot of a cluster. An id without an announcement is that of a node that
 * ended without a word; whoever reads removes it. No clock but that of Redis is asked.
 *
 * It is a convenience: it goes over the link for commands like any publication, and nothing waits for it.
 * Where Redis does not allow it, one line of the log says so, and all else goes on.
 */

#include <stdbool.h>
#include <stdint.h>

#include "broker/broker.h"
#include "core/buf.h"
#include "core/slice.h"

struct log;
struct redis_errands;
struct redis_link;

struct redis_nodes {
	struct log *log;
	struct redis_errands *errands; /* NULL: to this server alone */
	struct buf set;                /* tg:{nodes} */
	struct buf id;                 /* ours */
	bool forbidden;                /* the refusal was said */
};

/* 0 or -ENOMEM. The log is borrowed for its life. */
int redis_nodes_init(struct redis_nodes *nodes, struct log *log, const char *prefix, const char *id);
void redis_nodes_deinit(struct redis_nodes *nodes); /* all links are freed by then */

/* As broker_announce(), broker_nodes() and broker_withdraw(), over this link. */
int redis_nodes_announce(
	struct redis_nodes *nodes, struct redis_link *link, struct slice text, uint64_t ttl_ms);
int redis_nodes_list(struct redis_nodes *nodes, struct redis_link *link, broker_nodes_fn done, void *arg);
int redis_nodes_withdraw(
	struct redis_nodes *nodes, struct redis_link *link, broker_withdrawn_fn done, void *arg);

#endif
