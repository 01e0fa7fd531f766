/*
 * Redis cluster: a server for each primary that has slots, and the map that says which. See cluster.h.
 */

#include "broker/redis/cluster.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <event2/event.h>

#include "broker/redis/cluster_channels.h"
#include "broker/redis/errand.h"
#include "broker/redis/error.h"
#include "broker/redis/members.h"
#include "broker/redis/reply.h"
#include "broker/redis/scout.h"
#include "broker/redis/server.h"
#include "broker/redis/subscriber.h"
#include "broker/redis/timer.h"
#include "broker/redis/urls.h"
#include "broker/redis_broker.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/log.h"
#include "metrics/metrics.h"

enum {
	TICK_MS = 250,
	POLL_MS = 2000,     /* while all is well */
	POLL_SOON_MS = 250, /* while it is not */
	POLL_GAP_MS = 20,   /* between two, whatever happens: 256 of them saw 295 slots move, one by one */
	LATE_MS = 500,      /* a member that is silent for so long is not heard any more, as far as we know */
	STALL_MS = 2 * TICK_MS, /* our own loop was late: whose answer was not read is not late */
	HOPE_MS = 1000,  /* a member that was never ready is waited for, before others take its channels */
	DRAIN_MS = 2000, /* for calls that are under way to a member that has left */
};

struct redis_cluster {
	struct event_base *base;
	struct redis_server_listener listener;
	struct log *log;
	struct metrics *metrics;
	struct redis_element element;
	struct redis_options options; /* its texts are the two below */
	char *prefix;
	char *node_id;
	struct buf client_name;
	struct redis_slots_source router;

	struct redis_members members;
	struct redis_cluster_channels channels;
	struct redis_scout scout;

	struct event *tick_timer, *poll_timer;
	struct redis_member *asked; /* who is asked for the map now; NULL: nobody */
	struct redis_member *next;  /* who knows best; NULL: whoever is next in the line */
	size_t n_polls;
	uint64_t asked_ms;
	uint64_t mapped_ms; /* when the map was last confirmed; 0: never */
	uint64_t tick_ms;
	uint32_t doubt_ms; /* the gap before the next question, which grows while nothing changes */
	bool stopped;
	struct log_limit complaint_limit, moves_limit;
};

/* --- asking for the map --- */

/* Something has changed, or may have. */
static void doubt(struct redis_cluster *cluster)
{
	uint64_t now_ms = clock_monotonic_ms();
	uint64_t since_ms = now_ms - cluster->asked_ms;

	if (cluster->stopped || cluster->asked || event_pending(cluster->poll_timer, EV_TIMEOUT, NULL))
		return;
	redis_timer_set(cluster->poll_timer,
		since_ms >= cluster->doubt_ms ? 0 : (uint32_t)(cluster->doubt_ms - since_ms));
}

static void note(struct redis_cluster *cluster, struct slice where, const char *what)
{
	uint64_t suppressed;

	if (log_limit_allow(cluster->log, &cluster->complaint_limit, clock_monotonic_ms(), &suppressed))
		log_warn(cluster->log, "redis: a server does not tell who is in the cluster",
			log_slice("redis", where), log_str("reason", what),
			log_uint("suppressed", suppressed));
}

/* What is wrong with an answer to CLUSTER SLOTS. */
static const char *fault_of(const struct redis_reply *reply, int r)
{
	struct slice text = redis_reply_text(reply, 0);

	if (reply->values[0].kind != REDIS_ERROR)
		return r == REDIS_SLOT_MAP_EMPTY ? "knows of no slots: is it in the cluster?"
						 : "answers CLUSTER SLOTS with what makes no sense";
	if (slice_starts(text, "NOPERM"))
		return "does not let us ask who is in the cluster: the user needs +cluster|slots";
	return redis_error_errno(text) == -EIO ? "is no cluster: write a list for several servers"
					       : "cannot say yet who is in the cluster";
}

static void take_map(struct redis_cluster *cluster, struct redis_slot_map *map);

