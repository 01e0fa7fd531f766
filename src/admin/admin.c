/* Admin: the operator's HTTP listener, over libwebsockets; see the header. */

#include "admin/admin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <libwebsockets.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/log.h"
#include "ws/listener.h"
#include "ws/lws_loop.h"
#include "admin_private.h"
#include "request.h"
#include "router.h"

enum {
	REQUEST_SECONDS = 10,
	LINGER_MS = 5000, /* for a caller to hear that he is refused, before he is hung up on */
	REQUEST_BYTES = 8192,
	PATH_MAX_BYTES = 1024,                  /* ours are shorter, with the longest name, all escapes */
	TEXT_MAX_BYTES = 1024,                  /* of a header that is looked at */
	REFUSED_LINES = 5,                      /* of the log in a minute */
	FORGOTTEN_BYTES_MAX = 16 * 1024 * 1024, /* that a caller sends after he was refused */
	BODY_SLACK = 4096,                      /* for the envelope around a published payload */
};

static struct admin *admin_of(struct lws *wsi)
{
	return lws_context_user(lws_get_context(wsi));
}

/* True: it is one of ours. */
static bool request_line(struct lws *wsi, enum admin_method *methodp, char path[PATH_MAX_BYTES])
{
	enum lws_token_indexes token = WSI_TOKEN_GET_URI;

	*methodp = ADMIN_GET;
	if (lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI)) {
		token = WSI_TOKEN_POST_URI;
		*methodp = ADMIN_POST;
	}
	*path = '\0';
	/* What is too long is the path of nothing. */
	return lws_hdr_total_length(wsi, token) && (lws_hdr_copy(wsi, path, PATH_MAX_BYTES, token), true);
}

/* One header as text; false: it is not there, or longer than any that we would accept (then out is ""). */
static bool header(struct lws *wsi, enum lws_token_indexes token, char out[TEXT_MAX_BYTES])
{
	*out = '\0';
	return lws_hdr_total_length(wsi, token) && lws_hdr_copy(wsi, out, TEXT_MAX_BYTES, token) > 0;
}

/* A page of another site must not reach the operator's port through the operator's browser. */
static bool is_foreign(struct admin_request *request, enum admin_access access)
{
	char origin[TEXT_MAX_BYTES], host[TEXT_MAX_BYTES];
	const struct admin_auth *auth = &request->admin->auth;

	(void)header(request->wsi, WSI_TOKEN_HOST, host);
	if (lws_hdr_total_length(request->wsi, WSI_TOKEN_ORIGIN)) {
		(void)header(request->wsi, WSI_TOKEN_ORIGIN, origin);
		if (!admin_auth_origin(origin, host)) {
			admin_answer_error(request, 403, "", "foreign_origin",
				"this port is not for pages of other sites");
			return true;
		}
	}
	if (access == ADMIN_ANYBODY || auth->wants_token || admin_auth_host(auth, host))
		return false;
	admin_answer_error(request, 403, "", "foreign_host",
		"without a token this port is reached by its address or a local name only");
	return true;
}

static void answer_unauthorized(struct admin_request *request)
{
	struct admin *admin = request->admin;
	uint64_t suppressed;
	char peer[64] = "";

	lws_get_peer_simple(request->wsi, peer, sizeof(peer));
	if (log_limit_allow(admin->log, &admin->refused_limit, clock_monotonic_ms(), &suppressed))
		log_warn(admin->log, "admin request without the token", log_str("remote", peer),
			log_str("path", request->endpoint->path), log_uint("suppressed", suppressed));
	admin_answer_error(request, 401, "WWW-Authenticate: Bearer realm=\"tidegate\"\r\n", "unauthorized",
		"send the token: Authorization: Bearer TOKEN");
}

