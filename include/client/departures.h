#ifndef TIDEGATE_CLIENT_DEPARTURES_H
#define TIDEGATE_CLIENT_DEPARTURES_H

/*
 * Departures: the last connections of one worker that ended, and how many ended for which reason.
 *
 * What an operator wants to know when clients complain, without looking for the lines in the log. It is
 * plain data: one worker notes, and hands out copies.
 */

#include <netinet/in.h>
#include <stdint.h>

#include "client/client.h"

enum {
	DEPARTURES_KEPT = 50,     /* a screen of them */
	DEPARTURE_ROUTE_MAX = 95, /* bytes of a route's template; longer ones are cut */
};

struct departure {
	uint64_t id;
	uint64_t wall_ms;
	uint64_t duration_ms;
	uint16_t code;
	uint8_t reason; /* enum close_reason */
	char remote[INET6_ADDRSTRLEN];
	char route[DEPARTURE_ROUTE_MAX + 1];
};

/* Zeroed memory: nobody left yet. */
struct departures {
	uint64_t n; /* ever */
	uint64_t by_reason[N_CLOSE_REASONS];
	struct departure last[DEPARTURES_KEPT]; /* a ring: the n-th is at n modulo DEPARTURES_KEPT */
};

/* The client was open, and is about to go. */
void departures_note(struct departures *departures, const struct client *client);

/* How many are remembered. */
uint32_t departures_kept(const struct departures *departures);

/* The i-th of them, the newest first. */
const struct departure *departures_at(const struct departures *departures, uint32_t i);

#endif
