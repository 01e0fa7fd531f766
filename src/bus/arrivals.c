/* Arrivals: events that the bus has not looked at yet; see the header. */

#include "bus/arrivals.h"

#include <string.h>

static struct slice copy(struct arrivals *arrivals, struct slice slice)
{
	char *at = arrivals->bytes + arrivals->n_bytes;

	memcpy(at, slice.data, slice.len);
	arrivals->n_bytes += slice.len;
	return (struct slice){at, slice.len};
}

bool arrivals_add(struct arrivals *arrivals, uint64_t hash, struct slice name, struct slice payload)
{
	size_t room = sizeof(arrivals->bytes) - arrivals->n_bytes;
	struct arrival *arrival = &arrivals->all[arrivals->n];

	if (arrivals->n == ARRIVALS_MAX || payload.len > room || name.len > room - payload.len)
		return false;
	arrival->hash = hash;
	arrival->name = copy(arrivals, name);
	arrival->payload = copy(arrivals, payload);
	arrivals->n++;
	return true;
}
