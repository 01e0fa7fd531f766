#ifndef TIDEGATE_BUS_TICKETS_H
#define TIDEGATE_BUS_TICKETS_H

/*
 * Tickets: asks the broker for what a backend has put there for a client, and gives the answer to the
 * client's worker. On the bus thread.
 */

struct bus;
struct ticket;

/* Takes the ticket over. It goes back to its worker, now or when the broker has answered. */
void tickets_take(struct bus *bus, struct ticket *ticket);

#endif
