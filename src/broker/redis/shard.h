#ifndef TIDEGATE_BROKER_REDIS_SHARD_H
#define TIDEGATE_BROKER_REDIS_SHARD_H

/*
 * Redis shard: what has a share of the channels: a server, wherever it is at the moment.
 *
 * With a fixed address that is one redis_server, for good. Where sentinels name the primary, there is a
 * server for each address that they name:
 *
 *     next ── ready ──► server ── another one is ready ──► former ── 30 s, or it is closed ──► (gone)
 *
 * A new server is made and proven before the old one is given up. The old primary may take writes for a
 * while, and publishers that have not noticed yet still talk to it: so its subscriber stays, and its plain
 * events go up beside those of the new one. Entries of its logs are dropped, for no log has them: that
 * branch is dead.
 *
 * A server that is lost is dialled again only while the sentinels name it, or say nothing.
 */

#include "broker/broker.h"

struct redis_element;
struct redis_options;
struct redis_server;
struct redis_server_listener;
struct redis_shard;

/* As redis_server_new(). All is copied but log and metrics. */
int redis_shard_new(struct event_base *base, const struct redis_element *element,
	const struct redis_options *options, const struct broker_listener *events,
	const struct redis_server_listener *listener, struct log *log, struct metrics *metrics,
	struct redis_shard **shardp);

/* Tells all who wait, on all its servers, and takes no more calls: to be freed. Of several shards all are
 * stopped before the first is freed, for those who are told may ask another one. */
void redis_shard_stop(struct redis_shard *shard);
void redis_shard_free(struct redis_shard *shard); /* accepts NULL and a half-built one */

/* The server of the moment; never NULL. Borrowed until the next turn. */
struct redis_server *redis_shard_server(const struct redis_shard *shard);

int redis_shard_subscribe(struct redis_shard *shard, struct slice channel);
void redis_shard_unsubscribe(struct redis_shard *shard, struct slice channel);
void redis_shard_set_payload_max(struct redis_shard *shard, size_t payload_bytes_max);
void redis_shard_set_loads_library(struct redis_shard *shard, bool loads_library);

void redis_shard_measure(const struct redis_shard *shard, struct broker_shard *out);

/* Appends the members of a JSON object, as redis_server_describe(). */
void redis_shard_describe(const struct redis_shard *shard, struct buf *out);

#endif
