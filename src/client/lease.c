/* Lease: how long a client may stay; see the header. */

#include "client/lease.h"

#include <errno.h>
#include <stdlib.h>

#include "auth/identity.h"
#include "client/client.h"
#include "client/clients.h"
#include "client/expiry.h"
#include "core/list.h"
#include "protocol/reply.h"

enum {
	SECOND_MS = 1000,
};

struct lease {
	struct expiry_link due;
	struct client *client;
	uint64_t expires_ms;   /* the token's end on our clock; UINT64_MAX: never */
	uint64_t ends_ms;      /* when the client is closed for it */
	uint64_t fresh_by_ms;  /* until then a fresh token has to come; 0: none has to */
	int64_t fresh_from_ms; /* by the wall clock: an older one is not fresh */
	uint32_t renewed_ms;   /* when it last showed a token, a client_mark(); 0: not yet */
	bool told;             /* that it expires */
};

int lease_init(struct client *client)
{
	if (!rights_identity(&client->rights))
		return 0;
	client->lease = calloc(1, sizeof(*client->lease));
	if (!client->lease)
		return -ENOMEM;
	client->lease->client = client;
	return 0;
}

void lease_stop(struct client *client)
{
	if (client->lease)
		expiry_remove(&client->lease->due);
}

void lease_deinit(struct client *client)
{
	lease_stop(client);
	free(client->lease);
	client->lease = NULL;
}

/* Ids are counted, so their multiples by this odd number (2^64 / golden ratio) lie evenly between the
 * bounds. */
static uint64_t spread(uint64_t id, uint64_t range)
{
	uint64_t share = (id * UINT64_C(0x9E3779B97F4A7C15)) >> 32; /* of 2^32 */

	return (share * (range & UINT32_MAX)) >> 32;
}

/* Has the fresh token come? One that does not say when it was made is believed to be one. */
static bool is_fresh(const struct client *client)
{
	int64_t issued_ms = identity_issued_ms(rights_identity(&client->rights));

	return issued_ms == IDENTITY_UNDATED || issued_ms >= client->lease->fresh_from_ms;
}

/* It is closed in time if no fresh token comes, and earlier if its own ends. */
static void await_fresh(struct client *client)
{
	struct lease *lease = client->lease;

	lease->told = true; /* that one is awaited is told by lease_refresh() */
	if (!list_linked(&lease->due.link) || lease->ends_ms > lease->fresh_by_ms)
		lease->ends_ms = lease->fresh_by_ms;
	expiry_set(&client->clients->expiry, &lease->due, lease->ends_ms);
}

bool lease_refresh(struct client *client)
{
	const struct clients *clients = client->clients;
	struct lease *lease = client->lease;

	if (!lease)
		return false;
	/* Tokens say their time in whole seconds. */
	lease->fresh_from_ms = (int64_t)(clients->wall_ms - clients->wall_ms % SECOND_MS) -
			       (int64_t)clients->limits.token_leeway_ms;
	lease->fresh_by_ms = clients->now_ms + LEASE_REFRESH_MS;
	await_fresh(client);
	if (client->speaks)
		client_push(client, reply_refresh(clients->wall_ms));
	return true;
}

static void run(struct client *client)
{
	struct clients *clients = client->clients;
	struct lease *lease = client->lease;
	uint64_t last_ms, now_ms = clients->now_ms;
	int64_t deadline_ms, left_ms;

	deadline_ms = identity_deadline_ms(rights_identity(&client->rights));
	lease->told = false;
	lease->expires_ms = UINT64_MAX;
	expiry_remove(&lease->due);
	if (deadline_ms == INT64_MAX)
		return;
	left_ms = deadline_ms - (int64_t)clients->wall_ms;
	lease->expires_ms = left_ms > 0 ? now_ms + (uint64_t)left_ms : now_ms;
	/* Who came within the leeway has what is left of it. */
	last_ms = left_ms > 0 ? lease->expires_ms + clients->limits.token_leeway_ms
			      : now_ms + clients->limits.token_leeway_ms - (uint64_t)-left_ms;
	lease->ends_ms = last_ms > lease->expires_ms
				 ? lease->expires_ms + spread(client->id, last_ms - lease->expires_ms)
				 : lease->expires_ms;
	expiry_set(&clients->expiry, &lease->due,
		lease->expires_ms > now_ms + LEASE_TOLD_MS ? lease->expires_ms - LEASE_TOLD_MS : now_ms);
}

void lease_run(struct client *client)
{
	struct lease *lease = client->lease;

	if (!lease)
		return;
	run(client);
	if (lease->fresh_by_ms && !is_fresh(client))
		await_fresh(client);
	else
		lease->fresh_by_ms = 0;
}

bool lease_may_renew(struct client *client)
{
	struct lease *lease = client->lease;
	uint32_t now_ms = client_mark(client);

	if (lease->renewed_ms && now_ms - lease->renewed_ms < LEASE_RENEW_MS)
		return false;
	lease->renewed_ms = now_ms;
	return true;
}

uint64_t lease_left_ms(const struct client *client)
{
	const struct lease *lease = client->lease;
	uint64_t now_ms = client->clients->now_ms;

	if (lease->expires_ms == UINT64_MAX)
		return UINT64_MAX;
	return lease->expires_ms > now_ms ? lease->expires_ms - now_ms : 0;
}

static void tell(struct lease *lease)
{
	struct client *client = lease->client;
	struct clients *clients = client->clients;

	lease->told = true;
	expiry_set(&clients->expiry, &lease->due, lease->ends_ms);
	if (client->speaks)
		client_push(client, reply_token_expiring(lease_left_ms(client), clients->wall_ms));
}

void lease_tick(struct clients *clients)
{
	struct expiry_link *link;

	while ((link = expiry_next(&clients->expiry, clients->now_ms))) {
		struct lease *lease = list_entry(link, struct lease, due);

		if (!lease->told)
			tell(lease);
		else if (lease->fresh_by_ms && lease->ends_ms == lease->fresh_by_ms)
			client_close(lease->client, CLOSE_NOT_REFRESHED);
		else
			client_close(lease->client, CLOSE_TOKEN_EXPIRED);
	}
}
