/*
 * Redis broker: maps channels to Redis servers, and speaks for them as one.
 *
 * The servers are those of the URLs, or the primaries of a cluster (redis/cluster.h), which says what
 * is whose. A channel is its server's alone: by its slot (redis/slot.h), which the keys of its log
 * share. Nothing is moved when a server is away: its channels wait for it, and all others go on. What a
 * server is, and when it is ready, is told in redis/server.h.
 */

#include "broker/redis_broker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/redis/cluster.h"
#include "broker/redis/lease.h"
#include "broker/redis/list_mark.h"
#include "broker/redis/server.h"
#include "broker/redis/shard.h"
#include "broker/redis/slot.h"
#include "broker/redis/tickets.h"
#include "broker/redis/timer.h"
#include "broker/redis/urls.h"
#include "core/buf.h"
#include "metrics/metrics.h"

enum {
	SETTLE_MS = 30000,     /* docs/redis.md: so long a start waits for all servers */
	FOUND_AGAIN_MS = 1000, /* until a cluster that was found is made once more, without memory */
	NAME_MAX_BYTES = 1024, /* of what is hashed: more than a prefix, a channel's name or a key ever has */
};

struct redis_broker {
	struct broker broker; /* first: the interface casts to us */
	struct broker_listener listener;
	struct metrics *metrics;
	struct redis_cluster *cluster; /* NULL: there are shards */
	struct redis_shard **shards;   /* in the order of the URLs, which is part of the hash */
	unsigned int n_shards;
	char *prefix;
	struct buf ticket_start;     /* of the key of each ticket */
	struct redis_list_mark mark; /* of the list of servers */
	unsigned int nodes_slot, revoked_slot;
	uint64_t n_returns; /* how often a server became ready */
	struct event_base *base;
	struct log *log;
	struct redis_options options; /* for a cluster that is found; its texts are ours */
	struct redis_element found;   /* the cluster, if the only server turns out to be in one */
	char *node_id;
	struct event *found_timer;
	bool settled; /* all were ready once, or had the time for it */
	struct event *settle_timer;
#ifdef TIDEGATE_FAULT_CONTROLS
	struct fault_off fault_off;
#endif
};

static struct redis_broker *of(const struct broker *broker)
{
	return (struct redis_broker *)broker;
}

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
	const struct redis_broker *redis, struct slice start, struct slice end)
{
	if (redis->n_shards == 1)
		return redis->shards[0];
	return redis->shards[redis_slot_server(slot_of_name(start, end), redis->n_shards)];
}

/* The server of a name in Redis; NULL: nobody has its slot. These two are the only places where that is
 * decided. */
static struct redis_server *server_of_name(const struct broker *broker, struct slice start, struct slice end)
{
	const struct redis_broker *redis = of(broker);

	if (redis->cluster)
		return redis_cluster_server(redis->cluster, slot_of_name(start, end));
	return redis_shard_server(shard_of_name(redis, start, end));
}

/* The shard that has this channel; there is no cluster. */
static struct redis_shard *shard_of(const struct broker *broker, struct slice channel)
{
	return shard_of_name(of(broker), slice_of(of(broker)->prefix), channel);
}

/* The server that has this channel. */
static struct redis_server *server_of(const struct broker *broker, struct slice channel)
{
	return server_of_name(broker, slice_of(of(broker)->prefix), channel);
}

/* The server that has this key. */
static struct redis_server *server_of_key(const struct broker *broker, struct slice key)
{
	return server_of_name(broker, (struct slice){"", 0}, key);
}

/* The server where backends put this ticket. */
static struct redis_server *server_of_ticket(const struct broker *broker, struct slice ticket)
{
	const struct redis_broker *redis = of(broker);

	return server_of_name(broker, buf_slice(&redis->ticket_start), ticket);
}

/* The server where the nodes announce themselves: the first, or in a cluster that of their keys, so
 * that all nodes look in one place. */
static struct redis_server *server_of_nodes(const struct broker *broker)
{
	const struct redis_broker *redis = of(broker);

	if (redis->cluster)
		return redis_cluster_server(redis->cluster, redis->nodes_slot);
	return redis_shard_server(redis->shards[0]);
}

/* The server where revocations are kept: that of the control channel, so that a node follows both or
 * none. In a cluster their key has a slot of its own. */
