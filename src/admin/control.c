/*
 * Admin control: POST /control, a command to all nodes, and POST /disconnect, a case of it; see control.h.
 */

#include "admin/control.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <libwebsockets.h>

#include "admin/admin_private.h"
#include "admin/endpoints.h"
#include "admin/request.h"
#include "admin/roll.h"
#include "broker/broker.h"
#include "bus/bus.h"
#include "core/log.h"
#include "mail/order.h"
#include "protocol/control_command.h"
#include "protocol/json.h"
#include "protocol/message.h"

enum {
	GATHER_SECONDS = 2,  /* for all nodes to answer: one that is well takes milliseconds */
	CHANNELS_TRIED = 50, /* for one whose server is there */
	CHANNEL_SIZE = 8 + ROLL_NODE_MAX + 21, /* tg:c:NODE:NUMBER */
};

struct admin_control {
	struct admin_request *request; /* NULL: it has gone */
	struct bus *bus;
	struct broker *broker;
	enum control_do what;
	bool one;            /* POST /disconnect: one connection, of one node */
	unsigned int n_away; /* calls that are under way */
	int listed;          /* how the list of nodes came out; 1: not yet */
	bool confirmed;      /* answers are heard */
	bool published;
	struct bus_tap tap;
	char channel[CHANNEL_SIZE];
	struct buf command;
	struct event *deadline;
	struct roll roll;
};

static void control_free(struct admin_control *control)
{
	if (control->deadline)
		event_free(control->deadline);
	buf_deinit(&control->command);
	free(control);
}

void admin_control_leave(struct admin_control *control)
{
	if (!control)
		return;
	control->request = NULL;
	bus_tap_remove(control->bus, &control->tap);
	if (control->deadline)
		event_del(control->deadline);
	if (!control->n_away)
		control_free(control);
}

/* A call came back. False: nobody waits for it any more. */
static bool came_back(struct admin_control *control)
{
	control->n_away--;
	if (control->request)
		return !control->request->done;
	if (!control->n_away)
		control_free(control);
	return false;
}

/* --- the answer --- */

static const char *state_name(int listed)
{
	switch (listed) {
	case 0:
		return "complete";
	case BROKER_NODES_PARTIAL:
		return "partial";
	case -EOPNOTSUPP:
		return "alone";
	default:
		return "unknown";
	}
}

static void answer_all(struct admin_control *control)
{
	struct buf body = {0};

	buf_printf(&body, "{\"do\":\"%s\",\"state\":\"%s\"", control_do_name(control->what),
		state_name(control->listed));
	roll_write(&control->roll, &body);
	buf_append_char(&body, '}');
	admin_answer_json(control->request, &body);
}

/* Of one connection. */
static void answer_one(struct admin_request *request, struct slice name, bool is_done)
{
	struct buf body = {0};

	if (!is_done) {
		admin_answer_error(request, 404, "", "no_such_connection", "there is no such connection");
		return;
	}
	buf_append_str(&body, "{\"connection\":");
	buf_append(&body, name.data, name.len);
	buf_append_str(&body, ",\"disconnected\":true}");
	admin_answer_json(request, &body);
}

static void answer_unpublished(struct admin_request *request, int r)
{
	if (r == -ETIMEDOUT)
		admin_answer_error(request, 503, "Retry-After: 1\r\n", "unknown",
			"Redis did not answer: nobody knows whether the command was given");
	else if (r == -EACCES || r == -EIO)
		admin_answer_error(
			request, 502, "", "refused", "Redis refused the command: the gateway's log says why");
	else
		admin_answer_error(request, 503, "Retry-After: 1\r\n", "unavailable",
			"Redis is away, or does not keep up: the command was not given");
}

static struct slice connection_of(const struct admin_request *request)
{
	struct json_member member = {.name = "connection"};
	bool is_object;

	(void)json_check(request->body.data, request->body.len, MESSAGE_DEPTH_MAX, &member, 1, &is_object);
	return member.value;
}

static void finish(struct admin_control *control)
{
	struct admin_request *request = control->request;

	if (!control->published)
		answer_unpublished(request, -ENOTCONN);
	else if (!control->one)
		answer_all(control);
	else if (roll_is_complete(&control->roll))
		answer_one(request, connection_of(request), roll_sum(&control->roll) > 0);
	else
		admin_answer_error(request, 503, "", "silent", "that node does not answer: is it there?");
}

static void on_deadline(evutil_socket_t fd, short events, void *arg)
{
	struct admin_control *control = arg;

	(void)fd;
	(void)events;
	if (control->request && !control->request->done)
		finish(control);
}

/* On a turn of its own: taps are not removed from inside a tap. */
static void finish_later(struct admin_control *control)
{
	static const struct timeval now = {0, 0};

	(void)event_add(control->deadline, &now);
}

