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

/* Actions that go to Redis in one call. */
struct call {
	struct actions *actions;
	size_t n;
	struct action *list[BROKER_ACTIONS_MAX];
};

static void end_action(struct actions *actions, struct action *action, int r)
{
	if (r < 0)
		post(actions,
			&(struct action_answer){.conn = action->conn, .number = action->number, .r = r});
	free(action);
}

static void on_acted(void *arg, int r, size_t n)
{
	struct call *call = arg;

	for (size_t i = 0; i < call->n; i++)
		end_action(call->actions, call->list[i], r < 0 ? r : i < n ? 0 : -EBUSY);
	free(call);
}

static bool goes_with(const struct action *action, const struct action *first)
{
	return slice_equal(action->text.stream, first->text.stream) && action->backlog == first->backlog;
}

/* Takes the first of the list and what goes to the same stream out of it, as many as one call may have. */
static void gather(struct list *taken, struct call *call)
{
	struct list *next;

	for (struct list *link = taken->next; link != taken && call->n < BROKER_ACTIONS_MAX; link = next) {
		struct action *action = list_entry(link, struct action, link);

		next = link->next;
		if (call->n && !goes_with(action, call->list[0]))
			continue;
		list_remove(link);
		call->list[call->n++] = action;
	}
}

static int send_call(struct call *call)
{
	const struct actions *actions = call->actions;
	const struct own_channel *answers = answers_live(&actions->answers);
	struct broker_action_stream stream = {
		.key = call->list[0]->text.stream,
		.backlog = call->list[0]->backlog,
	};
	char ids[BROKER_ACTIONS_MAX][ACTION_TEXT_MAX];
	struct broker_action asked[BROKER_ACTIONS_MAX];

	if (!answers)
		return -ENOTCONN;
	stream.reply = own_channel_name(answers);
	for (size_t i = 0; i < call->n; i++) {
		const struct action *action = call->list[i];
		const struct action_text *text = &action->text;
		int conn_len = snprintf(ids[i], sizeof(ids[i]), "%s.%" PRIu64, actions->node, action->conn);
		int rest_len = snprintf(
			ids[i] + conn_len, sizeof(ids[i]) - (size_t)conn_len, ".%" PRIu64, action->number);

		asked[i] = (struct broker_action){
			.timeout_ms = action->timeout_ms,
			.id = {ids[i], (size_t)(conn_len + rest_len)},
			.conn = {ids[i], (size_t)conn_len},
			.user = text->user,
			.route = text->route,
			.vars = text->vars,
			.key = text->key,
			.data = text->data,
		};
	}
	return broker_act(actions->bus->broker, &stream, asked, call->n, on_acted, call);
}

void actions_take(struct actions *actions, struct action *action)
{
	list_push_back(&actions->taken, &action->link);
}

void actions_flush(struct actions *actions)
{
	while (list_linked(&actions->taken)) {
		struct call *call = malloc(sizeof(*call));
		int r;

		if (!call) {
			struct list *first = actions->taken.next;

			list_remove(first);
			end_action(actions, list_entry(first, struct action, link), -ENOMEM);
			continue;
		}
		*call = (struct call){.actions = actions};
		gather(&actions->taken, call);
		r = send_call(call);
		if (r < 0)
			on_acted(call, r, 0);
	}
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

/* Posts what an object says. False: it makes no sense. */
static bool take_answer(
	struct actions *actions, const struct json_member members[N_MEMBERS], struct message *event)
{
	struct action_answer answer = {
		.event = event, .data = members[DATA].value, .more = json_is_true(members[MORE].value)};
	struct slice error = members[ERROR].value;

	if (!read_id(actions, members[ACTION].value, &answer))
		return false;
	if (error.data && !slice_is(error, "null") && !read_error(error, &answer))
		return false;
	post(actions, &answer);
	return true;
}

static void note_stray(struct actions *actions)
{
	struct bus *bus = actions->bus;
	uint64_t suppressed;

	metrics_add(bus->metrics, METRIC_ACTION_ANSWERS_DROPPED, 1);
	if (log_limit_allow(bus->log, &actions->stray_limit, clock_monotonic_ms(), &suppressed))
		log_warn(bus->log, "a backend's answer makes no sense",
			log_str("channel", actions->answers.channels[0].name),
			log_str("remedy", "{\"action\": ID, \"data\": …} or {\"action\": ID, \"error\": "
					  "{\"code\": …, \"message\": …}}"),
			log_uint("suppressed", suppressed));
}

/* Several answers in one event. */
static void take_array(struct actions *actions, struct slice array, struct message *event)
{
	struct json_member members[N_MEMBERS];
	struct slice item;
	size_t pos = 0;

	while (json_array_next(array, &pos, &item))
		if (!read_members(item, members) || !take_answer(actions, members, event))
			note_stray(actions);
}

static void on_event(void *arg, struct message *event)
{
	struct actions *actions = arg;
	struct json_member members[N_MEMBERS];
	struct slice data = {0};
	bool is_good = read_members(message_text(event), members);

	/* An event without a `type` was made an update, with the payload inside. */
	if (is_good && !members[ACTION].value.data) {
		data = members[DATA].value;
		if (json_is_array(data)) {
			take_array(actions, data, event);
			return;
		}
		is_good = json_is_object(data) && read_members(data, members);
	}
	if (!is_good || !take_answer(actions, members, event))
		note_stray(actions);
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
	list_init(&actions->taken);
	snprintf(actions->node, sizeof(actions->node), "%s", node);
	answers_init(&actions->answers, bus, actions->node, &history, on_event, actions);
}

void actions_configure(struct actions *actions, bool carries)
{
	/* Without memory for it actions are answered `unavailable`, until the next reload. */
	answers_follow(&actions->answers, carries);
}