static struct redis_server *server_of_revocations(const struct broker *broker)
{
	const struct redis_broker *redis = of(broker);

	if (redis->cluster)
		return redis_cluster_server(redis->cluster, redis->revoked_slot);
	return server_of(broker, slice_of(BROKER_CONTROL_CHANNEL));
}

/* All servers, one by one. */
static size_t n_servers(const struct redis_broker *redis)
{
	return redis->cluster ? redis_cluster_n_servers(redis->cluster) : redis->n_shards;
}

static struct redis_server *server_at(const struct redis_broker *redis, size_t i)
{
	return redis->cluster ? redis_cluster_server_at(redis->cluster, i)
			      : redis_shard_server(redis->shards[i]);
}

/* --- the state of all --- */

static bool redis_view(const struct broker *broker, size_t i, struct broker_shard *shard)
{
	const struct redis_broker *redis = of(broker);

	*shard = (struct broker_shard){0};
	if (i >= n_servers(redis))
		return false;
	if (redis->cluster)
		redis_server_measure(server_at(redis, i), shard);
	else
		redis_shard_measure(redis->shards[i], shard);
	return true;
}

static size_t n_ready(const struct redis_broker *redis)
{
	size_t n = 0;

	for (size_t i = 0; i < n_servers(redis); i++)
		n += redis_server_is_ready(server_at(redis, i));
	return n;
}

static enum broker_state state_of(const struct redis_broker *redis)
{
	size_t n = n_ready(redis);

	if (n && n == n_servers(redis))
		return BROKER_READY;
	return n && redis->settled && !FAULT_OFF(redis, partial) ? BROKER_PARTIAL : BROKER_CONNECTING;
}

static void on_changed(void *arg, struct redis_server *server, const char *reason)
{
	struct redis_broker *redis = arg;
	enum broker_state state = state_of(redis);

	redis->n_returns += redis_server_is_ready(server); /* its own lines in the log say which */
	redis->settled = redis->settled || state == BROKER_READY;
	metrics_set(redis->metrics, METRIC_REDIS_READY, state == BROKER_READY);
	redis->listener.state(redis->listener.arg, state, reason);
}

static void on_settle_time(evutil_socket_t fd, short what, void *arg)
{
	struct redis_broker *redis = arg;

	(void)fd;
	(void)what;
	if (redis->settled)
		return;
	redis->settled = true;
	if (state_of(redis) == BROKER_PARTIAL)
		redis->listener.state(redis->listener.arg, BROKER_PARTIAL,
			"not all Redis servers are ready, and there is no more waiting for the others");
}

/* The slowest of them is what an operator has to know. */
static void on_measured(void *arg, struct redis_server *server, uint64_t took_us)
{
	struct redis_broker *redis = arg;
	struct broker_shard shard;

	(void)server;
	for (size_t i = 0; redis_view(&redis->broker, i, &shard); i++)
		took_us = shard.ready && shard.probe_us > took_us ? shard.probe_us : took_us;
	metrics_set(redis->metrics, METRIC_REDIS_PROBE, took_us);
}

/* --- a cluster that is found --- */

/* Before the server was ready: nothing was subscribed, and no call is under way. */
static void on_found_time(evutil_socket_t fd, short what, void *arg)
{
	struct redis_broker *redis = arg;
	const struct redis_server_listener listener = {
		.arg = redis, .changed = on_changed, .measured = on_measured};
	struct redis_shard *shard = redis->shards[0];
	struct map_entry *at = NULL;
	struct slice channel;
	int r;

	(void)fd;
	(void)what;
	r = redis_cluster_new(redis->base, &redis->found, &redis->options, &redis->listener, &listener,
		redis->log, redis->metrics, &redis->cluster);
	while (r == 0 && redis_server_walk(redis_shard_server(shard), &at, &channel))
		r = redis_cluster_subscribe(redis->cluster, channel);
	if (r < 0) { /* out of memory */
		redis_cluster_free(redis->cluster);
		redis->cluster = NULL;
		redis_timer_set(redis->found_timer, FOUND_AGAIN_MS);
		return;
	}
	redis->n_shards = 0;
	redis_shard_free(shard);
}

static void on_clustered(void *arg)
{
	struct redis_broker *redis = arg;

	redis_timer_set(redis->found_timer, 0);
}

