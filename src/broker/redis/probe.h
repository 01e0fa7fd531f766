#ifndef TIDEGATE_BROKER_REDIS_PROBE_H
#define TIDEGATE_BROKER_REDIS_PROBE_H

/*
 * Redis probe: finds out whether a published event really arrives.
 *
 * A socket that is open proves nothing: a frozen Redis keeps it open, a dead network does not close it, and a
 * balancer may have sent our two connections to different servers. So when nothing was heard for a while on
 * either link, a token is published on one and has to come back on the other (docs/recovery-protocol.md R10).
 *
 * A try that hears nothing at all is a miss, and two misses in a row end it. While other traffic still comes
 * the echo may only be late behind it; that is forgiven longer, but not for ever. Pure: time is handed in.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/slice.h"

enum {
	REDIS_PROBE_TOKEN_MAX = 24,
};

enum redis_probe_step {
	REDIS_PROBE_WAIT, /* come back in wait_ms */
	REDIS_PROBE_SEND, /* publish redis_probe_token(), and come back in wait_ms */
	REDIS_PROBE_LOST, /* the path is dead */
};

struct redis_probe {
	uint32_t idle_ms;
	uint32_t timeout_ms;
	bool waiting;          /* for an echo */
	uint64_t sequence;     /* of the last token sent */
	uint64_t oldest;       /* of the first token whose echo counts */
	uint64_t tried_ms;     /* when the last token was sent */
	uint64_t proven_ms;    /* when the last echo came */
	unsigned int n_missed; /* tries in a row that heard nothing */
	unsigned int n_tries;  /* in a row without an echo */
};

/* The links are new: sends a token at once, and ignores echoes of old links. */
void redis_probe_start(struct redis_probe *probe);

/* The next step, given when each link was last heard. */
enum redis_probe_step redis_probe_step(struct redis_probe *probe, uint64_t now_ms,
	uint64_t subscriber_heard_ms, uint64_t commander_heard_ms, uint32_t *wait_msp);

/* The token to publish: its length. */
int redis_probe_token(const struct redis_probe *probe, char token[REDIS_PROBE_TOKEN_MAX]);

/* A token came back. True if it counts: then the path is proven. */
bool redis_probe_echo(struct redis_probe *probe, struct slice token, uint64_t now_ms);

/* Was the last echo that of the last token sent? */
static inline bool redis_probe_is_newest(const struct redis_probe *probe)
{
	return probe->oldest == probe->sequence + 1;
}

#endif
