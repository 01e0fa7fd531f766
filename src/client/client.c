/* Client: one connected peer; see the header for its states. */

#include "client/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "channel_log/position.h"
#include "client/actions.h"
#include "client/answer.h"
#include "client/clients.h"
#include "client/delivery.h"
#include "client/disconnects.h"
#include "client/lease.h"
#include "client/orders.h"
#include "client/owed.h"
#include "client/positions.h"
#include "client/presence.h"
#include "client/recovery.h"
#include "client/session.h"
#include "client/slow.h"
#include "client/socket.h"
#include "client/verbs.h"
#include "core/ip.h"
#include "core/log.h"
#include "metrics/metrics.h"
#include "protocol/command.h"
#include "protocol/message.h"
#include "protocol/reply.h"
#include "route/route.h"

/* Leaves every channel, and drops the answers that were owed for them. */
static void leave_channels(struct client *client)
{
	while (client->subscriber.first) {
		owed_forget(client->subscriber.first);
		recovery_forget(client->subscriber.first);
		hub_unsubscribe(client->clients->hub, client->subscriber.first);
	}
	recovery_disown(client);
}

static void log_opened(const struct client *client)
{
	char remote[INET6_ADDRSTRLEN];

	if (!log_wants(client->clients->log, LOG_INFO))
		return;
	ip_print(&client->remote, remote);
	log_info(client->clients->log, "client connected", log_uint("conn", client->id),
		log_str("route", route_path(client->rights.route)),
		log_str("transport", transport_name(client->transport)), log_str("remote", remote));
}

