/*
 * Redis server, links: the one to hear and the one to ask, from the dial until commands may be sent.
 */

#include <errno.h>

#include "broker/redis/error.h"
#include "broker/redis/library.h"
#include "broker/redis/link.h"
#include "broker/redis/server_private.h"
#include "channel_log/envelope.h"
#include "core/clock.h"
#include "metrics/metrics.h"

enum {
	MOVED_MS = 2000,      /* a server that sends us elsewhere is asked no more often why */
	READ_ONLY_MS = 10000, /* a Redis that stays a replica is dialled no more often than so */
};

static void on_closed(void *arg, enum redis_link_end end, const char *reason)
{
	redis_server_lost(arg, end, reason);
}

static void server_prove(struct redis_server *server)
{
	if (server->subscriber.listening && server->can_command)
		redis_prover_start(&server->prover, server->subscriber.link, server->commander);
}

static void on_listening(void *arg)
{
	server_prove(arg);
}

static void on_echo(void *arg, struct slice token)
{
	struct redis_server *server = arg;

	redis_prover_echo(&server->prover, token);
}

static void server_can_command(struct redis_server *server)
{
	server->can_command = true;
	redis_library_attach(server->library, server->commander);
	server_prove(server);
}

/* Sentinels named it as the primary; it may not be that yet, or any more. Where we have no right to ask, it
 * is believed. */
static void on_role(void *arg, const struct redis_reply *reply)
{
	struct redis_server *server = arg;

	if (!reply || !server->commander)
		return;
	if (reply->values[0].kind == REDIS_ARRAY && reply->n_values > 1 &&
		!slice_is(redis_reply_text(reply, 1), "master"))
		redis_link_fail(server->commander, REDIS_LINK_LOST,
			"the sentinels name it as the primary, and it says that it is a replica");
	else
		server_can_command(server);
}

/*
 * An empty array says that it is in cluster mode and knows of no slot: its cluster is being made. Errors
 * that pass say nothing. Whatever else it answers, an error above all: it is alone. It is asked again with
 * the next link, because a server becomes one of a cluster by a restart.
 */
static void on_slots(void *arg, const struct redis_reply *reply)
{
	struct redis_server *server = arg;

	if (!reply || !server->commander)
		return;
	if (reply->values[0].kind == REDIS_ARRAY && reply->n_values > 1) {
		server->listener.clustered(server->listener.arg);
		return;
	}
	if (reply->values[0].kind == REDIS_ARRAY) {
		redis_link_fail(server->commander, REDIS_LINK_LOST,
			"it is in cluster mode, and no server has slots yet");
		return;
	}
	if (reply->values[0].kind == REDIS_ERROR &&
		redis_error_errno(redis_reply_text(reply, 0)) == -EAGAIN) {
		redis_link_fail(
			server->commander, REDIS_LINK_LOST, "it cannot say yet whether it is in a cluster");
		return;
	}
	server_can_command(server);
}

static void on_expected_slots(void *arg, const struct redis_reply *reply)
{
	struct redis_server *server = arg;
	const char *reason;

	if (!reply || !server->commander)
		return;
	reason = server->listener.stranger(server->listener.arg, reply);
	if (reason) {
		redis_link_fail(server->commander, REDIS_LINK_STRANGER, reason);
		return;
	}
	server->is_stranger = false;
	server_can_command(server);
}

static void on_commander_ready(void *arg)
{
	struct redis_server *server = arg;
	const struct slice role[] = {slice_of("ROLE")};
	const struct slice slots[] = {slice_of("CLUSTER"), slice_of("SLOTS")};
	int r = 0;

	if (server->wants_primary)
		r = redis_link_ask(server->commander, role, 1, on_role, server);
	else if (server->listener.stranger)
		r = redis_link_ask(server->commander, slots, 2, on_expected_slots, server);
	else if (server->listener.clustered)
		r = redis_link_ask(server->commander, slots, 2, on_slots, server);
	else
		server_can_command(server);
	if (r < 0)
		redis_link_fail(server->commander, REDIS_LINK_LOST, "out of memory");
}

static void on_unasked(void *arg, const struct redis_reply *reply)
{
	struct redis_server *server = arg;

	(void)reply;
	metrics_add(server->metrics, METRIC_REDIS_BAD_MESSAGES, 1);
	redis_link_fail(server->commander, REDIS_LINK_LOST, "Redis answered what was not asked");
}

static void on_slots_again(void *arg, const struct redis_reply *reply)
{
	struct redis_server *server = arg;

	if (reply && server->commander && reply->values[0].kind == REDIS_ARRAY && reply->n_values > 1)
		redis_link_fail(server->commander, REDIS_LINK_LOST, "it is one of a cluster now");
}

/* It sends us elsewhere, though it was alone when it was asked: we had no right to ask, or what stands
 * between us has changed. If it tells who has which slots now, the next link is asked first. */
static void on_erred(void *arg, struct slice error)
{
	const struct slice slots[] = {slice_of("CLUSTER"), slice_of("SLOTS")};
	struct redis_server *server = arg;
	uint64_t now_ms = clock_monotonic_ms();

	if (!server->listener.clustered || !slice_starts(error, "MOVED ") ||
		(server->moved_ms && now_ms - server->moved_ms < MOVED_MS))
		return;
	server->moved_ms = now_ms;
	(void)redis_link_ask(server->commander, slots, 2, on_slots_again, server); /* or with the next one */
}

/* It was the primary once, or should be: its name may lead to another one by now. */
void redis_server_read_only(void *arg)
{
	struct redis_server *server = arg;
	uint64_t now_ms = clock_monotonic_ms();

	if (server->read_only_ms && now_ms - server->read_only_ms < READ_ONLY_MS)
		return; /* events flow from a replica too */
	server->read_only_ms = now_ms;
	redis_link_fail(
		server->commander, REDIS_LINK_LOST, "Redis is a replica and takes no entries of logs");
}

static void on_turned(void *arg)
{
	(void)arg; /* the commander's answers need no end of a turn */
}

int redis_server_dial(struct redis_server *server)
{
	const struct redis_link_listener commands = {
		server, on_commander_ready, on_unasked, on_turned, on_closed, on_erred};
	const struct redis_link_options options = {
		.url = &server->url,
		.tls = server->url.tls ? server->tls : NULL,
		.name = buf_text(&server->client_name),
		.bulk_bytes_max = server->payload_bytes_max + ENVELOPE_HEAD_MAX,
		.timeout_ms = server->dial_timeout_ms,
		.floods = true,
	};
	int r;

	r = redis_subscriber_dial(&server->subscriber, server->base, &options);
	if (r < 0)
		return r;
	return redis_link_new(server->base, &options, &commands, &server->commander);
}

struct redis_subscriber_listener redis_server_ears(struct redis_server *server)
{
	return (struct redis_subscriber_listener){server, on_listening, on_echo, on_closed};
}
