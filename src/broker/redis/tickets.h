#ifndef TIDEGATE_BROKER_REDIS_TICKETS_H
#define TIDEGATE_BROKER_REDIS_TICKETS_H

/*
 * Redis tickets: what a backend puts down for one client, who may take it once.
 *
 *     tg:t:TICKET   string: who the client is, which expires by itself
 *
 * channel_prefix stands before the ticket. A ticket is as good as a password while it lives: it stands in
 * no line of the log, and neither does an answer of Redis, which may quote it.
 */

#include <stdbool.h>

#include "broker/broker.h"
#include "core/buf.h"
#include "core/log.h"
#include "core/slice.h"

struct redis_errands;
struct redis_link;

struct redis_tickets {
	struct log *log;
	struct redis_errands *errands; /* NULL: to this server alone */
	struct log_limit refused_limit;
	struct buf start; /* tg:t: and the prefix */
	bool cancelled;   /* the server is being freed: outstanding tickets are cancelled, not lost */
};

/* Appends what the key of each ticket starts with. */
void redis_tickets_start(const char *prefix, struct buf *out);

/* 0 or -ENOMEM. The log is borrowed for its life. */
int redis_tickets_init(struct redis_tickets *tickets, struct log *log, const char *prefix);
void redis_tickets_deinit(struct redis_tickets *tickets); /* all links are freed by then */

/* As broker_take_ticket(), over this link. */
int redis_tickets_take(struct redis_tickets *tickets, struct redis_link *link, struct slice ticket,
	broker_ticket_fn done, void *arg);

#endif
