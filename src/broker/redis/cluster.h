#ifndef TIDEGATE_BROKER_REDIS_CLUSTER_H
#define TIDEGATE_BROKER_REDIS_CLUSTER_H

/*
 * Redis cluster: a server for each primary that has slots, and the map that says which.
 *
 *     seeds ── scout ──► CLUSTER SLOTS ──► map ──► members: a redis_server each
 *                             ▲                       │
 *                             └── every 2 s, or 250 ms, or at once: doubt ──┘
 *
 * The map is asked for and never waited for: what servers say by themselves (MOVED, the end of a
 * subscription, a lost link) makes the next question sooner, and no more. One is under way at a time,
 * and 20 ms are between two. Whoever has lost its last slot stays for a moment, so that calls end, and
 * is freed.
 *
 * Members dial for themselves, with their own back-off, and nobody else does but the scout, while no
 * member can be asked.
 */

#include <stddef.h>
#include <stdint.h>

#include "broker/broker.h"

struct redis_cluster;
struct redis_element;
struct redis_options;
struct redis_server;
struct redis_server_listener;

/* As redis_server_new(). changed() of the listener is also called without a server: there are others
 * now. */
int redis_cluster_new(struct event_base *base, const struct redis_element *element,
	const struct redis_options *options, const struct broker_listener *events,
	const struct redis_server_listener *listener, struct log *log, struct metrics *metrics,
	struct redis_cluster **clusterp);
void redis_cluster_stop(struct redis_cluster *cluster); /* as redis_server_stop() */
void redis_cluster_free(struct redis_cluster *cluster); /* accepts NULL and a half-built one */

int redis_cluster_subscribe(struct redis_cluster *cluster, struct slice channel);
void redis_cluster_unsubscribe(struct redis_cluster *cluster, struct slice channel);
void redis_cluster_hurry(struct redis_cluster *cluster, struct slice channel);

/* The server that has the slot; NULL: none that we know. Borrowed until the next turn. */
struct redis_server *redis_cluster_server(const struct redis_cluster *cluster, unsigned int slot);

/* The servers of the primaries, in no order. */
size_t redis_cluster_n_servers(const struct redis_cluster *cluster);
struct redis_server *redis_cluster_server_at(const struct redis_cluster *cluster, size_t i);
size_t redis_cluster_n_channels(const struct redis_cluster *cluster); /* that are wanted */

/* Why there are no servers; empty: there are, or none was asked yet. Borrowed. */
const char *redis_cluster_reason(const struct redis_cluster *cluster);

void redis_cluster_set_payload_max(struct redis_cluster *cluster, size_t payload_bytes_max);
void redis_cluster_set_loads_library(struct redis_cluster *cluster, bool loads_library);

#endif
