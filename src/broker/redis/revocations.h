#ifndef TIDEGATE_BROKER_REDIS_REVOCATIONS_H
#define TIDEGATE_BROKER_REDIS_REVOCATIONS_H

/*
 * Redis revocations: what the gateways remember together of tokens that count no more.
 *
 *     tg:{revoked}   sorted set: auth/revocations has the texts; the score says until when, in seconds
 *
  * channel_prefix stands behind the brace. Each gateway that hears of a revocation adds it, so it is there
  * while one of them was. It is read with ZSCAN, which misses nothing that was there all the time, whatever
  * others add and remove meanwhile.
 */

#include <stdbool.h>

#include "broker/broker.h"
#include "core/buf.h"
#include "core/log.h"
#include "core/slice.h"

struct redis_errands;
struct redis_link;

struct redis_revocations {
	struct log *log;
	struct redis_errands *errands; /* NULL: to this server alone */
	struct log_limit refused_limit;
	struct buf set;
	bool cancelled; /* the server is being freed */
};

/* 0 or -ENOMEM. The log is borrowed for its life. */
int redis_revocations_init(struct redis_revocations *revocations, struct log *log, const char *prefix);
void redis_revocations_deinit(struct redis_revocations *revocations); /* all links are freed by then */

/* As broker_revocations(), broker_revoke() and broker_unrevoke(), over this link. */
int redis_revocations_list(struct redis_revocations *revocations, struct redis_link *link,
	broker_revocations_fn each, void *arg);
int redis_revocations_add(struct redis_revocations *revocations, struct redis_link *link,
	const struct broker_revocation *revocation);
int redis_revocations_remove(
	struct redis_revocations *revocations, struct redis_link *link, struct slice text);
int redis_revocations_expire(
	struct redis_revocations *revocations, struct redis_link *link, double now_seconds);

#endif
