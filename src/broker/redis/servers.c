/*
 * Redis servers: all of them, and which one has a name. See servers.h.
 */

#include "broker/redis/servers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/redis/cluster.h"
#include "broker/redis/reply.h"
#include "broker/redis/server.h"
#include "broker/redis/shard.h"
#include "broker/redis/slot.h"
#include "broker/redis/tickets.h"
#include "broker/redis/timer.h"

enum {
	FOUND_AGAIN_MS = 1000, /* until a cluster that was found is made once more, without memory */
	NAME_MAX_BYTES = 1024, /* of what is hashed: more than a prefix, a channel's name or a key ever has */
};

/* --- which server --- */

/* The slot of a name in Redis that starts so and ends so. */
static unsigned int slot_of_name(struct slice start, struct slice end)
{
	char name[NAME_MAX_BYTES];
	size_t n;

	n = start.len < sizeof(name) ? start.len : sizeof(name);
	memcpy(name, start.data, n);
	if (end.len > sizeof(name) - n)
		end.len = sizeof(name) - n;
	memcpy(name + n, end.data, end.len);
	return redis_slot((struct slice){name, n + end.len});
}

/* Of several shards; there is no cluster. */
static struct redis_shard *shard_of_name(
	const struct redis_servers *servers, struct slice start, struct slice end)
{
	if (servers->n_shards == 1)
		return servers->shards[0];
	return servers->shards[redis_slot_server(slot_of_name(start, end), servers->n_shards)];
}

/* NULL: nobody has its slot. These two are the only places where that is decided. */
static struct redis_server *server_of_name(
	const struct redis_servers *servers, struct slice start, struct slice end)
{
	if (servers->cluster)
		return redis_cluster_server(servers->cluster, slot_of_name(start, end));
	return redis_shard_server(shard_of_name(servers, start, end));
}

/* There is no cluster. */
static struct redis_shard *shard_of(const struct redis_servers *servers, struct slice channel)
{
	return shard_of_name(servers, slice_of(servers->settings.prefix), channel);
}

struct redis_server *redis_servers_of_channel(const struct redis_servers *servers, struct slice channel)
{
	return server_of_name(servers, slice_of(servers->settings.prefix), channel);
}

struct redis_server *redis_servers_of_key(const struct redis_servers *servers, struct slice key)
{
	return server_of_name(servers, (struct slice){"", 0}, key);
}

struct redis_server *redis_servers_of_ticket(const struct redis_servers *servers, struct slice ticket)
{
	return server_of_name(servers, buf_slice(&servers->ticket_start), ticket);
}

/* The first, or in a cluster that of their keys, so that all nodes look in one place. */
struct redis_server *redis_servers_of_nodes(const struct redis_servers *servers)
{
	if (servers->cluster)
		return redis_cluster_server(servers->cluster, servers->nodes_slot);
	return redis_shard_server(servers->shards[0]);
}

/* With the leases; in a cluster its key has a slot of its own. */
struct redis_server *redis_servers_of_held(const struct redis_servers *servers, struct slice node)
{
	if (servers->cluster)
		return redis_cluster_server(servers->cluster, redis_slot(node));
	return redis_servers_of_nodes(servers);
}

/* That of the control channel, so that a node follows both or none. In a cluster their key has a slot of its
 * own. */
struct redis_server *redis_servers_of_revocations(const struct redis_servers *servers)
{
	if (servers->cluster)
		return redis_cluster_server(servers->cluster, servers->revoked_slot);
	return redis_servers_of_channel(servers, slice_of(BROKER_CONTROL_CHANNEL));
}

/* --- all of them --- */

size_t redis_servers_n(const struct redis_servers *servers)
{
	return servers->cluster ? redis_cluster_n_servers(servers->cluster) : servers->n_shards;
}

struct redis_server *redis_servers_at(const struct redis_servers *servers, size_t i)
{
	return servers->cluster ? redis_cluster_server_at(servers->cluster, i)
				: redis_shard_server(servers->shards[i]);
}

