#ifndef TIDEGATE_MAIL_BUS_MAIL_H
#define TIDEGATE_MAIL_BUS_MAIL_H

/* Bus mail: what the bus' inbox holds. First member of each kind: a mail is cast back. */

#include "core/mailbox.h"

enum bus_mail_kind {
	BUS_WISH,
	BUS_JOIN,      /* a client wants to hear a channel from where it was */
	BUS_SPENT,     /* the answer of a join has been queued for its client */
	BUS_SURVEY,    /* a part of a survey, answered */
	BUS_ORDER,     /* a part of an order, carried out */
	BUS_PRESENCE,  /* somebody came to a channel, or left it */
	BUS_SESSION,   /* a connection is open, or has ended */
	BUS_ROLL_CALL, /* a client asks who is on a channel */
	BUS_ACTION,    /* what a client asks of a backend */
	BUS_KEYS,      /* a client waits for a key that is not known yet */
	BUS_TICKET,    /* a client waits for what stands in the broker under its ticket */
};

struct bus_mail {
	struct mail mail;
	enum bus_mail_kind kind;
};

#endif
