#ifndef TIDEGATE_BROKER_REDIS_SENTINELS_H
#define TIDEGATE_BROKER_REDIS_SENTINELS_H

/*
 * Redis sentinels: all sentinels of one primary, those of the configuration and those that they know of,
 * and which server is the primary by their votes (redis/vote.h).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/redis/sentinel.h"
#include "broker/redis/urls.h"

struct event_base;
struct redis_tls;

struct redis_sentinels_listener {
	void *arg;
	/* The votes were counted again: see redis_sentinels_primary(). */
	void (*counted)(void *arg);
};

struct redis_sentinels {
	struct redis_sentinels_listener listener;
	struct event_base *base;
	const struct redis_tls *tls;         /* borrowed; NULL: without */
	const struct redis_element *element; /* borrowed */
	const char *client_name;             /* borrowed */

	struct redis_sentinel all[REDIS_SEEDS_MAX];
	size_t n;
};

/* The members above `all` are the caller's to fill, the others zeroed. 0 or -ENOMEM. */
int redis_sentinels_start(struct redis_sentinels *sentinels);
void redis_sentinels_deinit(struct redis_sentinels *sentinels); /* harmless on zeroed memory */

/* The vote that counts; NULL: no sentinel answers, or none that does knows the primary. With since_ms not
 * 0 only answers that came after it count. epoch_least: as redis_vote_count(). */
const struct redis_vote *redis_sentinels_primary(
	const struct redis_sentinels *sentinels, uint64_t since_ms, uint64_t epoch_least);

/* Asks all of them now. */
void redis_sentinels_ask(struct redis_sentinels *sentinels);

size_t redis_sentinels_n_voting(const struct redis_sentinels *sentinels);

/* Why no primary is known: what one that answers says, else the first of them. NULL: not all have spoken. */
const char *redis_sentinels_reason(const struct redis_sentinels *sentinels);

#endif
