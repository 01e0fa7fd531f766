/* Ws request: from the first byte to a head that is accepted or refused; see the header. */

#include "ws/ws_request.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <libwebsockets.h>

#include "auth/identity.h"
#include "client/clients.h"
#include "client/socket.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/ip.h"
#include "core/log.h"
#include "http/request_head.h"
#include "mail/ticket.h"
#include "metrics/metrics.h"
#include "ws/arrival.h"
#include "ws/handshake.h"
#include "ws/lws_linger.h"
#include "ws/places.h"
#include "ws/tls.h"
#include "ws/ws_connection.h"
#include "ws/ws_entry.h"
#include "ws/ws_file.h"
#include "ws/ws_server_private.h"

enum {
	TICKETS_MAX = 1024,             /* of a worker, asked for at one time */
	TICKET_SECONDS = 5,             /* for its answer */
	TICKET_EARLY_BYTES_MAX = 16384, /* that a client sends meanwhile, with its request */
};

struct ws_request {
	struct arrival arrival;
	/* of a head that has not come whole, or that waits for its ticket; and what came behind it while the
	 * answer waits */
	struct buf bytes;
	struct ticket *ticket;            /* that it names */
	size_t awaited_bytes;             /* of a head and a body that has not come whole; 0: none */
	struct identity *identity;        /* by its token, while its body is awaited */
	bool waits;                       /* for the ticket's answer: until then the bus has it */
	bool answered;                    /* without having become a WebSocket */
	bool peer_ended;                  /* while it waits for the ticket: no more bytes will come */
	struct ws_connection *connection; /* that it gets, while its answer is held; or an event stream */
	struct lws_linger linger;
};

int ws_request_begin(struct lws *wsi, const struct arrival *arrival)
{
	struct ws_request *request = malloc(sizeof(*request));

	if (!request)
		return -ENOMEM;
	*request = (struct ws_request){.arrival = *arrival};
	if (arrival->named)
		ws_tls_name(wsi, &request->arrival.peer);
	lws_set_opaque_user_data(wsi, request);
	return 0;
}

enum place ws_request_place(struct lws *wsi)
{
	const struct ws_request *request = lws_http_head_wanted(wsi) ? lws_get_opaque_user_data(wsi) : NULL;

	return request ? request->arrival.place : PLACE_SEAT;
}

static void request_free(struct ws_request *request)
{
	if (!request)
		return;
	if (request->waits)
		ticket_abandon(request->ticket);
	else
		ticket_free(request->ticket);
	identity_free(request->identity);
	buf_deinit(&request->bytes);
	free(request);
}

void ws_request_end(struct ws_server *server, struct lws *wsi)
{
	struct ws_request *request = lws_get_opaque_user_data(wsi);

	if (request && request->connection)
		ws_server_end(request->connection);
	if (request) {
		ws_tls_name(wsi, NULL);
		arrival_end(&request->arrival, server->places->addresses, clock_monotonic_ms());
	}
	request_free(request);
	lws_set_opaque_user_data(wsi, NULL);
}

/* What a line about a refusal may say. Never the query, a cookie or a subprotocol: tokens stand there. */
struct told {
	const char *remote;
	const struct in6_addr *peer; /* of whom the head may say more */
	const struct request_head *head;
	const struct handshake_refusal *refusal;
	const struct handshake_token *token;
	uint64_t suppressed;
};

static void tell_origin(struct log *log, const struct told *told)
{
	const struct request_head *head = told->head;

	log_warn(log, "origin is not allowed", log_str("remote", told->remote), log_slice("path", head->path),
		log_slice("origin", head->value[HTTP_ORIGIN]), log_slice("host", head->host),
		log_uint("suppressed", told->suppressed),
		log_str("remedy",
			head->n[HTTP_ORIGIN]
				? "name it if its pages may connect: origins: [same, https://app.example.com]"
				: "its token came in a cookie, which is taken from pages only: with an "
				  "Origin or, for an event stream of their own host, Sec-Fetch-Site or "
				  "Referer"));
}

static void tell_token(struct log *log, const struct told *told)
{
	log_warn(log, "token refused", log_str("remote", told->remote), log_slice("path", told->head->path),
		log_str("code", told->refusal->code), log_str("why", told->token->why),
		log_str("place", told->token->place), log_str("kid", told->token->header.kid),
		log_str("alg", told->token->header.alg), log_uint("suppressed", told->suppressed));
}