/* All that are known to be there have answered. */
static void look_whether_done(struct admin_control *control)
{
	bool knows_all = control->one || control->listed == 0 || control->listed == -EOPNOTSUPP;

	if (control->published && knows_all && roll_is_complete(&control->roll))
		finish_later(control);
}

/* --- giving the command --- */

static void on_answer(void *arg, struct message *event)
{
	struct admin_control *control = arg;
	struct json_member data = {.name = "data"};
	struct slice text = message_text(event);
	bool is_object;

	/* It has no type, so it was made an update. */
	if (json_check(text.data, text.len, MESSAGE_DEPTH_MAX, &data, 1, &is_object) || !is_object)
		return;
	roll_note(&control->roll, data.value);
	look_whether_done(control);
}

static void on_published(void *arg, int r, const struct position *id, bool is_duplicate)
{
	struct admin_control *control = arg;

	(void)id;
	(void)is_duplicate;
	if (!came_back(control))
		return;
	if (r < 0) {
		answer_unpublished(control->request, r);
		return;
	}
	control->published = true;
	look_whether_done(control);
}

/* As soon as the answers are heard, and it is known who is to give one. */
static void publish(struct admin_control *control)
{
	const struct broker_log_options log = {
		.size = BUS_CONTROL_LOG_SIZE, .ttl_ms = BUS_CONTROL_LOG_TTL_MS};
	int r;

	if (!control->confirmed || control->listed == 1)
		return;
	control->n_away++;
	r = broker_log_publish(control->broker, slice_of(BUS_CONTROL_CHANNEL), buf_slice(&control->command),
		&log, on_published, control);
	if (r == 0)
		return;
	control->n_away--;
	answer_unpublished(control->request, r);
}

static void on_confirmed(void *arg)
{
	struct admin_control *control = arg;

	if (control->confirmed || control->request->done)
		return;
	control->confirmed = true;
	publish(control);
}

static void expect(struct admin_control *control, struct slice announcement)
{
	struct json_member node = {.name = "node"};
	char id[ROLL_NODE_MAX];
	bool is_object;
	long len;

	if (json_check(announcement.data, announcement.len, MESSAGE_DEPTH_MAX, &node, 1, &is_object) ||
		!json_is_string(node.value))
		return;
	len = json_unescape(node.value, id, sizeof(id));
	if (len > 0)
		(void)roll_expect(&control->roll, (struct slice){id, (size_t)len});
}

static void on_nodes(void *arg, int r, const struct slice *nodes, size_t n)
{
	struct admin_control *control = arg;

	if (!came_back(control))
		return;
	control->listed = r;
	for (size_t i = 0; i < n; i++)
		expect(control, nodes[i]);
	publish(control);
}

static void list_nodes(struct admin_control *control)
{
	int r;

	control->n_away++;
	r = broker_nodes(control->broker, on_nodes, control);
	if (r == 0)
		return;
	control->n_away--;
	control->listed = r;
}

/* The command, with the channel of the answers in it. */
static void write_command(struct admin_control *control, struct slice object)
{
	buf_append(&control->command, object.data, object.len - 1);
	buf_printf(&control->command, ",\"reply\":\"%s\"}", control->channel);
}

/* Of several servers one that is there has the channel of the answers. */
static void name_channel(struct admin_control *control, struct admin *admin)
{
	unsigned int n = 0;

	do {
		snprintf(control->channel, sizeof(control->channel), "tg:c:%.*s:%" PRIu64, ROLL_NODE_MAX,
			admin->node_id, ++admin->n_commands);
	} while (broker_channel_state(control->broker, slice_of(control->channel)) != BROKER_READY &&
		 ++n < CHANNELS_TRIED);
}

/* NULL: without memory, and the request is answered. */
static struct admin_control *control_new(struct admin_request *request, enum control_do what)
{
	struct admin *admin = request->admin;
	struct admin_control *control = calloc(1, sizeof(*control));

	if (control)
		control->deadline = event_new(admin->base, -1, 0, on_deadline, control);
	if (!control || !control->deadline) {
		free(control);
		admin_answer_no_memory(request);
		return NULL;
	}
	control->request = request;
	control->bus = admin->bus;
	control->broker = admin->broker;
	control->what = what;
	control->listed = 1;
	control->tap = (struct bus_tap){.event = on_answer, .confirmed = on_confirmed, .arg = control};
	name_channel(control, admin);
	request->control = control;
	return control;
}

/* object: a command, without `reply`. node: the only one that it is for; absent: all. */
static void give(struct admin_request *request, struct slice object, enum control_do what, struct slice node)
{
	static const struct timeval patience = {GATHER_SECONDS, 0};
	struct admin_control *control = control_new(request, what);

	if (!control)
		return;
	control->one = node.data;
	write_command(control, object);
	(void)roll_expect(&control->roll, node.data ? node : slice_of(request->admin->node_id));
	if (control->command.failed || event_add(control->deadline, &patience) < 0 ||
		bus_tap_add(control->bus, &control->tap, slice_of(control->channel)) < 0) {
		admin_answer_no_memory(request);
		return;
	}
	if (control->one)
		control->listed = 0;
	else
		list_nodes(control);
}

