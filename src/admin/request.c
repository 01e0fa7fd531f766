/* Admin request: answers and tailing; see the header. */

#include "request.h"

#include <errno.h>
#include <string.h>

#include <libwebsockets.h>

#include "broker/broker.h"
#include "protocol/json.h"
#include "protocol/message.h"
#include "route/route.h"
#include "admin_private.h"

enum {
	TAIL_BYTES_MAX = 1024 * 1024, /* not read yet by a caller of /tail; then it is cut off */
};

static const char *status_text(unsigned int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 207:
		return "Multi-Status";
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 409:
		return "Conflict";
	case 411:
		return "Length Required";
	case 413:
		return "Content Too Large";
	case 502:
		return "Bad Gateway";
	case 503:
		return "Service Unavailable";
	default:
		return "Error";
	}
}

void admin_answer(struct admin_request *request, unsigned int status, const char *type, const char *headers,
	const struct buf *body)
{
	if (!request->wsi)
		return;
	buf_reset(&request->out);
	buf_printf(&request->out,
		"HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%sCache-Control: no-store\r\n"
		"Connection: close\r\n\r\n",
		status, status_text(status), type, body->len, headers);
	buf_append(&request->out, body->data, body->len);
	request->done = true;
	lws_callback_on_writable(request->wsi);
}

void admin_answer_error(struct admin_request *request, unsigned int status, const char *headers,
	const char *code, const char *message)
{
	struct buf body = {0};

	buf_printf(&body, "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}\n", code, message);
	admin_answer(request, status, "application/json", headers, &body);
	buf_deinit(&body);
}

static void on_tapped(void *arg, struct message *event)
{
	struct admin_request *request = arg;
	struct slice text = message_text(event);

	if (request->done)
		return;
	buf_append(&request->out, text.data, text.len);
	buf_append_char(&request->out, '\n');
	if (request->out.failed || request->out.len > TAIL_BYTES_MAX)
		request->done = true;
	lws_callback_on_writable(request->wsi);
}

void admin_tail(struct admin_request *request)
{
	const char *name = request->body.data;

	for (unsigned int i = 0; i < request->n_taps; i++) {
		size_t len = strlen(name);

		request->taps[i] = (struct bus_tap){.event = on_tapped, .arg = request};
		if (!route_channel_valid(name, len) ||
			bus_tap_add(request->admin->bus, &request->taps[i], (struct slice){name, len}) < 0) {
			admin_answer_error(
				request, 400, "", "bad_channel", "that is not the name of a channel");
			return;
		}
		name += len + 1;
	}
	buf_printf(&request->out,
		"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nCache-Control: no-store\r\n"
		"Connection: close\r\n\r\n");
	lws_callback_on_writable(request->wsi);
}
