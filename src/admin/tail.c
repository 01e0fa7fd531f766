/*
 * Tail: GET /tail?channel=cards&channel=…, the events as a subscriber sees them, one a
 * line, until the caller leaves.
 *
 * A caller that does not read is cut off, so that what waits for it stays bounded.
 */

#include "admin/tail.h"

#include <errno.h>
#include <stdlib.h>

#include <libwebsockets.h>

#include "admin/admin_private.h"
#include "admin/endpoints.h"
#include "admin/request.h"
#include "bus/bus.h"
#include "http/query.h"
#include "protocol/message.h"
#include "route/route.h"

enum {
	TAPS_MAX = 32,                /* channels in one tail */
	TAIL_BYTES_MAX = 1024 * 1024, /* not read yet by the caller; then it is cut off */
};

struct admin_tail {
	struct bus *bus;
	unsigned int n;
	struct bus_tap taps[TAPS_MAX];
};

void admin_tail_free(struct admin_tail *tail)
{
	for (unsigned int i = 0; tail && i < tail->n; i++)
		bus_tap_remove(tail->bus, &tail->taps[i]);
	free(tail);
}

static void on_tapped(void *arg, struct message *event)
{
	struct admin_request *request = arg;
	struct slice text = message_text(event);

	if (request->done)
		return;
	buf_append(&request->out, text.data, text.len);
	buf_append_char(&request->out, '\n');
	if (request->out.failed || request->out.len > TAIL_BYTES_MAX) {
		request->done = true;
		/* The end is written behind the rest, which a caller that does not read will never take. */
		lws_set_timeout(request->wsi, PENDING_TIMEOUT_USER_OK, LINGER_SECONDS);
	}
	lws_callback_on_writable(request->wsi);
}

/* Returns what is wrong with the channel, or NULL. */
static const char *add_tap(struct admin_request *request, const char *name, size_t len)
{
	struct admin_tail *tail = request->tail;
	struct bus_tap *tap = &tail->taps[tail->n];

	if (tail->n == TAPS_MAX)
		return "name 1 to 32 channels: /tail?channel=cards";
	if (!route_channel_valid(name, len))
		return "that is not the name of a channel";
	*tap = (struct bus_tap){.event = on_tapped, .arg = request};
	if (bus_tap_add(tail->bus, tap, (struct slice){name, len}) < 0)
		return "the gateway cannot listen to it";
	tail->n++;
	return NULL;
}

static const char *add_taps(struct admin_request *request)
{
	const char *wrong = NULL;
	char name[ADMIN_ARGUMENT_MAX + 1];
	size_t at = 0;
	int len = 0;

	while (!wrong && len >= 0) {
		len = query_text(request->head.query, "channel", &at, name, sizeof(name));
		if (len == -ENOSPC || len >= 0)
			wrong = add_tap(request, name, len < 0 ? 0 : (size_t)len);
	}
	return wrong || request->tail->n ? wrong : "name 1 to 32 channels: /tail?channel=cards";
}

void admin_tail(struct admin_request *request)
{
	const char *wrong;

	request->tail = calloc(1, sizeof(*request->tail));
	if (!request->tail) {
		admin_answer_no_memory(request);
		return;
	}
	request->tail->bus = request->admin->bus;
	wrong = add_taps(request);
	if (wrong)
		admin_answer_error(request, 400, "", "bad_channel", wrong);
	else
		admin_answer_stream(request, "application/x-ndjson");
}
