/*
 * Redis vote: which of the answers of several sentinels counts. See vote.h.
 */

#include "broker/redis/vote.h"

#include <strings.h>

bool redis_vote_same(const struct redis_vote *a, const struct redis_vote *b)
{
	return a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

static size_t n_alike(const struct redis_vote *votes, size_t n, const struct redis_vote *vote)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += votes[i].given && votes[i].epoch == vote->epoch && redis_vote_same(&votes[i], vote);
	return count;
}

static bool counts(const struct redis_vote *vote, uint64_t epoch_least)
{
	return vote->given && (vote->epoch == 0 || vote->epoch >= epoch_least);
}

int redis_vote_count(const struct redis_vote *votes, size_t n, uint64_t epoch_least)
{
	size_t best_count = 0;
	int best = -1;

	for (size_t i = 0; i < n; i++) {
		size_t count;

		if (!counts(&votes[i], epoch_least) || (best >= 0 && votes[i].epoch < votes[best].epoch))
			continue;
		count = n_alike(votes, n, &votes[i]);
		if (best < 0 || votes[i].epoch > votes[best].epoch || count > best_count) {
			best = (int)i;
			best_count = count;
		}
	}
	return best;
}
