/* Delivery time: how long events took to a client's socket; see the header. */

#include "client/delivery_time.h"

#include "client/clients.h"
#include "hub/hub.h"
#include "metrics/metrics.h"
#include "protocol/message.h"

/* Observes n events that arrived together and were written to this number of clients. Events that were read
 * from a log have no arrival. */
static void observe(struct clients *clients, uint64_t arrived_us, uint64_t n)
{
	uint64_t now_us = clients->delivery_time.now_us;

	if (arrived_us)
		metrics_observe(
			clients->metrics, METRIC_DELIVERY, now_us > arrived_us ? now_us - arrived_us : 0, n);
}

void delivery_time_settle(struct clients *clients)
{
	struct delivery_time *time = &clients->delivery_time;
	const struct hub_batch *batch = time->batch;

	for (uint32_t i = 0, same; batch && i < batch->n; i += same) {
		uint64_t arrived_us = batch->messages[i]->arrived_us;

		/* Events that the bus drained at once have the same arrival. */
		for (same = 1; i + same < batch->n && batch->messages[i + same]->arrived_us == arrived_us;)
			same++;
		observe(clients, arrived_us, (uint64_t)same * time->n_clients);
	}
	time->batch = NULL;
	time->n_clients = 0;
}

static void written(struct clients *clients, uint32_t n)
{
	struct delivery_time *time = &clients->delivery_time;
	uint32_t first = time->n_writes, last = first + n - 1;

	time->n_writes += n;
	if (first % DELIVERY_TIME_WRITES && first / DELIVERY_TIME_WRITES == last / DELIVERY_TIME_WRITES)
		return;
	delivery_time_settle(clients); /* by the reading that was good for it */
	time->now_us = clients->listener.now_us(clients->listener.arg);
}

void delivery_time_batch(struct clients *clients, const struct hub_batch *batch, uint32_t n_clients)
{
	struct delivery_time *time = &clients->delivery_time;

	written(clients, n_clients);
	if (time->batch != batch)
		delivery_time_settle(clients);
	time->batch = batch;
	time->n_clients += n_clients;
}

void delivery_time_event(struct clients *clients, const struct message *event)
{
	written(clients, 1);
	observe(clients, event->arrived_us, 1);
}

void delivery_time_turned(struct clients *clients)
{
	delivery_time_settle(clients);
	clients->delivery_time.n_writes = 0;
}