static void tell_forbidden(struct log *log, const struct told *told)
{
	log_warn(log, "no right to the route's channels", log_str("remote", told->remote),
		log_slice("path", told->head->path), log_uint("suppressed", told->suppressed));
}

static void tell_other(struct log *log, const struct told *told)
{
	log_info(log, "handshake refused", log_str("remote", told->remote),
		log_slice("method", told->head->method), log_slice("path", told->head->path),
		log_uint("status", told->refusal->status), log_str("code", told->refusal->code),
		log_uint("suppressed", told->suppressed));
}

static void tell_address(struct log *log, const struct told *told)
{
	log_warn(log, "an address has more connections than it may", log_str("remote", told->remote),
		log_str("code", told->refusal->code), log_uint("suppressed", told->suppressed),
		log_str("remedy",
			"trusted_proxies if it is a proxy of yours; else a larger connections_per_address"));
}

static void tell_user(struct log *log, const struct told *told)
{
	log_warn(log, "a user has more connections than they may", log_str("remote", told->remote),
		log_slice("path", told->head->path), log_uint("suppressed", told->suppressed),
		log_str("remedy", "connections_per_user, if that is meant to be"));
}

static void tell_proxy(struct log *log, const struct told *told)
{
	log_warn(log, "a connection without a good PROXY header", log_str("remote", told->remote),
		log_uint("suppressed", told->suppressed),
		log_str("remedy",
			"proxy_protocol is on: trusted_proxies must name this peer, and it must send "
			"the header (haproxy: send-proxy-v2)"));
}

/* Lines of each kind are bounded separately, so that many of one kind do not hide another. */
static void tell(struct ws_server *server, struct told *told)
{
	enum refusal id = told->refusal->id;
	char remote[INET6_ADDRSTRLEN];
	struct in6_addr client;

	if (!log_limit_allow(
		    server->log, &server->refused_limits[id], clock_monotonic_ms(), &told->suppressed))
		return;
	client = handshake_remote(told->peer, server->rules.trusted, told->head);
	ip_print(&client, remote);
	told->remote = remote;
	if (id == REFUSAL_BAD_ORIGIN)
		tell_origin(server->log, told);
	else if (id == REFUSAL_FORBIDDEN)
		tell_forbidden(server->log, told);
	else if (id == REFUSAL_TOO_MANY || id == REFUSAL_TOO_FAST)
		tell_address(server->log, told);
	else if (id == REFUSAL_USER_FULL)
		tell_user(server->log, told);
	else if (id == REFUSAL_BAD_PROXY)
		tell_proxy(server->log, told);
	else if (told->token && told->token->why)
		tell_token(server->log, told);
	else
		tell_other(server->log, told);
}

/* A preflight and a HEAD are answered as they should be: nothing to tell. */
static void note(struct ws_server *server, struct told *told)
{
	if (told->refusal->status >= 400)
		tell(server, told);
	metrics_add(server->metrics, told->refusal->metric, 1);
}

void ws_request_note(struct ws_server *server, const struct request_head *head, const struct in6_addr *peer,
	const struct handshake_refusal *refusal)
{
	struct told told = {.peer = peer, .head = head, .refusal = refusal};

	note(server, &told);
}

/* Writes a refusal to whoever asks. */
static void refuse(struct ws_server *server, struct lws *wsi, const struct request_head *head,
	const struct in6_addr *peer, const struct handshake_refusal *refusal)
{
	struct in6_addr remote = handshake_remote(peer, server->rules.trusted, head);
	bool page_reads = handshake_page_reads(head, &server->rules, &remote);

	handshake_refuse(wsi, head, refusal, page_reads);
}

void ws_request_refuse(struct ws_server *server, struct lws *wsi, const struct request_head *head,
	const struct in6_addr *peer, const struct handshake_refusal *refusal)
{
	ws_request_note(server, head, peer, refusal);
	refuse(server, wsi, head, peer, refusal);
}

/* Does it hold one of the few places for those who are told that there is no place? */
static bool hurries(const struct ws_server *server, const struct ws_request *request)
{
	return server->draining || request->arrival.over || request->arrival.place == PLACE_STANDING;
}

/* It is answered: the connection ends in order. */
static void linger(struct ws_server *server, struct lws *wsi, struct ws_request *request)
{
	/* Some of the answer may wait in lws, for a peer that is slow to read. */
	if (lws_partial_buffered(wsi))
		lws_callback_on_writable(wsi);
	else
		lws_linger_begin(&request->linger, wsi,
			hurries(server, request) || request->peer_ended ? LINGER_HURRY_SECONDS
									: LINGER_SECONDS);
}

