/*
 * Redis broker: speaks for all Redis servers as one.
 *
 * Which there are, and which has a channel, is told in redis/servers.h; what a server is, and when it is
 * ready, in redis/server.h.
 */

#include "broker/redis_broker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/redis/holdings.h"
#include "broker/redis/lease.h"
#include "broker/redis/list_mark.h"
#include "broker/redis/server.h"
#include "broker/redis/servers.h"
#include "broker/redis/timer.h"
#include "broker/redis/urls.h"
#include "core/buf.h"
#include "metrics/metrics.h"

enum {
	SETTLE_MS = 30000, /* docs/redis.md: so long a start waits for all servers */
};

struct redis_broker {
	struct broker broker; /* first: the interface casts to us */
	struct broker_listener listener;
	struct metrics *metrics;
	struct redis_servers servers;
	struct redis_list_mark mark; /* of the list of servers */
	uint64_t n_returns;          /* how often a server became ready */
	bool settled;                /* all were ready once, or had the time for it */
	struct event *settle_timer;
#ifdef TIDEGATE_FAULT_CONTROLS
	struct fault_off fault_off;
#endif
};

static struct redis_broker *of(const struct broker *broker)
{
	return (struct redis_broker *)broker;
}

/* The server that has this channel; NULL: nobody has its slot. */
static struct redis_server *server_of(const struct broker *broker, struct slice channel)
{
	return redis_servers_of_channel(&of(broker)->servers, channel);
}

/* The server that has this key. */
static struct redis_server *server_of_key(const struct broker *broker, struct slice key)
{
	return redis_servers_of_key(&of(broker)->servers, key);
}

static struct redis_server *server_of_nodes(const struct broker *broker)
{
	return redis_servers_of_nodes(&of(broker)->servers);
}

static struct redis_server *server_of_revocations(const struct broker *broker)
{
	return redis_servers_of_revocations(&of(broker)->servers);
}

static size_t n_servers(const struct redis_broker *redis)
{
	return redis_servers_n(&redis->servers);
}

static struct redis_server *server_at(const struct redis_broker *redis, size_t i)
{
	return redis_servers_at(&redis->servers, i);
}

/* --- the state of all --- */

