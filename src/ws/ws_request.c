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

/* Lines of each kind are bounded separately, so that many of one kind do not hide another. */
static void tell(struct ws_server *server, struct lws *wsi, const struct request_head *head,
	const char *known, const struct handshake_refusal *refusal)
{
	char remote[INET6_ADDRSTRLEN];
	uint64_t suppressed;

	if (!log_limit_allow(
		    server->log, &server->refused_limits[refusal->id], clock_monotonic_ms(), &suppressed))
		return;
	if (!known)
		handshake_remote(wsi, server->trusted, head, remote);
	if (refusal->id == REFUSAL_BAD_ORIGIN) {
		log_warn(server->log, "origin is not allowed", log_str("remote", known ? known : remote),
			log_slice("path", head->path), log_slice("origin", head->value[HTTP_ORIGIN]),
			log_slice("host", head->host), log_uint("suppressed", suppressed),
			log_str("remedy", "name it if its pages may connect: origins: [same, "
					  "https://app.example.com]"));
		return;
	}
	/* Without the query: tokens may stand there. */
	log_info(server->log, "handshake refused", log_str("remote", known ? known : remote),
		log_slice("method", head->method), log_slice("path", head->path),
		log_uint("status", refusal->status), log_str("code", refusal->code),
		log_uint("suppressed", suppressed));
}

void ws_request_refuse(struct ws_server *server, struct lws *wsi, const struct request_head *head,
	const char *remote, const struct handshake_refusal *refusal)
{
	tell(server, wsi, head, remote, refusal);
	metrics_add(server->metrics, refusal->metric, 1);
	handshake_refuse(wsi, head, refusal);
}

/* 0, or -1 when out of memory. */
static int refuse_and_linger(struct ws_server *server, struct lws *wsi, const struct request_head *head,
	const struct handshake_refusal *refusal)
{
	struct ws_request *request = request_of(wsi);

	ws_request_refuse(server, wsi, head, NULL, refusal);
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

	if (before && before->standing && !server->draining) {
		if (!places_sit(server->places))
			return refuse_and_linger(server, wsi, head, handshake_refusal(REFUSAL_FULL));
		before->standing = false;
	}
	lws_set_opaque_user_data(wsi, NULL);
	refusal = ws_server_admit(server, wsi, head);
	if (!refusal)
		return 0;
	lws_set_opaque_user_data(wsi, before);
	return refuse_and_linger(server, wsi, head, refusal);
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
		r = refuse_and_linger(server, wsi, &head, handshake_unreadable(r));
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