static void answered(struct ws_server *server, struct lws *wsi, struct ws_request *request)
{
	buf_deinit(&request->bytes);
	request->answered = true;
	linger(server, wsi, request);
}

/* token: NULL, or what is known of the one that was refused. */
static void refuse_and_linger(struct ws_server *server, struct lws *wsi, const struct request_head *head,
	const struct handshake_refusal *refusal, const struct handshake_token *token)
{
	struct ws_request *request = lws_get_opaque_user_data(wsi);
	struct told told = {.peer = &request->arrival.peer, .head = head, .refusal = refusal, .token = token};

	note(server, &told);
	refuse(server, wsi, head, &request->arrival.peer, refusal);
	answered(server, wsi, request);
}

/* Why a connection that has a whole head is not even looked at, or NULL. */
static const struct handshake_refusal *turn_away(struct ws_server *server, struct arrival *arrival)
{
	if (server->draining)
		return NULL; /* which it will be told */
	if (places_is_short(server->places))
		return handshake_refusal(REFUSAL_MEMORY);
	if (arrival->over)
		return handshake_refusal(arrival->refusal);
	if (arrival->place != PLACE_STANDING)
		return NULL;
	if (!places_sit(server->places))
		return handshake_refusal(REFUSAL_FULL);
	arrival->place = PLACE_SEAT;
	return NULL;
}

/* Asks for the ticket that the request names. NULL: the request waits; else why it cannot. */
static const struct handshake_refusal *ask(
	struct ws_server *server, struct lws *wsi, struct ws_request *request, const char *name)
{
	if (server->n_tickets == TICKETS_MAX)
		return handshake_refusal(REFUSAL_UNAVAILABLE);
	if (server->up.ticket(server->up.arg, slice_of(name), wsi, &request->ticket) < 0)
		return handshake_refusal(REFUSAL_OUT_OF_MEMORY);
	server->n_tickets++;
	request->waits = true;
	lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, TICKET_SECONDS);
	return NULL;
}

static const struct handshake_refusal *send_file(struct ws_server *server, struct lws *wsi,
	const struct request_head *head, const struct web_file *file)
{
	if (ws_file_answer(wsi, head, file) < 0)
		return handshake_refusal(REFUSAL_OUT_OF_MEMORY);
	answered(server, wsi, lws_get_opaque_user_data(wsi));
	return NULL;
}

/* It may be answered now. What has become a WebSocket is no request any more. */
static void open_connection(
	struct ws_server *server, struct lws *wsi, const struct request_head *head, struct slice early)
{
	struct ws_request *request = lws_get_opaque_user_data(wsi);
	const struct handshake_refusal *refusal = ws_server_open(request->connection, early);

	if (refusal) {
		request->connection = NULL;
		refuse_and_linger(server, wsi, head, refusal, NULL);
	} else if (!lws_http_head_wanted(wsi)) {
		ws_tls_name(wsi, NULL);
		request_free(request);
	}
}

/* The request is let in. NULL; or why it is not, after all: then there is no connection any more. */
static const struct handshake_refusal *begin(struct ws_server *server, struct lws *wsi,
	const struct request_head *head, struct slice early, struct ws_connection *connection)
{
	struct ws_request *request = lws_get_opaque_user_data(wsi);
	struct buf bytes = request->bytes, kept = {0};

	if (connection->held && !connection->streams)
		buf_append(&kept, early.data, early.len);
	if (kept.failed) { /* frames that would be missing */
		ws_server_end(connection);
		return handshake_refusal(REFUSAL_OUT_OF_MEMORY);
	}
	request->connection = connection;
	connection->peer_ended = request->peer_ended;
	ticket_free(request->ticket);
	request->ticket = NULL;
	request->bytes = kept;
	lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
	if (request_head_method_is(head, "POST")) /* what follows its body is nothing */
		early.len = (size_t)head->content_length;
	if (!connection->held)
		open_connection(server, wsi, head, early);
	buf_deinit(&bytes); /* of which the head is */
	return NULL;
}

void ws_request_answer(struct ws_connection *connection)
{
	struct ws_request *request = lws_get_opaque_user_data(connection->wsi);
	struct slice early = {request->bytes.data, request->bytes.len};
	char *path = connection->path;
	/* Of the request nothing else is left that a line in the log would tell. */
	struct request_head head = {.method = {"GET", 3}, .path = slice_of(path ? path : "")};

	connection->path = NULL;
	ws_server_refresh_time(connection->server);
	open_connection(connection->server, connection->wsi, &head, early);
	free(path);
}

