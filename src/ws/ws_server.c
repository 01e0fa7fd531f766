/* Ws server: the one callback of libwebsockets' WebSocket side; see the header. */

#include "ws/ws_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "auth/revocations.h"
#include "auth/verifier.h"
#include "client/clients.h"
#include "client/socket.h"
#include "core/address_table.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/tally.h"
#include "http/request_head.h"
#include "ws/admission.h"
#include "ws/handshake.h"
#include "ws/listener.h"
#include "ws/lws_loop.h"
#include "ws/places.h"
#include "ws/sse_stream.h"
#include "ws/tls.h"
#include "ws/ws_answers.h"
#include "ws/ws_connection.h"
#include "ws/ws_door.h"
#include "ws/ws_inflate.h"
#include "ws/ws_message.h"
#include "ws/ws_request.h"
#include "ws/ws_sender.h"
#include "ws/ws_server_private.h"

enum {
	/* A whole request within 5 s and handshake_bytes_max, so that a slow or endless one costs little
	 * (Slowloris). */
	REQUEST_SECONDS = 5,
	LWS_HEAD_BYTES = 256, /* lws reads no head here: the least that it wants */
	REFUSED_LINES = 5,    /* of the log in a minute, for each reason */
	/* That lws reads of a message at a time. A longer one is put together in memory of its own. */
	RECEIVE_BUFFER = 256,
	/* The bytes that lws reads from a socket at a time, and writes to it; a server has one buffer. */
	SERVICE_BUFFER = WS_RECORD_BYTES,
	TIDY_MS = 250, /* between two looks for addresses that can be forgotten */
};

static struct ws_server *server_of(struct lws *wsi)
{
	return lws_context_user(lws_get_context(wsi));
}

void ws_server_refresh_time(struct ws_server *server)
{
	clients_set_time(server->clients, clock_monotonic_ms(), clock_wall_ms());
}

/* --- connections --- */

void ws_server_end(struct ws_connection *connection)
{
	address_table_leave(connection->server->places->addresses, connection->address, false,
		connection->client.clients->now_ms);
	tally_leave(connection->server->places->users, connection->user);
	client_deinit(&connection->client);
	list_remove(&connection->due);
	ws_message_drop(connection);
	free(connection->path);
	free(connection->head);
	free(connection);
}

/* --- handshakes --- */

void ws_server_answer(void *socket)
{
	struct ws_connection *connection = socket;

	if (connection->held && !list_linked(&connection->due))
		ws_answers_add(connection->server->answers, connection);
}

const struct handshake_refusal *ws_server_open(struct ws_connection *connection, struct slice early)
{
	int r = 0;

	if (connection->server->draining) {
		ws_server_end(connection);
		return handshake_refusal(REFUSAL_DRAINING);
	}
	if (connection->streams)
		sse_stream_open(connection, early);
	else
		r = ws_socket_open(connection, early);
	if (r == 0)
		return NULL;
	ws_server_end(connection);
	return handshake_refusal(REFUSAL_OUT_OF_MEMORY);
}

/* --- what libwebsockets calls back for --- */

static uint16_t close_code(const unsigned char *payload, size_t len)
{
	return len >= 2 ? (uint16_t)(payload[0] << 8 | payload[1]) : CLOSE_CODE_NONE;
}

/* -1: lws closes the connection; 0: the client answers the close frame. */
static int on_peer_close(struct ws_connection *connection, const unsigned char *payload, size_t len)
{
	ws_server_refresh_time(connection->server);
	return client_peer_closed(&connection->client, close_code(payload, len)) ? -1 : 0;
}

/* A violation for which lws would close by itself. It knows two reasons. */
static int on_violation(struct ws_connection *connection, const unsigned char *payload, size_t len)
{
	uint16_t code = close_code(payload, len);

	ws_server_refresh_time(connection->server);
	ws_message_drop(connection);
	client_fail(&connection->client,
		code == close_reason_code(CLOSE_BAD_DATA) ? CLOSE_BAD_DATA : CLOSE_PROTOCOL);
	return 0;
}

static int on_connection(
	struct ws_connection *connection, enum lws_callback_reasons reason, void *in, size_t len)
{
	switch (reason) {
	case LWS_CALLBACK_RECEIVE:
		ws_message_receive(connection, in, len);
		return 0;
	case LWS_CALLBACK_RECEIVE_PONG:
		client_heard(&connection->client);
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		ws_socket_writable(connection);
		return 0;
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		return on_peer_close(connection, in, len);
	case LWS_CALLBACK_WS_PEER_VIOLATION:
		return on_violation(connection, in, len);
	case LWS_CALLBACK_CLOSED:
	case LWS_CALLBACK_WSI_DESTROY:
		lws_set_opaque_user_data(connection->wsi, NULL);
		ws_server_end(connection);
		return 0;
	default:
		return 0;
	}
}

