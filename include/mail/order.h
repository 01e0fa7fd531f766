#ifndef TIDEGATE_MAIL_ORDER_H
#define TIDEGATE_MAIL_ORDER_H

/*
 * Order: what a backend or an operator wants done to connections, on its way from the bus to the workers.
 *
 *     bus_order() ── a part each ──► worker's inbox ── client/orders ──► bus' inbox ── the last ──► done()
 *
 * A part belongs to the thread that it is on its way to; the order's text does not change. The order lives
 * until all parts are home. A worker that ends gives its part back as it is.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/list.h"
#include "core/slice.h"
#include "mail/bus_mail.h"
#include "protocol/close_reason.h"

struct order;
struct revocations;

enum order_verb {
	ORDER_DISCONNECT,
	ORDER_SUBSCRIBE,
	ORDER_UNSUBSCRIBE,
	ORDER_REFRESH, /* asks for a fresh token */
};

/* Whose connections it concerns. */
enum order_target {
	ORDER_CONNECTION, /* that with the number `conn` */
	ORDER_USER,       /* those of the user `name`, as their tokens say */
	ORDER_TOKEN,      /* those that came with the token `name`, its jti */
	ORDER_CHANNEL,    /* those that are subscribed to the channel `name` */
	ORDER_ROUTE,      /* those of the route `name`, its path as it is configured */
	ORDER_REVOKED,    /* those whose token is in `revoked` */
};

struct order_text {
	enum order_verb verb;
	enum order_target target;
	uint64_t conn;
	struct slice name;
	bool is_dated;                     /* ORDER_USER: only those whose token */
	int64_t issued_before_ms;          /* was made before this, or does not say when */
	const struct revocations *revoked; /* outlives the order */
	struct slice channel;              /* to subscribe or to leave */
	/* of a disconnect: the reason, and what is said to the peer in its place, unless that is 0 and
	 * absent */
	enum close_reason reason;
	uint16_t code;
	struct slice words;
};

struct order_part {
	struct bus_mail mail; /* in the bus' inbox, on the way home */
	struct order *order;
	struct list link; /* its worker's own, like the next */
	uint64_t end_id;  /* clients with this id and above came later than the order */
	void *carrier;    /* the worker's mail for the way there; freed with the order */
	uint64_t n;       /* connections for which it was carried out */
};

/* Called once. n: connections for which it was carried out. r: 0, or -ENOMEM: some worker never got it. */
typedef void (*order_done_fn)(void *arg, int r, uint64_t n);

struct order {
	struct order_text text; /* its slices point into bytes */
	order_done_fn done;     /* may be NULL */
	void *arg;
	int r;
	unsigned int n_parts;
	unsigned int n_away;
	char *bytes;
	struct order_part parts[];
};

/* With all parts at home. The text is copied. NULL when out of memory. */
struct order *order_new(const struct order_text *text, unsigned int n_parts, order_done_fn done, void *arg);

/* The part leaves: one more is away. */
void order_send(struct order_part *part);

/* The part is back, carried out or not. With the last one done() is called, and the order is freed. */
void order_return(struct order_part *part);

/* No part is away: done() is called, and the order is freed. */
void order_finish(struct order *order);

#endif
