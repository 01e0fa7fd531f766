#ifndef TIDEGATE_BROKER_REDIS_PUBLICATION_H
#define TIDEGATE_BROKER_REDIS_PUBLICATION_H

/*
 * Redis publication: a PUBLISH, or SPUBLISH, of an event without a log, and the caller who waits for
 * its answer.
 */

#include <stdbool.h>

#include "broker/broker.h"
#include "core/log.h"
#include "core/slice.h"

struct redis_errands;
struct redis_link;

/* Shared by the publications of one server. Zeroed memory and the log make one. */
struct redis_publications {
	struct log *log;
	struct log_limit refused_limit;
	struct redis_errands *errands; /* NULL: to this server alone */
	bool sharded;                  /* SPUBLISH */
	bool cancelled; /* the server is being freed: outstanding publications are cancelled, not lost */
};

/* The name is the channel's in Redis, prefix and all. As broker_publish(); `all` outlives the answer. */
int redis_publication_send(struct redis_publications *all, struct redis_link *link, struct slice name,
	struct slice payload, broker_published_fn done, void *arg);

#endif