/* True: it was a map. */
static bool take_answer(struct redis_cluster *cluster, const struct redis_reply *reply, struct slice host,
	struct slice where, const char **faultp)
{
	struct redis_slot_map map = {0};
	int r = redis_slot_map_read(&map, reply, host);

	if (r == 0) {
		cluster->mapped_ms = clock_monotonic_ms();
		take_map(cluster, &map);
		return true;
	}
	*faultp = fault_of(reply, r);
	note(cluster, where, *faultp);
	return false;
}

static void on_slots(void *arg, const struct redis_reply *reply)
{
	struct redis_member *member = arg;
	struct redis_cluster *cluster = member->cluster;
	const char *fault;

	if (cluster->asked != member || cluster->stopped)
		return; /* it was given up */
	cluster->asked = NULL;
	if (!reply || !take_answer(cluster, reply, slice_of(member->at.host),
			      redis_server_address(member->server), &fault))
		doubt(cluster);
	else if (!list_empty(&cluster->channels.unplaced))
		doubt(cluster);
}

static void on_scouted(void *arg, const struct redis_reply *reply, struct slice asked)
{
	struct redis_cluster *cluster = arg;
	const char *fault;

	if (cluster->stopped)
		return;
	if (take_answer(cluster, reply, asked, asked, &fault))
		redis_scout_want(&cluster->scout, false);
	else
		redis_scout_complain(&cluster->scout, fault);
}

static bool ask(struct redis_cluster *cluster, struct redis_member *member)
{
	const struct slice argv[] = {slice_of("CLUSTER"), slice_of("SLOTS")};

	if (member->late || redis_server_ask(member->server, argv, 2, on_slots, member) < 0)
		return false;
	cluster->asked = member;
	return true;
}

static struct redis_member *nth_member(const struct redis_cluster *cluster, size_t n)
{
	struct list *at = cluster->members.all.next;

	while (n--)
		at = at->next;
	return list_entry(at, struct redis_member, link);
}

/* The one who knows best, or each primary in turn. Whoever has left is not asked: a primary that is cut off
 * from the others goes on claiming its slots after its replica took over. */
static void poll_map(struct redis_cluster *cluster)
{
	struct redis_member *next = cluster->next;
	size_t n = redis_members_n(&cluster->members);

	cluster->next = NULL;
	cluster->asked_ms = clock_monotonic_ms();
	if (next && ask(cluster, next))
		return;
	for (size_t i = 0; i < n; i++) {
		next = nth_member(cluster, cluster->n_polls++ % n);
		if (!next->left_ms && ask(cluster, next))
			return;
	}
	redis_scout_want(&cluster->scout, true);
}

static void on_poll_time(evutil_socket_t fd, short what, void *arg)
{
	struct redis_cluster *cluster = arg;

	(void)fd;
	(void)what;
	if (cluster->asked)
		return;
	cluster->doubt_ms = cluster->doubt_ms * 2 < POLL_SOON_MS ? cluster->doubt_ms * 2 : POLL_SOON_MS;
	poll_map(cluster);
}

/* --- members --- */

static void on_event(void *arg, struct slice name, struct slice payload)
{
	struct redis_member *member = arg;

	redis_cluster_channels_event(&member->cluster->channels, member, REDIS_CLASSIC, name, payload);
}

static void on_drained(void *arg)
{
	struct redis_member *member = arg;

	member->cluster->channels.events.drained(member->cluster->channels.events.arg);
}

static void on_subscribed(void *arg, struct slice name)
{
	struct redis_member *member = arg;

	redis_cluster_channels_subscribed(&member->cluster->channels, member, REDIS_CLASSIC, name);
}

static void on_lost(void *arg, struct slice name)
{
	struct redis_member *member = arg;

	redis_cluster_channels_lost(&member->cluster->channels, member, REDIS_CLASSIC, name);
}

static void on_sharded_event(void *arg, struct slice name, struct slice payload)
{
	struct redis_member *member = arg;

	redis_cluster_channels_event(&member->cluster->channels, member, REDIS_SHARDED, name, payload);
}

