/*
 * Redis cluster: a server for each primary that has slots, and the map that says which. See cluster.h.
 */

#include "broker/redis/cluster_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/redis/timer.h"
#include "core/clock.h"
#include "metrics/metrics.h"

enum {
	TICK_MS = 250,
	STALL_MS = 2 * TICK_MS, /* our own loop was late: whose answer was not read is not late */
	HOPE_MS = 1000,  /* a member that was never ready is waited for, before others take its channels */
	DRAIN_MS = 2000, /* for calls that are under way to a member that has left */
};

/* --- members --- */

struct redis_member *redis_cluster_make_member(
	struct redis_cluster *cluster, const struct redis_slot_node *at)
{
	struct redis_member *member = calloc(1, sizeof(*member));

	if (!member)
		return NULL;
	member->cluster = cluster;
	member->poll = &cluster->poll;
	member->at = *at;
	member->made_ms = clock_monotonic_ms();
	if (redis_cluster_hear(cluster, member) < 0) {
		free(member);
		return NULL;
	}
	list_push_back(&cluster->members.all, &member->link);
	return member;
}

bool redis_cluster_link_members(struct redis_cluster *cluster)
{
	if (redis_members_link(&cluster->members) == 0)
		return true;
	redis_slot_map_deinit(&cluster->members.map);
	return false;
}

/* Not from inside a call of its server. */
static void free_member(struct redis_cluster *cluster, struct redis_member *member)
{
	redis_cluster_channels_forget(&cluster->channels, member);
	redis_map_poll_forget(&cluster->poll, member);
	list_remove(&member->link);
	(void)redis_cluster_link_members(cluster);
	redis_server_retire(member->server);
	redis_server_free(member->server);
	free(member);
	redis_cluster_judge_sharded(cluster);
}

/* Whoever has slots has a server. True: there are others than before. */
static bool make_members(struct redis_cluster *cluster)
{
	const struct redis_slot_map *map = &cluster->members.map;
	struct list *head = &cluster->members.all;
	uint64_t now_ms = clock_monotonic_ms();
	bool changed = false;

	for (struct list *at = head->next; at != head; at = at->next) {
		struct redis_member *member = list_entry(at, struct redis_member, link);
		const struct redis_slot_node *at_it =
			redis_slot_map_find(map, slice_of(member->at.host), member->at.port);
		bool has_left = !at_it || !at_it->n_slots;

		if (at_it) /* a server that was made anew is another one at the same place */
			memcpy(member->at.id, at_it->id, sizeof(member->at.id));
		changed |= has_left != (member->left_ms != 0);
		if (!has_left)
			member->left_ms = 0;
		else if (!member->left_ms)
			member->left_ms = now_ms;
	}
	for (size_t i = 0; i < map->n_nodes; i++)
		if (map->nodes[i].n_slots && !redis_members_find(&cluster->members,
						     slice_of(map->nodes[i].host), map->nodes[i].port))
			changed |= redis_cluster_make_member(cluster, &map->nodes[i]) != NULL;
	return changed;
}

/* told: something else is to be told about the cluster as a whole. */
static void follow_map(struct redis_cluster *cluster, size_t n_moved, bool told)
{
	bool changed = make_members(cluster);
	struct list *head = &cluster->members.all;

	if (!redis_cluster_link_members(cluster))
		return;
	if (n_moved || changed)
		redis_map_poll_changed(&cluster->poll);
	redis_cluster_channels_place(&cluster->channels, n_moved || changed);
	for (struct list *at = head->next; at != head; at = at->next) {
		struct redis_member *member = list_entry(at, struct redis_member, link);

		if (member->left_ms)
			redis_cluster_channels_evacuate(&cluster->channels, member);
	}
	if (changed || told)
		cluster->listener.changed(
			cluster->listener.arg, NULL, "the cluster has other primaries than before");
}

/* A reshard moves thousands, one by one. */
static void note_moves(struct redis_cluster *cluster, size_t n_moved)
{
	uint64_t suppressed;

	if (log_limit_allow(cluster->log, &cluster->moves_limit, clock_monotonic_ms(), &suppressed))
		log_info(cluster->log, "redis: slots have moved in the cluster", log_uint("slots", n_moved),
			log_uint("suppressed", suppressed));
}

/*
 * A server at whose address another one answers has no address in the map any more, and its slots are
 * nobody's until it is replaced. True: it is said now, or no longer.
 */
