#ifndef TIDEGATE_CLIENT_DELIVERY_TIME_H
#define TIDEGATE_CLIENT_DELIVERY_TIME_H

/*
 * Delivery time: measures how long events take from their arrival at this node to a client's socket.
 *
 * Each event counts once for each client, but neither the clock nor the histogram is touched each time. The
 * clock is read at the first write of a turn and at every DELIVERY_TIME_WRITES-th write after it, and all
 * writes of one batch between two readings are observed at once. So a time may be too short by the duration
 * of that many writes.
 */

#include <stdint.h>

struct clients;
struct hub_batch;
struct message;

enum {
	DELIVERY_TIME_WRITES = 16, /* a clock reading is 30 ns, a write to a socket some µs */
};

/* Embedded in the clients of a worker. Zeroed memory is its initial state. */
struct delivery_time {
	const struct hub_batch *batch; /* written to n_clients and not observed yet; NULL if there is none */
	uint32_t n_clients;
	uint32_t n_writes; /* of this turn */
	uint64_t now_us;
};

/* So many clients, one or more, were written the whole batch, which stays until delivery_time_settle(). */
void delivery_time_batch(struct clients *clients, const struct hub_batch *batch, uint32_t n_clients);

/* One client was written this event. */
void delivery_time_event(struct clients *clients, const struct message *event);

/* Observes the writes that were noted. */
void delivery_time_settle(struct clients *clients);

/* The turn is over. */
void delivery_time_turned(struct clients *clients);

#endif
