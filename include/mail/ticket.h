#ifndef TIDEGATE_MAIL_TICKET_H
#define TIDEGATE_MAIL_TICKET_H

/*
 * Ticket: a word that a client brings instead of a token, on its way to the broker and back.
 *
 * A worker makes it, hands it to the bus, and gets it back exactly once, with what a backend has put there
 * under this name. Whoever takes that text is the only one who ever gets it. No ticket is ever logged.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/slice.h"
#include "mail/bus_mail.h"

struct bus;

struct ticket {
	struct bus_mail mail; /* in the bus' inbox */
	void *carrier;        /* the worker's mail for the way back, made in advance; freed with the ticket */
	unsigned int worker;
	atomic_bool abandoned; /* set by its worker at any time: no client waits for it any more */
	void *owner;           /* who waits; read and changed by its worker alone */
	struct bus *bus;       /* the bus' own, while the bus has the ticket */

	/* The answer: 0 with a text; BROKER_TICKET_UNKNOWN; or negative errno: nobody knows, or can know
	 * now. */
	int r;
	char *text;
	size_t text_len;

	size_t name_len;
	char name[];
};

/* NULL when out of memory. */
struct ticket *ticket_new(unsigned int worker, struct slice name, void *owner);

/* Keeps a copy of the text as the answer; without memory for it r is -ENOMEM. */
void ticket_answer(struct ticket *ticket, int r, struct slice text);

void ticket_free(struct ticket *ticket); /* with its carrier; accepts NULL */

/* Its worker's client has gone. */
void ticket_abandon(struct ticket *ticket);

static inline bool ticket_is_abandoned(const struct ticket *ticket)
{
	return atomic_load_explicit(&ticket->abandoned, memory_order_relaxed);
}

static inline struct slice ticket_name(const struct ticket *ticket)
{
	return (struct slice){ticket->name, ticket->name_len};
}

#endif
