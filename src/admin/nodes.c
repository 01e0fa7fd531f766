/*
 * Nodes: GET /nodes, all gateways of this Redis as each has last announced itself, and this one as it is now.
 *
 * The broker notices a hanging Redis after some seconds. A caller who asks meanwhile wants to know how this
 * node is, and gets an answer without the others.
 */

#include "admin/endpoints.h"

#include <errno.h>
#include <string.h>

#include <event2/event.h>

#include "admin/admin_private.h"
#include "admin/request.h"
#include "broker/broker.h"
#include "protocol/json.h"

enum {
	DEPTH_MAX = 16,
	PATIENCE_SECONDS = 2, /* a Redis that is well takes milliseconds */
};

/* Why the others are not listed, as a word and a sentence. */
static void write_state(int r, struct buf *out)
{
	const char *state = "unavailable", *message = "Redis is away: only this node is listed";

	if (r == 0) {
		buf_append_str(out, "\"state\":\"complete\"");
		return;
	}
	if (r == BROKER_NODES_PARTIAL) {
		state = "partial";
		message = "the set of nodes in Redis has more members than are listed";
	} else if (r == -ETIMEDOUT) {
		message = "Redis does not answer: only this node is listed";
	} else if (r == -ENOMEM) {
		message = "this node is out of memory: only it is listed";
	} else if (r == -EAGAIN) {
		message = "too much waits for Redis, which does not keep up: only this node is listed";
	} else if (r == -EIO) {
		message = "Redis answers in a way that makes no sense: only this node is listed";
	} else if (r == -EOPNOTSUPP) {
		state = "alone";
		message = "events are kept in memory: there are no other nodes";
	} else if (r == -EACCES) {
		state = "forbidden";
		message = "Redis does not allow it: give the user +set +sadd +sscan +getrange +srem +del on "
			  "~tg:*";
	}
	buf_printf(out, "\"state\":\"%s\",\"message\":\"%s\"", state, message);
}

static bool is_own(const struct admin *admin, struct slice text)
{
	struct json_member node = {.name = "node"};
	bool is_object;

	return json_check(text.data, text.len, DEPTH_MAX, &node, 1, &is_object) == 0 &&
	       json_is_string(node.value) &&
	       json_string_is(node.value, admin->node_id, strlen(admin->node_id));
}

static void answer(struct admin_request *request, int r, const struct slice *nodes, size_t n)
{
	struct admin *admin = request->admin;
	struct buf body = {0};

	buf_printf(&body, "{\"node\":\"%s\",", admin->node_id);
	write_state(r, &body);
	buf_append_str(&body, ",\"nodes\":[");
	admin->source.status(admin->source.arg, &body);
	for (size_t i = 0; i < n; i++) {
		if (is_own(admin, nodes[i]))
			continue;
		buf_append_char(&body, ',');
		buf_append(&body, nodes[i].data, nodes[i].len);
	}
	buf_append_str(&body, "]}");
	admin_answer_json(request, &body);
}

static void on_nodes(void *arg, int r, const struct slice *nodes, size_t n)
{
	struct admin_request *request = arg;

	if (admin_request_resume(request) && !request->done)
		answer(request, r, nodes, n);
}

/* The broker still calls back. */
static void on_late(evutil_socket_t fd, short events, void *arg)
{
	struct admin_request *request = arg;

	(void)fd;
	(void)events;
	if (request->waiting && request->wsi)
		answer(request, -ETIMEDOUT, NULL, 0);
}

void admin_nodes(struct admin_request *request)
{
	static const struct timeval patience = {PATIENCE_SECONDS, 0};
	int r;

	request->deadline = event_new(request->admin->base, -1, 0, on_late, request);
	if (!request->deadline || event_add(request->deadline, &patience) < 0) {
		admin_answer_no_memory(request);
		return;
	}
	request->waiting = true;
	r = broker_nodes(request->admin->broker, on_nodes, request);
	if (r == 0)
		return;
	request->waiting = false;
	answer(request, r, NULL, 0);
}