static bool redis_view(const struct broker *broker, size_t i, struct broker_shard *shard)
{
	const struct redis_broker *redis = of(broker);

	*shard = (struct broker_shard){0};
	if (i >= n_servers(redis))
		return false;
	redis_servers_measure(&redis->servers, i, shard);
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

	if (n && n == n_servers(redis) && !*redis_servers_reason(&redis->servers))
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
	/* Not a server that is away, but a list that is wrong. */
	if (!redis->servers.cluster && *redis_servers_reason(&redis->servers)) {
		redis_timer_set(redis->settle_timer, SETTLE_MS);
		return;
	}
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

static void on_clustered(void *arg)
{
	struct redis_broker *redis = arg;

	redis_servers_found(&redis->servers);
}

/* --- the interface --- */

static int redis_subscribe(struct broker *broker, struct slice channel)
{
	return redis_servers_subscribe(&of(broker)->servers, channel);
}

static void redis_hurry(struct broker *broker, struct slice channel)
{
	redis_servers_hurry(&of(broker)->servers, channel);
}

static bool redis_look(struct broker *broker)
{
	return redis_servers_look(&of(broker)->servers);
}

static void redis_unsubscribe(struct broker *broker, struct slice channel)
{
	redis_servers_unsubscribe(&of(broker)->servers, channel);
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

static void describe_several(const struct redis_broker *redis, struct buf *out)
{
	static const char *const names[] = {
		[BROKER_CONNECTING] = "connecting", [BROKER_PARTIAL] = "partial", [BROKER_READY] = "ready"};
	const char *reason = redis_servers_reason(&redis->servers);

	buf_printf(out, "\"state\":\"%s\",\"n_channels\":%zu,", names[state_of(redis)],
		redis_servers_n_channels(&redis->servers));
	if (redis->servers.cluster)
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
		redis_servers_describe(&redis->servers, i, out);
		buf_append_char(out, '}');
	}
	buf_append_char(out, ']');
}

static void redis_describe(const struct broker *broker, struct buf *out)
{
	const struct redis_broker *redis = of(broker);

	buf_append_str(out, "{\"kind\":\"redis\",");
	if (redis->servers.n_shards == 1)
		redis_servers_describe(&redis->servers, 0, out);
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
	redis_servers_set_payload_max(&of(broker)->servers, payload_bytes_max);
}

static void redis_set_loads_library(struct broker *broker, bool loads_library)
{
	redis_servers_set_loads_library(&of(broker)->servers, loads_library);
}

static int redis_announce(struct broker *broker, struct slice text, uint64_t ttl_ms)
{
	struct redis_broker *redis = of(broker);

	for (size_t i = 0; !redis->servers.cluster && i < n_servers(redis); i++)
		redis_server_leave_mark(server_at(redis, i), &redis->mark);
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
	return redis_server_take_ticket(
		redis_servers_of_ticket(&of(broker)->servers, ticket), ticket, done, arg);
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

/* NULL: it is away. */
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

/* What nodes hold on several servers. False: there is but one, or a cluster. */
static bool find_holdings(struct broker *broker, struct redis_holdings *holdings)
{
	const struct redis_servers *servers = &of(broker)->servers;

	if (servers->cluster || servers->n_shards < 2)
		return false;
	holdings->n = servers->n_shards;
	for (unsigned int i = 0; i < holdings->n; i++)
		holdings->servers[i] = redis_server_leases(redis_servers_at(servers, i));
	return true;
}

static int redis_cleared(struct broker *broker, struct slice node, broker_done_fn done, void *arg)
{
	struct redis_leases *leases = leases_of(broker);
	struct redis_holdings holdings;

	if (find_holdings(broker, &holdings))
		return redis_holdings_cleared(&holdings, node, done, arg);
	return leases ? redis_lease_cleared(leases, node, done, arg) : -ENOTCONN;
}

static struct redis_leases *holds_of(struct broker *broker, struct slice node)
{
	return redis_server_leases(redis_servers_of_held(&of(broker)->servers, node));
}

/* The number of the server that has what is held under this name; 0, which has all names, if it is away. */
static unsigned char place_of(
	const struct broker *broker, const struct redis_holdings *holdings, struct slice name)
{
	const struct redis_servers *servers = &of(broker)->servers;
	struct slice rest = {name.data + 1, name.len - 1};
	const struct redis_leases *leases = redis_server_leases(
		name.data[0] == BROKER_HELD_CHANNEL ? redis_servers_of_channel(servers, rest)
						    : redis_servers_of_key(servers, rest));

	for (unsigned int i = 1; leases && i < holdings->n; i++)
		if (holdings->servers[i] == leases)
			return (unsigned char)i;
	return 0;
}

static int redis_hold(struct broker *broker, struct slice node, bool hold, const struct slice *names,
	size_t n, broker_done_fn done, void *arg)
{
	struct redis_leases *leases = holds_of(broker, node);
	unsigned char places[BROKER_HELD_MAX];
	struct redis_holdings holdings;

	if (n <= BROKER_HELD_MAX && find_holdings(broker, &holdings)) {
		for (size_t i = 0; i < n; i++)
			places[i] = place_of(broker, &holdings, names[i]);
		return redis_holdings_hold(&holdings, node, hold, names, places, n, done, arg);
	}
	return leases ? redis_lease_hold(leases, node, hold, names, n, done, arg) : -ENOTCONN;
}

static int redis_hold_some(struct broker *broker, struct slice node, broker_held_fn done, void *arg)
{
	struct redis_leases *leases = holds_of(broker, node);
	struct redis_holdings holdings;

	if (find_holdings(broker, &holdings))
		return redis_holdings_some(&holdings, node, done, arg);
	return leases ? redis_lease_hold_some(leases, node, done, arg) : -ENOTCONN;
}

/* Of nodes that hold something on another server than the first, which knows whose lease is known. */
static void on_holders(void *arg, int r, const struct slice *nodes, size_t n)
{
	struct redis_leases *leases = r == 0 && n ? leases_of(arg) : NULL;

	if (leases)
		(void)redis_lease_missed(leases, nodes, n); /* they are found the next time, too */
}

static void redis_seek_missed(struct broker *broker)
{
	struct redis_holdings holdings;

	if (find_holdings(broker, &holdings))
		redis_holdings_seek(&holdings, on_holders, broker);
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

	redis_servers_deinit(&redis->servers);
	if (redis->settle_timer)
		event_free(redis->settle_timer);
	redis_list_mark_deinit(&redis->mark);
	free(redis);
}

static const struct broker_ops redis_ops = {
	.subscribe = redis_subscribe,
	.unsubscribe = redis_unsubscribe,
	.hurry = redis_hurry,
	.look = redis_look,
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
	.seek_missed = redis_seek_missed,
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
	redis->settle_timer = evtimer_new(base, on_settle_time, redis);
	metrics_set(metrics, METRIC_REDIS_READY, 0);
	redis->servers = (struct redis_servers){
		.base = base,
		.events = *listener,
		.listener = {.arg = redis,
			.changed = on_changed,
			.measured = on_measured,
			.clustered = on_clustered},
		.log = log,
		.metrics = metrics,
	};
	if (redis->settle_timer)
		r = redis_list_mark_init(&redis->mark, log, options->channel_prefix, options->urls);
	if (r == 0) {
		redis_timer_set(redis->settle_timer, SETTLE_MS);
		r = redis_servers_init(&redis->servers, options);
	}
	if (r < 0) {
		redis_free(&redis->broker);
		return r;
	}
	*brokerp = &redis->broker;
	return 0;
}