static void on_sharded_subscribed(void *arg, struct slice name)
{
	struct redis_member *member = arg;

	redis_cluster_channels_subscribed(&member->cluster->channels, member, REDIS_SHARDED, name);
}

static void on_sharded_lost(void *arg, struct slice name)
{
	struct redis_member *member = arg;

	redis_cluster_channels_lost(&member->cluster->channels, member, REDIS_SHARDED, name);
}

/* The server that has ended a subscription was told who has the slot now. */
static void on_gone(void *arg, struct slice name)
{
	struct redis_member *member = arg;
	struct redis_cluster *cluster = member->cluster;

	redis_cluster_channels_gone(&cluster->channels, member, name);
	if (!cluster->next && !member->left_ms)
		cluster->next = member;
	doubt(cluster);
}

static void redirected(void *arg, const struct redis_redirect *redirect);

static void stop_sharded(struct redis_cluster *cluster, struct slice why)
{
	struct list *head = &cluster->members.all;

	if (!cluster->channels.hears[REDIS_SHARDED])
		return;
	log_warn(cluster->log, "redis: this cluster knows no sharded channels", log_slice("reason", why));
	cluster->options.sharded = false;
	for (struct list *at = head->next; at != head; at = at->next)
		redis_server_set_sharded(list_entry(at, struct redis_member, link)->server, false);
	redis_cluster_channels_stop_sharded(&cluster->channels);
}

/* Not from inside of what the answer came through: on the next turn of the poll timer, that is. */
static void on_erred(void *arg, struct slice error)
{
	struct redis_member *member = arg;
	struct redis_redirect redirect = redis_redirect_parse(error);

	if (redirect.kind == REDIS_REDIRECT_NONE && redis_error_is_unknown(error)) {
		stop_sharded(member->cluster, error);
		return;
	}
	if (redirect.kind == REDIS_REDIRECT_MOVED && !redirect.host.len)
		redirect.host = slice_of(member->at.host);
	redirected(member->cluster, &redirect);
}

static void on_changed(void *arg, struct redis_server *server, const char *reason)
{
	struct redis_member *member = arg;
	struct redis_cluster *cluster = member->cluster;

	member->late = false;
	member->pinged_ms = 0;
	cluster->listener.changed(cluster->listener.arg, member->left_ms ? NULL : server, reason);
	if (redis_server_is_ready(server))
		return;
	redis_cluster_channels_evacuate(&cluster->channels, member);
	doubt(cluster);
}

static void on_measured(void *arg, struct redis_server *server, uint64_t took_us)
{
	struct redis_member *member = arg;

	member->cluster->listener.measured(member->cluster->listener.arg, server, took_us);
}

static struct redis_member *make_member(struct redis_cluster *cluster, const struct redis_slot_node *at)
{
	struct redis_member *member = calloc(1, sizeof(*member));
	const struct broker_listener events = {member, on_event, on_drained, on_subscribed, on_lost, NULL};
	const struct redis_server_listener listener = {
		.arg = member, .changed = on_changed, .measured = on_measured};
	const struct redis_sharded_listener sharded = {
		member, on_sharded_event, on_sharded_subscribed, on_sharded_lost, on_gone, on_erred};
	struct redis_url url = cluster->element.server; /* its texts are borrowed: they are copied */

	if (!member)
		return NULL;
	member->cluster = cluster;
	member->at = *at;
	member->made_ms = clock_monotonic_ms();
	url.host = member->at.host;
	url.port = member->at.port;
	cluster->options.seed += 7919; /* so that they do not dial in step */
	if (redis_server_new(cluster->base, &url, &cluster->options, &events, &listener, cluster->log,
		    cluster->metrics, &member->server) < 0) {
		free(member);
		return NULL;
	}
	redis_server_hear_sharded(member->server, &sharded);
	list_push_back(&cluster->members.all, &member->link);
	return member;
}