static const struct {
	enum metric open;
	enum metric opened;
} transport_metrics[N_TRANSPORTS] = {
#define TRANSPORT(id, word, sentence)                                                                        \
	[TRANSPORT_##id] = {METRIC_TRANSPORT_OPEN_##id, METRIC_TRANSPORT_OPENED_##id},
#include "protocol/transport.def"
#undef TRANSPORT
};

/* The only place where the state changes: lists, counts and the log follow. */
static void client_enter(struct client *client, enum client_state state)
{
	struct clients *clients = client->clients;

	list_remove(&client->due);
	keepalive_remove(&client->keepalive);
	clients->n_live -= client_is_live(client);
	client->state = state;
	clients->n_live += client_is_live(client);
	switch (state) {
	case CLIENT_PARKED:
		client->deadline_ms = clients->now_ms + CLIENT_PARKED_MS;
		list_push_back(&clients->parked, &client->due);
		break;
	case CLIENT_OPEN:
		client->opened_ms = clients->now_ms;
		client->subscriber.urgent = false;
		keepalive_add(&clients->keepalive, &client->keepalive, clients->now_ms);
		lease_run(client);
		metrics_add(clients->metrics, METRIC_CONNECTIONS, 1);
		metrics_add(clients->metrics, METRIC_CONNECTIONS_OPENED, 1);
		metrics_add(clients->metrics, transport_metrics[client->transport].open, 1);
		metrics_add(clients->metrics, transport_metrics[client->transport].opened, 1);
		log_opened(client);
		presence_opened(client);
		session_opened(client);
		break;
	case CLIENT_CLOSING:
		lease_stop(client);
		leave_channels(client);
		actions_forget(client);
		presence_forget(client);
		clients->ops->fall_silent(client->socket);
		client->deadline_ms = clients->now_ms + CLIENT_CLOSING_MS;
		list_push_back(&clients->closing, &client->due);
		break;
	case CLIENT_NONE:
		break;
	}
}

/* The channels that its path leads to. */
static int join_route(struct client *client)
{
	struct hub_subscription *subscription;
	char name[ROUTE_CHANNEL_MAX + 1];
	struct route_match match;
	int r;

	rights_match(&client->rights, &match);
	for (size_t i = 0; i < route_n_channels(match.route); i++) {
		size_t len = route_channel(&match, i, name);

		r = hub_subscribe(
			client->clients->hub, &client->subscriber, (struct slice){name, len}, &subscription);
		if (r < 0)
			return r;
		if (r == 0)
			client->n_unconfirmed += !subscription->confirmed;
	}
	return 0;
}

uint32_t client_mark(const struct client *client)
{
	uint32_t now_ms = (uint32_t)client->clients->now_ms;

	return now_ms ? now_ms : 1;
}

void client_let_in(struct client *client)
{
	client->held = false;
	if (client->n_unconfirmed)
		client->let_in_ms = client_mark(client);
}

/* Without a channel yet. 0 or -ENOMEM: then it may be deinited. */
static int begin(struct client *client, struct clients *clients, void *socket, struct rights *rights,
	const struct in6_addr *remote)
{
	*client = (struct client){
		.subscriber = {.urgent = clients->connected},
		.clients = clients,
		.socket = socket,
		.rights = *rights,
		.id = clients->next_id,
		.remote = *remote,
		.reason = CLOSE_GONE,
		.close_code = 1006,
	};
	*rights = (struct rights){0};
	clients->next_id += clients->id_step;
	list_init(&client->aside);
	list_push_back(&clients->all, &client->link);
	clients->n_clients++;
	client_enter(client, CLIENT_PARKED);
	return lease_init(client);
}

int client_init(struct client *client, struct clients *clients, void *socket, struct rights *rights,
	const struct in6_addr *remote)
{
	int r = begin(client, clients, socket, rights, remote);

	if (r == 0)
		r = join_route(client);
	if (r < 0) {
		client_deinit(client);
		return r;
	}
	client->held = client->n_unconfirmed && clients->connected;
	if (!client->held)
		client_let_in(client);
	return client->held ? CLIENT_HELD : 0;
}

int client_init_posting(struct client *client, struct clients *clients, void *socket, struct rights *rights,
	const struct in6_addr *remote)
{
	int r = begin(client, clients, socket, rights, remote);

	client->transport = TRANSPORT_POST;
	client->subscriber.form = FORM_SSE_BARE;
	if (r < 0)
		client_deinit(client);
	return r;
}

void client_said_all(struct client *client)
{
	delivery_flush_later(client); /* what needs no answer has an end, too */
}

static bool answers_come(const struct client *client)
{
	return client->n_actions || client->n_unanswered || client->asks_presence || client->blocked ||
	       !outbox_empty(&client->outbox);
}

bool client_waits_on(struct client *client)
{
	client->says_no_more = true;
	return client->state == CLIENT_CLOSING || answers_come(client);
}

bool client_is_answered(const struct client *client)
{
	return client->transport == TRANSPORT_POST && client->state == CLIENT_OPEN && !answers_come(client) &&
	       (!client->subscriber.n || client->says_no_more);
}

void client_speaks(struct client *client)
{
	client->speaks = true;
}

void client_resume(struct client *client, const struct since *since)
{
	struct hub_subscription *next;

	for (struct hub_subscription *s = client->subscriber.first; s && client->state == CLIENT_PARKED;
		s = next) {
		next = s->next;
		recovery_begin(client, s, since, (struct slice){0}, true);
	}
}

int client_streams(struct client *client, const struct since *since)
{
	const struct since now = {.kind = SINCE_NOW};

	client->transport = TRANSPORT_SSE;
	client->subscriber.form = client->subscriber.n > 1 ? FORM_SSE_BARE : FORM_SSE;
	if (client->subscriber.n > 1) {
		client->positions = positions_new();
		if (!client->positions)
			return -ENOMEM;
	}
	/* A browser that was told no position cannot say where it was when the stream breaks. */
	if (since || rights_keep_history(&client->rights))
		client_resume(client, since ? since : &now);
	return 0;
}

void client_open(struct client *client)
{
	if (client->state != CLIENT_PARKED)
		return; /* was given up while the handshake was under way */
	client_enter(client, CLIENT_OPEN);
	delivery_flush_later(client);
}

/* Answers that are ready go out before a close, as far as the socket takes them: a client may say goodbye, or
 * something wrong, right behind its last question. */
static void say_what_is_ready(struct client *client)
{
	if (client->state == CLIENT_OPEN && !client->doomed)
		delivery_flush(client);
}

void client_failed(struct client *client)
{
	const struct clients *clients = client->clients;

	if (!bucket_take(&client->failures, &clients->limits.failures, clients->now_ms))
		client_reject(client, CLOSE_FAILURES);
}

bool client_may_say(struct client *client)
{
	struct clients *clients = client->clients;

	if (client->state != CLIENT_OPEN)
		return false;
	if (bucket_take(&client->messages, &clients->limits.messages, clients->now_ms))
		return true;
	client->n_received++;
	metrics_add(clients->metrics, METRIC_MESSAGES_IN, 1);
	metrics_add(clients->metrics, METRIC_MESSAGES_OVER_RATE, 1);
	if (client->n_received % CLIENT_OVER_PART == 0)
		client_failed(client); /* a flood is over long before it was told so often */
	if (client->told_rate_ms && (uint32_t)clients->now_ms - client->told_rate_ms < CLIENT_TELL_RATE_MS)
		return false;
	client->told_rate_ms = client_mark(client);
	answer_retry(client, (struct slice){0}, "rate",
		"this connection says more than it may: messages were not read", (struct slice){0});
	client_failed(client);
	return false;
}

void client_receive(struct client *client, const char *text, size_t len)
{
	struct clients *clients = client->clients;
	struct command command;
	int outcome;

	if (client->state != CLIENT_OPEN)
		return;
	client->n_received++;
	metrics_add(clients->metrics, METRIC_MESSAGES_IN, 1);
	metrics_add(clients->metrics, METRIC_BYTES_IN, len);
	outcome = command_parse(text, len, &command);
	if (outcome == 0) {
		verbs_run(client, &command);
		return;
	}
	answer_error(client, command.id, command_error_code(outcome), command_error_message(outcome),
		(struct slice){0});
	client_failed(client);
}

void client_heard(struct client *client)
{
	if (client->state == CLIENT_OPEN)
		keepalive_heard(&client->clients->keepalive, &client->keepalive, client->clients->now_ms);
}

void client_writable(struct client *client)
{
	client->blocked = false;
	slow_leave(client);
	delivery_flush_later(client);
}

bool client_peer_closed(struct client *client, uint16_t code)
{
	if (client->state == CLIENT_CLOSING && !client->owes_close)
		return true;
	if (client->state == CLIENT_CLOSING) { /* the peer's overtook ours, which is still to be said */
		client->finishes = true;
		return false;
	}
	say_what_is_ready(client);
	client->reason = CLOSE_PEER;
	client->close_code = code;
	outbox_deinit(&client->outbox);
	client_enter(client, CLIENT_CLOSING); /* messages behind a close frame are neither read nor sent */
	client->owes_close = true;
	client->finishes = true;
	delivery_flush_later(client);
	return false;
}

void client_close(struct client *client, enum close_reason reason)
{
	client_close_with(client, reason, NULL);
}

void client_close_with(struct client *client, enum close_reason reason, struct message *last)
{
	/* Nothing is said on a broken connection, nor before the handshake's answer. */
	bool says_so = reason != CLOSE_GONE && client->state != CLIENT_PARKED;

	if (!client_is_live(client))
		return;
	client->reason = reason;
	client->close_code = close_reason_code(reason);
	if (reason == CLOSE_SLOW || reason == CLOSE_SHED)
		slow_give_up(client);
	outbox_deinit(&client->outbox); /* unread events give way: the close must not wait behind them */
	client_enter(client, CLIENT_CLOSING);
	client->owes_close = says_so;
	if (!says_so)
		client->clients->ops->abort(client->socket);
	else if (last)
		delivery_queue_last(client, last);
	delivery_flush_later(client);
}

void client_dismiss(struct client *client, enum close_reason reason, uint16_t code, struct slice words)
{
	if (!client_is_live(client))
		return;
	client_close(client, reason);
	if (code)
		client->close_code = code;
	/* Without memory for them it hears the reason's own. */
	if (words.data)
		client->farewell = strndup(words.data, words.len);
}

/* Words of somebody else's, which are what the peer hears and what the log has. */
static const char *given_words(const struct client *client)
{
	return client->state == CLIENT_CLOSING ? client->farewell : NULL;
}

const char *client_farewell(const struct client *client)
{
	const char *given = given_words(client);

	return given ? given : close_reason_told(client->reason);
}

static void forget_farewell(struct client *client)
{
	if (client->state != CLIENT_CLOSING)
		return;
	free(client->farewell);
	client->farewell = NULL;
}

void client_reject(struct client *client, enum close_reason reason)
{
	say_what_is_ready(client);
	client_close(client, reason);
}

void client_fail(struct client *client, enum close_reason reason)
{
	client_reject(client, reason);
	client->finishes = true;
	delivery_flush_later(client);
}

void client_push(struct client *client, struct message *message)
{
	if (!message) {
		client_close(client, CLOSE_INTERNAL);
		return;
	}
	if (client_is_live(client))
		delivery_queue_single(client, message);
	message_unref(message);
}

/* The metric of its close code. A code that only the gateway may use counts as "other" if a peer uses it. */
static enum metric closed_metric(const struct client *client)
{
	static const struct {
		uint16_t code;
		enum metric metric;
	} rows[] = {
#define CLOSED(code) {code, METRIC_CLOSED_##code}
		CLOSED(1000),
		CLOSED(1001),
		CLOSED(1002),
		CLOSED(1003),
		CLOSED(1005),
		CLOSED(1006),
		CLOSED(1007),
		CLOSED(1008),
		CLOSED(1009),
		CLOSED(1011),
		CLOSED(1012),
		CLOSED(1013),
		CLOSED(4001),
		CLOSED(4010),
		CLOSED(4100),
		CLOSED(4101),
#undef CLOSED
	};

	if (client->reason == CLOSE_PEER && client->close_code >= 4000)
		return METRIC_CLOSED_OTHER;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].code == client->close_code)
			return rows[i].metric;
	return METRIC_CLOSED_OTHER;
}

