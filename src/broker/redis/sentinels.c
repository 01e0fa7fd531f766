/*
 * Redis sentinels: all sentinels of one primary. See sentinels.h.
 */

#include "broker/redis/sentinels.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static void on_voted(void *arg)
{
	struct redis_sentinels *sentinels = arg;

	sentinels->listener.counted(sentinels->listener.arg);
}

static void on_knows(void *arg, struct slice host, uint16_t port);

static int add(struct redis_sentinels *sentinels, const struct redis_url *url)
{
	struct redis_sentinel *sentinel = &sentinels->all[sentinels->n];

	*sentinel = (struct redis_sentinel){
		.listener = {sentinels, on_voted, on_knows},
		.base = sentinels->base,
		.tls = sentinels->tls,
		.master = sentinels->element->master,
		.client_name = sentinels->client_name,
	};
	sentinels->n++;
	return redis_sentinel_start(sentinel, url);
}

/* It is asked like the others, as the same user. Addresses that lead nowhere from here cost a dial now and
 * then; the configured ones stay, so that this can only add. */
static void on_knows(void *arg, struct slice host, uint16_t port)
{
	struct redis_sentinels *sentinels = arg;
	char name[REDIS_VOTE_HOST_MAX + 1];
	struct redis_url url = sentinels->element->seeds[0];

	if (sentinels->n == REDIS_SEEDS_MAX)
		return;
	memcpy(name, host.data, host.len);
	name[host.len] = '\0';
	for (size_t i = 0; i < sentinels->n; i++)
		if (sentinels->all[i].url.port == port && strcasecmp(sentinels->all[i].url.host, name) == 0)
			return;
	url.host = name; /* the rest is borrowed: the URL is copied */
	url.port = port;
	if (add(sentinels, &url) < 0)
		redis_sentinel_deinit(&sentinels->all[--sentinels->n]);
}

int redis_sentinels_start(struct redis_sentinels *sentinels)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < sentinels->element->n_seeds; i++)
		r = add(sentinels, &sentinels->element->seeds[i]);
	return r;
}

void redis_sentinels_deinit(struct redis_sentinels *sentinels)
{
	for (size_t i = 0; i < sentinels->n; i++)
		redis_sentinel_deinit(&sentinels->all[i]);
	sentinels->n = 0;
}

const struct redis_vote *redis_sentinels_primary(
	const struct redis_sentinels *sentinels, uint64_t since_ms, uint64_t epoch_least)
{
	struct redis_vote votes[REDIS_SEEDS_MAX];
	int best;

	for (size_t i = 0; i < sentinels->n; i++) {
		votes[i] = sentinels->all[i].vote;
		votes[i].given = votes[i].given && sentinels->all[i].voted_ms >= since_ms;
	}
	best = redis_vote_count(votes, sentinels->n, epoch_least);
	return best < 0 ? NULL : &sentinels->all[best].vote;
}

void redis_sentinels_ask(struct redis_sentinels *sentinels)
{
	for (size_t i = 0; i < sentinels->n; i++)
		redis_sentinel_ask(&sentinels->all[i]);
}

size_t redis_sentinels_n_voting(const struct redis_sentinels *sentinels)
{
	size_t n = 0;

	for (size_t i = 0; i < sentinels->n; i++)
		n += sentinels->all[i].vote.given;
	return n;
}

const char *redis_sentinels_reason(const struct redis_sentinels *sentinels)
{
	const struct redis_sentinel *said = &sentinels->all[0];

	for (size_t i = 0; i < sentinels->n; i++) {
		if (!sentinels->all[i].has_spoken)
			return NULL;
		if (sentinels->all[i].greeted && !said->greeted)
			said = &sentinels->all[i];
	}
	return said->reason;
}
