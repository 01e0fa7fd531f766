/* Absence: channels whose server is away while others are there; see the header. */

#include "bus/absence.h"

#include "bus/bus_channel.h"
#include "bus/bus_private.h"
#include "core/clock.h"
#include "protocol/message.h"
#include "protocol/reply.h"
#include "worker/worker.h"

void absence_begin(struct absence *absence, uint64_t now_ms)
{
	absence->last_ms = now_ms;
	if (!absence->first_ms)
		absence->first_ms = now_ms;
}

void absence_over(struct absence *absence, uint64_t now_ms)
{
	absence->first_ms = absence->last_ms = now_ms;
}

/* Without memory for it clients are not told; they lose nothing by that. */
static void tell(struct bus_channel *channel, struct message *told)
{
	for (uint64_t left = channel->wanted; told && left; left &= left - 1)
		worker_post_told(channel->bus->workers[__builtin_ctzll(left)], bus_channel_name(channel),
			channel->entry.hash, told);
	message_unref(told);
}

static void look_at(struct bus_channel *channel, uint64_t now_ms)
{
	if (channel->confirmed || !channel->was_confirmed || channel->told_away ||
		now_ms - channel->lost_ms < BUS_CHANNEL_DEGRADED_MS)
		return;
	channel->told_away = true;
	tell(channel, reply_degraded(bus_channel_name(channel), clock_wall_ms()));
}

void absence_tick(struct bus *bus, uint64_t now_ms)
{
	struct absence *absence = &bus->absence;

	if (!absence->first_ms || !bus->is_connected || now_ms - absence->first_ms < BUS_CHANNEL_DEGRADED_MS)
		return;
	for (struct map_entry *e = map_next(&bus->channels, NULL); e; e = map_next(&bus->channels, e))
		look_at(map_value(e, struct bus_channel, entry), now_ms);
	/* Once for all channels that were lost together, and once for those that were lost since. */
	absence->first_ms = now_ms - absence->last_ms < BUS_CHANNEL_DEGRADED_MS ? absence->last_ms : 0;
}

void absence_end(struct bus_channel *channel)
{
	if (!channel->told_away)
		return;
	channel->told_away = false;
	tell(channel, reply_restored(bus_channel_name(channel), clock_wall_ms()));
}