static bool note_unserved(struct redis_cluster *cluster, const struct redis_slot_map *map)
{
	unsigned int n = redis_slot_map_n_unserved(map);
	bool was_whole = !*cluster->unserved;
	uint64_t suppressed;

	*cluster->unserved = '\0';
	if (n)
		snprintf(cluster->unserved, sizeof(cluster->unserved),
			"no server has %u of the cluster's %d slots", n, REDIS_SLOTS);
	if (was_whole == !n)
		return false;
	if (!log_limit_allow(cluster->log, &cluster->unserved_limit, clock_monotonic_ms(), &suppressed))
		return true;
	if (n)
		log_error(cluster->log, "redis: no server has some slots of the cluster, their channels wait",
			log_uint("slots", n), log_uint("suppressed", suppressed));
	else
		log_info(cluster->log, "redis: each slot of the cluster has a server again",
			log_uint("suppressed", suppressed));
	return true;
}

static bool on_mapped(void *arg, struct redis_slot_map *map)
{
	struct redis_cluster *cluster = arg;
	bool first = !cluster->members.map.n_nodes;
	bool told = note_unserved(cluster, map);
	size_t n_moved = redis_slot_map_n_moved(&cluster->members.map, map);

	if (!first)
		metrics_add(cluster->metrics, METRIC_REDIS_SLOT_MOVES, n_moved);
	if (n_moved && !first)
		note_moves(cluster, n_moved);
	redis_slot_map_deinit(&cluster->members.map);
	cluster->members.map = *map;
	follow_map(cluster, n_moved, told);
	return list_empty(&cluster->channels.unplaced);
}

/* --- the clock --- */

static void on_pong(void *arg, const struct redis_reply *reply)
{
	struct redis_member *member = arg;

	(void)reply; /* an error is a sign of life, too */
	member->pinged_ms = 0;
	member->late = false;
}

/* Its link may be open for long while nothing comes any more. */
static void look_after(struct redis_cluster *cluster, struct redis_member *member, uint64_t now_ms)
{
	const struct slice argv[] = {slice_of("PING")};
	bool hopeful = !redis_server_is_ready(member->server) && now_ms - member->made_ms < HOPE_MS;

	if (!member->pinged_ms) {
		if (redis_server_ask(member->server, argv, 1, on_pong, member) == 0)
			member->pinged_ms = now_ms;
	} else if (!member->late && now_ms - member->pinged_ms >= REDIS_MEMBER_LATE_MS) {
		member->late = true;
		log_info(cluster->log, "redis: a server of the cluster does not answer",
			log_slice("redis", redis_server_address(member->server)));
		redis_map_poll_doubt(&cluster->poll);
	}
	if (!hopeful && !redis_member_is_sound(member))
		redis_cluster_channels_evacuate(&cluster->channels, member);
}

static bool is_settled(const struct redis_cluster *cluster)
{
	const struct list *head = &cluster->members.all;

	for (const struct list *at = head->next; at != head; at = at->next)
		if (!redis_member_is_sound(list_entry(at, struct redis_member, link)))
			return false;
	return !list_empty(head) && list_empty(&cluster->channels.unplaced);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct redis_cluster *cluster = arg;
	struct list *head = &cluster->members.all, *next;
	uint64_t now_ms = clock_monotonic_ms();
	bool stalled = now_ms - cluster->tick_ms >= STALL_MS;

	(void)fd;
	(void)what;
	cluster->tick_ms = now_ms;
	redis_timer_set(cluster->tick_timer, TICK_MS);
	for (struct list *at = head->next; at != head; at = next) {
		struct redis_member *member = list_entry(at, struct redis_member, link);

		next = at->next;
		if (stalled && member->pinged_ms)
			member->pinged_ms = now_ms;
		if (member->left_ms && now_ms - member->left_ms >= DRAIN_MS)
			free_member(cluster, member);
		else
			look_after(cluster, member, now_ms);
	}
	if (cluster->poll.mapped_ms)
		metrics_set(cluster->metrics, METRIC_REDIS_TOPOLOGY_AGE,
			(now_ms - cluster->poll.mapped_ms) * 1000);
	redis_cluster_tick_sharded(cluster, now_ms);
	redis_map_poll_tick(&cluster->poll, now_ms, is_settled(cluster));
}

/* --- the interface --- */

int redis_cluster_subscribe(struct redis_cluster *cluster, struct slice channel)
{
	return redis_cluster_channels_want(&cluster->channels, channel);
}

void redis_cluster_unsubscribe(struct redis_cluster *cluster, struct slice channel)
{
	redis_cluster_channels_unwant(&cluster->channels, channel);
}

void redis_cluster_hurry(struct redis_cluster *cluster, struct slice channel)
{
	redis_cluster_channels_hurry(&cluster->channels, channel);
}

struct redis_server *redis_cluster_server(const struct redis_cluster *cluster, unsigned int slot)
{
	const struct redis_member *member = redis_members_owner(&cluster->members, slot);

	return member ? member->server : NULL;
}

struct redis_server *redis_cluster_server_at(const struct redis_cluster *cluster, size_t i)
{
	const struct list *head = &cluster->members.all;

