/* Admin request: its life, its answers, its query; see the header. */

#include "admin/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <libwebsockets.h>

#include "admin/admin_private.h"
#include "admin/control.h"
#include "admin/tail.h"
#include "bus/bus.h"
#include "core/clock.h"
#include "http/date.h"
#include "http/query.h"
#include "metrics/metrics.h"

enum {
	ANSWER_SECONDS = 60, /* for the caller to take it */
};

/* In every answer: it must not be cached, its type must not be guessed, and no other site may show it. */
#define COMMON_HEADERS                                                                                       \
	"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nCross-Origin-Resource-Policy: "       \
	"same-origin\r\nConnection: close\r\n"

struct admin_request *admin_request_new(struct admin *admin, struct lws *wsi)
{
	struct admin_request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->admin = admin;
	request->wsi = wsi;
	list_push_back(&admin->requests, &request->link);
	return request;
}

void admin_request_free(struct admin_request *request)
{
	if (request->survey)
		survey_cancel(request->survey);
	admin_tail_free(request->tail);
	admin_control_leave(request->control);
	if (request->deadline)
		event_free(request->deadline);
	buf_deinit(&request->text);
	buf_deinit(&request->body);
	buf_deinit(&request->out);
	free(request);
}

void admin_request_end(struct admin_request *request)
{
	request->wsi = NULL;
	list_remove(&request->link);
	if (!request->waiting)
		admin_request_free(request);
}

bool admin_request_resume(struct admin_request *request)
{
	request->waiting = false;
	if (request->wsi)
		return true;
	admin_request_free(request);
	return false;
}

struct status_row {
	unsigned int status;
	const char *text;
	enum metric refused; /* where requests that are refused with it are counted */
};

static const struct status_row *status_row(unsigned int status)
{
	static const struct status_row rows[] = {
		{400, "Bad Request", METRIC_ADMIN_REFUSED_400},
		{401, "Unauthorized", METRIC_ADMIN_REFUSED_401}, {403, "Forbidden", METRIC_ADMIN_REFUSED_403},
		{404, "Not Found", METRIC_ADMIN_REFUSED_404},
		{405, "Method Not Allowed", METRIC_ADMIN_REFUSED_405},
		{408, "Request Timeout", METRIC_ADMIN_REFUSED_408},
		{409, "Conflict", METRIC_ADMIN_REFUSED_409},
		{411, "Length Required", METRIC_ADMIN_REFUSED_411},
		{413, "Content Too Large", METRIC_ADMIN_REFUSED_413},
		{414, "URI Too Long", METRIC_ADMIN_REFUSED_414},
		{431, "Request Header Fields Too Large", METRIC_ADMIN_REFUSED_431},
		{502, "Bad Gateway", METRIC_ADMIN_REFUSED_502},
		{505, "HTTP Version Not Supported", METRIC_ADMIN_REFUSED_505},
		{503, "Service Unavailable", METRIC_ADMIN_REFUSED_503}, /* and what is not listed */
	};
	size_t i = 0;

	while (i + 1 < sizeof(rows) / sizeof(*rows) && rows[i].status != status)
		i++;
	return &rows[i];
}

static const char *status_text(unsigned int status)
{
	return status == 200 ? "OK" : status == 207 ? "Multi-Status" : status_row(status)->text;
}

void admin_count_refused(const struct admin_request *request, unsigned int status)
{
	metrics_add(request->admin->metrics, status_row(status)->refused, 1);
}

static void begin_answer(struct admin_request *request, unsigned int status, const char *type)
{
	char date[HTTP_DATE_SIZE];

	http_date((int64_t)clock_wall_ms(), date);
	buf_printf(&request->out, "HTTP/1.1 %u %s\r\nDate: %s\r\nContent-Type: %s\r\n" COMMON_HEADERS, status,
		status_text(status), date, type);
}

/* An answer to HEAD tells the length of the body without sending it (RFC 9110 section 9.3.2). */
static bool wants_body(const struct admin_request *request)
{
	return !request_head_method_is(&request->head, "HEAD");
}

