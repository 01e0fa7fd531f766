/* Joins on the bus' side; see the header. */

#include "bus/bus_joins.h"

#include <errno.h>

#include "bus/bus_channel.h"
#include "bus/bus_private.h"
#include "core/clock.h"
#include "mail/join.h"
#include "worker/worker.h"

void bus_give_back(struct bus *bus, struct join *join)
{
	if (join->worker >= bus->n_workers) {
		join_free(join); /* the workers are gone */
		return;
	}
	replays_sent(&bus->replays, join);
	worker_post_flush(bus->workers[join->worker]);
	worker_post_joined(bus->workers[join->worker], join);
}

static bool wants_entries(const struct join *join)
{
	return join->since.kind == SINCE_START || join->since.kind == SINCE_POSITION;
}

void bus_joins_take(struct bus *bus, struct join *join)
{
	struct bus_channel *channel = bus_channel_find(bus, join->hash, join_channel(join));

	/* A client that asks and leaves must not cause reads of logs that no client needs and others
	 * have to wait for. */
	if (join_is_abandoned(join)) {
		join->r = -EAGAIN;
		bus_give_back(bus, join);
		return;
	}
	if (bus->is_short && wants_entries(join)) {
		join->r = -EAGAIN;
		bus_give_back(bus, join);
		return;
	}
	if (channel && channel->history) {
		history_join(channel->history, join, clock_monotonic_ms());
		return;
	}
	join->r = channel ? -ENOENT : -EAGAIN;
	bus_give_back(bus, join);
}

void bus_joins_spent(struct bus *bus, struct credit *credit)
{
	struct join *join;

	replays_spent(&bus->replays, credit);
	credit_free(credit);
	while ((join = replays_next(&bus->replays)))
		bus_joins_take(bus, join);
}

void bus_set_short(struct bus *bus, bool is_short)
{
	bus->is_short = is_short;
	histories_set_short(&bus->histories, is_short);
	while (is_short && !list_empty(&bus->replays.held)) {
		struct join *join = list_entry(bus->replays.held.next, struct join, due);

		list_remove(&join->due);
		bus_joins_take(bus, join);
	}
}
