#ifndef TIDEGATE_BUS_ABSENCE_H
#define TIDEGATE_BUS_ABSENCE_H

/*
 * Absence: channels whose server is away while others are there.
 *
 * Clients that know recovery hear `degraded` of such a channel after BUS_CHANNEL_DEGRADED_MS, and `restored`
 * when its events come again (R11 of docs/recovery-protocol.md). While no server is there at all they are
 * told that by their worker, and not once for each channel. On the bus thread.
 */

#include <stdint.h>

struct bus;
struct bus_channel;

enum {
	BUS_CHANNEL_DEGRADED_MS = 3000, /* as CLIENT_DEGRADED_MS */
};

struct absence {
	uint64_t first_ms; /* when the channels were lost that are looked at next; 0: none were */
	uint64_t last_ms;  /* when a channel was lost last */
};

/* A channel was lost, and perhaps others were. */
void absence_begin(struct absence *absence, uint64_t now_ms);

/* Some of the broker is there again, and will soon say of which channels. */
void absence_over(struct absence *absence, uint64_t now_ms);

/* Now and then. */
void absence_tick(struct bus *bus, uint64_t now_ms);

/* The channel is subscribed again. */
void absence_end(struct bus_channel *channel);

#endif