void redis_servers_measure(const struct redis_servers *servers, size_t i, struct broker_shard *out)
{
	if (servers->cluster)
		redis_server_measure(redis_servers_at(servers, i), out);
	else
		redis_shard_measure(servers->shards[i], out);
}

void redis_servers_describe(const struct redis_servers *servers, size_t i, struct buf *out)
{
	if (servers->cluster)
		redis_server_describe(redis_servers_at(servers, i), out);
	else
		redis_shard_describe(servers->shards[i], out);
}

size_t redis_servers_n_channels(const struct redis_servers *servers)
{
	size_t n = 0;

	if (servers->cluster)
		return redis_cluster_n_channels(servers->cluster);
	for (size_t i = 0; i < redis_servers_n(servers); i++)
		n += redis_server_n_channels(redis_servers_at(servers, i));
	return n;
}

const char *redis_servers_reason(const struct redis_servers *servers)
{
	if (servers->cluster)
		return redis_cluster_reason(servers->cluster);
	for (unsigned int i = 0; i < servers->n_shards; i++)
		if (redis_server_is_stranger(redis_shard_server(servers->shards[i])))
			return "a server of the list is in a cluster: write its address alone for that "
			       "cluster, or a list of servers that are in none";
	return "";
}

int redis_servers_subscribe(struct redis_servers *servers, struct slice channel)
{
	if (servers->cluster)
		return redis_cluster_subscribe(servers->cluster, channel);
	return redis_shard_subscribe(shard_of(servers, channel), channel);
}

void redis_servers_unsubscribe(struct redis_servers *servers, struct slice channel)
{
	if (servers->cluster)
		redis_cluster_unsubscribe(servers->cluster, channel);
	else
		redis_shard_unsubscribe(shard_of(servers, channel), channel);
}

void redis_servers_hurry(struct redis_servers *servers, struct slice channel)
{
	if (servers->cluster)
		redis_cluster_hurry(servers->cluster, channel);
	else
		redis_server_hurry(redis_servers_of_channel(servers, channel), channel);
}

bool redis_servers_look(struct redis_servers *servers)
{
	bool more = false;

	for (size_t i = 0; i < redis_servers_n(servers); i++)
		more |= redis_server_look(redis_servers_at(servers, i));
	return more;
}

void redis_servers_set_payload_max(struct redis_servers *servers, size_t payload_bytes_max)
{
	servers->settings.options.payload_bytes_max = payload_bytes_max;
	if (servers->cluster)
		redis_cluster_set_payload_max(servers->cluster, payload_bytes_max);
	for (unsigned int i = 0; i < servers->n_shards; i++)
		redis_shard_set_payload_max(servers->shards[i], payload_bytes_max);
}

void redis_servers_set_loads_library(struct redis_servers *servers, bool loads_library)
{
	servers->settings.options.loads_library = loads_library;
	if (servers->cluster)
		redis_cluster_set_loads_library(servers->cluster, loads_library);
	for (unsigned int i = 0; i < servers->n_shards; i++)
		redis_shard_set_loads_library(servers->shards[i], loads_library);
}

/* A server of a list. One that is in a cluster has keys and channels by the cluster's slots, and not by the
 * list's. One that does not let us ask is believed. */
static const char *on_slots(void *arg, const struct redis_reply *slots)
{
	(void)arg;
	return slots->values[0].kind == REDIS_ARRAY
		       ? "it is in a cluster, and stands in a list of several servers"
		       : NULL;
}

/* --- a cluster that is found --- */

static int make_cluster(struct redis_servers *servers, const struct redis_element *element)
{
	struct redis_server_listener listener = servers->listener;

	listener.clustered = NULL;
	return redis_cluster_new(servers->base, element, &servers->settings.options, &servers->events,
		&listener, servers->log, servers->metrics, &servers->cluster);
}