/* --- the interface --- */

static int redis_subscribe(struct broker *broker, struct slice channel)
{
	if (of(broker)->cluster)
		return redis_cluster_subscribe(of(broker)->cluster, channel);
	return redis_shard_subscribe(shard_of(broker, channel), channel);
}

static void redis_hurry(struct broker *broker, struct slice channel)
{
	if (of(broker)->cluster)
		redis_cluster_hurry(of(broker)->cluster, channel);
	else
		redis_server_hurry(server_of(broker, channel), channel);
}

static void redis_unsubscribe(struct broker *broker, struct slice channel)
{
	if (of(broker)->cluster)
		redis_cluster_unsubscribe(of(broker)->cluster, channel);
	else
		redis_shard_unsubscribe(shard_of(broker, channel), channel);
}

static int redis_publish(struct broker *broker, struct slice channel, struct slice payload,
	broker_published_fn done, void *arg)
{
	return redis_server_publish(server_of(broker, channel), channel, payload, done, arg);
}

static int redis_log_publish(struct broker *broker, struct slice channel, struct slice payload,
	const struct broker_log_options *options, broker_log_published_fn done, void *arg)
{
	return redis_server_log_publish(server_of(broker, channel), channel, payload, options, done, arg);
}

static int redis_log_read(struct broker *broker, struct slice channel, uint64_t from, uint32_t count,
	uint64_t ttl_ms, broker_log_read_fn done, void *arg)
{
	return redis_server_log_read(server_of(broker, channel), channel, from, count, ttl_ms, done, arg);
}

/* The answer comes on the reply channel's own server. */
static int redis_act(struct broker *broker, const struct broker_action_stream *stream,
	const struct broker_action *actions, size_t n, broker_acted_fn done, void *arg)
{
	return redis_server_act(server_of_key(broker, stream->key), stream, actions, n, done, arg);
}

static enum broker_state redis_state(const struct broker *broker)
{
	return state_of(of(broker));
}

static uint64_t redis_n_returns(const struct broker *broker)
{
	return of(broker)->n_returns;
}

static enum broker_state redis_channel_state(const struct broker *broker, struct slice channel)
{
	return redis_server_is_ready(server_of(broker, channel)) ? BROKER_READY : BROKER_CONNECTING;
}

/* The addresses of servers that are not ready. */
static void append_degraded(const struct redis_broker *redis, struct buf *out)
{
	const char *comma = "";

	for (size_t i = 0; i < n_servers(redis); i++) {
		struct slice address = redis_server_address(server_at(redis, i));

		if (redis_server_is_ready(server_at(redis, i)))
			continue;
		buf_append_str(out, comma);
		buf_append_json_string(out, address.data, address.len);
		comma = ",";
	}
}

static size_t n_channels(const struct redis_broker *redis)
{
	size_t n = 0;

	if (redis->cluster)
		return redis_cluster_n_channels(redis->cluster);
	for (size_t i = 0; i < n_servers(redis); i++)
		n += redis_server_n_channels(server_at(redis, i));
	return n;
}

static void describe_several(const struct redis_broker *redis, struct buf *out)
{
	static const char *const names[] = {
		[BROKER_CONNECTING] = "connecting", [BROKER_PARTIAL] = "partial", [BROKER_READY] = "ready"};
	const char *reason = redis->cluster ? redis_cluster_reason(redis->cluster) : "";

	buf_printf(out, "\"state\":\"%s\",\"n_channels\":%zu,", names[state_of(redis)], n_channels(redis));
	if (redis->cluster)
		buf_append_str(out, "\"cluster\":true,");
	else
		buf_printf(out, "\"urls_hash\":\"%s\",\"urls_differ\":%s,", redis->mark.hash,
			redis_list_mark_differs(&redis->mark) ? "true" : "false");
	if (*reason) {
		buf_append_str(out, "\"reason\":");
		buf_append_json_string(out, reason, strlen(reason));
		buf_append_char(out, ',');
	}
	buf_append_str(out, "\"degraded\":[");
	append_degraded(redis, out);
	buf_append_str(out, "],\"servers\":[");
	for (size_t i = 0; i < n_servers(redis); i++) {
		buf_append_str(out, i ? ",{" : "{");
		if (redis->cluster)
			redis_server_describe(server_at(redis, i), out);
		else
			redis_shard_describe(redis->shards[i], out);
		buf_append_char(out, '}');
	}
	buf_append_char(out, ']');
}

