/*
 * Redis slot map: which primary of a cluster has which slot. See slot_map.h.
 */

#include "broker/redis/slot_map.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "broker/redis/reply.h"

void redis_slot_map_deinit(struct redis_slot_map *map)
{
	free(map->nodes);
	*map = (struct redis_slot_map){0};
}

static bool is_host(struct slice host)
{
	if (!host.len || host.len > REDIS_SLOT_HOST_MAX)
		return false;
	for (size_t i = 0; i < host.len; i++)
		if (host.data[i] <= ' ' || host.data[i] == 0x7f)
			return false;
	return !slice_is(host, "?"); /* Redis' word for a name that it does not know */
}

const struct redis_slot_node *redis_slot_map_find(
	const struct redis_slot_map *map, struct slice host, uint16_t port)
{
	for (size_t i = map->n_nodes; i > 0; i--)
		if (map->nodes[i - 1].port == port && strlen(map->nodes[i - 1].host) == host.len &&
			strncasecmp(map->nodes[i - 1].host, host.data, host.len) == 0)
			return &map->nodes[i - 1];
	return NULL;
}

/* The place of a node from 1 on, where it is added if it is new; 0 or negative errno. */
static int place_of(struct redis_slot_map *map, struct slice host, uint16_t port)
{
	const struct redis_slot_node *found;
	struct redis_slot_node *nodes;

	if (!is_host(host) || !port)
		return 0;
	found = redis_slot_map_find(map, host, port);
	if (found)
		return (int)(found - map->nodes) + 1;
	if (map->n_nodes == REDIS_SLOT_NODES_MAX)
		return 0;
	nodes = reallocarray(map->nodes, map->n_nodes + 1, sizeof(*nodes));
	if (!nodes)
		return -ENOMEM;
	map->nodes = nodes;
	nodes[map->n_nodes] = (struct redis_slot_node){.port = port};
	memcpy(nodes[map->n_nodes].host, host.data, host.len);
	return (int)++map->n_nodes;
}

static void give(struct redis_slot_map *map, unsigned int slot, int place)
{
	if (map->owners[slot])
		map->nodes[map->owners[slot] - 1].n_slots--;
	map->owners[slot] = (uint16_t)place;
	if (place)
		map->nodes[place - 1].n_slots++;
}

/* --- CLUSTER SLOTS: an array of ranges, laid flat: first, last, the primary, its replicas --- */

static bool take_number(const struct redis_reply *reply, size_t i, long long max, unsigned int *numberp)
{
	if (i >= reply->n_values || reply->values[i].kind != REDIS_INTEGER || reply->values[i].integer < 0 ||
		reply->values[i].integer > max)
		return false;
	*numberp = (unsigned int)reply->values[i].integer;
	return true;
}

/* What a node says beside its address: an array of names and values. The value of "ip". */
static struct slice other_address(const struct redis_reply *reply, size_t at)
{
	if (at >= reply->n_values || reply->values[at].kind != REDIS_ARRAY)
		return (struct slice){0};
	for (long long n = 0; n + 1 < reply->values[at].integer; n += 2) {
		size_t name = at + 1 + (size_t)n;

		if (name + 1 >= reply->n_values || reply->values[name].kind != REDIS_STRING ||
			reply->values[name + 1].kind != REDIS_STRING)
			break;
		if (slice_is(redis_reply_text(reply, name), "ip"))
			return redis_reply_text(reply, name + 1);
	}
	return (struct slice){0};
}

static void take_id(struct redis_slot_node *node, struct slice id)
{
	if (!id.len || id.len > REDIS_SLOT_ID_MAX)
		return;
	node->is_shared |= *node->id && !slice_is(id, node->id);
	if (node->is_shared)
		*node->id = '\0';
	else
		memcpy(node->id, id.data, id.len);
}

/* A node is an array: its address, port and id, and since Redis 7 more about it. Its place, 0 if it says
 * nothing of use, or -ENOMEM. */
static int take_node(
	struct redis_slot_map *map, const struct redis_reply *reply, size_t at, struct slice asked)
{
	unsigned int port;
	struct slice host, id;
	int place;

	if (at + 2 >= reply->n_values || reply->values[at].kind != REDIS_ARRAY ||
		reply->values[at].integer < 2 || !take_number(reply, at + 2, UINT16_MAX, &port))
		return 0;
	host = redis_reply_text(reply, at + 1);
	if (reply->values[at + 1].kind == REDIS_NIL || !host.len)
		host = asked;
	else if (slice_is(host, "?") && reply->values[at].integer >= 4)
		host = other_address(reply, at + 4);
	place = place_of(map, host, (uint16_t)port);
	id = reply->values[at].integer >= 3 ? redis_reply_text(reply, at + 3) : (struct slice){0};
	if (place > 0)
		take_id(&map->nodes[place - 1], id);
	return place;
}

/* 0 or negative errno. */
static int take_range(
	struct redis_slot_map *map, const struct redis_reply *reply, size_t at, struct slice asked)
{
	unsigned int first, last;
	int place;

	if (reply->values[at].kind != REDIS_ARRAY || reply->values[at].integer < 3 ||
		!take_number(reply, at + 1, REDIS_SLOTS - 1, &first) ||
		!take_number(reply, at + 2, REDIS_SLOTS - 1, &last) || first > last)
		return -EIO;
	place = take_node(map, reply, at + 3, asked);
	if (place < 0)
		return place;
	for (unsigned int slot = first; slot <= last; slot++)
		give(map, slot, place);
	return 0;
}

int redis_slot_map_read(struct redis_slot_map *map, const struct redis_reply *reply, struct slice asked)
{
	int r = 0;

	if (reply->values[0].kind != REDIS_ARRAY)
		return -EIO;
	if (reply->n_values == 1)
		return REDIS_SLOT_MAP_EMPTY;
	for (size_t at = 1; r == 0 && at < reply->n_values; at = redis_reply_skip(reply, at))
		r = take_range(map, reply, at, asked);
	if (r == 0 && !map->n_nodes)
		r = -EIO;
	if (r < 0)
		redis_slot_map_deinit(map);
	return r;
}

/* --- what it is asked --- */

int redis_slot_map_patch(struct redis_slot_map *map, unsigned int slot, struct slice host, uint16_t port)
{
	int place = slot < REDIS_SLOTS ? place_of(map, host, port) : 0;

	if (place <= 0)
		return place < 0 ? place : -EIO;
	give(map, slot, place);
	return 0;
}

const struct redis_slot_node *redis_slot_map_owner(const struct redis_slot_map *map, unsigned int slot)
{
	return map->owners[slot] ? &map->nodes[map->owners[slot] - 1] : NULL;
}

unsigned int redis_slot_map_n_unserved(const struct redis_slot_map *map)
{
	unsigned int n = REDIS_SLOTS;

	for (size_t i = 0; i < map->n_nodes; i++)
		n -= map->nodes[i].n_slots;
	return n;
}

static bool is_same(const struct redis_slot_node *a, const struct redis_slot_node *b)
{
	return a && b && a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

size_t redis_slot_map_n_moved(const struct redis_slot_map *before, const struct redis_slot_map *after)
{
	size_t n = 0;

	for (unsigned int slot = 0; slot < REDIS_SLOTS; slot++) {
		const struct redis_slot_node *owner = redis_slot_map_owner(after, slot);

		n += owner && !is_same(redis_slot_map_owner(before, slot), owner);
	}
	return n;
}