/* Before the server was ready: nothing was subscribed, and no call is under way. */
static void on_found_time(evutil_socket_t fd, short what, void *arg)
{
	struct redis_servers *servers = arg;
	struct redis_shard *shard = servers->shards[0];
	struct map_entry *at = NULL;
	struct slice channel;
	int r;

	(void)fd;
	(void)what;
	r = make_cluster(servers, &servers->settings.element);
	while (r == 0 && redis_server_walk(redis_shard_server(shard), &at, &channel))
		r = redis_cluster_subscribe(servers->cluster, channel);
	if (r < 0) { /* out of memory */
		redis_cluster_free(servers->cluster);
		servers->cluster = NULL;
		redis_timer_set(servers->found_timer, FOUND_AGAIN_MS);
		return;
	}
	servers->n_shards = 0;
	redis_shard_free(shard);
}

void redis_servers_found(struct redis_servers *servers)
{
	redis_timer_set(servers->found_timer, 0);
}

/* --- the servers themselves --- */

/* One that has a database besides 0 is in no cluster. */
static bool may_be_in_cluster(const struct redis_urls *urls)
{
	const struct redis_element *only = &urls->elements[0];

	return urls->n == 1 && only->kind == REDIS_SINGLE && only->server.host && !only->server.db;
}

static int keep_settings(struct redis_servers *servers, const struct redis_options *options)
{
	const struct redis_element *first = &options->urls->elements[0];
	const struct redis_element found = {.kind = REDIS_CLUSTER,
		.server = first->server,
		.seeds = (struct redis_url *)&first->server,
		.n_seeds = 1};

	if (!may_be_in_cluster(options->urls))
		return redis_settings_init(&servers->settings, first, options);
	servers->found_timer = evtimer_new(servers->base, on_found_time, servers);
	return servers->found_timer ? redis_settings_init(&servers->settings, &found, options) : -ENOMEM;
}

static int make_shards(struct redis_servers *servers, const struct redis_options *options)
{
	struct redis_server_listener listener = servers->listener;
	struct redis_options its = *options;

	if (!servers->found_timer)
		listener.clustered = NULL;
	if (options->urls->n > 1)
		listener.stranger = on_slots;
	servers->shards = calloc(options->urls->n, sizeof(*servers->shards));
	if (!servers->shards)
		return -ENOMEM;
	for (size_t i = 0; i < options->urls->n; i++) {
		int r;

		its.seed = options->seed + i * 7919; /* so that they do not dial in step */
		r = redis_shard_new(servers->base, &options->urls->elements[i], &its, &servers->events,
			&listener, servers->log, servers->metrics, &servers->shards[i]);
		if (r < 0)
			return r;
		servers->n_shards++;
	}
	return 0;
}

int redis_servers_init(struct redis_servers *servers, const struct redis_options *options)
{
	struct slice prefix = slice_of(options->channel_prefix);
	int r = keep_settings(servers, options);

	if (r < 0)
		return r;
	redis_tickets_start(options->channel_prefix, &servers->ticket_start);
	if (servers->ticket_start.failed)
		return -ENOMEM;
	servers->nodes_slot = slot_of_name(prefix, slice_of("nodes"));
	servers->revoked_slot = slot_of_name(prefix, slice_of("revoked"));
	if (options->urls->elements[0].kind == REDIS_CLUSTER)
		return make_cluster(servers, &options->urls->elements[0]);
	return make_shards(servers, options);
}

void redis_servers_deinit(struct redis_servers *servers)
{
	if (servers->cluster)
		redis_cluster_stop(servers->cluster);
	redis_cluster_free(servers->cluster);
	for (unsigned int i = 0; i < servers->n_shards; i++)
		redis_shard_stop(servers->shards[i]);
	for (unsigned int i = 0; i < servers->n_shards; i++)
		redis_shard_free(servers->shards[i]);
	if (servers->found_timer)
		event_free(servers->found_timer);
	free(servers->shards);
	redis_settings_deinit(&servers->settings);
	buf_deinit(&servers->ticket_start);
}