	for (const struct list *at = head->next; at != head; at = at->next) {
		const struct redis_member *member = list_entry(at, struct redis_member, link);

		if (!member->left_ms && i-- == 0)
			return member->server;
	}
	return NULL;
}

size_t redis_cluster_n_servers(const struct redis_cluster *cluster)
{
	size_t n = 0;

	while (redis_cluster_server_at(cluster, n))
		n++;
	return n;
}

size_t redis_cluster_n_channels(const struct redis_cluster *cluster)
{
	return cluster->channels.by_name.n_entries;
}

const char *redis_cluster_reason(const struct redis_cluster *cluster)
{
	return list_empty(&cluster->members.all) ? cluster->poll.scout.reason : cluster->unserved;
}

void redis_cluster_set_payload_max(struct redis_cluster *cluster, size_t payload_bytes_max)
{
	struct list *head = &cluster->members.all;

	cluster->settings.options.payload_bytes_max = payload_bytes_max;
	for (struct list *at = head->next; at != head; at = at->next)
		redis_server_set_payload_max(
			list_entry(at, struct redis_member, link)->server, payload_bytes_max);
}

void redis_cluster_set_loads_library(struct redis_cluster *cluster, bool loads_library)
{
	struct list *head = &cluster->members.all;

	cluster->settings.options.loads_library = loads_library;
	for (struct list *at = head->next; at != head; at = at->next)
		redis_server_set_loads_library(
			list_entry(at, struct redis_member, link)->server, loads_library);
}

/* --- the cluster itself --- */

void redis_cluster_stop(struct redis_cluster *cluster)
{
	struct list *head = &cluster->members.all;

	cluster->poll.stopped = true;
	for (struct list *at = head->next; at != head; at = at->next)
		redis_server_stop(list_entry(at, struct redis_member, link)->server);
}

void redis_cluster_free(struct redis_cluster *cluster)
{
	if (!cluster)
		return;
	redis_cluster_stop(cluster);
	while (!list_empty(&cluster->members.all)) {
		struct redis_member *member =
			list_entry(cluster->members.all.next, struct redis_member, link);

		list_remove(&member->link);
		redis_server_free(member->server);
		free(member);
	}
	redis_map_poll_deinit(&cluster->poll);
	redis_cluster_channels_deinit(&cluster->channels);
	redis_members_deinit(&cluster->members);
	if (cluster->tick_timer)
		event_free(cluster->tick_timer);
	redis_settings_deinit(&cluster->settings);
	free(cluster);
}

static int start(struct redis_cluster *cluster)
{
	int r;

	cluster->tick_timer = evtimer_new(cluster->base, on_tick, cluster);
	if (!cluster->tick_timer || redis_members_link(&cluster->members) < 0)
		return -ENOMEM;
	cluster->poll.listener = (struct redis_map_poll_listener){cluster, on_mapped};
	cluster->poll.base = cluster->base;
	cluster->poll.log = cluster->log;
	cluster->poll.members = &cluster->members;
	r = redis_map_poll_init(&cluster->poll, &cluster->settings);
	cluster->tick_ms = clock_monotonic_ms();
	redis_timer_set(cluster->tick_timer, TICK_MS);
	return r;
}

int redis_cluster_new(struct event_base *base, const struct redis_element *element,
	const struct redis_options *options, const struct broker_listener *events,
	const struct redis_server_listener *listener, struct log *log, struct metrics *metrics,
	struct redis_cluster **clusterp)
{
	struct redis_cluster *cluster = calloc(1, sizeof(*cluster));
	int r;

	if (!cluster)
		return -ENOMEM;
	cluster->base = base;
	cluster->listener = *listener;
	cluster->log = log;
	cluster->metrics = metrics;
	cluster->moves_limit = (struct log_limit){.burst = 3, .interval_ms = 30 * 1000};
	cluster->unserved_limit = cluster->moves_limit;
	redis_members_init(&cluster->members);
	r = redis_settings_init(&cluster->settings, element, options);
	cluster->settings.options.sharded = options->pubsub != REDIS_PUBSUB_CLASSIC;
	redis_cluster_make_way(cluster);
	cluster->channels = (struct redis_cluster_channels){
		.events = *events,
		.members = &cluster->members,
		.prefix = cluster->settings.prefix,
		.hears = {[REDIS_CLASSIC] = options->pubsub != REDIS_PUBSUB_SHARDED,
			[REDIS_SHARDED] = options->pubsub != REDIS_PUBSUB_CLASSIC},
#ifdef TIDEGATE_FAULT_CONTROLS
		.fault_off = options->fault_off,
#endif
	};
	redis_cluster_channels_init(&cluster->channels);
	if (r == 0)
		r = start(cluster);
	if (r < 0) {
		redis_cluster_free(cluster);
		return r;
	}
	*clusterp = cluster;
	return 0;
}
