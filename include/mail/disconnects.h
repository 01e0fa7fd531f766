#ifndef TIDEGATE_MAIL_DISCONNECTS_H
#define TIDEGATE_MAIL_DISCONNECTS_H

/*
 * Disconnects: the last connections of one worker that ended, and how many ended for each reason.
 *
 * An operator wants to know this when clients complain, without searching the log. It is plain data: one
 * worker notes, and hands out copies.
 */

#include <netinet/in.h>
#include <stdint.h>

#include "protocol/close_reason.h"

enum {
	DISCONNECTS_KEPT = 50,     /* a screen of them */
	DISCONNECT_ROUTE_MAX = 95, /* bytes of a route's template; longer ones are cut */
};

struct disconnect {
	uint64_t id;
	uint64_t wall_ms;
	uint64_t duration_ms;
	uint16_t code;
	uint8_t reason;    /* enum close_reason */
	uint8_t transport; /* enum transport */
	char remote[INET6_ADDRSTRLEN];
	char route[DISCONNECT_ROUTE_MAX + 1];
};

/* Zeroed memory: no connection has ended yet. */
struct disconnects {
	uint64_t n; /* ever */
	uint64_t by_reason[N_CLOSE_REASONS];
	struct disconnect last[DISCONNECTS_KEPT]; /* a ring: the n-th is at n modulo DISCONNECTS_KEPT */
};

/* How many are remembered. */
uint32_t disconnects_kept(const struct disconnects *disconnects);

/* The i-th of them, the newest first. */
const struct disconnect *disconnects_at(const struct disconnects *disconnects, uint32_t i);

#endif