/* The place that the connection holds. A connection that lws gives up at once has no mark yet. */
static enum place place_of(const struct ws_server *server, struct lws *wsi)
{
	if (server->arriving)
		return server->arriving;
	return ws_request_place(wsi);
}

static void count(struct lws *wsi, enum lws_callback_reasons reason)
{
	struct ws_server *server;

	if (reason != LWS_CALLBACK_WSI_CREATE && reason != LWS_CALLBACK_WSI_DESTROY)
		return;
	server = server_of(wsi);
	if (reason == LWS_CALLBACK_WSI_CREATE) {
		server->n_connections++;
		server->n_created++;
	} else {
		server->n_connections--;
		places_leave(server->places, place_of(server, wsi));
	}
}

/* It has not asked for a WebSocket yet, or was refused. */
static int on_request(struct lws *wsi, enum lws_callback_reasons reason, const char *in, size_t len)
{
	switch (reason) {
	case LWS_CALLBACK_HTTP_HEAD_RX:
		return ws_request_receive(server_of(wsi), wsi, in, len);
	case LWS_CALLBACK_HTTP_HEAD_TIMEOUT:
		ws_tls_late(server_of(wsi)->tls, wsi);
		ws_request_late(server_of(wsi), wsi);
		return 0;
	case LWS_CALLBACK_HTTP_WRITEABLE:
		ws_request_writable(server_of(wsi), wsi);
		return 0;
	case LWS_CALLBACK_WSI_DESTROY:
		ws_request_end(server_of(wsi), wsi);
		return 0;
	default:
		return 0;
	}
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct ws_connection *connection;

	if (reason == LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS) /* the wsi is none */
		return ws_tls_take(server_of(wsi)->tls, user);
	count(wsi, reason);
	if (wsi && lws_http_head_wanted(wsi))
		return on_request(wsi, reason, in, len);
	connection = wsi ? lws_get_opaque_user_data(wsi) : NULL;
	return connection ? on_connection(connection, reason, in, len) : 0;
}

/* --- building and ending --- */

static int start_lws(struct ws_server *server, struct event_base *base)
{
	/* Zeroed: lws runs no timer of its own for an open connection. */
	static const lws_retry_bo_t no_timers = {0};
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.protocols = server->protocols,
		.user = server,
		.options = LWS_SERVER_OPTION_VALIDATE_UTF8 | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
			   LWS_SERVER_OPTION_HEAD_BY_USER,
		.retry_and_idle_policy = &no_timers,
		.timeout_secs = REQUEST_SECONDS,
		.timeout_secs_ah_idle = REQUEST_SECONDS,
		.max_http_header_data = LWS_HEAD_BYTES,
		.pt_serv_buf_size = SERVICE_BUFFER,
		.vhost_name = "default",
		.gid = (gid_t)-1,
		.uid = (uid_t)-1,
	};

	server->protocols[0] = (struct lws_protocols){
		.name = "",
		.callback = callback,
		.rx_buffer_size = RECEIVE_BUFFER,
		/* Or lws would write no more than it reads. It adds what a frame's header may need; the
		 * whole is a record of TLS, and not one with a small one behind it. */
		.tx_packet_size = WS_RECORD_BYTES - LWS_PRE - 4,
	};
	ws_tls_ask(server->tls, &info);
	server->loop = lws_loop_new(base);
	if (server->loop)
		server->answers = ws_answers_new(base, server->loop);
	if (!server->answers)
		return -ENOMEM;
	lws_loop_set_pause(server->loop, server->up.pause, server->up.arg);
	server->context = lws_loop_create_context(server->loop, &info);
	if (server->context)
		server->vhost = lws_create_vhost(server->context, &info);
	if (!server->vhost)
		return -ENOMEM;
	return ws_tls_begin(server->tls);
}

static int make_tls(struct ws_server *server, const struct ws_server_options *options)
{
	const struct ws_tls_options tls = {options->tls_keys, options->tls_least, options->log,
		options->metrics,
		"{\"type\":\"error\",\"data\":{\"code\":\"tls_required\","
		"\"message\":\"TLS is spoken here: https or wss\"}}\n"};

	if (!options->tls_keys)
		return 0;
	server->tls = ws_tls_new(&tls);
	server->record = malloc(WS_RECORD_BYTES);
	return server->tls && server->record ? 0 : -ENOMEM;
}

