#ifndef TIDEGATE_BROKER_REDIS_PROVER_H
#define TIDEGATE_BROKER_REDIS_PROVER_H

/*
 * Redis prover: sends the probe down one link of a server, and waits for it on the other.
 *
 * It works while both links are there, from redis_prover_start() to redis_prover_stop(). When to send and
 * when to give up is the decision of redis/probe.h; here are the timer, the command and its answer.
 */

#include <stdbool.h>
#include <stdint.h>

#include "broker/redis/probe.h"
#include "core/buf.h"
#include "core/fault_off.h"
#include "core/slice.h"

struct event;
struct event_base;
struct redis_link;

struct redis_prover_listener {
	void *arg;
	/* An echo came: what is published on this server arrives here. Said of each echo, the first and later
	 * ones. */
	void (*proven)(void *arg);
	/* The answer to the newest probe came back after so long. */
	void (*measured)(void *arg, uint64_t took_us);
	/* No echo comes any more. The prover has stopped; the links may be freed. */
	void (*missed)(void *arg, const char *reason);
};

struct redis_prover {
	struct redis_prover_listener listener;
	struct slice channel;     /* with the prefix; borrowed */
	struct redis_probe probe; /* idle_ms and timeout_ms are the caller's to fill */
#ifdef TIDEGATE_FAULT_CONTROLS
	struct fault_off fault_off;
#endif
	struct redis_link *subscriber; /* borrowed; NULL: it does not work */
	struct redis_link *commander;  /* borrowed */
	bool proven;                   /* an echo came since the start */
	uint64_t sent_us;              /* the newest probe */
	struct buf refusal;            /* Redis' answer to a probe since the last echo, in our words */
	struct event *timer;
};

/* The members above `subscriber` are the caller's to fill, the others are zeroed. 0 or -ENOMEM. */
int redis_prover_init(struct redis_prover *prover, struct event_base *base);
void redis_prover_deinit(struct redis_prover *prover); /* harmless on zeroed memory */

/* Fresh links: the first probe goes out at once. The subscriber listens, the commander is greeted. */
void redis_prover_start(
	struct redis_prover *prover, struct redis_link *subscriber, struct redis_link *commander);

/* The links are about to go. */
void redis_prover_stop(struct redis_prover *prover);

/* The subscriber heard a token on the probe channel. */
void redis_prover_echo(struct redis_prover *prover, struct slice token);

#endif
