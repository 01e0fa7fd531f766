/* Admin request: answers, publishing and tailing; see the header. */

#include "admin_request.h"

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
	KEY_TTL_MS = 120000, /* a repeated idempotency_key is known for so long (recovery.md section 10) */
	ENVELOPE_DEPTH = 4,  /* brackets that {"channel":…,"payload":…} adds at most */
};

static const char *status_text(unsigned int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
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

static void answer_unavailable(struct admin_request *request, const char *message)
{
	admin_answer_error(request, 503, "Retry-After: 1\r\n", "unavailable", message);
}

static void on_published(void *arg, int r, uint64_t n_receivers)
{
	struct admin_request *request = arg;
	struct buf body = {0};

	request->waiting = false;
	if (!request->wsi) {
		admin_request_free(request); /* nobody is left to be told */
		return;
	}
	if (r == -ETIMEDOUT) {
		answer_unavailable(request, "Redis did not answer: nobody knows whether it was published");
	} else if (r < 0) {
		answer_unavailable(request, "Redis refused it or went away");
	} else {
		buf_printf(&body, "{\"receivers\":%llu}\n", (unsigned long long)n_receivers);
		admin_answer(request, 200, "application/json", "", &body);
		buf_deinit(&body);
	}
}

static void on_log_published(void *arg, int r, const struct position *id, bool is_duplicate)
{
	struct admin_request *request = arg;
	struct buf body = {0};
	char pos[POSITION_TEXT_MAX];

	request->waiting = false;
	if (!request->wsi) {
		admin_request_free(request); /* nobody is left to be told */
		return;
	}
	if (r == 0) {
		position_format(id, pos);
		buf_printf(
			&body, "{\"pos\":\"%s\",\"duplicate\":%s}\n", pos, is_duplicate ? "true" : "false");
		admin_answer(request, 200, "application/json", "", &body);
		buf_deinit(&body);
	} else if (r == -ETIMEDOUT) {
		answer_unavailable(request,
			"Redis did not answer: publish again with the same idempotency_key to be sure");
	} else if (r == -EACCES || r == -EIO) {
		admin_answer_error(
			request, 502, "", "refused", "Redis refused it: the gateway's log says why");
	} else {
		answer_unavailable(request, "Redis cannot take it right now: nothing was published");
	}
}

/* To the channel's log as well, which keeps it for those who come back. */
static void publish_logged(struct admin_request *request, const struct route_history *history,
	struct slice channel, struct slice payload, struct slice key)
{
	struct broker_log_options options = {
		.size = history->size,
		.ttl_ms = history->ttl_ms,
		.key = key,
		.key_ttl_ms = KEY_TTL_MS,
	};
	int r;

	request->waiting = true;
	r = broker_log_publish(request->admin->broker, channel, payload, &options, on_log_published, request);
	if (r == 0)
		return;
	request->waiting = false;
	answer_unavailable(request, "Redis is away: nothing was published");
}

static void publish(struct admin_request *request, struct slice channel, struct slice payload)
{
	int r;

	request->waiting = true;
	r = broker_publish(request->admin->broker, channel, payload, on_published, request);
	if (r == 0)
		return;
	request->waiting = false;
	answer_unavailable(request, "Redis is away: nothing was published");
}

/* With or without a history, as the channel's route says. `key` is as it stands in the body; absent: none. */
static void publish_checked(
	struct admin_request *request, struct slice channel, struct slice payload, struct slice key)
{
	const struct route_history *history = route_table_history(request->admin->routes, channel);
	char text[BROKER_LOG_KEY_MAX];
	long len = 0;

	if (key.data)
		len = json_is_string(key) ? json_unescape(key, text, sizeof(text)) : -1;
	if (key.data && (len <= 0 || !history)) {
		admin_answer_error(request, 400, "", "bad_idempotency_key",
			history ? "idempotency_key must be a string of 1 to 256 bytes"
				: "the channel keeps no history, so a repeated key would not be known");
		return;
	}
	if (history)
		publish_logged(request, history, channel, payload,
			(struct slice){key.data ? text : NULL, (size_t)len});
	else
		publish(request, channel, payload);
}

void admin_publish(struct admin_request *request)
{
	struct json_member members[] = {
		{.name = "channel"}, {.name = "payload"}, {.name = "idempotency_key"}};
	char channel[ROUTE_CHANNEL_MAX + 1];
	bool is_object;
	long len;

	if (json_check(request->body.data ? request->body.data : "", request->body.len,
		    MESSAGE_DEPTH_MAX + ENVELOPE_DEPTH, members, 3, &is_object) ||
		!is_object) {
		admin_answer_error(request, 400, "", "bad_json",
			"the body must be {\\\"channel\\\": \\\"…\\\", \\\"payload\\\": …}");
		return;
	}
	len = json_is_string(members[0].value) ? json_unescape(members[0].value, channel, ROUTE_CHANNEL_MAX)
					       : -1;
	if (len < 0 || !route_channel_valid(channel, (size_t)len)) {
		admin_answer_error(request, 400, "", "bad_channel", "channel must be the name of a channel");
		return;
	}
	if (!members[1].value.data) {
		admin_answer_error(request, 400, "", "missing_payload", "there is no payload");
		return;
	}
	publish_checked(request, (struct slice){channel, (size_t)len}, members[1].value, members[2].value);
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
