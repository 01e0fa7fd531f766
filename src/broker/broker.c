/*
 * Broker: hands each call of the interface to the broker behind it. Arguments that no
 * broker takes are refused here.
 */

#include "broker/broker.h"

#include <errno.h>

int broker_subscribe(struct broker *broker, struct slice channel)
{
	return broker->ops->subscribe(broker, channel);
}

void broker_hurry(struct broker *broker, struct slice channel)
{
	if (broker->ops->hurry)
		broker->ops->hurry(broker, channel);
}

bool broker_look(struct broker *broker)
{
	return broker->ops->look(broker);
}

void broker_unsubscribe(struct broker *broker, struct slice channel)
{
	broker->ops->unsubscribe(broker, channel);
}

int broker_publish(struct broker *broker, struct slice channel, struct slice payload,
	broker_published_fn done, void *arg)
{
	return broker->ops->publish(broker, channel, payload, done, arg);
}

int broker_log_publish(struct broker *broker, struct slice channel, struct slice payload,
	const struct broker_log_options *options, broker_log_published_fn done, void *arg)
{
	bool has_key = options->key.data != NULL;

	if (!options->size || !options->ttl_ms)
		return -EINVAL;
	if (has_key && (!options->key.len || options->key.len > BROKER_LOG_KEY_MAX || !options->key_ttl_ms))
		return -EINVAL;
	return broker->ops->log_publish(broker, channel, payload, options, done, arg);
}

int broker_log_read(struct broker *broker, struct slice channel, uint64_t from, uint32_t count,
	uint64_t ttl_ms, broker_log_read_fn done, void *arg)
{
	if (!ttl_ms)
		return -EINVAL;
	if (count > BROKER_LOG_READ_MAX)
		count = BROKER_LOG_READ_MAX;
	return broker->ops->log_read(broker, channel, from, count, ttl_ms, done, arg);
}

int broker_act(struct broker *broker, const struct broker_action_stream *stream,
	const struct broker_action *actions, size_t n, broker_acted_fn done, void *arg)
{
	return broker->ops->act ? broker->ops->act(broker, stream, actions, n, done, arg) : -EOPNOTSUPP;
}

enum broker_state broker_state(const struct broker *broker)
{
	return broker->ops->state(broker);
}

enum broker_state broker_channel_state(const struct broker *broker, struct slice channel)
{
	if (!broker->ops->channel_state)
		return broker->ops->state(broker);
	return broker->ops->channel_state(broker, channel);
}

uint64_t broker_n_returns(const struct broker *broker)
{
	return broker->ops->n_returns ? broker->ops->n_returns(broker) : 0;
}

bool broker_shard(const struct broker *broker, size_t i, struct broker_shard *shard)
{
	return broker->ops->shard && broker->ops->shard(broker, i, shard);
}

void broker_describe(const struct broker *broker, struct buf *out)
{
	broker->ops->describe(broker, out);
}

struct slice broker_complaint(const struct broker *broker)
{
	return broker->ops->complaint ? broker->ops->complaint(broker) : (struct slice){0};
}

void broker_set_payload_max(struct broker *broker, size_t payload_bytes_max)
{
	if (broker->ops->set_payload_max)
		broker->ops->set_payload_max(broker, payload_bytes_max);
}

void broker_set_loads_library(struct broker *broker, bool loads_library)
{
	if (broker->ops->set_loads_library)
		broker->ops->set_loads_library(broker, loads_library);
}

int broker_announce(struct broker *broker, struct slice text, uint64_t ttl_ms)
{
	return broker->ops->announce ? broker->ops->announce(broker, text, ttl_ms) : -EOPNOTSUPP;
}

int broker_nodes(struct broker *broker, broker_nodes_fn done, void *arg)
{
	return broker->ops->nodes ? broker->ops->nodes(broker, done, arg) : -EOPNOTSUPP;
}

int broker_withdraw(struct broker *broker, broker_withdrawn_fn done, void *arg)
{
	return broker->ops->withdraw ? broker->ops->withdraw(broker, done, arg) : -EOPNOTSUPP;
}

