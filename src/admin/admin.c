/* Admin: the operator's HTTP listener, over libwebsockets; see the header. */

#include "admin/admin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libwebsockets.h>

#include "ws/listener.h"
#include "ws/lws_loop.h"
#include "admin_private.h"
#include "request.h"

enum {
	REQUEST_SECONDS = 10,
	REQUEST_BYTES = 8192,
	PATH_MAX_BYTES = 64, /* ours are shorter */
	ARGS_MAX = 64,       /* query members that are looked at */
	BODY_SLACK = 4096,   /* for the envelope around a published payload */
};

enum method {
	METHOD_GET,
	METHOD_POST,
	METHOD_OTHER,
};

static struct admin *admin_of(struct lws *wsi)
{
	return lws_context_user(lws_get_context(wsi));
}

static enum method request_method(struct lws *wsi, char path[PATH_MAX_BYTES])
{
	*path = '\0';
	if (lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI)) {
		lws_hdr_copy(wsi, path, PATH_MAX_BYTES, WSI_TOKEN_POST_URI);
		return METHOD_POST;
	}
	if (lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI)) {
		lws_hdr_copy(wsi, path, PATH_MAX_BYTES, WSI_TOKEN_GET_URI);
		return METHOD_GET;
	}
	return METHOD_OTHER;
}

/* A page of another site must not reach the operator's port through the operator's browser. */
static bool foreign_origin(struct lws *wsi)
{
	char origin[256], host[256];
	const char *authority;

	if (!lws_hdr_total_length(wsi, WSI_TOKEN_ORIGIN))
		return false;
	if (lws_hdr_copy(wsi, origin, sizeof(origin), WSI_TOKEN_ORIGIN) <= 0 ||
		lws_hdr_copy(wsi, host, sizeof(host), WSI_TOKEN_HOST) <= 0)
		return true;
	authority = strstr(origin, "://");
	return !authority || strcmp(authority + 3, host);
}

static struct admin_request *request_new(struct lws *wsi, unsigned int n_taps)
{
	struct admin_request *request =
		calloc(1, sizeof(struct admin_request) + n_taps * sizeof(struct bus_tap));

	if (!request)
		return NULL;
	request->admin = admin_of(wsi);
	request->wsi = wsi;
	lws_set_opaque_user_data(wsi, request);
	return request;
}

void admin_request_free(struct admin_request *request)
{
	for (unsigned int i = 0; i < request->n_taps; i++)
		bus_tap_remove(request->admin->bus, &request->taps[i]);
	buf_deinit(&request->body);
	buf_deinit(&request->out);
	free(request);
}

/* The caller is gone, or was answered. */
static void request_end(struct admin_request *request)
{
	lws_set_opaque_user_data(request->wsi, NULL);
	request->wsi = NULL;
	if (!request->waiting)
		admin_request_free(request);
}

static void answer_status(struct admin_request *request, bool (*ask)(void *, struct buf *))
{
	struct buf body = {0};
	bool good = ask(request->admin->source.arg, &body);

	buf_append_char(&body, '\n');
	admin_answer(request, good ? 200 : 503, "application/json", "", &body);
	buf_deinit(&body);
}

static void answer_metrics(struct admin_request *request)
{
	struct buf body = {0};

	request->admin->source.metrics(request->admin->source.arg, &body);
	admin_answer(request, 200, "text/plain; version=0.0.4; charset=utf-8", "", &body);
	buf_deinit(&body);
}

/* The values of channel=… in the query become taps; their names are kept in the body. 0, or an HTTP status.
 */
static unsigned int tail_channels(struct lws *wsi, struct admin_request *request)
{
	char arg[512];

	for (int i = 0; i < ARGS_MAX; i++) {
		int len = lws_hdr_copy_fragment(wsi, arg, sizeof(arg), WSI_TOKEN_HTTP_URI_ARGS, i);

		if (len <= 0)
			break;
		if (strncmp(arg, "channel=", 8))
			continue;
		if (request->n_taps == ADMIN_TAPS_MAX)
			return 400;
		buf_append(&request->body, arg + 8, (size_t)len - 8 + 1); /* with its NUL */
		request->n_taps++;
	}
	return request->n_taps ? 0 : 400;
}

