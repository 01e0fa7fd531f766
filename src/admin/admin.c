/* Admin: the operator's HTTP listener, over libwebsockets; see the header. */

#include "admin/admin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libwebsockets.h>

#include "admin/admin_private.h"
#include "admin/endpoints.h"
#include "admin/request.h"
#include "admin/router.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/log.h"
#include "http/request_head.h"
#include "ws/listener.h"
#include "ws/lws_linger.h"
#include "ws/lws_loop.h"
#include "ws/tls.h"

enum {
	REQUEST_SECONDS = 10,  /* for a head; and for a body, with a second more for each BODY_RATE */
	BODY_RATE = 64 * 1024, /* bytes a second that it comes with at least, counted from its beginning */
	LWS_HEAD_BYTES = 256,  /* lws reads no head here: the least that it wants */
	SERVICE_BUFFER = 16384,
	PATH_MAX_BYTES = 1024, /* ours are shorter, with the longest name, all escapes */
	TEXT_MAX_BYTES = 1024, /* of a header that is looked at */
	REFUSED_LINES = 5,     /* of the log in a minute */
	MS_PER_SECOND = 1000,
	BODY_SLACK = 4096, /* for the envelope around a published payload */
};

static struct admin *admin_of(struct lws *wsi)
{
	return lws_context_user(lws_get_context(wsi));
}

/* Copies a value as text; "" if it is longer than any value that we would accept. */
static void copy(struct slice value, char *out, size_t size)
{
	size_t len = value.len < size ? value.len : 0;

	if (len)
		memcpy(out, value.data, len);
	out[len] = '\0';
}

/* A page of another site must not reach the operator's port through the operator's browser. */
static bool is_foreign(struct admin_request *request, enum admin_access access)
{
	char origin[TEXT_MAX_BYTES], host[TEXT_MAX_BYTES];
	const struct admin_auth *auth = &request->admin->auth;
	const struct request_head *head = &request->head;

	copy(head->host, host, sizeof(host));
	copy(head->value[HTTP_ORIGIN], origin, sizeof(origin));
	if (head->n[HTTP_ORIGIN] > 1 || (head->n[HTTP_ORIGIN] && !admin_auth_origin(origin, host))) {
		admin_answer_error(
			request, 403, "", "foreign_origin", "this port is not for pages of other sites");
		return true;
	}
	if (access == ADMIN_ANYBODY || auth->wants_token ||
		(head->host.len < sizeof(host) && admin_auth_host(auth, host)))
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
	struct slice authorization = request->head.value[HTTP_AUTHORIZATION];

	if (!auth->wants_token || access == ADMIN_ANYBODY ||
		(access == ADMIN_METRICS && auth->metrics_public))
		return true;
	return request->head.n[HTTP_AUTHORIZATION] == 1 && authorization.len < TEXT_MAX_BYTES &&
	       admin_auth_token(auth, authorization.data, authorization.len);
}

/* A request without a body need not give a length. */
static bool body_comes(const struct admin_request *request)
{
	return request->endpoint->method == ADMIN_POST || request->head.chunked ||
	       request->head.content_length > 0;
}

static void answer_too_big(struct admin_request *request)
{
	admin_answer_error(request, 413, "", "too_big", "the body is larger than event_bytes_max allows");
}

/* A body comes, and is not larger than allowed: found out before it is sent. */
static bool body_is_sane(struct admin_request *request)
{
	const struct request_head *head = &request->head;

	if (!head->has_content_length && !head->chunked)
		admin_answer_error(request, 411, "", "length_required", "send a Content-Length");
	else if (head->content_length > request->admin->body_bytes_max)
		answer_too_big(request);
	else
		return true;
	return false;
}

static void dispatch(struct admin_request *request)
{
	const struct request_head *head = &request->head;
	bool is_post = request_head_method_is(head, "POST");
	char path[PATH_MAX_BYTES];

	if (head->version / 10 != 1) {
		admin_answer_error(request, 505, "", "bad_version", "HTTP/1.1 is spoken here");
		return;
	}
	if (!is_post && !request_head_method_is(head, "GET") && !request_head_method_is(head, "HEAD")) {
		admin_answer_error(request, 405, "Allow: GET, HEAD, POST\r\n", "bad_method",
			"only GET, HEAD and POST are known");
		return;
	}
	copy(head->path, path, sizeof(path)); /* a path that is too long becomes "", which is no endpoint's */
	request->endpoint = admin_route(request, is_post ? ADMIN_POST : ADMIN_GET, path);
	if (!request->endpoint || is_foreign(request, request->endpoint->access))
		return;
	if (!may(request, request->endpoint->access))
		answer_unauthorized(request);
	else if (!is_post || !body_comes(request))
		request->endpoint->answer(request);
	else if (body_is_sane(request))
		request->phase = ADMIN_READS_BODY;
}