/* --- the requests --- */

static bool may_give(struct admin_request *request)
{
	if (request->admin->ending)
		admin_answer_error(request, 503, "Retry-After: 1\r\n", "draining",
			"the gateway is going down: the command was not given");
	else if (bus_control_state(request->admin->bus) == BUS_CONTROL_OFF)
		admin_answer_error(request, 409, "", "control_off",
			"this gateway follows no commands: its configuration says control: false");
	else if (broker_channel_state(request->admin->broker, slice_of(BROKER_CONTROL_CHANNEL)) !=
		 BROKER_READY)
		answer_unpublished(request, -ENOTCONN);
	else
		return true;
	return false;
}

static struct slice trim(struct slice text)
{
	while (text.len && memchr(" \t\r\n", text.data[0], 4)) {
		text.data++;
		text.len--;
	}
	while (text.len && memchr(" \t\r\n", text.data[text.len - 1], 4))
		text.len--;
	return text;
}

/* Who asked, for the log; the outcome is in the line about the command. */
static void log_operator(const struct admin_request *request, const struct control_command *command)
{
	char peer[64] = "";

	lws_get_peer_simple(request->wsi, peer, sizeof(peer));
	if (command->who == CONTROL_CONN)
		log_info(request->admin->log, "the operator gives a command",
			log_str("do", control_do_name(command->what)), log_uint("conn", command->conn),
			log_str("node", command->name.bytes), log_str("operator", peer));
	else
		log_info(request->admin->log, "the operator gives a command",
			log_str("do", control_do_name(command->what)), log_str("operator", peer));
}

void admin_control(struct admin_request *request)
{
	struct slice text =
		trim((struct slice){request->body.data ? request->body.data : "", request->body.len});
	struct control_command command;
	const char *wrong = bus_read_command(text, &command);

	if (!wrong && command.reply.len)
		wrong = "leave out reply: the answers are gathered here";
	if (wrong) {
		admin_answer_error(request, 400, "", "bad_command", wrong);
		return;
	}
	if (!may_give(request))
		return;
	log_operator(request, &command);
	give(request, text, command.what, (struct slice){0});
}

/* Of this node: without Redis, and at once. */
static void on_disconnected(void *arg, int r, uint64_t n)
{
	struct admin_control *control = arg;

	if (!came_back(control))
		return;
	if (r < 0)
		admin_answer_no_memory(control->request);
	else
		answer_one(control->request, connection_of(control->request), n > 0);
}

static void disconnect_here(struct admin_request *request, uint64_t conn)
{
	const struct order_text text = {.verb = ORDER_DISCONNECT,
		.target = ORDER_CONNECTION,
		.conn = conn,
		.reason = CLOSE_DISCONNECTED};
	struct admin_control *control = control_new(request, CONTROL_DISCONNECT);

	if (!control)
		return;
	control->n_away++;
	if (bus_order(control->bus, &text, on_disconnected, control) < 0) {
		control->n_away--;
		admin_answer_no_memory(request);
	}
}

/* The command that says the same. False: that is no connection. */
static bool read_connection(
	const struct admin *admin, struct slice value, struct buf *out, struct control_command *command)
{
	bool is_number = json_is_integer(value);

	buf_append_str(out, "{\"do\":\"disconnect\",\"conn\":");
	if (is_number)
		buf_printf(out, "\"%s.", admin->node_id);
	buf_append(out, value.data, value.len);
	buf_append_str(out, is_number ? "\"}" : "}");
	return !out->failed && (is_number || json_is_string(value)) &&
	       !bus_read_command(buf_slice(out), command);
}

void admin_disconnect(struct admin_request *request)
{
	struct json_member member = {.name = "connection"};
	struct control_command command;
	struct buf text = {0};
	bool is_object;

	if (json_check(request->body.data ? request->body.data : "", request->body.len, MESSAGE_DEPTH_MAX,
		    &member, 1, &is_object) ||
		!is_object || member.n != 1 ||
		!read_connection(request->admin, member.value, &text, &command)) {
		admin_answer_error(request, 400, "", "bad_connection",
			"say which: {\\\"connection\\\": 7}, with the id as in /connections, or "
			"\\\"NODE.7\\\"");
	} else if (slice_is(control_slice(&command.name), request->admin->node_id)) {
		log_operator(request, &command);
		disconnect_here(request, command.conn);
	} else if (may_give(request)) {
		log_operator(request, &command);
		give(request, buf_slice(&text), CONTROL_DISCONNECT, control_slice(&command.name));
	}
	buf_deinit(&text);
}
