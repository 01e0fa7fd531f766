/* Ws request: from the first byte to a head that is accepted or refused; see the header. */

#include "ws/ws_request.h"

#include <errno.h>
#include <stdlib.h>

#include <libwebsockets.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/log.h"
#include "http/request_head.h"
#include "metrics/metrics.h"
#include "ws/handshake.h"
#include "ws/lws_linger.h"
#include "ws/places.h"
#include "ws/ws_server_private.h"

struct ws_request {
	struct buf bytes; /* of a head that has not come whole */
	bool refused;
	bool standing; /* it has no seat; see places.h */
	struct lws_linger linger;
};

/* The connection's request, which is made if there is none. NULL when out of memory. */
static struct ws_request *request_of(struct lws *wsi)
{
	struct ws_request *request = lws_get_opaque_user_data(wsi);

	if (!request) {
		request = calloc(1, sizeof(*request));
		lws_set_opaque_user_data(wsi, request);
	}
	return request;
}

int ws_request_stand(struct lws *wsi)
{
	struct ws_request *request = request_of(wsi);

	if (!request)
		return -ENOMEM;
	request->standing = true;
	return 0;
}

bool ws_request_is_standing(struct lws *wsi)
{
	const struct ws_request *request = lws_http_head_wanted(wsi) ? lws_get_opaque_user_data(wsi) : NULL;

	return request && request->standing;
}

static void request_free(struct ws_request *request)
{
	if (request)
		buf_deinit(&request->bytes);
	free(request);
}

void ws_request_end(struct lws *wsi)
{
	request_free(lws_get_opaque_user_data(wsi));
	lws_set_opaque_user_data(wsi, NULL);
}

/* What a line about a refusal may say. Never the query, a cookie or a subprotocol: tokens stand there. */
struct told {
	const char *remote;
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
				  "Origin"));
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

/* Lines of each kind are bounded separately, so that many of one kind do not hide another. */
static void tell(struct ws_server *server, struct lws *wsi, struct told *told)
{
	char remote[INET6_ADDRSTRLEN];

	if (!log_limit_allow(server->log, &server->refused_limits[told->refusal->id], clock_monotonic_ms(),
		    &told->suppressed))
		return;
	if (!told->remote) {
		handshake_remote(wsi, server->rules.trusted, told->head, remote);
		told->remote = remote;
	}
	if (told->refusal->id == REFUSAL_BAD_ORIGIN)
		tell_origin(server->log, told);
	else if (told->refusal->id == REFUSAL_FORBIDDEN)
		tell_forbidden(server->log, told);
	else if (told->token && told->token->why)
		tell_token(server->log, told);
	else
		tell_other(server->log, told);
}

static void refuse(struct ws_server *server, struct lws *wsi, struct told *told)
{
	tell(server, wsi, told);
	metrics_add(server->metrics, told->refusal->metric, 1);
	handshake_refuse(wsi, told->head, told->refusal);
}

void ws_request_refuse(struct ws_server *server, struct lws *wsi, const struct request_head *head,
	const char *remote, const struct handshake_refusal *refusal)
{
	struct told told = {.remote = remote, .head = head, .refusal = refusal};

	refuse(server, wsi, &told);
}

/* token: NULL, or what is known of the one that was refused. 0, or -1 when out of memory. */
static int refuse_and_linger(struct ws_server *server, struct lws *wsi, const struct request_head *head,
	const struct handshake_refusal *refusal, const struct handshake_token *token)
{
	struct ws_request *request = request_of(wsi);
	struct told told = {.head = head, .refusal = refusal, .token = token};

	refuse(server, wsi, &told);
	if (!request)
		return -1;
	buf_deinit(&request->bytes);
	request->refused = true;
	ws_request_writable(server, wsi);
	return 0;
}

void ws_request_writable(struct ws_server *server, struct lws *wsi)
{
	struct ws_request *request = lws_get_opaque_user_data(wsi);

	if (!request || !request->refused || request->linger.begun)
		return;
	/* Some of the answer may wait in lws, for a peer that is slow to read. */
	if (lws_partial_buffered(wsi))
		lws_callback_on_writable(wsi);
	else
		lws_linger_begin(&request->linger, wsi,
			server->draining || request->standing ? LINGER_HURRY_SECONDS : LINGER_SECONDS);
}

/* The head is whole. 0, or -1: close. */
static int on_head(
	struct ws_server *server, struct lws *wsi, const struct request_head *head, struct ws_request *before)
{
	const struct handshake_refusal *refusal;
	struct handshake_token token;

	if (before && before->standing && !server->draining) {
		if (!places_sit(server->places))
			return refuse_and_linger(server, wsi, head, handshake_refusal(REFUSAL_FULL), NULL);
		before->standing = false;
	}
	lws_set_opaque_user_data(wsi, NULL);
	refusal = ws_server_admit(server, wsi, head, &token);
	if (!refusal)
		return 0;
	lws_set_opaque_user_data(wsi, before);
	return refuse_and_linger(server, wsi, head, refusal, &token);
}

static int keep(struct lws *wsi, const char *data, size_t len)
{
	struct ws_request *request = request_of(wsi);

	if (request)
		buf_append(&request->bytes, data, len);
	return request && !request->bytes.failed ? (int)len : -1;
}

/* Reads a head, or the beginning of one, of which the last `len` bytes are new. */
static int read_head(struct ws_server *server, struct lws *wsi, const char *data, size_t n, size_t len)
{
	struct ws_request *request = lws_get_opaque_user_data(wsi);
	struct request_head head;
	size_t used = n;
	int r = request_head_parse(&head, data, n, server->head_bytes_max, &used);

	if (r == REQUEST_HEAD_MORE)
		return request ? (int)len : keep(wsi, data, len);
	if (r > 0)
		r = refuse_and_linger(server, wsi, &head, handshake_unreadable(r), NULL);
	else
		r = on_head(server, wsi, &head, request);
	if (request && !lws_http_head_wanted(wsi))
		request_free(request);
	/* An earlier piece was not a whole head, so this one continues it. */
	return r < 0 ? -1 : lws_http_head_wanted(wsi) ? (int)len : (int)(len - (n - used));
}

int ws_request_receive(struct ws_server *server, struct lws *wsi, const char *data, size_t len)
{
	struct ws_request *request = lws_get_opaque_user_data(wsi);
	struct request_head none = {0};

	if (request && request->refused)
		return lws_linger_forget(&request->linger, len) < 0 ? -1 : (int)len;
	if (len == 0) {
		if (request && request->bytes.len)
			ws_request_refuse(server, wsi, &none, NULL, handshake_unreadable(REQUEST_HEAD_BAD));
		return -1;
	}
	if (!request)
		return read_head(server, wsi, data, len, len);
	if (keep(wsi, data, len) < 0)
		return -1;
	return read_head(server, wsi, request->bytes.data, request->bytes.len, len);
}

void ws_request_late(struct ws_server *server, struct lws *wsi)
{
	struct ws_request *request = lws_get_opaque_user_data(wsi);
	struct request_head none = {0};

	/* A connection without a byte is not a request: a port scan, or a connection that
	 * is kept for later. */
	if (request && request->bytes.len && !request->refused)
		ws_request_refuse(server, wsi, &none, NULL, handshake_refusal(REFUSAL_TIMEOUT));
}
