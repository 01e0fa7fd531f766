/*
 * Redis broker: maps channels to Redis servers, and speaks for them as one.
 *
 * There is one server, which has all channels. What a server is, and when it is ready, is told in
 * redis/server.h.
 */

#include "broker/redis_broker.h"

#include <errno.h>
#include <stdlib.h>

#include "broker/redis/lease.h"
#include "broker/redis/server.h"
#include "broker/redis/url.h"
#include "core/buf.h"
#include "metrics/metrics.h"

struct redis_broker {
	struct broker broker; /* first: the interface casts to us */
	struct broker_listener listener;
	struct metrics *metrics;
	struct redis_server *server;
};

/* The server that has this channel. */
static struct redis_server *server_of(const struct broker *broker, struct slice channel)
{
	(void)channel;
	return ((const struct redis_broker *)broker)->server;
}

/* The server where the nodes announce themselves. */
static struct redis_server *server_of_nodes(const struct broker *broker)
{
	return ((const struct redis_broker *)broker)->server;
}

/* The server where backends put tickets. */
static struct redis_server *server_of_tickets(const struct broker *broker)
{
	return ((const struct redis_broker *)broker)->server;
}

/* The server where revocations are kept. */
static struct redis_server *server_of_revocations(const struct broker *broker)
{
	return ((const struct redis_broker *)broker)->server;
}

static enum broker_state state_of(const struct redis_server *server)
{
	return redis_server_is_ready(server) ? BROKER_READY : BROKER_CONNECTING;
}

/* --- what comes up --- */

static void on_changed(void *arg, struct redis_server *server, const char *reason)
{
	struct redis_broker *redis = arg;

	metrics_set(redis->metrics, METRIC_REDIS_READY, redis_server_is_ready(server));
	redis->listener.state(redis->listener.arg, state_of(server), reason);
}

static void on_measured(void *arg, struct redis_server *server, uint64_t took_us)
{
	struct redis_broker *redis = arg;

	(void)server;
	metrics_set(redis->metrics, METRIC_REDIS_PROBE, took_us);
}

/* --- the interface --- */

static int redis_subscribe(struct broker *broker, struct slice channel)
{
	return redis_server_subscribe(server_of(broker, channel), channel);
}

static void redis_hurry(struct broker *broker, struct slice channel)
{
	redis_server_hurry(server_of(broker, channel), channel);
}

static void redis_unsubscribe(struct broker *broker, struct slice channel)
{
	redis_server_unsubscribe(server_of(broker, channel), channel);
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

/* Where the answers come: a cluster would want the server of the stream. */
static int redis_act(
	struct broker *broker, const struct broker_action *action, broker_acted_fn done, void *arg)
{
	return redis_server_act(server_of(broker, action->reply), action, done, arg);
}

static enum broker_state redis_state(const struct broker *broker)
{
	return state_of(((const struct redis_broker *)broker)->server);
}

static enum broker_state redis_channel_state(const struct broker *broker, struct slice channel)
{
	return state_of(server_of(broker, channel));
}

static void redis_describe(const struct broker *broker, struct buf *out)
{
	buf_append_str(out, "{\"kind\":\"redis\",");
	redis_server_describe(((const struct redis_broker *)broker)->server, out);
	buf_append_char(out, '}');
}

static struct slice redis_complaint(const struct broker *broker)
{
	return redis_server_complaint(((const struct redis_broker *)broker)->server);
}

static void redis_set_payload_max(struct broker *broker, size_t payload_bytes_max)
{
	redis_server_set_payload_max(((struct redis_broker *)broker)->server, payload_bytes_max);
}

static void redis_set_loads_library(struct broker *broker, bool loads_library)
{
	redis_server_set_loads_library(((struct redis_broker *)broker)->server, loads_library);
}

static int redis_announce(struct broker *broker, struct slice text, uint64_t ttl_ms)
{
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
	return redis_server_take_ticket(server_of_tickets(broker), ticket, done, arg);
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

static int redis_hold(struct broker *broker, struct slice node, bool hold, const struct slice *names,
	size_t n, broker_done_fn done, void *arg)
{
	struct redis_leases *leases = leases_of(broker);

	return leases ? redis_lease_hold(leases, node, hold, names, n, done, arg) : -ENOTCONN;
}

static int redis_hold_some(struct broker *broker, struct slice node, broker_held_fn done, void *arg)
{
	struct redis_leases *leases = leases_of(broker);

	return leases ? redis_lease_hold_some(leases, node, done, arg) : -ENOTCONN;
}

static void redis_free(struct broker *broker)
{
	struct redis_broker *redis = (struct redis_broker *)broker;

	redis_server_free(redis->server);
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
	.free = redis_free,
};

int redis_broker_new(struct event_base *base, const struct redis_options *options,
	const struct broker_listener *listener, struct log *log, struct metrics *metrics,
	struct broker **brokerp)
{
	const struct redis_url *url = options->url;
	struct redis_broker *redis;
	int r;

	if (!url || (!url->host && !url->unix_path) || (url->tls && !options->tls) || !options->node_id ||
		!options->channel_prefix)
		return -EINVAL;
	redis = calloc(1, sizeof(*redis));
	if (!redis)
		return -ENOMEM;
	redis->broker.ops = &redis_ops;
	redis->listener = *listener;
	redis->metrics = metrics;
	metrics_set(metrics, METRIC_REDIS_READY, 0);
	r = redis_server_new(base, url, options, listener,
		&(struct redis_server_listener){redis, on_changed, on_measured}, log, metrics,
		&redis->server);
	if (r < 0) {
		redis_free(&redis->broker);
		return r;
	}
	*brokerp = &redis->broker;
	return 0;
}
