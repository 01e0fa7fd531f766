#ifndef TIDEGATE_BROKER_REDIS_VOTE_H
#define TIDEGATE_BROKER_REDIS_VOTE_H

/*
 * Redis vote: which of the answers of several sentinels counts. Pure.
 *
 * A sentinel that was cut off goes on naming the primary that it knew, with an older configuration. So the
 * highest epoch counts, and among the answers of that the address that most of them name.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	REDIS_VOTE_HOST_MAX = 255, /* of a name in DNS */
};

struct redis_vote {
	bool given; /* it answered, and knows the primary */
	uint64_t epoch;
	uint16_t port;
	char host[REDIS_VOTE_HOST_MAX + 1];
};

bool redis_vote_same(const struct redis_vote *a, const struct redis_vote *b); /* the same address */

/* The one that counts: its place, of several alike the first; -1 if none does. Votes with an epoch below
 * epoch_least, which is known already, do not. Those with 0 do: a sentinel that is new has no other. */
int redis_vote_count(const struct redis_vote *votes, size_t n, uint64_t epoch_least);

#endif