static void on_head(
	struct ws_server *server, struct lws *wsi, const struct request_head *head, struct slice early)
{
	struct ws_request *request = lws_get_opaque_user_data(wsi);
	const struct handshake_refusal *refusal = turn_away(server, &request->arrival);
	struct ws_entry entry = {.head = head,
		.arrival = &request->arrival,
		.ticket = request->ticket,
		.identity = request->identity};

	if (!refusal)
		refusal = ws_entry_admit(server, wsi, &entry);
	request->identity = entry.identity;
	if (!refusal && entry.file)
		refusal = send_file(server, wsi, head, entry.file);
	if (!refusal && entry.connection)
		refusal = begin(server, wsi, head, early, entry.connection);
	if (!refusal)
		return;
	if (*entry.token.ticket)
		refusal = ask(server, wsi, request, entry.token.ticket);
	if (refusal)
		refuse_and_linger(server, wsi, head, refusal, &entry.token);
}

void ws_request_ticket(struct ws_server *server, struct ticket *ticket)
{
	struct lws *wsi = ticket->owner;
	struct ws_request *request;

	server->n_tickets--;
	if (!wsi) {
		ticket_free(ticket); /* its client has left */
		return;
	}
	request = lws_get_opaque_user_data(wsi);
	request->waits = false;
	lws_callback_on_writable(wsi); /* it is judged in its turn, as what comes from sockets is */
}

/* The head of a request that waits for its ticket, or did: it was whole before. Returns its length. */
static size_t kept_head(
	const struct ws_server *server, const struct ws_request *request, struct request_head *head)
{
	size_t used = 0;

	(void)request_head_parse(
		head, request->bytes.data, request->bytes.len, server->head_bytes_max, &used);
	return used;
}

/* Its ticket is answered: it is judged. */
static void go_on(struct ws_server *server, struct lws *wsi, struct ws_request *request)
{
	struct request_head head;
	size_t used = kept_head(server, request, &head);

	on_head(server, wsi, &head, (struct slice){request->bytes.data + used, request->bytes.len - used});
}

void ws_request_writable(struct ws_server *server, struct lws *wsi)
{
	struct ws_request *request = lws_get_opaque_user_data(wsi);

	if (!request || request->waits || request->linger.begun)
		return;
	if (request->connection && !request->connection->head)
		ws_socket_writable(request->connection);
	else if (request->answered)
		linger(server, wsi, request);
	else if (request->ticket)
		go_on(server, wsi, request);
}

static int keep(struct ws_request *request, const char *data, size_t len)
{
	buf_append(&request->bytes, data, len);
	return request->bytes.failed ? -1 : 0;
}

/* Is the body of a POST wanted? It is neither asked for nor kept of who is refused whatever it says. */
static bool wants_body(struct ws_server *server, struct lws *wsi, const struct request_head *head)
{
	struct ws_request *request = lws_get_opaque_user_data(wsi);
	const struct handshake_refusal *refusal = turn_away(server, &request->arrival);
	struct ws_entry entry = {.head = head, .arrival = &request->arrival};

	if (!refusal)
		refusal = ws_entry_look(server, &entry);
	if (refusal)
		refuse_and_linger(server, wsi, head, refusal, &entry.token);
	request->identity = entry.identity;
	return !refusal;
}

/* The body of a POST follows, and has not come whole. */
static void await_body(struct lws *wsi, const struct request_head *head, size_t bytes)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct ws_request *request = lws_get_opaque_user_data(wsi);
	char text[LWS_PRE + sizeof(go_on)];

	request->awaited_bytes = bytes;
	/* HTTP/1.0 knows no answer before the answer. */
	if (head->version < 11 || !request_head_is(head, HTTP_EXPECT, "100-continue"))
		return;
	memcpy(text + LWS_PRE, go_on, sizeof(go_on));
	/* Who waits for this in vain sends the body all the same. */
	(void)lws_write(wsi, (unsigned char *)text + LWS_PRE, sizeof(go_on) - 1, LWS_WRITE_HTTP);
}

