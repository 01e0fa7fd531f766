#ifndef TIDEGATE_BROKER_REDIS_MAP_POLL_H
#define TIDEGATE_BROKER_REDIS_MAP_POLL_H

/*
 * Redis map poll: asks who in a cluster has which slots, again and again.
 *
 *     doubt ──► 20 ms after the last one ──► a member ──► CLUSTER SLOTS ──► mapped()
 *     2 s, or 250 ms while all is not well ──┘    └── none can be asked: the scout, and a seed
 *
 * One question is under way at a time. The member that knows best is asked, or each primary in turn. Whoever
 * has left is not asked: a primary that is cut off from the others goes on claiming its slots after its
 * replica took over.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/redis/scout.h"
#include "core/log.h"

struct event;
struct event_base;
struct redis_member;
struct redis_members;
struct redis_settings;
struct redis_slot_map;

struct redis_map_poll_listener {
	void *arg;
	/* A server told the map, which is the listener's from now on. False: it is asked again soon, if it
	 * was a member. */
	bool (*mapped)(void *arg, struct redis_slot_map *map);
};

struct redis_map_poll {
	struct redis_map_poll_listener listener;
	struct event_base *base;
	struct log *log;
	const struct redis_members *members;

	struct redis_scout scout;
	struct event *timer;
	struct redis_member *asked; /* who is asked now; NULL: nobody */
	struct redis_member
		*next; /* who knows best, for the caller to set; NULL: whoever is next in the line */
	size_t n_polls;
	uint64_t asked_ms;
	uint64_t mapped_ms; /* when the map was last confirmed; 0: never */
	uint32_t gap_ms;    /* before the next question, which grows while nothing changes */
	bool stopped;
	struct log_limit complaint_limit;
};

/* The members above `scout` are the caller's to fill, the others zeroed. Borrows the settings; the scout goes
 * out at once. 0 or -ENOMEM. */
int redis_map_poll_init(struct redis_map_poll *poll, struct redis_settings *settings);
void redis_map_poll_deinit(struct redis_map_poll *poll); /* harmless on zeroed memory */

/* Something has changed, or may have: the next question comes sooner. */
void redis_map_poll_doubt(struct redis_map_poll *poll);

/* Something has changed: more will, so that questions may follow each other quickly. */
void redis_map_poll_changed(struct redis_map_poll *poll);

/* This member is about to be freed. */
void redis_map_poll_forget(struct redis_map_poll *poll, const struct redis_member *member);

/* Called four times a second. is_settled: all members are sound, and all channels have their places. */
void redis_map_poll_tick(struct redis_map_poll *poll, uint64_t now_ms, bool is_settled);

#endif