int broker_take_ticket(struct broker *broker, struct slice ticket, broker_ticket_fn done, void *arg)
{
	return broker->ops->take_ticket ? broker->ops->take_ticket(broker, ticket, done, arg) : -EOPNOTSUPP;
}

int broker_revocations(struct broker *broker, broker_revocations_fn each, void *arg)
{
	return broker->ops->revocations ? broker->ops->revocations(broker, each, arg) : -EOPNOTSUPP;
}

int broker_revoke(struct broker *broker, const struct broker_revocation *revocation)
{
	return broker->ops->revoke ? broker->ops->revoke(broker, revocation) : -EOPNOTSUPP;
}

int broker_unrevoke(struct broker *broker, struct slice text)
{
	return broker->ops->unrevoke ? broker->ops->unrevoke(broker, text) : -EOPNOTSUPP;
}

int broker_expire_revocations(struct broker *broker, double now_seconds)
{
	return broker->ops->expire_revocations ? broker->ops->expire_revocations(broker, now_seconds)
					       : -EOPNOTSUPP;
}

int broker_set_presence(struct broker *broker, const struct broker_presence *presence,
	const struct broker_user *users, size_t n, broker_roll_fn done, void *arg)
{
	return broker->ops->set_presence ? broker->ops->set_presence(broker, presence, users, n, done, arg)
					 : -EOPNOTSUPP;
}

int broker_ask_presence(
	struct broker *broker, struct slice channel, bool names, broker_roll_fn done, void *arg)
{
	return broker->ops->ask_presence ? broker->ops->ask_presence(broker, channel, names, done, arg)
					 : -EOPNOTSUPP;
}

int broker_hold(struct broker *broker, struct slice node, bool hold, const struct slice *names, size_t n,
	broker_done_fn done, void *arg)
{
	return broker->ops->hold ? broker->ops->hold(broker, node, hold, names, n, done, arg) : -EOPNOTSUPP;
}

int broker_clear_presence(struct broker *broker, const struct broker_presence *presence, uint64_t cursor,
	broker_roll_fn done, void *arg)
{
	return broker->ops->clear_presence ? broker->ops->clear_presence(broker, presence, cursor, done, arg)
					   : -EOPNOTSUPP;
}

int broker_lease(struct broker *broker, const struct broker_lease *lease, broker_lease_fn done, void *arg)
{
	return broker->ops->lease ? broker->ops->lease(broker, lease, done, arg) : -EOPNOTSUPP;
}

int broker_end_lease(struct broker *broker, struct slice node, uint64_t in_ms, broker_done_fn done, void *arg)
{
	return broker->ops->end_lease ? broker->ops->end_lease(broker, node, in_ms, done, arg) : -EOPNOTSUPP;
}

int broker_cleared(struct broker *broker, struct slice node, broker_done_fn done, void *arg)
{
	return broker->ops->cleared ? broker->ops->cleared(broker, node, done, arg) : -EOPNOTSUPP;
}

int broker_hold_some(struct broker *broker, struct slice node, broker_held_fn done, void *arg)
{
	return broker->ops->hold_some ? broker->ops->hold_some(broker, node, done, arg) : -EOPNOTSUPP;
}

void broker_seek_missed(struct broker *broker)
{
	if (broker->ops->seek_missed)
		broker->ops->seek_missed(broker);
}

int broker_say(struct broker *broker, const struct broker_session *session, uint64_t call, bool forgot,
	const struct broker_said *said, size_t n, broker_said_fn done, void *arg)
{
	return broker->ops->say ? broker->ops->say(broker, session, call, forgot, said, n, done, arg)
				: -EOPNOTSUPP;
}

int broker_say_lost(struct broker *broker, const struct broker_session *session, uint64_t cursor,
	broker_said_fn done, void *arg)
{
	return broker->ops->say_lost ? broker->ops->say_lost(broker, session, cursor, done, arg)
				     : -EOPNOTSUPP;
}

void broker_free(struct broker *broker)
{
	if (broker)
		broker->ops->free(broker);
}
