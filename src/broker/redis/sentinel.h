#ifndef TIDEGATE_BROKER_REDIS_SENTINEL_H
#define TIDEGATE_BROKER_REDIS_SENTINEL_H

/*
 * Redis sentinel: one sentinel, asked again and again which server is the primary.
 *
 * It is asked every 500 ms and never waited for: notifications get lost, answers are missed like any
 * other. A link that is lost is dialled again at the next turn, for ever; what it said before does not
 * count any more.
 */

#include <stdbool.h>
#include <stdint.h>

#include "broker/redis/url.h"
#include "broker/redis/vote.h"
#include "core/slice.h"

struct event;
struct event_base;
struct redis_link;
struct redis_tls;

struct redis_sentinel_listener {
	void *arg;
	/* It has answered, or does not any more: its vote may be another one. */
	void (*voted)(void *arg);
	/* It knows of this sentinel. host and port are borrowed. */
	void (*knows)(void *arg, struct slice host, uint16_t port);
};

struct redis_sentinel {
	struct redis_sentinel_listener listener;
	struct event_base *base;
	const struct redis_tls *tls; /* borrowed; NULL: without */
	const char *master;          /* borrowed */
	const char *client_name;     /* borrowed */

	struct redis_url url;
	struct redis_vote vote;
	struct redis_vote answer; /* that is coming in */
	uint64_t voted_ms;        /* when it answered last; 0: never */
	char reason[240];         /* why it does not vote */
	bool has_spoken;          /* it has answered, or there is a reason why not */
	struct redis_link *link;
	bool greeted;
	unsigned int n_waiting; /* answers */
	unsigned int n_turns;
	uint64_t asked_ms;
	struct event *timer;
};

/* The members above `url` are the caller's to fill, the others zeroed; the URL is copied. Starts at once.
 * 0 or -ENOMEM. */
int redis_sentinel_start(struct redis_sentinel *sentinel, const struct redis_url *url);
void redis_sentinel_deinit(struct redis_sentinel *sentinel); /* harmless on zeroed memory */

/* Asks now, if it is not being asked. */
void redis_sentinel_ask(struct redis_sentinel *sentinel);

#endif