/* 0: more to come; -1: all is said. */
static int on_writable(struct admin_request *request)
{
	struct lws *wsi = request->wsi;

	/* lws keeps the bytes that do not fit into the socket, and says when to go on. */
	if (request->out.len &&
		lws_write(wsi, (unsigned char *)request->out.data, request->out.len, LWS_WRITE_HTTP) < 0)
		return -1;
	buf_reset(&request->out);
	if (!request->done || request->linger.begun || lws_partial_buffered(wsi))
		return 0;
	if (request->half_closed)
		return -1;
	lws_linger_begin(&request->linger, wsi, LINGER_SECONDS);
	return 0;
}

/* Asks for the body, if the caller waits for that before it sends one (RFC 9110 section 10.1.1). */
static int invite_body(struct admin_request *request)
{
	if (request->head.version < 11 || !request_head_lists(&request->head, HTTP_EXPECT, "100-continue"))
		return 0;
	buf_append_str(&request->out, "HTTP/1.1 100 Continue\r\n\r\n");
	return on_writable(request);
}

static void answer_unreadable(struct admin_request *request, int outcome)
{
	request->phase = ADMIN_ANSWERS;
	if (outcome == REQUEST_HEAD_LONG_TARGET)
		admin_answer_error(
			request, 414, "", "target_too_long", "the request line is longer than 8 KiB");
	else if (outcome == REQUEST_HEAD_LARGE)
		admin_answer_error(
			request, 431, "", "head_too_large", "the head of the request is larger than 8 KiB");
	else
		admin_answer_error(request, 400, "", "bad_http", "that is no sound request of HTTP/1.1");
}

/* Takes the bytes of the body; bytes behind it are never read. Returns an outcome like chunked_read(). */
static int take_body(struct admin_request *request, const char *data, size_t len)
{
	size_t missing;

	if (request->head.chunked)
		return chunked_read(
			&request->chunked, data, len, &request->body, request->admin->body_bytes_max);
	missing = (size_t)request->head.content_length - request->body.len;
	buf_append(&request->body, data, len < missing ? len : missing);
	return request->body.failed ? -ENOMEM : len >= missing ? CHUNKED_DONE : 0;
}

static void answer_late(struct admin_request *request)
{
	request->phase = ADMIN_ANSWERS;
	admin_answer_error(request, 408, "", "timeout", "the request took too long to come");
}

/* Until when the rest may come: one that dribbles ends, too. */
static void wait_for_body(struct admin_request *request)
{
	uint64_t now_ms = clock_monotonic_ms();
	uint64_t until_ms = request->body_began_ms + REQUEST_SECONDS * MS_PER_SECOND +
			    request->body.len * MS_PER_SECOND / BODY_RATE;

	if (now_ms >= until_ms)
		answer_late(request);
	else
		lws_set_timeout(request->wsi, PENDING_TIMEOUT_USER_OK,
			(int)((until_ms - now_ms + MS_PER_SECOND - 1) / MS_PER_SECOND));
}

static void on_body(struct admin_request *request, const char *data, size_t len)
{
	int r = take_body(request, data, len);

	if (r == 0) {
		wait_for_body(request);
		return;
	}
	request->phase = ADMIN_ANSWERS;
	lws_set_timeout(request->wsi, NO_PENDING_TIMEOUT, 0);
	if (r == CHUNKED_DONE)
		request->endpoint->answer(request);
	else if (r == CHUNKED_TOO_BIG)
		answer_too_big(request);
	else if (r == CHUNKED_BAD)
		answer_unreadable(request, REQUEST_HEAD_BAD);
	else
		admin_answer_no_memory(request);
}

static int on_head(struct admin_request *request, const char *data, size_t len)
{
	size_t used = 0;
	int r;

	buf_append(&request->text, data, len);
	if (request->text.failed)
		return -1;
	r = request_head_parse(
		&request->head, request->text.data, request->text.len, REQUEST_HEAD_BYTES, &used);
	if (r == REQUEST_HEAD_MORE)
		return 0;
	if (r > 0) {
		answer_unreadable(request, r);
		return 0;
	}
	request->phase = ADMIN_ANSWERS;
	lws_set_timeout(request->wsi, NO_PENDING_TIMEOUT, 0);
	dispatch(request);
	if (request->phase != ADMIN_READS_BODY)
		return 0;
	request->body_began_ms = clock_monotonic_ms();
	if (request->text.len == used && request_head_has_body(&request->head) && invite_body(request) < 0)
		return -1;
	on_body(request, request->text.data + used, request->text.len - used);
	return 0;
}