/* Reads a head, or the beginning of one, of which the last `len` bytes are new. */
static int read_head(struct ws_server *server, struct lws *wsi, const char *data, size_t n, size_t len)
{
	struct ws_request *request = lws_get_opaque_user_data(wsi);
	struct request_head head;
	size_t used = n, n_body = 0;
	int r = request_head_parse(&head, data, n, server->head_bytes_max, &used);

	if (r == 0)
		n_body = handshake_body_bytes(
			&head, server->clients->routes, server->clients->limits.message_bytes_max);
	if (n - used < n_body && !wants_body(server, wsi, &head))
		return 0;
	if (n - used < n_body)
		await_body(wsi, &head, used + n_body);
	if (r == REQUEST_HEAD_MORE || n - used < n_body)
		return request->bytes.len ? 0 : keep(request, data, len);
	if (r > 0)
		refuse_and_linger(server, wsi, &head, handshake_unreadable(r), NULL);
	else
		on_head(server, wsi, &head, (struct slice){data + used, n - used});
	if (!lws_http_head_wanted(wsi)) /* nor is there a request any more */
		return 0;
	return request->waits && !request->bytes.len ? keep(request, data, len) : 0;
}

static bool posts(const struct ws_server *server, const struct ws_request *request)
{
	struct request_head head;

	(void)kept_head(server, request, &head);
	return request_head_method_is(&head, "POST");
}

/* A client has no business to send more before it has our answer, but it may. Nobody waits for the ticket of
 * one who left; one who posts, or whose answer is held, may have said all that it will. */
static int keep_early(
	const struct ws_server *server, struct ws_request *request, const char *data, size_t len)
{
	if (len == 0) {
		request->peer_ended = true;
		return request->connection || posts(server, request) ? 0 : -1;
	}
	if (request->bytes.len + len > server->head_bytes_max + TICKET_EARLY_BYTES_MAX)
		return -1;
	return keep(request, data, len);
}

/* Not only the peer's direction has ended: nothing that we send arrives. */
static bool is_reset(struct lws *wsi)
{
	struct pollfd socket = {.fd = lws_get_socket_fd(wsi)};

	return poll(&socket, 1, 0) > 0 && socket.revents & (POLLHUP | POLLERR);
}

/*
 * No more bytes will come. An event stream has a listener, who says nothing: one who has hung up has left.
 * One who posts has said all with the request, and may still wait for answers. A peer that is only gone has
 * not hung up: its kernel has sent a reset, or has acknowledged nothing for too long.
 */
static int on_stream_end(struct lws *wsi, struct ws_connection *connection)
{
	struct client *client = &connection->client;
	bool is_over = client->state == CLIENT_CLOSING && !client->owes_close && !connection->finishes;

	if (is_reset(wsi)) {
		client_close(client, CLOSE_GONE);
		return -1;
	}
	if (client->transport == TRANSPORT_POST && !is_over && client_waits_on(client)) {
		connection->peer_ended = true;
		return 0;
	}
	(void)client_peer_closed(client, CLOSE_CODE_NONE);
	return -1;
}

int ws_request_receive(struct ws_server *server, struct lws *wsi, const char *data, size_t len)
{
	struct ws_request *request = lws_get_opaque_user_data(wsi);
	struct request_head none = {0};

	if (!request)
		return -1; /* there was no memory for it */
	if (request->connection && request->connection->streams && len == 0)
		return on_stream_end(wsi, request->connection);
	if (request->answered || (request->connection && request->connection->streams))
		return lws_linger_forget(&request->linger, len) < 0 ? -1 : 0;
	if (request->ticket || request->connection)
		return keep_early(server, request, data, len);
	if (len == 0) {
		if (request->bytes.len)
			ws_request_refuse(server, wsi, &none, &request->arrival.peer,
				handshake_unreadable(REQUEST_HEAD_BAD));
		return -1;
	}
	if (!request->bytes.len)
		return read_head(server, wsi, data, len, len);
	if (keep(request, data, len) < 0)
		return -1;
	if (request->bytes.len < request->awaited_bytes)
		return 0;
	return read_head(server, wsi, request->bytes.data, request->bytes.len, len);
}

void ws_request_late(struct ws_server *server, struct lws *wsi)
{
	struct ws_request *request = lws_get_opaque_user_data(wsi);
	enum refusal refusal = REFUSAL_TIMEOUT;
	struct request_head head = {0};

	/* A connection without a byte is not a request: a port scan, or a connection that
	 * is kept for later. */
	if (!request || !request->bytes.len || request->answered || request->connection)
		return;
	if (request->ticket) {
		refusal = REFUSAL_UNAVAILABLE;
		(void)kept_head(server, request, &head);
	}
	ws_request_refuse(server, wsi, &head, &request->arrival.peer, handshake_refusal(refusal));
}
