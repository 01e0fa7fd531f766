/* Presence and the node's lease on the bus; see the header. */

#include "bus/bus_presence.h"

#include <errno.h>
#include <stdlib.h>

#include <event2/event.h>

#include "broker/broker.h"
#include "bus/bus_lifecycle.h"
#include "bus/bus_private.h"
#include "core/clock.h"
#include "mail/presence.h"

static void wake_presence(struct bus *bus)
{
	static const struct timeval interval = {0, PRESENCE_TICK_MS * 1000};

	if (presence_is_active(&bus->presence) && !event_pending(bus->presence_tick, EV_TIMEOUT, NULL))
		event_add(bus->presence_tick, &interval);
}

static void on_presence_tick(evutil_socket_t fd, short events, void *arg)
{
	struct bus *bus = arg;

	(void)fd;
	(void)events;
	presence_tick(&bus->presence, clock_monotonic_ms());
	wake_presence(bus);
}

void bus_presence_take(struct bus *bus, struct presence_change *change)
{
	if (presence_take(&bus->presence, change, clock_monotonic_ms()) < 0)
		log_error(bus->log, "a user's presence is lost: out of memory",
			log_slice("channel", presence_change_channel(change)));
	free(change);
	wake_presence(bus);
}

static void on_lease_held(void *arg, const char *node, uint64_t until_ms)
{
	struct bus *bus = arg;

	presence_set_node(&bus->presence, node, until_ms);
	lifecycle_set_node(&bus->lifecycle, node, until_ms);
	wake_presence(bus);
	bus_lifecycle_wake(bus);
}

static void on_lease_lost(void *arg)
{
	struct bus *bus = arg;

	log_warn(bus->log, "other gateways took this one for dead: its users are said to be there again");
	presence_set_node(&bus->presence, "", 0);
	lifecycle_set_node(&bus->lifecycle, "", 0);
}

static void on_lease_renewed(void *arg)
{
	struct bus *bus = arg;

	presence_set_node(&bus->presence, "", 0);
	lifecycle_set_node(&bus->lifecycle, "", 0);
}

static void on_dead(void *arg, struct slice node)
{
	struct bus *bus = arg;

	reaper_begin(&bus->reaper, node);
}

static struct slice on_busy(void *arg)
{
	struct bus *bus = arg;

	return reaper_busy(&bus->reaper);
}

static void give_word(struct bus *bus)
{
	node_lease_tick(&bus->lease, broker_state(bus->broker) != BROKER_CONNECTING, clock_monotonic_ms());
}

static void on_lease_tick(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	give_word(arg);
}

/* From the first route on that keeps presence. Without memory for it the next reload tries again. */
void bus_presence_keep_lease(struct bus *bus)
{
	uint64_t ms = bus->lease.ttl_ms / NODE_LEASE_PARTS;
	struct timeval interval = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};

	if (bus->lease_tick)
		return;
	bus->reaper = (struct reaper){
		.broker = bus->broker, .presence = &bus->presence, .log = bus->log, .metrics = bus->metrics};
	bus->lease.broker = bus->broker;
	bus->lease_tick = event_new(bus->base, -1, EV_PERSIST, on_lease_tick, bus);
	if (bus->lease_tick && event_add(bus->lease_tick, &interval) < 0) {
		event_free(bus->lease_tick);
		bus->lease_tick = NULL;
	}
}

/* Once for each time that a server of the broker has come back. */
void bus_presence_look_for_returns(struct bus *bus)
{
	uint64_t n = broker_n_returns(bus->broker);

	if (n != bus->n_returns && bus->lease_tick)
		node_lease_renew(&bus->lease);
	bus->n_returns = n;
	if (bus->lease_tick)
		give_word(bus); /* all that is here is said anew before others clear up behind the old name */
}

void bus_count_users(const struct bus *bus, struct slice channel, uint64_t *n_usersp, uint64_t *n_anonymousp)
{
	presence_count(&bus->presence, channel, n_usersp, n_anonymousp);
}

void bus_leave(struct bus *bus)
{
	if (!bus->lease_tick)
		return;
	event_del(bus->lease_tick); /* or it would say that we are there again */
	node_lease_end(&bus->lease);
}

int bus_presence_init(struct bus *bus)
{
	presence_init(&bus->presence, bus->metrics);
	bus->presence_tick = evtimer_new(bus->base, on_presence_tick, bus);
	return bus->presence_tick ? 0 : -ENOMEM;
}

void bus_presence_set_node(struct bus *bus, const char *node, uint64_t lease_ms)
{
	node_lease_init(&bus->lease,
		&(struct node_lease_listener){
			bus, on_lease_held, on_lease_lost, on_lease_renewed, on_dead, on_busy},
		node, lease_ms);
}

void bus_presence_deinit(struct bus *bus)
{
	presence_deinit(&bus->presence);
	if (bus->presence_tick)
		event_free(bus->presence_tick);
	if (bus->lease_tick)
		event_free(bus->lease_tick);
}
