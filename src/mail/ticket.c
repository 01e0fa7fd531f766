/* Ticket: a word that a client brings instead of a token, on its way to the broker and back; see the
 * header. */

#include "mail/ticket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ticket *ticket_new(unsigned int worker, struct slice name, void *owner)
{
	struct ticket *ticket = calloc(1, sizeof(*ticket) + name.len);

	if (!ticket)
		return NULL;
	ticket->mail.kind = BUS_TICKET;
	ticket->worker = worker;
	ticket->owner = owner;
	ticket->name_len = name.len;
	memcpy(ticket->name, name.data, name.len);
	return ticket;
}

void ticket_answer(struct ticket *ticket, int r, struct slice text)
{
	ticket->r = r;
	if (r)
		return;
	ticket->text = malloc(text.len + 1);
	if (!ticket->text) {
		ticket->r = -ENOMEM;
		return;
	}
	if (text.len)
		memcpy(ticket->text, text.data, text.len);
	ticket->text_len = text.len;
}

void ticket_abandon(struct ticket *ticket)
{
	ticket->owner = NULL;
	atomic_store_explicit(&ticket->abandoned, true, memory_order_relaxed);
}

void ticket_free(struct ticket *ticket)
{
	if (!ticket)
		return;
	free(ticket->carrier);
	free(ticket->text);
	free(ticket);
}