static void start_tail(struct lws *wsi, struct admin_request *request)
{
	if (tail_channels(wsi, request)) {
		request->n_taps = 0;
		admin_answer_error(
			request, 400, "", "bad_channel", "name 1 to 32 channels: /tail?channel=cards");
		return;
	}
	lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0); /* it has no end */
	admin_tail(request);
}

static void answer_reload(struct admin_request *request)
{
	struct buf body = {0};
	unsigned int status = request->admin->source.reload(request->admin->source.arg, &body);

	buf_append_char(&body, '\n');
	admin_answer(request, status, "application/json", "", &body);
	buf_deinit(&body);
}

static void route_get(struct lws *wsi, struct admin_request *request, const char *path)
{
	if (!strcmp(path, "/live"))
		answer_status(request, request->admin->source.live);
	else if (!strcmp(path, "/ready"))
		answer_status(request, request->admin->source.ready);
	else if (!strcmp(path, "/metrics"))
		answer_metrics(request);
	else if (!strcmp(path, "/tail"))
		start_tail(wsi, request);
	else if (!strcmp(path, "/publish"))
		admin_answer_error(request, 405, "Allow: POST\r\n", "bad_method", "publish with POST");
	else if (!strcmp(path, "/reload"))
		admin_answer_error(request, 405, "Allow: POST\r\n", "bad_method", "reload with POST");
	else
		admin_answer_error(request, 404, "", "not_found",
			"there are /live, /ready, /metrics, /tail, POST /publish and POST /reload");
}

/* The headers are there. 0: go on; -1: close. */
static int on_headers(struct lws *wsi)
{
	struct admin_request *request = request_new(wsi, ADMIN_TAPS_MAX);
	char path[PATH_MAX_BYTES];
	enum method method;

	if (!request)
		return -1;
	method = request_method(wsi, path);
	if (foreign_origin(wsi))
		admin_answer_error(
			request, 403, "", "foreign_origin", "this port is not for pages of other sites");
	else if (method == METHOD_GET)
		route_get(wsi, request, path);
	else if (method != METHOD_POST)
		admin_answer_error(
			request, 405, "Allow: GET, POST\r\n", "bad_method", "only GET and POST are known");
	else if (!strcmp(path, "/reload"))
		answer_reload(request);
	else if (strcmp(path, "/publish"))
		admin_answer_error(request, 404, "", "not_found", "there are POST /publish and POST /reload");
	else if (!lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH))
		admin_answer_error(request, 411, "", "length_required", "send a Content-Length");
	return 0;
}

static void on_body(struct admin_request *request, const char *data, size_t len)
{
	if (request->done)
		return;
	if (request->body.len + len > request->admin->body_bytes_max) {
		admin_answer_error(
			request, 413, "", "too_big", "the body is larger than event_bytes_max allows");
		return;
	}
	buf_append(&request->body, data, len);
}

/* 0: more to come; -1: all is said. */
static int on_writable(struct admin_request *request)
{
	size_t len = request->out.len - request->sent;

	/* What does not fit into the socket is kept by lws, which says when to go on. */
	if (len && lws_write(request->wsi, (unsigned char *)request->out.data + request->sent, len,
			   LWS_WRITE_HTTP) < 0)
		return -1;
	buf_reset(&request->out);
	request->sent = 0;
	return request->done ? -1 : 0;
}

static int on_request(struct admin_request *request, enum lws_callback_reasons reason, void *in, size_t len)
{
	switch (reason) {
	case LWS_CALLBACK_HTTP_BODY:
		on_body(request, in, len);
		return 0;
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		if (!request->done)
			admin_publish(request);
		return 0;
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return on_writable(request);
	case LWS_CALLBACK_CLOSED_HTTP:
	case LWS_CALLBACK_WSI_DESTROY:
		request_end(request);
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
	admin->body_bytes_max = event_bytes_max + BODY_SLACK;
}

int admin_new(const struct admin_options *options, struct admin **adminp, struct buf *error)
{
	struct admin *admin = calloc(1, sizeof(struct admin));
	int r;

	if (!admin)
		return -ENOMEM;
	admin->source = options->source;
	admin->bus = options->bus;
	admin->broker = options->broker;
	admin->log = options->log;
	admin_configure(admin, options->routes, options->event_bytes_max);
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