/* Without memory nobody has a slot until the next map. */
static bool link_members(struct redis_cluster *cluster)
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
	if (cluster->asked == member)
		cluster->asked = NULL;
	if (cluster->next == member)
		cluster->next = NULL;
	list_remove(&member->link);
	(void)link_members(cluster);
	redis_server_retire(member->server);
	redis_server_free(member->server);
	free(member);
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
		bool has_left = true;

		for (size_t i = 0; has_left && i < map->n_nodes; i++)
			has_left = !map->nodes[i].n_slots || map->nodes[i].port != member->at.port ||
				   strcasecmp(map->nodes[i].host, member->at.host) != 0;
		changed |= has_left != (member->left_ms != 0);
		if (!has_left)
			member->left_ms = 0;
		else if (!member->left_ms)
			member->left_ms = now_ms;
	}
	for (size_t i = 0; i < map->n_nodes; i++)
		if (map->nodes[i].n_slots && !redis_members_find(&cluster->members,
						     slice_of(map->nodes[i].host), map->nodes[i].port))
			changed |= make_member(cluster, &map->nodes[i]) != NULL;
	return changed;
}

static void follow_map(struct redis_cluster *cluster, size_t n_moved)
{
	bool changed = make_members(cluster);
	struct list *head = &cluster->members.all;

	if (!link_members(cluster))
		return;
	if (n_moved || changed)
		cluster->doubt_ms = POLL_GAP_MS;
	redis_cluster_channels_place(&cluster->channels, n_moved || changed);
	for (struct list *at = head->next; at != head; at = at->next) {
		struct redis_member *member = list_entry(at, struct redis_member, link);

		if (member->left_ms)
			redis_cluster_channels_evacuate(&cluster->channels, member);
	}
	if (changed)
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

static void take_map(struct redis_cluster *cluster, struct redis_slot_map *map)
{
	bool first = !cluster->members.map.n_nodes;
	size_t n_moved = redis_slot_map_n_moved(&cluster->members.map, map);

	if (!first)
		metrics_add(cluster->metrics, METRIC_REDIS_SLOT_MOVES, n_moved);
	if (n_moved && !first)
		note_moves(cluster, n_moved);
	redis_slot_map_deinit(&cluster->members.map);
	cluster->members.map = *map;
	follow_map(cluster, n_moved);
}

/* --- the way of a command --- */

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
		member = make_member(cluster, map.nodes);
		if (member)
			member->left_ms = clock_monotonic_ms();
	} else if (member && member->left_ms) {
		member->left_ms = clock_monotonic_ms();
	}
	redis_slot_map_deinit(&map);
}

/* A slot that has moved is noted at once for commands; channels follow with the next map, for which the
 * one who has it now is asked. */
static void redirected(void *arg, const struct redis_redirect *redirect)
{
	struct redis_cluster *cluster = arg;
	struct redis_member *member;

	count_redirect(cluster, redirect->kind);
	if (redirect->kind == REDIS_REDIRECT_ASK)
		keep_guest(cluster, redirect);
	if (redirect->kind == REDIS_REDIRECT_ASK || redirect->kind == REDIS_REDIRECT_TRYAGAIN)
		return; /* on the way: the map has not changed */
	if (redirect->kind == REDIS_REDIRECT_MOVED) {
		member = redis_members_find(&cluster->members, redirect->host, redirect->port);
		if (member)
			cluster->next = member;
		if (member && redis_slot_map_patch(&cluster->members.map, redirect->slot, redirect->host,
				      redirect->port) == 0)
			(void)link_members(cluster);
	}
	doubt(cluster);
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
	} else if (!member->late && now_ms - member->pinged_ms >= LATE_MS) {
		member->late = true;
		log_info(cluster->log, "redis: a server of the cluster does not answer",
			log_slice("redis", redis_server_address(member->server)));
		doubt(cluster);
	}
	if (!hopeful && !redis_member_is_sound(member))
		redis_cluster_channels_evacuate(&cluster->channels, member);
	if (cluster->asked == member && now_ms - cluster->asked_ms >= LATE_MS) {
		cluster->asked = NULL;
		doubt(cluster);
	}
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
	if (cluster->mapped_ms)
		metrics_set(
			cluster->metrics, METRIC_REDIS_TOPOLOGY_AGE, (now_ms - cluster->mapped_ms) * 1000);
	if (now_ms - cluster->asked_ms >= (is_settled(cluster) ? POLL_MS : POLL_SOON_MS))
		doubt(cluster);
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
	return list_empty(&cluster->members.all) ? cluster->scout.reason : "";
}

