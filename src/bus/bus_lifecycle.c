/* The bus' clock of bus/lifecycle, and what the bus tells it; see the header. */

#include "bus/bus_lifecycle.h"

#include <errno.h>
#include <stdlib.h>

#include <event2/event.h>

#include "bus/bus_channel.h"
#include "bus/bus_inbox.h"
#include "bus/bus_private.h"
#include "core/clock.h"
#include "mail/session.h"

void bus_lifecycle_wake(struct bus *bus)
{
	static const struct timeval interval = {0, LIFECYCLE_TICK_MS * 1000};

	if (lifecycle_is_active(&bus->lifecycle) && !event_pending(bus->lifecycle_tick, EV_TIMEOUT, NULL))
		event_add(bus->lifecycle_tick, &interval);
}

static void on_tick(evutil_socket_t fd, short events, void *arg)
{
	struct bus *bus = arg;

	(void)fd;
	(void)events;
	lifecycle_tick(&bus->lifecycle, clock_monotonic_ms());
	bus_lifecycle_wake(bus);
}

void bus_lifecycle_take(struct bus *bus, struct session_change *change)
{
	if (lifecycle_take(&bus->lifecycle, change, clock_monotonic_ms()) < 0)
		log_error(bus->log, "a connection's lifecycle is not told: out of memory",
			log_uint("conn", change->conn));
	free(change);
	bus_lifecycle_wake(bus);
}

void bus_lifecycle_channel(struct bus *bus, struct slice channel, bool is_wanted)
{
	if (!bus->lifecycle.routes)
		return;
	lifecycle_channel(&bus->lifecycle, channel, is_wanted, clock_monotonic_ms());
	bus_lifecycle_wake(bus);
}

void bus_lifecycle_configure(struct bus *bus)
{
	lifecycle_configure(&bus->lifecycle, bus->routes);
	bus_lifecycle_wake(bus); /* what is no longer told has ends to be said */
	if (!bus->lifecycle.routes)
		return;
	for (struct map_entry *e = map_next(&bus->channels, NULL); e; e = map_next(&bus->channels, e)) {
		const struct bus_channel *channel = map_value(e, struct bus_channel, entry);

		if (channel->wanted)
			bus_lifecycle_channel(bus, bus_channel_name(channel), true);
	}
}

int bus_lifecycle_init(struct bus *bus)
{
	lifecycle_init(&bus->lifecycle, bus->log, bus->metrics);
	bus->lifecycle_tick = evtimer_new(bus->base, on_tick, bus);
	return bus->lifecycle_tick ? 0 : -ENOMEM;
}

void bus_lifecycle_deinit(struct bus *bus)
{
	lifecycle_deinit(&bus->lifecycle);
	if (bus->lifecycle_tick)
		event_free(bus->lifecycle_tick);
}

bool bus_has_said_all(struct bus *bus)
{
	bus_inbox_take(bus); /* the ends of the last connections may still be there */
	return lifecycle_has_said_all(&bus->lifecycle);
}