int ws_server_new(const struct ws_server_options *options, struct ws_server **serverp, struct buf *error)
{
	struct ws_server *server = calloc(1, sizeof(*server));
	int r;

	if (!server) {
		handshake_rules_deinit(options->rules);
		return -ENOMEM;
	}
	list_init(&server->aborted);
	server->clients = options->clients;
	server->rules = handshake_rules_take(options->rules);
	server->places = options->places;
	server->head_bytes_max = options->head_bytes_max;
	server->up = options->listener;
	server->log = options->log;
	server->metrics = options->metrics;
	for (int i = 0; i < N_REFUSALS; i++)
		server->refused_limits[i] = (struct log_limit){.burst = REFUSED_LINES, .interval_ms = 60000};
	server->sender = ws_sender_new(options->use_uring, options->clients, options->log, options->metrics);
	server->inflate = ws_inflate_new(options->clients->limits.message_bytes_max);
	server->verifying = verifier_thread_new();
	r = server->sender && server->inflate && server->verifying ? make_tls(server, options) : -ENOMEM;
	if (r == 0)
		r = start_lws(server, options->base);
	if (r < 0) {
		lws_loop_explain(error);
		goto fail;
	}
	r = ws_door_open(server, options, error);
	if (r < 0)
		goto fail;
	*serverp = server;
	return 0;

fail:
	ws_server_free(server);
	return r;
}

void ws_server_free(struct ws_server *server)
{
	if (!server)
		return;
	listener_free(server->listener);
	admission_free(server->admission);
	lws_loop_free(server->loop); /* ends the connections that wait for their answers, too */
	ws_answers_free(server->answers);
	ws_tls_free(server->tls);
	free(server->record);
	ws_sender_free(server->sender);
	ws_inflate_free(server->inflate);
	verifier_thread_free(server->verifying);
	revocations_unref(server->revocations);
	handshake_rules_deinit(&server->rules);
	free(server);
}

uint16_t ws_server_port(const struct ws_server *server)
{
	return listener_port(server->listener);
}

void ws_server_configure(struct ws_server *server, struct handshake_rules *rules)
{
	handshake_rules_deinit(&server->rules);
	server->rules = handshake_rules_take(rules);
	ws_inflate_set_max(server->inflate, server->clients->limits.message_bytes_max);
}

void ws_server_set_tls_keys(struct ws_server *server, struct tls_keys *keys)
{
	if (ws_tls_set_keys(server->tls, keys) < 0)
		log_error(server->log, "no memory for the new tls certificate, the old one goes on");
}

void ws_server_drain(struct ws_server *server)
{
	server->draining = true;
	listener_drain(server->listener);
}

bool ws_server_drained(const struct ws_server *server)
{
	return listener_drained(server->listener) && server->n_connections == 0 &&
	       (!server->admission || admission_size(server->admission) == 0);
}

uint64_t ws_server_n_served(const struct ws_server *server)
{
	return lws_loop_n_served(server->loop);
}

void ws_server_submit(struct ws_server *server)
{
	ws_sender_submit(server->sender);
}

static void tidy_addresses(struct ws_server *server)
{
	uint64_t now_ms = server->clients->now_ms;

	if (now_ms < server->tidy_ms)
		return;
	server->tidy_ms = now_ms + TIDY_MS;
	address_table_tidy(server->places->addresses, now_ms);
}

/* What the kernel has for a peer that does not read goes with the connection, and not minutes later. */
static void forget_unsent(struct lws *wsi)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	(void)setsockopt(lws_get_socket_fd(wsi), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

void ws_server_turn(struct ws_server *server)
{
	while (!list_empty(&server->aborted)) {
		struct ws_connection *connection =
			list_entry(server->aborted.next, struct ws_connection, due);

		list_remove(&connection->due);
		if (connection->client.reason == CLOSE_SHED)
			forget_unsent(connection->wsi);
		/* Otherwise lws would wait some more seconds for a peer that does not read the bytes
		 * that lws has kept. */
		(void)shutdown(lws_get_socket_fd(connection->wsi), SHUT_RDWR);
		lws_set_timeout(connection->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
	}
	lws_loop_turn(server->loop);
	tidy_addresses(server);
}

void ws_server_ticket(struct ws_server *server, struct ticket *ticket)
{
	ws_request_ticket(server, ticket);
}