static bool may(struct admin_request *request, enum admin_access access)
{
	const struct admin_auth *auth = &request->admin->auth;
	char authorization[TEXT_MAX_BYTES];

	if (!auth->wants_token || access == ADMIN_ANYBODY ||
		(access == ADMIN_METRICS && auth->metrics_public))
		return true;
	return header(request->wsi, WSI_TOKEN_HTTP_AUTHORIZATION, authorization) &&
	       admin_auth_token(auth, authorization, strlen(authorization));
}

/* One that wants none may say nothing of it. */
static bool body_comes(struct admin_request *request)
{
	return request->endpoint->method == ADMIN_POST ||
	       lws_hdr_total_length(request->wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH);
}

/* A body comes, and is not larger than allowed: found out before it is sent. */
static bool body_is_sane(struct admin_request *request)
{
	char length[TEXT_MAX_BYTES];

	if (!header(request->wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, length)) {
		admin_answer_error(request, 411, "", "length_required", "send a Content-Length");
		return false;
	}
	if (strtoull(length, NULL, 10) <= request->admin->body_bytes_max)
		return true;
	admin_answer_error(request, 413, "", "too_big", "the body is larger than event_bytes_max allows");
	return false;
}

/* 0: more to come; -1: all is said. */
static int on_writable(struct admin_request *request)
{
	/* What does not fit into the socket is kept by lws, which says when to go on. */
	if (request->out.len && lws_write(request->wsi, (unsigned char *)request->out.data, request->out.len,
					LWS_WRITE_HTTP) < 0)
		return -1;
	buf_reset(&request->out);
	return request->done ? -1 : 0;
}

/*
 * Refused before its body was read. Closing now would throw away what the caller still sends, for which the
 * kernel would reset the connection, and the answer with it: so we say that there is no more to come, and
 * read on and forget it until he has heard us.
 */
static void answer_early(struct admin_request *request)
{
	(void)on_writable(request);
	request->lingers = true;
	request->lingers_until_ms = clock_monotonic_ms() + LINGER_MS;
	(void)shutdown(lws_get_socket_fd(request->wsi), SHUT_WR);
}

static void dispatch(struct admin_request *request, enum admin_method method, const char *path)
{
	const struct admin_endpoint *endpoint = admin_route(request, method, path);

	if (!endpoint)
		return;
	request->endpoint = endpoint;
	if (is_foreign(request, endpoint->access))
		return;
	if (!may(request, endpoint->access))
		answer_unauthorized(request);
	else if (method == ADMIN_GET || !body_comes(request))
		endpoint->answer(request);
	else
		(void)body_is_sane(request); /* on_complete() goes on */
}

/* The headers are there. 0: go on; -1: close. */
static int on_headers(struct lws *wsi)
{
	struct admin_request *request = admin_request_new(admin_of(wsi), wsi);
	char path[PATH_MAX_BYTES];
	enum admin_method method;

	if (!request)
		return -1;
	lws_set_opaque_user_data(wsi, request);
	if (request_line(wsi, &method, path))
		dispatch(request, method, path);
	else
		admin_answer_error(
			request, 405, "Allow: GET, POST\r\n", "bad_method", "only GET and POST are known");
	if (request->done && lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH))
		answer_early(request);
	return 0;
}

static bool has_lingered(const struct admin_request *request)
{
	return request->forgotten_bytes > FORGOTTEN_BYTES_MAX ||
	       (request->lingers && clock_monotonic_ms() > request->lingers_until_ms);
}

/* 0, or -1: he goes on and on, though he was told, or asked for what has no body. */
static int on_body(struct admin_request *request, const char *data, size_t len)
{
	if (!request->done && request->endpoint->method != ADMIN_GET)
		buf_append(&request->body, data, len);
	else
		request->forgotten_bytes += len;
	return has_lingered(request) ? -1 : 0;
}

/* 0, or -1: he has heard the answer. */
static int on_complete(struct admin_request *request)
{
	if (request->done)
		return request->lingers ? -1 : 0;
	if (request->body.failed)
		admin_answer_no_memory(request);
	else if (request->endpoint->method != ADMIN_GET)
		request->endpoint->answer(request);
	return 0;
}

