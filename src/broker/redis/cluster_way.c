/*
 * Redis cluster, the way of a command: to who has its slot, and where a server sends it.
 */

#include "broker/redis/cluster_private.h"
#include "core/clock.h"
#include "metrics/metrics.h"

static struct redis_link *owner_link(void *arg, unsigned int slot)
{
	struct redis_cluster *cluster = arg;
	struct redis_member *member = redis_members_owner(&cluster->members, slot);

	return member ? redis_server_commander(member->server) : NULL;
}

static struct redis_link *link_at(void *arg, struct slice host, uint16_t port)
{
	struct redis_cluster *cluster = arg;
	struct redis_member *member = redis_members_find(&cluster->members, host, port);

	return member ? redis_server_commander(member->server) : NULL;
}

static void count_redirect(struct redis_cluster *cluster, enum redis_redirect_kind kind)
{
	static const enum metric rows[N_REDIS_REDIRECTS] = {
		[REDIS_REDIRECT_MOVED] = METRIC_REDIS_REDIRECTS_MOVED,
		[REDIS_REDIRECT_ASK] = METRIC_REDIS_REDIRECTS_ASK,
		[REDIS_REDIRECT_TRYAGAIN] = METRIC_REDIS_REDIRECTS_TRYAGAIN,
		[REDIS_REDIRECT_CLUSTERDOWN] = METRIC_REDIS_REDIRECTS_CLUSTERDOWN,
		[REDIS_REDIRECT_READONLY] = METRIC_REDIS_REDIRECTS_READONLY,
	};

	if (kind != REDIS_REDIRECT_NONE)
		metrics_add(cluster->metrics, rows[kind], 1);
}

/* A slot may be on its way to a server that has none yet. It is no primary of ours, so it leaves by itself
 * when nobody is sent there any more. */
static void keep_guest(struct redis_cluster *cluster, const struct redis_redirect *redirect)
{
	struct redis_member *member = redis_members_find(&cluster->members, redirect->host, redirect->port);
	struct redis_slot_map map = {0};

	if (!member && redis_members_n(&cluster->members) < REDIS_SLOT_NODES_MAX &&
		redis_slot_map_patch(&map, redirect->slot, redirect->host, redirect->port) == 0) {
		member = redis_cluster_make_member(cluster, map.nodes);
		if (member)
			member->left_ms = clock_monotonic_ms();
	} else if (member && member->left_ms) {
		member->left_ms = clock_monotonic_ms();
	}
	redis_slot_map_deinit(&map);
}

/* A slot that has moved is noted at once for commands; channels follow with the next map, for which the
 * one who has it now is asked. */
void redis_cluster_redirected(struct redis_cluster *cluster, const struct redis_redirect *redirect)
{
	struct redis_member *member;

	count_redirect(cluster, redirect->kind);
	if (redirect->kind == REDIS_REDIRECT_ASK)
		keep_guest(cluster, redirect);
	if (redirect->kind == REDIS_REDIRECT_ASK || redirect->kind == REDIS_REDIRECT_TRYAGAIN)
		return; /* on the way: the map has not changed */
	if (redirect->kind == REDIS_REDIRECT_MOVED) {
		member = redis_members_find(&cluster->members, redirect->host, redirect->port);
		if (member)
			cluster->poll.next = member;
		if (member && redis_slot_map_patch(&cluster->members.map, redirect->slot, redirect->host,
				      redirect->port) == 0)
			(void)redis_cluster_link_members(cluster);
	}
	redis_map_poll_doubt(&cluster->poll);
}

static void redirected(void *arg, const struct redis_redirect *redirect)
{
	redis_cluster_redirected(arg, redirect);
}

static void lacks(void *arg, const struct redis_link *link)
{
	struct redis_cluster *cluster = arg;
	struct list *head = &cluster->members.all;

	for (struct list *at = head->next; at != head; at = at->next) {
		struct redis_member *member = list_entry(at, struct redis_member, link);

		if (redis_server_commander(member->server) == link)
			redis_server_lacks_library(member->server);
	}
}

void redis_cluster_make_way(struct redis_cluster *cluster)
{
	cluster->router =
		(struct redis_slots_source){cluster, cluster->lines, owner_link, link_at, redirected, lacks};
	cluster->settings.options.router = &cluster->router;
}