static void redis_describe(const struct broker *broker, struct buf *out)
{
	const struct redis_broker *redis = of(broker);

	buf_append_str(out, "{\"kind\":\"redis\",");
	if (!redis->cluster && redis->n_shards == 1)
		redis_shard_describe(redis->shards[0], out);
	else
		describe_several(redis, out);
	buf_append_char(out, '}');
}

static struct slice redis_complaint(const struct broker *broker)
{
	const struct redis_broker *redis = of(broker);
	struct slice complaint = {0};

	for (size_t i = 0; !complaint.len && i < n_servers(redis); i++)
		complaint = redis_server_complaint(server_at(redis, i));
	return complaint;
}

static void redis_set_payload_max(struct broker *broker, size_t payload_bytes_max)
{
	of(broker)->options.payload_bytes_max = payload_bytes_max;
	if (of(broker)->cluster)
		redis_cluster_set_payload_max(of(broker)->cluster, payload_bytes_max);
	for (unsigned int i = 0; i < of(broker)->n_shards; i++)
		redis_shard_set_payload_max(of(broker)->shards[i], payload_bytes_max);
}

static void redis_set_loads_library(struct broker *broker, bool loads_library)
{
	of(broker)->options.loads_library = loads_library;
	if (of(broker)->cluster)
		redis_cluster_set_loads_library(of(broker)->cluster, loads_library);
	for (unsigned int i = 0; i < of(broker)->n_shards; i++)
		redis_shard_set_loads_library(of(broker)->shards[i], loads_library);
}

static int redis_announce(struct broker *broker, struct slice text, uint64_t ttl_ms)
{
	struct redis_broker *redis = of(broker);

	for (unsigned int i = 0; i < redis->n_shards; i++)
		redis_server_leave_mark(redis_shard_server(redis->shards[i]), &redis->mark);
	return redis_server_announce(server_of_nodes(broker), text, ttl_ms);
}

static int redis_nodes(struct broker *broker, broker_nodes_fn done, void *arg)
{
	return redis_server_nodes(server_of_nodes(broker), done, arg);
}

static int redis_withdraw(struct broker *broker, broker_withdrawn_fn done, void *arg)
{
	return redis_server_depart(server_of_nodes(broker), done, arg);
}

static int redis_take_ticket(struct broker *broker, struct slice ticket, broker_ticket_fn done, void *arg)
{
	return redis_server_take_ticket(server_of_ticket(broker, ticket), ticket, done, arg);
}

static int redis_revocations(struct broker *broker, broker_revocations_fn each, void *arg)
{
	return redis_server_revocations(server_of_revocations(broker), each, arg);
}

static int redis_revoke(struct broker *broker, const struct broker_revocation *revocation)
{
	return redis_server_revoke(server_of_revocations(broker), revocation);
}

static int redis_unrevoke(struct broker *broker, struct slice text)
{
	return redis_server_unrevoke(server_of_revocations(broker), text);
}

static int redis_expire_revocations(struct broker *broker, double now_seconds)
{
	return redis_server_expire_revocations(server_of_revocations(broker), now_seconds);
}

static int redis_set_presence(struct broker *broker, const struct broker_presence *presence,
	const struct broker_user *users, size_t n, broker_roll_fn done, void *arg)
{
	return redis_server_set_presence(server_of(broker, presence->channel), presence, users, n, done, arg);
}

static int redis_clear_presence(struct broker *broker, const struct broker_presence *presence,
	uint64_t cursor, broker_roll_fn done, void *arg)
{
	return redis_server_clear_presence(server_of(broker, presence->channel), presence, cursor, done, arg);
}

static int redis_ask_presence(
	struct broker *broker, struct slice channel, bool names, broker_roll_fn done, void *arg)
{
	return redis_server_ask_presence(server_of(broker, channel), channel, names, done, arg);
}

/* What nodes hold stands where their leases do. NULL: it is away. */
static struct redis_leases *leases_of(struct broker *broker)
{
	return redis_server_leases(server_of_nodes(broker));
}