/* The caller has ended its direction. It may still read its answer, but a caller of an endless
 * answer counts as gone. */
static int on_end(struct admin_request *request)
{
	if (request->linger.begun || request->tail || !request->text.len)
		return -1;
	request->half_closed = true;
	if (request->phase != ADMIN_ANSWERS)
		answer_unreadable(request, REQUEST_HEAD_BAD);
	return 0;
}

/* Bytes came; no bytes mean that the caller has ended. Returns 0, or -1 to close. */
static int on_input(struct admin_request *request, const char *data, size_t len)
{
	if (len == 0)
		return on_end(request);
	switch (request->phase) {
	case ADMIN_READS_HEAD:
		return on_head(request, data, len);
	case ADMIN_READS_BODY:
		on_body(request, data, len);
		return 0;
	default:
		return lws_linger_forget(&request->linger, len);
	}
}

/* lws is about to close: for us to say why, if it waits for the caller. */
static void on_late(struct admin_request *request)
{
	/* A connection without a byte has asked for nothing. */
	if (request->phase == ADMIN_ANSWERS || !request->text.len)
		return;
	answer_late(request);
	(void)on_writable(request);
}

static int on_request(struct admin_request *request, enum lws_callback_reasons reason, void *in, size_t len)
{
	switch (reason) {
	case LWS_CALLBACK_HTTP_HEAD_RX:
		return on_input(request, in, len) < 0 ? -1 : (int)len;
	case LWS_CALLBACK_HTTP_HEAD_TIMEOUT:
		on_late(request);
		return 0;
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return on_writable(request);
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
	struct admin_request *request = wsi ? lws_get_opaque_user_data(wsi) : NULL;

	if (reason == LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS) /* the wsi is none */
		return ws_tls_take(admin_of(wsi)->tls, user);
	if (reason == LWS_CALLBACK_HTTP_HEAD_TIMEOUT)
		ws_tls_late(admin_of(wsi)->tls, wsi);
	if (reason == LWS_CALLBACK_WSI_CREATE)
		admin_of(wsi)->n_connections++;
	else if (reason == LWS_CALLBACK_WSI_DESTROY)
		admin_of(wsi)->n_connections--;
	if (!request) /* there was no memory for it */
		return reason == LWS_CALLBACK_HTTP_HEAD_RX ? -1 : 0;
	return on_request(request, reason, in, len);
}

/* The worth of a connection: one that waits for its answer is closed last. */
static unsigned int worth(const struct admin_request *request)
{
	if (request->linger.begun)
		return 0;
	if (request->phase == ADMIN_READS_HEAD)
		return 1;
	return request->tail || request->phase == ADMIN_READS_BODY ? 2 : 3;
}

/* The oldest of the least worth gives way, so that probes are always answered. */
static void make_room(struct admin *admin)
{
	struct admin_request *least = NULL;
	uint64_t suppressed;

	for (struct list *link = admin->requests.next; link != &admin->requests; link = link->next) {
		struct admin_request *request = list_entry(link, struct admin_request, link);

		if (!least || worth(request) < worth(least))
			least = request;
	}
	if (!least)
		return;
	if (worth(least) > 0 &&
		log_limit_allow(admin->log, &admin->crowd_limit, clock_monotonic_ms(), &suppressed))
		log_warn(admin->log, "too many connections to the admin port: the oldest is closed",
			log_uint("connections", admin->n_connections), log_uint("suppressed", suppressed));
	lws_set_timeout(least->wsi, 1, LWS_TO_KILL_SYNC);
}

static void on_accept(void *arg, int fd, const struct in6_addr *peer)
{
	struct admin *admin = arg;
	struct admin_request *request;
	struct lws *wsi;

	(void)peer;
	if (admin->n_connections >= admin->connections_max)
		make_room(admin);
	/* On failure lws closes the descriptor. */
	wsi = lws_adopt_socket_vhost(admin->vhost, fd);
	request = wsi ? admin_request_new(admin, wsi) : NULL;
	if (request)
		lws_set_opaque_user_data(wsi, request);
	else if (wsi)
		lws_set_timeout(wsi, 1, LWS_TO_KILL_ASYNC);
}

static int start_lws(struct admin *admin, struct event_base *base)
{
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.protocols = admin->protocols,
		.user = admin,
		.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_HEAD_BY_USER,
		.timeout_secs = REQUEST_SECONDS,
		.timeout_secs_ah_idle = REQUEST_SECONDS,
		.max_http_header_data = LWS_HEAD_BYTES,
		.pt_serv_buf_size = SERVICE_BUFFER,
		.vhost_name = "admin",
		.gid = (gid_t)-1,
		.uid = (uid_t)-1,
	};

	admin->protocols[0].name = "http";
	admin->protocols[0].callback = callback;
	admin->protocols[0].tx_packet_size =
		SERVICE_BUFFER - LWS_PRE - 4; /* with what lws adds, one record of TLS */
	ws_tls_ask(admin->tls, &info);
	admin->loop = lws_loop_new(base);
	if (!admin->loop)
		return -ENOMEM;
	lws_loop_go_first(admin->loop); /* a probe must not wait for clients whose thread it shares */
	admin->context = lws_loop_create_context(admin->loop, &info);
	if (admin->context)
		admin->vhost = lws_create_vhost(admin->context, &info);
	if (!admin->vhost)
		return -ENOMEM;
	return ws_tls_begin(admin->tls);
}

