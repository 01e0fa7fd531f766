/* Arrival: from accept until it becomes a client or ends; see the header. */

#include "ws/arrival.h"

#include "core/address_table.h"
#include "ws/trusted.h"

static int count(struct arrival *arrival, struct address_table *table, const struct in6_addr *from,
	bool named, uint64_t now_ms)
{
	int r = address_table_enter(table, from, named, now_ms, &arrival->address);

	if (r <= 0)
		return r;
	arrival->over = true;
	arrival->refusal = r == ADDRESS_MANY ? REFUSAL_TOO_MANY : REFUSAL_TOO_FAST;
	return arrival->address ? 0 : ARRIVAL_UNHEARD;
}

int arrival_count_peer(
	struct arrival *arrival, struct address_table *table, const struct trusted *trusted, uint64_t now_ms)
{
	if (trusted_covers(trusted, &arrival->peer))
		return 0;
	return count(arrival, table, &arrival->peer, arrival->named, now_ms);
}

int arrival_count_client(struct arrival *arrival, struct address_table *table, const struct trusted *trusted,
	const struct in6_addr *client, uint64_t now_ms)
{
	if (arrival->address || !trusted_covers(trusted, &arrival->peer) || trusted_covers(trusted, client))
		return 0;
	return count(arrival, table, client, true, now_ms);
}

void arrival_end(struct arrival *arrival, struct address_table *table, uint64_t now_ms)
{
	address_table_leave(table, arrival->address, arrival->over, now_ms);
	arrival->address = NULL;
}
