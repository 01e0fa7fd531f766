#ifndef TIDEGATE_BROKER_REDIS_SCOUT_H
#define TIDEGATE_BROKER_REDIS_SCOUT_H

/*
 * Redis scout: finds out from the seeds of a cluster who is in it, while no member can be asked.
 *
 * It dials one seed after the other, slower and slower, asks CLUSTER SLOTS and hangs up. A link of its
 * own, because a seed may be a replica, or only a name for whichever server answers.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/backoff.h"
#include "broker/redis/link.h"

struct event;
struct event_base;
struct redis_element;

enum {
	REDIS_SCOUT_WHERE_SIZE = 272, /* of a host's name and a port */
};

struct redis_scout_listener {
	void *arg;
	/* A seed answered, from this host. */
	void (*answered)(void *arg, const struct redis_reply *reply, struct slice asked);
};

struct redis_scout {
	struct redis_scout_listener listener;
	struct event_base *base;
	const struct redis_tls *tls;         /* borrowed; NULL: without */
	const struct redis_element *element; /* borrowed */
	const char *client_name;             /* borrowed */

	size_t at; /* the seed that is next */
	bool wanted;
	struct backoff backoff;
	struct redis_link *link;
	struct event *timer;
	char reason[500]; /* why no seed has answered */
};

/* The members above `at` are the caller's to fill, the others zeroed. 0 or -ENOMEM. */
int redis_scout_init(struct redis_scout *scout, uint64_t seed);
void redis_scout_deinit(struct redis_scout *scout); /* harmless on zeroed memory */

/* Goes out, and again and again until it is not wanted any more. */
void redis_scout_want(struct redis_scout *scout, bool wanted);

/* The address of the seed that was asked last. */
void redis_scout_where(const struct redis_scout *scout, char text[REDIS_SCOUT_WHERE_SIZE]);

/* The same, and what was wrong with its answer. */
void redis_scout_complain(struct redis_scout *scout, const char *what);

#endif