void admin_configure(struct admin *admin, const struct route_table *routes, size_t event_bytes_max)
{
	admin->routes = routes;
	admin->event_bytes_max = event_bytes_max;
	admin->body_bytes_max = event_bytes_max + BODY_SLACK;
}

static int make_tls(struct admin *admin, const struct admin_options *options)
{
	const struct ws_tls_options tls = {options->tls_keys, options->tls_least, options->log,
		options->metrics,
		"{\"error\":{\"code\":\"tls_required\",\"message\":\"TLS is spoken here: https\"}}\n"};

	if (options->tls_keys)
		admin->tls = ws_tls_new(&tls);
	return options->tls_keys && !admin->tls ? -ENOMEM : 0;
}

void admin_set_tls_keys(struct admin *admin, struct tls_keys *keys)
{
	if (ws_tls_set_keys(admin->tls, keys) < 0)
		log_error(admin->log, "no memory for the new tls certificate, the old one goes on");
}

int admin_new(const struct admin_options *options, struct admin **adminp, struct buf *error)
{
	struct admin *admin = calloc(1, sizeof(*admin));
	int r;

	if (!admin)
		return -ENOMEM;
	list_init(&admin->requests);
	admin->base = options->base;
	admin->source = options->source;
	admin->node_id = options->node_id;
	admin->connections_max = options->connections_max;
	admin->refused_limit = (struct log_limit){.burst = REFUSED_LINES, .interval_ms = 60000};
	admin->error_limit = admin->refused_limit;
	admin->crowd_limit = admin->refused_limit;
	admin->bus = options->bus;
	admin->broker = options->broker;
	admin->log = options->log;
	admin->metrics = options->metrics;
	admin_configure(admin, options->routes, options->event_bytes_max);
	r = admin_auth_init(&admin->auth, options->token, options->metrics_public, options->host);
	if (r < 0)
		goto fail;
	r = make_tls(admin, options);
	if (r == 0)
		r = start_lws(admin, options->base);
	if (r < 0) {
		lws_loop_explain(error);
		goto fail;
	}
	r = listener_new(options->base, options->host, options->port, false, on_accept, admin,
		&admin->listener, error);
	if (r < 0)
		goto fail;
	listener_go_first(admin->listener);
	*adminp = admin;
	return 0;

fail:
	admin_free(admin);
	return r;
}

void admin_give_up(struct admin *admin)
{
	listener_free(admin->listener);
	admin->listener = NULL;
	admin->ending = true;
	for (struct list *link = admin->requests.next; link != &admin->requests; link = link->next)
		admin_publish_give_up(list_entry(link, struct admin_request, link));
}

bool admin_is_answering(const struct admin *admin)
{
	for (struct list *link = admin->requests.next; link != &admin->requests; link = link->next) {
		const struct admin_request *request = list_entry(link, struct admin_request, link);

		if (request->out.len || lws_partial_buffered(request->wsi))
			return true;
	}
	return false;
}

void admin_free(struct admin *admin)
{
	if (!admin)
		return;
	listener_free(admin->listener);
	lws_loop_free(admin->loop);
	ws_tls_free(admin->tls);
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
