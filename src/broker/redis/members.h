#ifndef TIDEGATE_BROKER_REDIS_MEMBERS_H
#define TIDEGATE_BROKER_REDIS_MEMBERS_H

/*
 * Redis members: the primaries of a cluster that we are connected to, and which slots each has.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/redis/slot_map.h"
#include "core/list.h"
#include "core/slice.h"

struct redis_cluster;
struct redis_map_poll;
struct redis_server;

enum {
	REDIS_MEMBER_LATE_MS = 500, /* silent for so long, it is not heard any more, as far as we know */
};

struct redis_member {
	struct list link; /* in all */
	struct redis_cluster *cluster;
	struct redis_map_poll *poll; /* its cluster's, which asks it */
	struct redis_server *server;
	struct redis_slot_node at; /* where it is */
	uint64_t made_ms;
	uint64_t left_ms; /* when it lost its last slot, or ASK last named it that has none; 0: it has some */
	uint64_t pinged_ms; /* when it was asked for a sign of life that has not come; 0: it was not */
	bool late;          /* that takes too long */
	bool lacks_sharded; /* its server knows no SSUBSCRIBE */
	size_t n_classic;   /* channels that are heard there by SUBSCRIBE */
};

struct redis_members {
	struct list all;
	struct redis_slot_map map;
	struct redis_member **of_nodes; /* the member of each node in the map; NULL: it is not made yet */
};

void redis_members_init(struct redis_members *members);
void redis_members_deinit(struct redis_members *members); /* not the members; harmless on zeroed memory */

/* The map has changed, or a member was made or freed. 0 or -ENOMEM. */
int redis_members_link(struct redis_members *members);

size_t redis_members_n(const struct redis_members *members); /* also those that have left */

struct redis_member *redis_members_find(
	const struct redis_members *members, struct slice host, uint16_t port);

/* Who has the slot; NULL: nobody that we know. */
struct redis_member *redis_members_owner(const struct redis_members *members, unsigned int slot);

/* Is it ready, alive and one of the cluster's primaries? */
bool redis_member_is_sound(const struct redis_member *member);

/* Where a channel of this slot is heard by SUBSCRIBE: its owner if that is sound, or any sound one, not
 * always the same. NULL: there is none. */
struct redis_member *redis_members_refuge(const struct redis_members *members, unsigned int slot);

#endif
