#ifndef TIDEGATE_BROKER_REDIS_SERVERS_H
#define TIDEGATE_BROKER_REDIS_SERVERS_H

/*
 * Redis servers: all of them, and which one has a name.
 *
 * They are those of the URLs (redis/shard.h), or the primaries of a cluster (redis/cluster.h), which says
 * what is whose. A channel is its server's alone: by its slot (redis/slot.h), which the keys of its log
 * share. Nothing is moved when a server is away: its channels wait for it, and all others go on.
 *
 * The only server may turn out to be in a cluster, of which it is a seed then.
 */

#include <stdbool.h>
#include <stddef.h>

#include "broker/broker.h"
#include "broker/redis/server.h"
#include "broker/redis/settings.h"
#include "core/buf.h"

struct redis_cluster;
struct redis_shard;

struct redis_servers {
	struct event_base *base;
	struct broker_listener events;
	/* Of all of them. changed() is also called without a server, and clustered() has to call
	 * redis_servers_found(). */
	struct redis_server_listener listener;
	struct log *log;
	struct metrics *metrics;

	struct redis_cluster *cluster; /* NULL: there are shards */
	struct redis_shard **shards;   /* in the order of the URLs, which is part of the hash */
	unsigned int n_shards;
	struct redis_settings
		settings; /* its element: the cluster, if the only server is found to be in one */
	struct event *found_timer;
	struct buf ticket_start; /* of the key of each ticket */
	unsigned int nodes_slot, revoked_slot;
};

/* The members above `cluster` are the caller's to fill, the others zeroed. They start connecting. 0 or
 * negative errno, after which it is to be freed as well. */
int redis_servers_init(struct redis_servers *servers, const struct redis_options *options);
void redis_servers_deinit(struct redis_servers *servers); /* harmless on zeroed memory */

/* The only server is in a cluster: on a turn of its own the cluster takes its place. */
void redis_servers_found(struct redis_servers *servers);

/* The server of a channel, of a key, and of the key at which backends put a ticket. NULL: nobody has its
 * slot. Borrowed until the next turn, like the others. */
struct redis_server *redis_servers_of_channel(const struct redis_servers *servers, struct slice channel);
struct redis_server *redis_servers_of_key(const struct redis_servers *servers, struct slice key);
struct redis_server *redis_servers_of_ticket(const struct redis_servers *servers, struct slice ticket);

/* Where the nodes announce themselves, and their leases are. */
struct redis_server *redis_servers_of_nodes(const struct redis_servers *servers);

/* Where it stands what a node holds. */
struct redis_server *redis_servers_of_held(const struct redis_servers *servers, struct slice node);

struct redis_server *redis_servers_of_revocations(const struct redis_servers *servers);

/* All of them, one by one. */
size_t redis_servers_n(const struct redis_servers *servers);
struct redis_server *redis_servers_at(const struct redis_servers *servers, size_t i);
void redis_servers_measure(const struct redis_servers *servers, size_t i, struct broker_shard *out);
void redis_servers_describe(const struct redis_servers *servers, size_t i, struct buf *out);

size_t redis_servers_n_channels(const struct redis_servers *servers); /* that are wanted */

/* What is wrong with them as a whole, whichever of them are ready: there are none, nobody has some slots, one
 * of a list is in a cluster. Empty: nothing, or none was asked yet. Borrowed. */
const char *redis_servers_reason(const struct redis_servers *servers);

int redis_servers_subscribe(struct redis_servers *servers, struct slice channel);
void redis_servers_unsubscribe(struct redis_servers *servers, struct slice channel);
void redis_servers_hurry(struct redis_servers *servers, struct slice channel);
bool redis_servers_look(struct redis_servers *servers); /* broker_look() */
void redis_servers_set_payload_max(struct redis_servers *servers, size_t payload_bytes_max);
void redis_servers_set_loads_library(struct redis_servers *servers, bool loads_library);

#endif