static int redis_lease(
	struct broker *broker, const struct broker_lease *lease, broker_lease_fn done, void *arg)
{
	struct redis_leases *leases = leases_of(broker);

	return leases ? redis_lease_renew(leases, lease, done, arg) : -ENOTCONN;
}

static int redis_end_lease(
	struct broker *broker, struct slice node, uint64_t in_ms, broker_done_fn done, void *arg)
{
	struct redis_leases *leases = leases_of(broker);

	return leases ? redis_lease_end(leases, node, in_ms, done, arg) : -ENOTCONN;
}

static int redis_cleared(struct broker *broker, struct slice node, broker_done_fn done, void *arg)
{
	struct redis_leases *leases = leases_of(broker);

	return leases ? redis_lease_cleared(leases, node, done, arg) : -ENOTCONN;
}

/* What a node holds: in a cluster its key has a slot of its own. */
static struct redis_leases *holds_of(struct broker *broker, struct slice node)
{
	if (of(broker)->cluster)
		return redis_server_leases(redis_cluster_server(of(broker)->cluster, redis_slot(node)));
	return leases_of(broker);
}

static int redis_hold(struct broker *broker, struct slice node, bool hold, const struct slice *names,
	size_t n, broker_done_fn done, void *arg)
{
	struct redis_leases *leases = holds_of(broker, node);

	return leases ? redis_lease_hold(leases, node, hold, names, n, done, arg) : -ENOTCONN;
}

static int redis_hold_some(struct broker *broker, struct slice node, broker_held_fn done, void *arg)
{
	struct redis_leases *leases = holds_of(broker, node);

	return leases ? redis_lease_hold_some(leases, node, done, arg) : -ENOTCONN;
}

static int redis_say(struct broker *broker, const struct broker_session *session, uint64_t call, bool forgot,
	const struct broker_said *said, size_t n, broker_said_fn done, void *arg)
{
	return redis_server_say(
		server_of_key(broker, session->stream), session, call, forgot, said, n, done, arg);
}

static int redis_say_lost(struct broker *broker, const struct broker_session *session, uint64_t cursor,
	broker_said_fn done, void *arg)
{
	return redis_server_say_lost(server_of_key(broker, session->stream), session, cursor, done, arg);
}

static void redis_free(struct broker *broker)
{
	struct redis_broker *redis = of(broker);

	if (redis->cluster)
		redis_cluster_stop(redis->cluster);
	redis_cluster_free(redis->cluster);
	for (unsigned int i = 0; i < redis->n_shards; i++)
		redis_shard_stop(redis->shards[i]);
	for (unsigned int i = 0; i < redis->n_shards; i++)
		redis_shard_free(redis->shards[i]);
	if (redis->settle_timer)
		event_free(redis->settle_timer);
	if (redis->found_timer)
		event_free(redis->found_timer);
	redis_element_deinit(&redis->found);
	free(redis->node_id);
	free(redis->shards);
	free(redis->prefix);
	buf_deinit(&redis->ticket_start);
	redis_list_mark_deinit(&redis->mark);
	free(redis);
}

static const struct broker_ops redis_ops = {
	.subscribe = redis_subscribe,
	.unsubscribe = redis_unsubscribe,
	.hurry = redis_hurry,
	.publish = redis_publish,
	.log_publish = redis_log_publish,
	.log_read = redis_log_read,
	.act = redis_act,
	.state = redis_state,
	.channel_state = redis_channel_state,
	.n_returns = redis_n_returns,
	.shard = redis_view,
	.describe = redis_describe,
	.complaint = redis_complaint,
	.set_payload_max = redis_set_payload_max,
	.set_loads_library = redis_set_loads_library,
	.announce = redis_announce,
	.nodes = redis_nodes,
	.withdraw = redis_withdraw,
	.take_ticket = redis_take_ticket,
	.revocations = redis_revocations,
	.revoke = redis_revoke,
	.unrevoke = redis_unrevoke,
	.expire_revocations = redis_expire_revocations,
	.set_presence = redis_set_presence,
	.clear_presence = redis_clear_presence,
	.ask_presence = redis_ask_presence,
	.lease = redis_lease,
	.end_lease = redis_end_lease,
	.cleared = redis_cleared,
	.hold = redis_hold,
	.hold_some = redis_hold_some,
	.say = redis_say,
	.say_lost = redis_say_lost,
	.free = redis_free,
};