static void log_gone(const struct client *client)
{
	const struct clients *clients = client->clients;
	const char *given = given_words(client);
	char remote[INET6_ADDRSTRLEN];

	if (!log_wants(clients->log, LOG_INFO))
		return;
	ip_print(&client->remote, remote);
	log_info(clients->log, "client disconnected", log_uint("conn", client->id),
		log_str("route", route_path(client->rights.route)),
		log_str("transport", transport_name(client->transport)), log_str("remote", remote),
		log_uint("duration_ms", clients->now_ms - client->opened_ms),
		log_uint("received", client->n_received), log_uint("sent", client->n_sent),
		log_uint("dropped", client->n_dropped), log_uint("code", client->close_code),
		log_str("reason", given ? given : close_reason_sentence(client->reason)));
}

void client_deinit(struct client *client)
{
	struct clients *clients = client->clients;

	if (client->state == CLIENT_NONE)
		return;
	if (client->opened_ms) {
		log_gone(client);
		disconnects_note(&clients->disconnects, client);
		session_ended(client);
		metrics_sub(clients->metrics, METRIC_CONNECTIONS, 1);
		metrics_sub(clients->metrics, transport_metrics[client->transport].open, 1);
		metrics_add(clients->metrics, closed_metric(client), 1);
	}
	forget_farewell(client);
	leave_channels(client);
	actions_forget(client);
	presence_forget(client);
	client_enter(client, CLIENT_NONE);
	outbox_deinit(&client->outbox);
	positions_free(client->positions);
	list_remove(&client->flush);
	orders_pass_by(client);
	list_remove(&client->link);
	clients->n_clients--;
	lease_deinit(client);
	rights_deinit(&client->rights);
}
