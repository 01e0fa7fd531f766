#ifndef TIDEGATE_BUS_REAPER_H
#define TIDEGATE_BUS_REAPER_H

/*
 * Reaper: clears up behind a node that has died.
 *
 * Redis has a set of what the node held, which was filled before anything was put there. The reaper takes
 * that, channel by channel, a part at a time, and with each leave the event that tells of it is published
 * by the same call: so each is told once, whoever does it and however often it is begun. Names whose server
 * is away are passed over, so those of others mostly do not wait for it; but a part is drawn at random, and
 * where it has only such names, or another call fails, it ends. The claim ends by itself a while later, and
 * whoever sees that goes on where it stopped. On the bus thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "broker/broker.h"
#include "bus/presence.h"
#include "core/slice.h"

struct broker;
struct log;
struct metrics;

struct reaper {
	struct broker *broker;
	const struct presence *presence; /* knows where users of a channel are kept */
	struct log *log;
	struct metrics *metrics;
	char node[PRESENCE_NODE_MAX + 1]; /* "": idle */
	uint64_t n_users;                 /* that left with it, so far */
	uint64_t n_connections;           /* that are said to be lost with it */
	uint64_t cursor;                  /* in what is held, of the name at */
	size_t at, n;                     /* names */
	int r;                            /* why the last one was passed over */
	uint16_t lens[BROKER_HELD_MAX];
	char names[BROKER_HELD_MAX][PRESENCE_HELD_MAX];
};

/* broker and the members below it, up to metrics, are the caller's to fill; the others are zeroed. */

/* Begins; harmless while it is busy. */
void reaper_begin(struct reaper *reaper, struct slice node);

/* The node that it is busy with; empty: none. */
struct slice reaper_busy(const struct reaper *reaper);

#endif