void redis_cluster_set_payload_max(struct redis_cluster *cluster, size_t payload_bytes_max)
{
	struct list *head = &cluster->members.all;

	cluster->options.payload_bytes_max = payload_bytes_max;
	for (struct list *at = head->next; at != head; at = at->next)
		redis_server_set_payload_max(
			list_entry(at, struct redis_member, link)->server, payload_bytes_max);
}

void redis_cluster_set_loads_library(struct redis_cluster *cluster, bool loads_library)
{
	struct list *head = &cluster->members.all;

	cluster->options.loads_library = loads_library;
	for (struct list *at = head->next; at != head; at = at->next)
		redis_server_set_loads_library(
			list_entry(at, struct redis_member, link)->server, loads_library);
}

/* --- the cluster itself --- */

void redis_cluster_stop(struct redis_cluster *cluster)
{
	struct list *head = &cluster->members.all;

	cluster->stopped = true;
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
	redis_scout_deinit(&cluster->scout);
	redis_cluster_channels_deinit(&cluster->channels);
	redis_members_deinit(&cluster->members);
	if (cluster->tick_timer)
		event_free(cluster->tick_timer);
	if (cluster->poll_timer)
		event_free(cluster->poll_timer);
	redis_element_deinit(&cluster->element);
	buf_deinit(&cluster->client_name);
	free(cluster->prefix);
	free(cluster->node_id);
	free(cluster);
}

static int copy_options(struct redis_cluster *cluster, const struct redis_element *element,
	const struct redis_options *options)
{
	cluster->options = *options;
	cluster->options.urls = NULL; /* the caller's */
	cluster->options.router = &cluster->router;
	cluster->options.sharded = options->pubsub != REDIS_PUBSUB_CLASSIC;
	cluster->prefix = strdup(options->channel_prefix);
	cluster->node_id = strdup(options->node_id);
	buf_printf(&cluster->client_name, "tidegate-%s", options->node_id);
	if (!cluster->prefix || !cluster->node_id || !buf_text(&cluster->client_name))
		return -ENOMEM;
	cluster->options.channel_prefix = cluster->prefix;
	cluster->options.node_id = cluster->node_id;
	return redis_element_copy(element, &cluster->element);
}

static int start(struct redis_cluster *cluster)
{
	cluster->scout = (struct redis_scout){
		.listener = {cluster, on_scouted},
		.base = cluster->base,
		.tls = cluster->options.tls,
		.element = &cluster->element,
		.client_name = buf_text(&cluster->client_name),
	};
	cluster->tick_timer = evtimer_new(cluster->base, on_tick, cluster);
	cluster->poll_timer = evtimer_new(cluster->base, on_poll_time, cluster);
	if (!cluster->tick_timer || !cluster->poll_timer ||
		redis_scout_init(&cluster->scout, cluster->options.seed) < 0 ||
		redis_members_link(&cluster->members) < 0)
		return -ENOMEM;
	cluster->tick_ms = clock_monotonic_ms();
	redis_timer_set(cluster->tick_timer, TICK_MS);
	redis_scout_want(&cluster->scout, true);
	return 0;
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
	cluster->doubt_ms = POLL_GAP_MS;
	cluster->moves_limit = (struct log_limit){.burst = 3, .interval_ms = 30 * 1000};
	cluster->complaint_limit = (struct log_limit){.burst = 2, .interval_ms = 60 * 1000};
	cluster->router = (struct redis_slots_source){cluster, owner_link, link_at, redirected, lacks};
	redis_members_init(&cluster->members);
	r = copy_options(cluster, element, options);
	cluster->channels = (struct redis_cluster_channels){
		.events = *events,
		.members = &cluster->members,
		.prefix = cluster->prefix,
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
