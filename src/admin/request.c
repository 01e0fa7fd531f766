/* Admin request: its life, its answers, its query; see the header. */

#include "request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <libwebsockets.h>

#include "bus/bus.h"
#include "admin_private.h"
#include "tail.h"

/* What every answer says: nobody keeps it, nobody guesses what it is, no other site may show it. */
#define COMMON_HEADERS                                                                                       \
	"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nCross-Origin-Resource-Policy: "       \
	"same-origin\r\nConnection: close\r\n"

struct admin_request *admin_request_new(struct admin *admin, struct lws *wsi)
{
	struct admin_request *request = calloc(1, sizeof(struct admin_request));

	if (!request)
		return NULL;
	request->admin = admin;
	request->wsi = wsi;
	return request;
}

void admin_request_free(struct admin_request *request)
{
	if (request->survey)
		survey_cancel(request->survey);
	admin_tail_free(request->tail);
	if (request->deadline)
		event_free(request->deadline);
	buf_deinit(&request->body);
	buf_deinit(&request->out);
	free(request);
}

void admin_request_end(struct admin_request *request)
{
	request->wsi = NULL;
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

static const char *status_text(unsigned int status)
{
	static const struct {
		unsigned int status;
		const char *text;
	} texts[] = {
		{200, "OK"},
		{207, "Multi-Status"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{409, "Conflict"},
		{411, "Length Required"},
		{413, "Content Too Large"},
		{502, "Bad Gateway"},
		{503, "Service Unavailable"},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].status == status)
			return texts[i].text;
	return "Error";
}

void admin_answer(struct admin_request *request, unsigned int status, const char *type, const char *headers,
	const struct buf *body)
{
	if (!request->wsi)
		return;
	buf_reset(&request->out);
	buf_printf(&request->out,
		"HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s" COMMON_HEADERS "\r\n",
		status, status_text(status), type, body->len, headers);
	buf_append(&request->out, body->data, body->len);
	request->done = true;
	lws_callback_on_writable(request->wsi);
}

void admin_answer_stream(struct admin_request *request, const char *type)
{
	buf_printf(&request->out, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n" COMMON_HEADERS "\r\n", type);
	lws_set_timeout(request->wsi, NO_PENDING_TIMEOUT, 0);
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

void admin_answer_error(struct admin_request *request, unsigned int status, const char *headers,
	const char *code, const char *message)
{
	struct buf body = {0};

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
	char value[1024]; /* longer ones are too long for all that we know */
	/* Decoded by lws, unlike the path. */
	int len = lws_get_urlarg_by_name_safe(request->wsi, name, value, sizeof(value));

	*out = '\0';
	if (len < 0)
		return 0;
	if ((size_t)len >= size || strlen(value) != (size_t)len)
		return refuse_query(request, name, "is too long, or no text");
	strcpy(out, value);
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
