/*
 * Redis members: the primaries of a cluster that we are connected to. See members.h.
 */

#include "broker/redis/members.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "broker/redis/server.h"

void redis_members_init(struct redis_members *members)
{
	*members = (struct redis_members){0};
	list_init(&members->all);
}

void redis_members_deinit(struct redis_members *members)
{
	redis_slot_map_deinit(&members->map);
	free(members->of_nodes);
	members->of_nodes = NULL;
}

struct redis_member *redis_members_find(const struct redis_members *members, struct slice host, uint16_t port)
{
	for (struct list *at = members->all.next; at != &members->all; at = at->next) {
		struct redis_member *member = list_entry(at, struct redis_member, link);

		if (member->at.port == port && strlen(member->at.host) == host.len &&
			strncasecmp(member->at.host, host.data, host.len) == 0)
			return member;
	}
	return NULL;
}

size_t redis_members_n(const struct redis_members *members)
{
	size_t n = 0;

	for (struct list *at = members->all.next; at != &members->all; at = at->next)
		n++;
	return n;
}

int redis_members_link(struct redis_members *members)
{
	size_t n = members->map.n_nodes;
	struct redis_member **of_nodes = calloc(n + 1, sizeof(struct redis_member *)); /* never of nothing */

	if (!of_nodes)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		of_nodes[i] = redis_members_find(
			members, slice_of(members->map.nodes[i].host), members->map.nodes[i].port);
	free(members->of_nodes);
	members->of_nodes = of_nodes;
	return 0;
}

struct redis_member *redis_members_owner(const struct redis_members *members, unsigned int slot)
{
	return members->map.owners[slot] ? members->of_nodes[members->map.owners[slot] - 1] : NULL;
}

bool redis_member_is_sound(const struct redis_member *member)
{
	return redis_server_is_ready(member->server) && !member->late && !member->left_ms;
}

struct redis_member *redis_members_refuge(const struct redis_members *members, unsigned int slot)
{
	struct redis_member *owner = redis_members_owner(members, slot);
	size_t n = 0, i = 0;

	if (owner && redis_member_is_sound(owner))
		return owner;
	for (struct list *at = members->all.next; at != &members->all; at = at->next)
		n += redis_member_is_sound(list_entry(at, struct redis_member, link));
	for (struct list *at = members->all.next; at != &members->all; at = at->next) {
		struct redis_member *member = list_entry(at, struct redis_member, link);

		if (redis_member_is_sound(member) && i++ == slot % n)
			return member;
	}
	return NULL;
}
