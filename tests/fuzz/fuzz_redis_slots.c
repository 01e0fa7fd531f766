/*
 * Fuzz the map of a cluster's slots: whatever a server answers to CLUSTER SLOTS, what is made of it is
 * sound, and so is what is made of the text of an error.
 */

#include "fuzz.h"

#include <errno.h>
#include <string.h>

#include "broker/redis/redirect.h"
#include "broker/redis/reply.h"
#include "broker/redis/slot_map.h"

static void check_map(const struct redis_slot_map *map)
{
	const struct redis_slot_map none = {0};
	size_t n = 0, n_of_nodes = 0;

	PROMISE(map->n_nodes > 0 && map->n_nodes <= REDIS_SLOT_NODES_MAX);
	for (unsigned int slot = 0; slot < REDIS_SLOTS; slot++) {
		const struct redis_slot_node *node = redis_slot_map_owner(map, slot);

		PROMISE(!node || (node->port && node->host[0] && strlen(node->host) <= REDIS_SLOT_HOST_MAX));
		n += node != NULL;
	}
	for (size_t i = 0; i < map->n_nodes; i++)
		n_of_nodes += map->nodes[i].n_slots;
	PROMISE(n == n_of_nodes);
	PROMISE(redis_slot_map_n_moved(map, map) == 0);
	PROMISE(redis_slot_map_n_moved(&none, map) == n);
}

static void check_redirect(struct slice error)
{
	struct redis_redirect redirect = redis_redirect_parse(error);
	struct redis_slot_map map = {0};
	int r;

	PROMISE(redirect.kind >= REDIS_REDIRECT_NONE && redirect.kind < N_REDIS_REDIRECTS);
	PROMISE(redirect.slot < REDIS_SLOTS);
	if (redirect.kind != REDIS_REDIRECT_MOVED && redirect.kind != REDIS_REDIRECT_ASK)
		return;
	PROMISE(redirect.port);
	PROMISE(redirect.host.data >= error.data && redirect.host.len < error.len);
	r = redis_slot_map_patch(&map, redirect.slot, redirect.host, redirect.port);
	PROMISE(r == 0 || r == -EIO);
	if (r == 0)
		check_map(&map);
	redis_slot_map_deinit(&map);
}

static int on_reply(void *arg, const struct redis_reply *reply)
{
	struct redis_slot_map map = {0};
	int r = redis_slot_map_read(&map, reply, slice_of("asked"));

	(void)arg;
	PROMISE(r == 0 || r == REDIS_SLOT_MAP_EMPTY || r == -EIO);
	if (r == 0)
		check_map(&map);
	else
		PROMISE(!map.nodes && !map.n_nodes);
	if (reply->values[0].kind == REDIS_ERROR)
		check_redirect(redis_reply_text(reply, 0));
	redis_slot_map_deinit(&map);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct redis_parser *parser;

	PROMISE(redis_parser_new(300, &parser) == 0);
	(void)redis_parser_feed(parser, (const char *)data, size, on_reply, NULL);
	redis_parser_free(parser);
	return 0;
}
