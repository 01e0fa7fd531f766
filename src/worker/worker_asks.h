#ifndef TIDEGATE_WORKER_WORKER_ASKS_H
#define TIDEGATE_WORKER_WORKER_ASKS_H

/*
 * What a worker's clients and handshakes ask for: most of it goes on to the bus, the rest to the sockets.
 *
 * What comes back needs mail of its own. It is made here and travels along, so that an answer never fails for
 * want of memory.
 */

#include "core/slice.h"

struct clients_listener;
struct ticket;
struct worker;

/* What the worker's clients are given at their creation. */
struct clients_listener worker_clients_listener(struct worker *worker);

/* Of the handshakes: what stands in the broker under this name, and a key that nobody here knows. */
int worker_ask_ticket(void *worker, struct slice name, void *owner, struct ticket **ticketp);
int worker_ask_keys(void *worker);

#endif
