/* Drain: says when each client of a worker is sent away; see the header. clients_drain_tick()
 * below chooses the clients. */

#include "client/drain.h"

#include "client/client.h"
#include "client/clients.h"
#include "client/delivery.h"
#include "hub/hub.h"
#include "protocol/message.h"
#include "protocol/reply.h"

enum {
	AFTER_PART = 4, /* of the drain time (docs/recovery-protocol.md, Storms) */
};

void drain_begin(struct drain *drain, size_t n, uint64_t time_ms, uint64_t seed, uint64_t now_ms)
{
	*drain =
		(struct drain){.begun = true, .n = n, .began_ms = now_ms, .time_ms = time_ms, .random = seed};
}

size_t drain_n_due(const struct drain *drain, size_t n_left, uint64_t now_ms)
{
	uint64_t passed_ms = now_ms - drain->began_ms;
	size_t kept = 0;

	if (!drain->begun)
		return 0;
	if (passed_ms < drain->time_ms)
		kept = (size_t)((drain->n * (drain->time_ms - passed_ms) + drain->time_ms - 1) /
				drain->time_ms);
	return n_left > kept ? n_left - kept : 0;
}

/* splitmix64: nothing hangs on it but that two clients get different numbers. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* At least 1 where there is a drain time: an event stream has no word for "at once", and its client would
 * wait its own time. */
uint64_t drain_after_ms(struct drain *drain)
{
	uint64_t part = drain->time_ms / AFTER_PART;

	return part ? 1 + next_random(&drain->random) % part : 0;
}

/* Without a drain time all come back at once, and their own random waits are better than a hint of 0. */
static struct message *farewell(struct clients *clients, const struct client *client)
{
	if ((!client->aware && client->transport != TRANSPORT_SSE) || !clients->drain.time_ms)
		return NULL;
	return reply_reconnect("drain", drain_after_ms(&clients->drain), clients->wall_ms);
}

static void send_away(struct clients *clients, struct client *client)
{
	struct message *last;

	delivery_flush(client); /* events of this turn must not count as unread */
	if (client->doomed)
		return; /* it ends at the end of the turn, for another reason */
	last = farewell(clients, client);
	client_close_with(client, CLOSE_RESTART, last);
	message_unref(last);
}

void clients_drain(struct clients *clients, uint64_t time_ms, uint64_t seed)
{
	if (clients->drain.begun)
		return;
	drain_begin(&clients->drain, clients->n_live, time_ms, seed, clients->now_ms);
	clients_unpark_all(clients); /* the socket layer refuses them with an answer */
	clients_drain_tick(clients);
}

void clients_drain_tick(struct clients *clients)
{
	size_t n_due = drain_n_due(&clients->drain, clients->n_live, clients->now_ms);

	if (n_due)
		hub_flush(clients->hub);
	/* The newest first: clients that have been here for long stay as long as possible. */
	for (struct list *link = clients->all.prev; n_due && link != &clients->all; link = link->prev) {
		struct client *client = list_entry(link, struct client, link);

		if (client->state != CLIENT_OPEN)
			continue; /* closing, or its handshake is about to be refused */
		send_away(clients, client);
		n_due--;
	}
}
