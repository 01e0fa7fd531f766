#ifndef TIDEGATE_BROKER_REDIS_CLUSTER_PRIVATE_H
#define TIDEGATE_BROKER_REDIS_CLUSTER_PRIVATE_H

/*
 * Shared by the cluster's files: cluster.c keeps the members and follows the map, cluster_ears.c has what the
 * members' servers say, cluster_sharded.c whether they know sharded channels, cluster_way.c the way of
 * commands.
 */

#include "broker/redis/cluster.h"
#include "broker/redis/cluster_channels.h"
#include "broker/redis/errand.h"
#include "broker/redis/map_poll.h"
#include "broker/redis/members.h"
#include "broker/redis/redirect.h"
#include "broker/redis/server.h"
#include "broker/redis/settings.h"
#include "core/log.h"

struct redis_cluster {
	struct event_base *base;
	struct redis_server_listener listener;
	struct log *log;
	struct metrics *metrics;
	struct redis_settings settings;
	struct redis_slots_source router;
	struct redis_line lines[REDIS_SLOTS]; /* pages that no action touches take no memory */

	struct redis_members members;
	struct redis_cluster_channels channels;
	struct redis_map_poll poll;

	uint64_t sharded_ms; /* when we publish to sharded channels again, or then give up the classic way; 0:
				there is nothing to wait for */
	struct event *tick_timer;
	uint64_t tick_ms;
	struct log_limit moves_limit, unserved_limit;
	char unserved[64]; /* what is said of slots that nobody has; "": each has a server */
};

/* cluster.c. A member for this address; NULL: out of memory. */
struct redis_member *redis_cluster_make_member(
	struct redis_cluster *cluster, const struct redis_slot_node *at);

/* Without memory nobody has a slot until the next map, and it is false. */
bool redis_cluster_link_members(struct redis_cluster *cluster);

/* cluster_ears.c. Makes the server of a member, and hears it. 0 or negative errno. */
int redis_cluster_hear(struct redis_cluster *cluster, struct redis_member *member);

/* cluster_sharded.c. A server that is ready is asked; it was found out that one is too old; one has gone, or
 * a moment has passed. */
void redis_cluster_ask_sharded(struct redis_member *member);
void redis_cluster_lacks_sharded(struct redis_member *member, struct slice why);
void redis_cluster_judge_sharded(struct redis_cluster *cluster);
void redis_cluster_tick_sharded(struct redis_cluster *cluster, uint64_t now_ms);

/* cluster_way.c. The router of the members' servers; and what to do when one of them redirects us. */
void redis_cluster_make_way(struct redis_cluster *cluster);
void redis_cluster_redirected(struct redis_cluster *cluster, const struct redis_redirect *redirect);

#endif