static bool can_be_dialled(const struct redis_options *options)
{
	if (!options->urls || !options->urls->n || !options->node_id || !options->channel_prefix)
		return false;
	for (size_t i = 0; i < options->urls->n; i++)
		if ((options->urls->elements[i].kind == REDIS_CLUSTER && options->urls->n > 1) ||
			(options->urls->elements[i].server.tls && !options->tls))
			return false;
	return true;
}

/* The only server may be in a cluster, of which it is a seed then. One that has a database besides 0 is
 * not. */
static int may_find_cluster(struct redis_broker *redis, struct event_base *base,
	const struct redis_options *options, struct log *log)
{
	const struct redis_element *only = &options->urls->elements[0];
	const struct redis_element found = {.kind = REDIS_CLUSTER,
		.server = only->server,
		.seeds = (struct redis_url *)&only->server,
		.n_seeds = 1};

	if (options->urls->n > 1 || only->kind != REDIS_SINGLE || !only->server.host || only->server.db)
		return 0;
	redis->base = base;
	redis->log = log;
	redis->options = *options;
	redis->options.urls = NULL;
	redis->options.channel_prefix = redis->prefix;
	redis->options.node_id = redis->node_id = strdup(options->node_id);
	redis->found_timer = evtimer_new(base, on_found_time, redis);
	return redis->node_id && redis->found_timer ? redis_element_copy(&found, &redis->found) : -ENOMEM;
}

static int make_shards(struct redis_broker *redis, struct event_base *base,
	const struct redis_options *options, struct log *log)
{
	const struct redis_server_listener listener = {.arg = redis,
		.changed = on_changed,
		.measured = on_measured,
		.clustered = redis->found_timer ? on_clustered : NULL};
	struct redis_options its = *options;

	redis_timer_set(redis->settle_timer, SETTLE_MS);
	if (options->urls->elements[0].kind == REDIS_CLUSTER)
		return redis_cluster_new(base, &options->urls->elements[0], options, &redis->listener,
			&listener, log, redis->metrics, &redis->cluster);
	redis->shards = calloc(options->urls->n, sizeof(*redis->shards));
	if (!redis->shards)
		return -ENOMEM;
	for (size_t i = 0; i < options->urls->n; i++) {
		int r;

		its.seed = options->seed + i * 7919; /* so that they do not dial in step */
		r = redis_shard_new(base, &options->urls->elements[i], &its, &redis->listener, &listener, log,
			redis->metrics, &redis->shards[i]);
		if (r < 0)
			return r;
		redis->n_shards++;
	}
	return 0;
}

int redis_broker_new(struct event_base *base, const struct redis_options *options,
	const struct broker_listener *listener, struct log *log, struct metrics *metrics,
	struct broker **brokerp)
{
	struct redis_broker *redis;
	int r = -ENOMEM;

	if (!can_be_dialled(options))
		return -EINVAL;
	redis = calloc(1, sizeof(*redis));
	if (!redis)
		return -ENOMEM;
	redis->broker.ops = &redis_ops;
	redis->listener = *listener;
	redis->metrics = metrics;
#ifdef TIDEGATE_FAULT_CONTROLS
	redis->fault_off = options->fault_off;
#endif
	redis->prefix = strdup(options->channel_prefix);
	redis_tickets_start(options->channel_prefix, &redis->ticket_start);
	redis->nodes_slot = slot_of_name(slice_of(options->channel_prefix), slice_of("nodes"));
	redis->revoked_slot = slot_of_name(slice_of(options->channel_prefix), slice_of("revoked"));
	redis->settle_timer = evtimer_new(base, on_settle_time, redis);
	metrics_set(metrics, METRIC_REDIS_READY, 0);
	if (redis->prefix && redis->settle_timer && !redis->ticket_start.failed)
		r = may_find_cluster(redis, base, options, log);
	if (r == 0)
		r = redis_list_mark_init(&redis->mark, log, options->channel_prefix, options->urls);
	if (r == 0)
		r = make_shards(redis, base, options, log);
	if (r < 0) {
		redis_free(&redis->broker);
		return r;
	}
	*brokerp = &redis->broker;
	return 0;
}
