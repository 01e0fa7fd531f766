/*
 * Redis scout: finds out from the seeds of a cluster who is in it. See scout.h.
 */

#include "broker/redis/scout.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <event2/event.h>

#include "broker/redis/timer.h"
#include "broker/redis/urls.h"

enum {
	DIAL_TIMEOUT_MS = 2000,
	BULK_BYTES_MAX = 4096, /* of one string in an answer */
	BACKOFF_BASE_MS = 50,
	BACKOFF_CAP_MS = 1000,
};

/* The seed that is asked now, or was asked last. */
static const struct redis_url *seed_of(const struct redis_scout *scout)
{
	size_t n = scout->element->n_seeds;

	return &scout->element->seeds[(scout->at + n - 1) % n];
}

void redis_scout_where(const struct redis_scout *scout, char text[REDIS_SCOUT_WHERE_SIZE])
{
	const struct redis_url *seed = seed_of(scout);

	snprintf(text, REDIS_SCOUT_WHERE_SIZE, strchr(seed->host, ':') ? "[%s]:%u" : "%s:%u", seed->host,
		seed->port);
}

void redis_scout_complain(struct redis_scout *scout, const char *what)
{
	char where[REDIS_SCOUT_WHERE_SIZE];

	redis_scout_where(scout, where);
	snprintf(scout->reason, sizeof(scout->reason), "%s %s", where, what);
}

static void on_answer(void *arg, const struct redis_reply *reply)
{
	struct redis_scout *scout = arg;

	if (!reply || !scout->link)
		return;
	*scout->reason = '\0';
	scout->listener.answered(scout->listener.arg, reply, redis_link_host(scout->link));
	redis_link_fail(scout->link, REDIS_LINK_LOST, scout->reason);
}

static void on_greeted(void *arg)
{
	struct redis_scout *scout = arg;
	const struct slice argv[] = {slice_of("CLUSTER"), slice_of("SLOTS")};

	if (redis_link_ask(scout->link, argv, 2, on_answer, scout) < 0)
		redis_link_fail(scout->link, REDIS_LINK_LOST, "out of memory");
}

static void on_unasked(void *arg, const struct redis_reply *reply)
{
	struct redis_scout *scout = arg;

	(void)reply;
	redis_link_fail(scout->link, REDIS_LINK_LOST, "it answered what was not asked");
}

static void on_turned(void *arg)
{
	(void)arg;
}

static void on_closed(void *arg, enum redis_link_end end, const char *reason)
{
	struct redis_scout *scout = arg;
	struct redis_link *link = scout->link;
	char copy[200];

	(void)end; /* another seed may know us */
	if (*reason && !strstr(scout->reason, reason)) {
		snprintf(copy, sizeof(copy), "does not tell who is in the cluster: %.120s", reason);
		redis_scout_complain(scout, copy);
	}
	scout->link = NULL;
	redis_link_free(link);
	if (scout->wanted)
		redis_timer_set(scout->timer, backoff_next(&scout->backoff));
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
	struct redis_scout *scout = arg;
	const struct redis_link_listener listener = {
		scout, on_greeted, on_unasked, on_turned, on_closed, NULL};
	struct redis_link_options options = {
		.name = scout->client_name,
		.bulk_bytes_max = BULK_BYTES_MAX,
		.timeout_ms = DIAL_TIMEOUT_MS,
	};

	(void)fd;
	(void)what;
	if (!scout->wanted || scout->link)
		return;
	scout->at = (scout->at + 1) % scout->element->n_seeds;
	options.url = seed_of(scout);
	options.tls = options.url->tls ? scout->tls : NULL;
	if (redis_link_new(scout->base, &options, &listener, &scout->link) < 0)
		redis_timer_set(scout->timer, BACKOFF_CAP_MS);
}

void redis_scout_want(struct redis_scout *scout, bool wanted)
{
	if (wanted && !scout->wanted) {
		backoff_reset(&scout->backoff);
		redis_timer_set(scout->timer, 0);
	}
	scout->wanted = wanted;
}

int redis_scout_init(struct redis_scout *scout, uint64_t seed)
{
	backoff_init(&scout->backoff, BACKOFF_BASE_MS, BACKOFF_CAP_MS, seed);
	snprintf(scout->reason, sizeof(scout->reason), "no server of the cluster has answered yet");
	scout->timer = evtimer_new(scout->base, on_time, scout);
	return scout->timer ? 0 : -ENOMEM;
}

void redis_scout_deinit(struct redis_scout *scout)
{
	redis_link_free(scout->link);
	scout->link = NULL;
	if (scout->timer)
		event_free(scout->timer);
	scout->timer = NULL;
}
