#ifndef TIDEGATE_BROKER_REDIS_SLOT_MAP_H
#define TIDEGATE_BROKER_REDIS_SLOT_MAP_H

/*
 * Redis slot map: which primary of a cluster has which slot, as one of its servers says it.
 *
 * What a server answers to CLUSTER SLOTS becomes a whole map; what it says with MOVED corrects one slot of
 * it. Redis is not trusted: an answer that cannot be made out is no map, and a range without a usable
 * address is nobody's. Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/redis/slot.h"
#include "core/slice.h"

struct redis_reply;

enum {
	REDIS_SLOT_HOST_MAX = 255,   /* bytes of a name in DNS */
	REDIS_SLOT_ID_MAX = 40,      /* letters of a server's own name in its cluster */
	REDIS_SLOT_NODES_MAX = 1000, /* what Redis recommends as the most servers of a cluster */
	REDIS_SLOT_MAP_EMPTY = 1, /* the server knows of no slot: it is no member of a cluster, or none yet */
};

/* A primary. */
struct redis_slot_node {
	char host[REDIS_SLOT_HOST_MAX + 1];
	uint16_t port;
	uint16_t n_slots;
	char id[REDIS_SLOT_ID_MAX + 1]; /* empty: it was not said, or is_shared */
	bool is_shared; /* several ids were said of this address: a proxy that stands before them all */
};

struct redis_slot_map {
	struct redis_slot_node *nodes; /* some may have no slot any more */
	size_t n_nodes;
	uint16_t owners[REDIS_SLOTS]; /* a place in nodes, from 1 on; 0: nobody has the slot */
};

void redis_slot_map_deinit(struct redis_slot_map *map); /* harmless on zeroed memory */

/*
 * Makes a zeroed map of an answer to CLUSTER SLOTS. asked: the host that was asked, which is meant
 * where the answer names none. 0, REDIS_SLOT_MAP_EMPTY, -EIO or -ENOMEM; unless it is 0, the map is as
 * it was.
 */
int redis_slot_map_read(struct redis_slot_map *map, const struct redis_reply *reply, struct slice asked);

/* This one has the slot. 0, -EIO (no usable address, or too many) or -ENOMEM. */
int redis_slot_map_patch(struct redis_slot_map *map, unsigned int slot, struct slice host, uint16_t port);

/* How many slots nobody has. */
unsigned int redis_slot_map_n_unserved(const struct redis_slot_map *map);

/* Who has the slot; NULL: nobody. Borrowed until the map changes. */
const struct redis_slot_node *redis_slot_map_owner(const struct redis_slot_map *map, unsigned int slot);

/* The primary at this address; NULL: there is none. Borrowed likewise. */
const struct redis_slot_node *redis_slot_map_find(
	const struct redis_slot_map *map, struct slice host, uint16_t port);

/* Slots that have another owner in the second map, or have one there alone. */
size_t redis_slot_map_n_moved(const struct redis_slot_map *before, const struct redis_slot_map *after);

#endif
