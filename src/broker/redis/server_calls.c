/*
 * Redis server, calls: what is asked of one server.
 *
 * Each call goes out on the commander's link and is answered once, or it is refused here: a server that is
 * not ready would let it wait. Channels come as the bus knows them, and go out with the prefix.
 */

#include <errno.h>

#include "broker/redis/action.h"
#include "broker/redis/library.h"
#include "broker/redis/list_mark.h"
#include "broker/redis/presence.h"
#include "broker/redis/server_private.h"
#include "broker/redis/session.h"

/* The channel as Redis knows it, in name, whose bytes are the caller's to free. 0, or why no call can be
 * made. */
static int server_name(const struct redis_server *server, struct slice channel, struct buf *name)
{
	const struct redis_channels *channels;

	if (!redis_server_is_ready(server))
		return -ENOTCONN;
	channels = &server->subscriber.sets[REDIS_CLASSIC];
	buf_append(name, channels->prefix, channels->prefix_len);
	buf_append(name, channel.data, channel.len);
	return name->failed ? -ENOMEM : 0;
}

int redis_server_publish(struct redis_server *server, struct slice channel, struct slice payload,
	broker_published_fn done, void *arg)
{
	struct buf name = {0};
	int r = server_name(server, channel, &name);

	if (r == 0)
		r = redis_publication_send(
			&server->publications, server->commander, buf_slice(&name), payload, done, arg);
	buf_deinit(&name);
	return r;
}

int redis_server_log_publish(struct redis_server *server, struct slice channel, struct slice payload,
	const struct broker_log_options *options, broker_log_published_fn done, void *arg)
{
	struct buf name = {0};
	int r = server_name(server, channel, &name);

	if (r == 0)
		r = redis_log_publish(&server->logs, buf_slice(&name), payload, options, done, arg);
	buf_deinit(&name);
	return r;
}

int redis_server_log_read(struct redis_server *server, struct slice channel, uint64_t from, uint32_t count,
	uint64_t ttl_ms, broker_log_read_fn done, void *arg)
{
	struct buf name = {0};
	int r = server_name(server, channel, &name);

	if (r == 0)
		r = redis_log_read(&server->logs, buf_slice(&name), from, count, ttl_ms, done, arg);
	buf_deinit(&name);
	return r;
}

int redis_server_act(struct redis_server *server, const struct broker_action_stream *stream,
	const struct broker_action *actions, size_t n, broker_acted_fn done, void *arg)
{
	struct broker_action_stream named = *stream;
	struct buf name = {0};
	int r = server_name(server, stream->reply, &name);

	named.reply = buf_slice(&name);
	if (r == 0)
		r = redis_action_send(server->library, &named, actions, n, done, arg);
	buf_deinit(&name);
	return r;
}

/* --- presence --- */

int redis_server_set_presence(struct redis_server *server, const struct broker_presence *presence,
	const struct broker_user *users, size_t n, broker_roll_fn done, void *arg)
{
	struct broker_presence named = *presence;
	struct buf name = {0};
	int r = server_name(server, presence->channel, &name);

	named.channel = buf_slice(&name);
	if (r == 0)
		r = redis_presence_set(server->library, &named, users, n, done, arg);
	buf_deinit(&name);
	return r;
}

int redis_server_clear_presence(struct redis_server *server, const struct broker_presence *presence,
	uint64_t cursor, broker_roll_fn done, void *arg)
{
	struct broker_presence named = *presence;
	struct buf name = {0};
	int r = server_name(server, presence->channel, &name);

	named.channel = buf_slice(&name);
	if (r == 0)
		r = redis_presence_clear(server->library, &named, cursor, done, arg);
	buf_deinit(&name);
	return r;
}

int redis_server_ask_presence(
	struct redis_server *server, struct slice channel, bool names, broker_roll_fn done, void *arg)
{
	struct buf name = {0};
	int r = server_name(server, channel, &name);

	if (r == 0)
		r = redis_presence_ask(server->library, buf_slice(&name), names, done, arg);
	buf_deinit(&name);
	return r;
}

/* --- lifecycle --- */

int redis_server_say(struct redis_server *server, const struct broker_session *session, uint64_t call,
	bool forgot, const struct broker_said *said, size_t n, broker_said_fn done, void *arg)
{
	if (!redis_server_is_ready(server))
		return -ENOTCONN;
	return redis_session_say(server->library, server->subscriber.sets[REDIS_CLASSIC].prefix, session,
		call, forgot, said, n, done, arg);
}

int redis_server_say_lost(struct redis_server *server, const struct broker_session *session, uint64_t cursor,
	broker_said_fn done, void *arg)
{
	if (!redis_server_is_ready(server))
		return -ENOTCONN;
	return redis_session_say_lost(
		server->library, server->subscriber.sets[REDIS_CLASSIC].prefix, session, cursor, done, arg);
}

/* --- the nodes' leases --- */

struct redis_leases *redis_server_leases(struct redis_server *server)
{
	return redis_server_is_ready(server) ? &server->leases : NULL;
}

/* --- the nodes --- */

int redis_server_announce(struct redis_server *server, struct slice text, uint64_t ttl_ms)
{
	if (!redis_server_is_ready(server))
		return -ENOTCONN;
	/* Here too, because a server that is heard all the time needs no probe. */
	if (server->loads_library)
		redis_library_poke(server->library);
	return redis_nodes_announce(&server->nodes, server->commander, text, ttl_ms);
}

void redis_server_leave_mark(struct redis_server *server, struct redis_list_mark *mark)
{
	if (redis_server_is_ready(server))
		redis_list_mark_leave(mark, server->commander);
}

int redis_server_nodes(struct redis_server *server, broker_nodes_fn done, void *arg)
{
	if (!redis_server_is_ready(server))
		return -ENOTCONN;
	return redis_nodes_list(&server->nodes, server->commander, done, arg);
}

int redis_server_depart(struct redis_server *server, broker_withdrawn_fn done, void *arg)
{
	if (!redis_server_is_ready(server))
		return -ENOTCONN;
	return redis_nodes_withdraw(&server->nodes, server->commander, done, arg);
}

/* --- the tickets --- */

int redis_server_take_ticket(
	struct redis_server *server, struct slice ticket, broker_ticket_fn done, void *arg)
{
	if (!redis_server_is_ready(server))
		return -ENOTCONN;
	return redis_tickets_take(&server->tickets, server->commander, ticket, done, arg);
}

/* --- the revocations --- */

int redis_server_revocations(struct redis_server *server, broker_revocations_fn each, void *arg)
{
	if (!redis_server_is_ready(server))
		return -ENOTCONN;
	return redis_revocations_list(&server->revocations, server->commander, each, arg);
}

int redis_server_revoke(struct redis_server *server, const struct broker_revocation *revocation)
{
	if (!redis_server_is_ready(server))
		return -ENOTCONN;
	return redis_revocations_add(&server->revocations, server->commander, revocation);
}

int redis_server_unrevoke(struct redis_server *server, struct slice text)
{
	if (!redis_server_is_ready(server))
		return -ENOTCONN;
	return redis_revocations_remove(&server->revocations, server->commander, text);
}

int redis_server_expire_revocations(struct redis_server *server, double now_seconds)
{
	if (!redis_server_is_ready(server))
		return -ENOTCONN;
	return redis_revocations_expire(&server->revocations, server->commander, now_seconds);
}
