#ifndef TIDEGATE_CLIENT_ORDERS_H
#define TIDEGATE_CLIENT_ORDERS_H

/*
 * Orders: carries out on one worker's clients what backends and operators want done to them (mail/order).
 *
 * One order after the other, in the order in which they came, and of each so many clients in a step that
 * events are not held up: a step looks at some thousands, and does something to a few hundred. An order
 * concerns the clients that are there when it comes; who comes back meanwhile is not met twice. Revocations
 * go before all other orders that have not begun.
 */

#include <stdbool.h>

struct client;
struct clients;
struct order_part;

enum {
	ORDERS_LOOKED_AT = 4096,  /* clients in a step: some 100 µs */
	ORDERS_CARRIED_OUT = 256, /* of them those that something is done to: some milliseconds */
};

/* Queues it. The part is the clients' until orders_step() hands it out. */
void orders_take(struct clients *clients, struct order_part *part);

/* Goes on. *donep: a part that has been carried out, or NULL. True: there is more to do. */
bool orders_step(struct clients *clients, struct order_part **donep);

/* A client has gone, from wherever. */
void orders_pass_by(struct client *client);

/* Takes out the next part, carried out or not; NULL: there is none. For the end. */
struct order_part *orders_give_up(struct clients *clients);

#endif