static int on_request(struct admin_request *request, enum lws_callback_reasons reason, void *in, size_t len)
{
	switch (reason) {
	case LWS_CALLBACK_HTTP_BODY:
		return on_body(request, in, len);
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		return on_complete(request);
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return request->lingers ? 0 : on_writable(request);
	case LWS_CALLBACK_CLOSED_HTTP:
	case LWS_CALLBACK_WSI_DESTROY:
		lws_set_opaque_user_data(request->wsi, NULL);
		admin_request_end(request);
		return 0;
	default:
		return 0;
	}
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct admin_request *request;

	(void)user;
	if (reason == LWS_CALLBACK_HTTP)
		return on_headers(wsi);
	if (reason == LWS_CALLBACK_HTTP_CONFIRM_UPGRADE)
		return -1; /* nothing to upgrade to on this port */
	if (reason == LWS_CALLBACK_RAW_ADOPT || reason == LWS_CALLBACK_RAW_RX)
		return -1; /* what lws takes for another protocol: CONNECT, or a method that it cannot name */
	request = wsi ? lws_get_opaque_user_data(wsi) : NULL;
	return request ? on_request(request, reason, in, len) : 0;
}

static void on_accept(void *arg, int fd)
{
	struct admin *admin = arg;

	/* On failure lws closes the descriptor. */
	(void)lws_adopt_socket_vhost(admin->vhost, fd);
}

static int start_lws(struct admin *admin, struct event_base *base)
{
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.protocols = admin->protocols,
		.user = admin,
		.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
		.timeout_secs = REQUEST_SECONDS,
		.timeout_secs_ah_idle = REQUEST_SECONDS,
		.max_http_header_data = REQUEST_BYTES,
		.vhost_name = "admin",
		.gid = (gid_t)-1,
		.uid = (uid_t)-1,
	};

	admin->protocols[0].name = "http";
	admin->protocols[0].callback = callback;
	admin->loop = lws_loop_new(base);
	if (!admin->loop)
		return -ENOMEM;
	admin->context = lws_loop_create_context(admin->loop, &info);
	if (admin->context)
		admin->vhost = lws_create_vhost(admin->context, &info);
	return admin->vhost ? 0 : -ENOMEM;
}

void admin_configure(struct admin *admin, const struct route_table *routes, size_t event_bytes_max)
{
	admin->routes = routes;
	admin->event_bytes_max = event_bytes_max;
	admin->body_bytes_max = event_bytes_max + BODY_SLACK;
}

int admin_new(const struct admin_options *options, struct admin **adminp, struct buf *error)
{
	struct admin *admin = calloc(1, sizeof(struct admin));
	int r;

	if (!admin)
		return -ENOMEM;
	admin->base = options->base;
	admin->source = options->source;
	admin->node_id = options->node_id;
	admin->refused_limit = (struct log_limit){.burst = REFUSED_LINES, .interval_ms = 60000};
	admin->bus = options->bus;
	admin->broker = options->broker;
	admin->log = options->log;
	admin_configure(admin, options->routes, options->event_bytes_max);
	r = admin_auth_init(&admin->auth, options->token, options->metrics_public, options->host);
	if (r == 0)
		r = start_lws(admin, options->base);
	if (r < 0)
		buf_append_str(error, "cannot start libwebsockets: out of memory or of file descriptors");
	else
		r = listener_new(options->base, options->host, options->port, false, on_accept, admin,
			&admin->listener, error);
	if (r < 0) {
		admin_free(admin);
		return r;
	}
	*adminp = admin;
	return 0;
}

void admin_free(struct admin *admin)
{
	if (!admin)
		return;
	listener_free(admin->listener);
	lws_loop_free(admin->loop);
	free(admin);
}

uint16_t admin_port(const struct admin *admin)
{
	return listener_port(admin->listener);
}

void admin_turn(struct admin *admin)
{
	lws_loop_turn(admin->loop);
}