void admin_answer(struct admin_request *request, unsigned int status, const char *type, const char *headers,
	const struct buf *body)
{
	if (!request->wsi)
		return;
	buf_reset(&request->out);
	begin_answer(request, status, type);
	buf_printf(&request->out, "Content-Length: %zu\r\n%s\r\n", body->len, headers);
	if (wants_body(request))
		buf_append(&request->out, body->data, body->len);
	request->done = true;
	lws_set_timeout(request->wsi, PENDING_TIMEOUT_USER_OK, ANSWER_SECONDS);
	lws_callback_on_writable(request->wsi);
}

void admin_answer_stream(struct admin_request *request, const char *type)
{
	begin_answer(request, 200, type);
	buf_append_str(&request->out, "\r\n");
	request->done = !wants_body(request);
	lws_callback_on_writable(request->wsi);
}

void admin_answer_json(struct admin_request *request, struct buf *body)
{
	buf_append_char(body, '\n');
	if (body->failed)
		admin_answer_no_memory(request);
	else
		admin_answer(request, 200, "application/json", "", body);
	buf_deinit(body);
}

/* Logs why the request is refused. 401 has a line of its own. */
static void tell_error(struct admin_request *request, unsigned int status, const char *code)
{
	struct admin *admin = request->admin;
	const struct request_head *head = &request->head;
	uint64_t suppressed;
	char peer[64] = "";

	if (!request->wsi || status == 401 ||
		!log_limit_allow(admin->log, &admin->error_limit, clock_monotonic_ms(), &suppressed))
		return;
	lws_get_peer_simple(request->wsi, peer, sizeof(peer));
	log_info(admin->log, "admin request refused", log_str("remote", peer),
		log_slice("method", head->method), log_slice("path", head->path), log_uint("status", status),
		log_str("code", code), log_uint("suppressed", suppressed));
}

void admin_answer_error(struct admin_request *request, unsigned int status, const char *headers,
	const char *code, const char *message)
{
	struct buf body = {0};

	tell_error(request, status, code);
	admin_count_refused(request, status);
	buf_printf(&body, "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}\n", code, message);
	admin_answer(request, status, "application/json", headers, &body);
	buf_deinit(&body);
}

void admin_answer_no_memory(struct admin_request *request)
{
	admin_answer_error(request, 503, "Retry-After: 1\r\n", "unavailable", "the gateway is out of memory");
}

static int refuse_query(struct admin_request *request, const char *name, const char *what)
{
	struct buf message = {0};

	buf_printf(&message, "%s %s", name, what);
	admin_answer_error(request, 400, "", "bad_query", buf_text(&message) ? buf_text(&message) : what);
	buf_deinit(&message);
	return -1;
}

int admin_query_text(struct admin_request *request, const char *name, char *out, size_t size)
{
	int len = query_text(request->head.query, name, NULL, out, size);

	if (len == -ENOENT)
		return 0;
	if (len < 0 || strlen(out) != (size_t)len)
		return refuse_query(request, name, "is too long, or no text");
	return len;
}

int admin_query_number(
	struct admin_request *request, const char *name, uint64_t least, uint64_t most, uint64_t *valuep)
{
	struct buf what = {0};
	uint64_t value = 0;
	char text[20];
	int len = admin_query_text(request, name, text, sizeof(text));

	if (len <= 0)
		return len;
	for (const char *c = text; *c && value <= most; c++)
		value = *c >= '0' && *c <= '9' ? value * 10 + (uint64_t)(*c - '0') : most + 1;
	if (value >= least && value <= most) {
		*valuep = value;
		return 0;
	}
	buf_printf(
		&what, "is a number from %llu to %llu", (unsigned long long)least, (unsigned long long)most);
	refuse_query(request, name, buf_text(&what) ? buf_text(&what) : "is out of bounds");
	buf_deinit(&what);
	return -1;
}

void admin_ask(struct admin_request *request, const struct census_question *question, survey_done_fn done)
{
	request->survey = bus_survey(request->admin->bus, question, done, request);
	if (!request->survey)
		admin_answer_no_memory(request);
}

bool admin_asked(struct admin_request *request, const struct survey *survey)
{
	request->survey = NULL;
	if (!survey_complete(survey)) {
		admin_answer_error(request, 503, "Retry-After: 5\r\n", "stuck",
			"a worker did not answer in time: see /live");
		return false;
	}
	for (unsigned int i = 0; i < survey->n_parts; i++) {
		if (survey->parts[i].census.r == 0)
			continue;
		admin_answer_no_memory(request);
		return false;
	}
	return true;
}
