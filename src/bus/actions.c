/* Actions: what clients ask of backends, from the workers to Redis, and the answers back; see the header. */

#include "bus/actions.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/broker.h"
#include "bus/bus_private.h"
#include "core/clock.h"
#include "core/text.h"
#include "mail/action.h"
#include "protocol/json.h"
#include "protocol/message.h"
#include "worker/worker.h"

enum {
	ACTION_TEXT_MAX = BUS_NODE_MAX + 2 * 21 + 1, /* node.connection.number */
};

/* Workers count their connections in steps of their number (clients_init()). */
static struct worker *worker_of(const struct bus *bus, uint64_t conn)
{
	return bus->n_workers && conn ? bus->workers[(conn - 1) % bus->n_workers] : NULL;
}

static void post(struct actions *actions, const struct action_answer *answer)
{
	struct worker *worker = worker_of(actions->bus, answer->conn);

	if (worker)
		worker_post_answer(worker, answer);
}

/* --- there --- */

static void on_acted(void *arg, int r)
{
	struct action *action = arg;

	if (r < 0)
		post(action->bus,
			&(struct action_answer){.conn = action->conn, .number = action->number, .r = r});
	free(action);
}

void actions_take(struct actions *actions, struct action *action)
{
	const struct action_text *text = &action->text;
	const struct own_channel *answers = answers_live(&actions->answers);
	char id[ACTION_TEXT_MAX], conn[ACTION_TEXT_MAX];
	struct broker_action asked = {
		.stream = text->stream,
		.backlog = action->backlog,
		.timeout_ms = action->timeout_ms,
		.user = text->user,
		.route = text->route,
		.vars = text->vars,
		.key = text->key,
		.data = text->data,
	};
	int r = -ENOTCONN;

	action->bus = actions;
	asked.conn = (struct slice){
		conn, (size_t)snprintf(conn, sizeof(conn), "%s.%" PRIu64, actions->node, action->conn)};
	asked.id = (struct slice){id, (size_t)snprintf(id, sizeof(id), "%s.%" PRIu64, conn, action->number)};
	if (answers) {
		asked.reply = own_channel_name(answers);
		r = broker_act(actions->bus->broker, &asked, on_acted, action);
	}
	if (r < 0)
		on_acted(action, r);
}

/* --- and back --- */

enum member {
	ACTION,
	DATA,
	ERROR,
	MORE,
	N_MEMBERS,
};

static const struct json_member answer_members[N_MEMBERS] = {
	[ACTION] = {.name = "action"},
	[DATA] = {.name = "data"},
	[ERROR] = {.name = "error"},
	[MORE] = {.name = "more"},
};

static bool read_members(struct slice text, struct json_member members[N_MEMBERS])
{
	bool is_object;

	memcpy(members, answer_members, sizeof(answer_members));
	return json_check(text.data, text.len, MESSAGE_DEPTH_MAX, members, N_MEMBERS, &is_object) == 0 &&
	       is_object;
}

/* Digits up to the end or a dot, which is taken too. False: none, or more than fit. */
static bool take_number(struct slice *text, uint64_t *numberp)
{
	uint64_t number = 0;
	size_t n = 0;

	for (; n < text->len && text_is_digit(text->data[n]); n++)
		if (__builtin_mul_overflow(number, (uint64_t)10, &number) ||
			__builtin_add_overflow(number, (uint64_t)(text->data[n] - '0'), &number))
			return false;
	*numberp = number;
	if (n == 0 || (n < text->len && text->data[n] != '.'))
		return false;
	n += n < text->len;
	text->data += n;
	text->len -= n;
	return true;
}

/* The id as a JSON string: of this node, else false. */
static bool read_id(const struct actions *actions, struct slice id, struct action_answer *answer)
{
	char text[ACTION_TEXT_MAX];
	long len = json_is_string(id) ? json_unescape(id, text, sizeof(text)) : -1;
	size_t node_len = strlen(actions->node);
	struct slice rest;

	if (len <= (long)node_len || memcmp(text, actions->node, node_len) != 0 || text[node_len] != '.')
		return false;
	rest = (struct slice){text + node_len + 1, (size_t)len - node_len - 1};
	return take_number(&rest, &answer->conn) && take_number(&rest, &answer->number) && rest.len == 0 &&
	       answer->conn; /* they count from 1 */
}

/* False for an error without a code, which tells a client nothing. */
static bool read_error(struct slice error, struct action_answer *answer)
{
	struct json_member members[] = {{.name = "code"}, {.name = "message"}};
	bool is_object;

	if (json_check(error.data, error.len, MESSAGE_DEPTH_MAX, members, 2, &is_object) || !is_object ||
		!json_is_string(members[0].value))
		return false;
	answer->code = members[0].value;
	answer->message = json_is_string(members[1].value) ? members[1].value : members[0].value;
	return true;
}

static bool read_answer(const struct actions *actions, struct slice text, struct action_answer *answer)
{
	struct json_member members[N_MEMBERS];

	/* An event without a `type` was made an update, with the payload inside. */
	if (!read_members(text, members))
		return false;
	if (!members[ACTION].value.data &&
		(!json_is_object(members[DATA].value) || !read_members(members[DATA].value, members)))
		return false;
	if (!read_id(actions, members[ACTION].value, answer))
		return false;
	answer->data = members[DATA].value;
	answer->more = json_is_true(members[MORE].value);
	return !members[ERROR].value.data || slice_is(members[ERROR].value, "null") ||
	       read_error(members[ERROR].value, answer);
}

static void on_event(void *arg, struct message *event)
{
	struct actions *actions = arg;
	struct bus *bus = actions->bus;
	struct action_answer answer = {.event = event};
	uint64_t suppressed;

	if (read_answer(actions, message_text(event), &answer)) {
		post(actions, &answer);
		return;
	}
	metrics_add(bus->metrics, METRIC_ACTION_ANSWERS_DROPPED, 1);
	if (log_limit_allow(bus->log, &actions->stray_limit, clock_monotonic_ms(), &suppressed))
		log_warn(bus->log, "a backend's answer makes no sense",
			log_str("channel", actions->answers.channels[0].name),
			log_str("remedy", "{\"action\": ID, \"data\": …} or {\"action\": ID, \"error\": "
					  "{\"code\": …, \"message\": …}}"),
			log_uint("suppressed", suppressed));
}

/* --- listening --- */

void actions_init(struct actions *actions, struct bus *bus, const char *node)
{
	static const struct route_history history = {
		.size = BUS_ANSWERS_SIZE,
		.ttl_ms = BUS_ANSWERS_TTL_MS,
	};

	*actions = (struct actions){
		.bus = bus,
		.stray_limit = {.burst = 5, .interval_ms = 60000},
	};
	snprintf(actions->node, sizeof(actions->node), "%s", node);
	answers_init(&actions->answers, bus, actions->node, &history, on_event, actions);
}

void actions_configure(struct actions *actions, bool carries)
{
	/* Without memory for it actions are answered `unavailable`, until the next reload. */
	answers_follow(&actions->answers, carries);
}
