/* Tickets: asks the broker for what a backend has put there for a client; see the header. */

#include "bus/tickets.h"

#include <errno.h>

#include "broker/broker.h"
#include "bus/bus_private.h"
#include "mail/ticket.h"
#include "worker/worker.h"

static void give_back(struct bus *bus, struct ticket *ticket)
{
	if (ticket->worker < bus->n_workers)
		worker_post_ticket(bus->workers[ticket->worker], ticket);
	else
		ticket_free(ticket); /* the workers are gone */
}

static void on_taken(void *arg, int r, struct slice text)
{
	struct ticket *ticket = arg;

	ticket_answer(ticket, r, text);
	give_back(ticket->bus, ticket);
}

void tickets_take(struct bus *bus, struct ticket *ticket)
{
	int r = -ECANCELED;

	ticket->bus = bus;
	/* A client that has left would only use its ticket up. */
	if (!ticket_is_abandoned(ticket))
		r = broker_take_ticket(bus->broker, ticket_name(ticket), on_taken, ticket);
	if (r == 0)
		return;
	ticket->r = r;
	give_back(bus, ticket);
}
