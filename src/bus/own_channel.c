/* Own channel: a channel that the node itself follows; see the header. */

#include "bus/own_channel.h"

#include <stdio.h>

#include "bus/bus_channel.h"
#include "bus/bus_private.h"

void own_channel_init(struct own_channel *own, struct bus *bus, const char *start, const char *rest,
	const struct route_history *history, bus_tap_fn event, void *arg)
{
	*own = (struct own_channel){.bus = bus, .tap = {.event = event, .arg = arg}, .history = *history};
	snprintf(own->name, sizeof(own->name), "%s%s", start, rest);
}

void own_channel_follow(struct own_channel *own, bool wanted)
{
	if (wanted == list_linked(&own->link))
		return;
	if (!wanted) {
		bus_tap_remove(own->bus, &own->tap);
		list_remove(&own->link);
		return;
	}
	/* Before the channel is made, which asks for its history. */
	list_push_back(&own->bus->own_channels, &own->link);
	if (bus_tap_add(own->bus, &own->tap, own_channel_name(own)) < 0)
		list_remove(&own->link);
}

bool own_channel_is_live(const struct own_channel *own)
{
	const struct bus_channel *channel = own->tap.channel;

	return list_linked(&own->link) && channel->history && history_is_live(channel->history);
}

const struct route_history *own_channels_history(const struct bus *bus, struct slice channel)
{
	for (struct list *link = bus->own_channels.next; link != &bus->own_channels; link = link->next) {
		const struct own_channel *own = list_entry(link, struct own_channel, link);

		if (slice_is(channel, own->name))
			return &own->history;
	}
	return NULL;
}

void own_channels_forget(struct bus *bus)
{
	for (struct list *link = bus->own_channels.next; link != &bus->own_channels; link = link->next)
		list_remove(&list_entry(link, struct own_channel, link)->tap.link);
}
