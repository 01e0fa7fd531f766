#ifndef TIDEGATE_CLIENT_DELIVERY_TIME_H
#define TIDEGATE_CLIENT_DELIVERY_TIME_H

/*
 * Delivery time: how long events took from their arrival at this node to a client's socket.
 *
 * One observation an event and client, but neither a look at the clock nor a visit to the histogram for each:
 * the clock is read at the first write of a turn and at every DELIVERY_TIME_WRITES-th after it, and what many
 * clients were written of one batch between two readings is observed at once. So a time may be short by as
 * long as that many writes take.
 */

#include <stdint.h>

struct clients;
struct hub_batch;
struct message;

enum {
	DELIVERY_TIME_WRITES = 16, /* a clock reading is 30 ns, a write to a socket some µs */
};

/* Embedded in the clients of a worker. Zeroed memory is a fresh one. */
struct delivery_time {
	const struct hub_batch *batch; /* written to n_clients, not yet observed; NULL: nothing is */
	uint32_t n_clients;
	uint32_t n_writes; /* of this turn */
	uint64_t now_us;
};

/* One client was written the whole batch, which stays until delivery_time_settle(). */
void delivery_time_batch(struct clients *clients, const struct hub_batch *batch);

/* One client was written this event. */
void delivery_time_event(struct clients *clients, const struct message *event);

/* Observes what was noted. */
void delivery_time_settle(struct clients *clients);

/* The turn is over. */
void delivery_time_turned(struct clients *clients);

#endif
