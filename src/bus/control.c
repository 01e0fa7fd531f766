/* Control: commands of backends and operators about connections; see the header. */

#include "bus/control.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/broker.h"
#include "bus/bus_private.h"
#include "core/buf.h"
#include "core/clock.h"
#include "mail/order.h"
#include "protocol/control_command.h"
#include "protocol/json.h"
#include "protocol/message.h"

enum {
	REFUSED_LINES = 5, /* of the log in a minute, about commands that make no sense */
	DONE_LINES = 20,   /* likewise about those that were carried out */
	LINES_MS = 60000,
	FOLLOW_MS = 2000, /* from the link to the log of commands: milliseconds on a Redis that is well */
};

static const enum metric done_metrics[N_CONTROL_DO] = {
	[CONTROL_DISCONNECT] = METRIC_CONTROL_DISCONNECT,
	[CONTROL_SUBSCRIBE] = METRIC_CONTROL_SUBSCRIBE,
	[CONTROL_UNSUBSCRIBE] = METRIC_CONTROL_UNSUBSCRIBE,
	[CONTROL_REFRESH] = METRIC_CONTROL_REFRESH,
	[CONTROL_REVOKE] = METRIC_CONTROL_REVOKE,
};

/* --- the answer --- */

/* One that is being carried out. */
struct errand {
	struct control *control;
	enum control_do what;
	struct control_text reply;
	const char *wrong; /* that was not done; NULL: all was */
};

/* An answered revocation: it is carried out when the handshakes know it, so that the answer may say so, and
 * before those that nobody waits for close the same connections, so that these are counted. */
struct awaited {
	struct list link;
	struct control_command command;
};

/* An answer that cannot be sent is one that did not come: who asked knows which nodes there are. */
static void answer(
	struct control *control, const struct control_text *reply, int r, uint64_t n, const char *wrong)
{
	struct buf text = {0};

	if (!reply->len || control->silent)
		return;
	buf_printf(&text, "{\"node\":\"%s\",\"n\":%" PRIu64, control->node, n);
	if (r < 0)
		wrong = "this node was out of memory for some of its connections";
	if (wrong) {
		buf_append_str(&text, ",\"error\":");
		buf_append_json_string(&text, wrong, strlen(wrong));
	}
	buf_append_char(&text, '}');
	if (!text.failed)
		(void)broker_publish(
			control->bus->broker, control_slice(reply), buf_slice(&text), NULL, NULL);
	buf_deinit(&text);
}

/* n: for how many connections; NULL: that is not known yet. */
static void tell_done(struct control *control, enum control_do what, const uint64_t *n)
{
	struct bus *bus = control->bus;
	uint64_t suppressed;

	metrics_add(bus->metrics, done_metrics[what], 1);
	if (!log_limit_allow(bus->log, &control->done_limit, clock_monotonic_ms(), &suppressed))
		return;
	if (n)
		log_info(bus->log, "control command carried out", log_str("do", control_do_name(what)),
			log_uint("n", *n), log_uint("suppressed", suppressed));
	else
		log_info(bus->log, "control command carried out", log_str("do", control_do_name(what)),
			log_uint("suppressed", suppressed));
}

static void on_done(void *arg, int r, uint64_t n)
{
	struct errand *errand = arg;
	struct control *control = errand->control;

	tell_done(control, errand->what, &n);
	answer(control, &errand->reply, r, n, errand->wrong);
	control->n_errands--;
	free(errand);
}

/* --- the command --- */

static struct order_text order_of(const struct control_command *command)
{
	static const enum order_target targets[N_CONTROL_WHO] = {
		[CONTROL_CONN] = ORDER_CONNECTION,
		[CONTROL_USER] = ORDER_USER,
		[CONTROL_TOKEN] = ORDER_TOKEN,
		[CONTROL_CHANNEL] = ORDER_CHANNEL,
		[CONTROL_ROUTE] = ORDER_ROUTE,
	};
	static const enum order_verb verbs[N_CONTROL_DO] = {
		[CONTROL_DISCONNECT] = ORDER_DISCONNECT,
		[CONTROL_SUBSCRIBE] = ORDER_SUBSCRIBE,
		[CONTROL_UNSUBSCRIBE] = ORDER_UNSUBSCRIBE,
		[CONTROL_REFRESH] = ORDER_REFRESH,
		[CONTROL_REVOKE] = ORDER_DISCONNECT,
	};
	struct order_text text = {
		.verb = verbs[command->what],
		.target = targets[command->who],
		.conn = command->conn,
		.name = control_slice(&command->name),
		.channel = control_slice(&command->channel),
		.code = command->code,
		.reason = command->what == CONTROL_REVOKE ? CLOSE_TOKEN_REVOKED : CLOSE_DISCONNECTED,
		.is_dated = command->what == CONTROL_REVOKE && command->who == CONTROL_USER,
		.issued_before_ms = command->issued_before_ms,
	};

	if (command->reason.len)
		text.words = control_slice(&command->reason);
	return text;
}

static void refuse(struct control *control, const struct control_command *command, const char *wrong)
{
	struct bus *bus = control->bus;
	uint64_t suppressed;

	metrics_add(bus->metrics, METRIC_CONTROL_REFUSED, 1);
	if (log_limit_allow(bus->log, &control->refused_limit, clock_monotonic_ms(), &suppressed))
		log_warn(bus->log, "control command refused", log_str("reason", wrong),
			log_uint("suppressed", suppressed));
	answer(control, &command->reply, 0, 0, wrong);
}

static bool is_for_others(const struct control *control, const struct control_command *command)
{
	return command->who == CONTROL_CONN && !slice_is(control_slice(&command->name), control->node);
}

/* wrong: what was not done. */
static void carry_out(struct control *control, const struct control_command *command, const char *wrong)
{
	const struct order_text text = order_of(command);
	struct errand *errand;

	if (control->n_errands >= CONTROL_ERRANDS_MAX) {
		refuse(control, command, "this node has too many commands to carry out: say it again later");
		return;
	}
	errand = malloc(sizeof(*errand));
	if (errand)
		*errand = (struct errand){control, command->what, command->reply, wrong};
	control->n_errands += errand != NULL;
	if (errand && is_for_others(control, command))
		on_done(errand, 0, 0);
	else if (!errand || bus_order(control->bus, &text, on_done, errand) < 0) {
		answer(control, &command->reply, -ENOMEM, 0, NULL);
		control->n_errands -= errand != NULL;
		free(errand);
	}
}

bool control_revocation(const struct control_command *command, struct revocation *revocation)
{
	*revocation = (struct revocation){
		.is_token = command->who == CONTROL_TOKEN,
		.name = control_slice(&command->name),
		.issued_before_ms = command->issued_before_ms,
		.until_ms = command->until_ms,
	};
	return command->what == CONTROL_REVOKE;
}

/* The handshakes know of it. One that is taken back closes nobody. wrong: what was not done. */
static void finish_revocation(
	struct control *control, const struct control_command *command, const char *wrong)
{
	if (command->until_ms) {
		carry_out(control, command, wrong);
		return;
	}
	tell_done(control, CONTROL_REVOKE, NULL);
	answer(control, &command->reply, 0, 0, wrong);
}

static void await_handshakes(struct control *control, const struct control_command *command)
{
	struct awaited *awaited = control->n_awaited < CONTROL_ERRANDS_MAX ? malloc(sizeof(*awaited)) : NULL;

	if (!awaited) {
		finish_revocation(control, command,
			"this node has no room for it: handshakes hear of it a moment later");
		return;
	}
	awaited->command = *command;
	list_push_back(&control->awaited, &awaited->link);
	control->n_awaited++;
	revoking_tell_soon(&control->revoking);
}

static struct awaited *take_awaited(struct control *control)
{
	struct awaited *awaited;

	if (!control->n_awaited)
		return NULL;
	awaited = list_entry(control->awaited.next, struct awaited, link);
	list_remove(&awaited->link);
	control->n_awaited--;
	return awaited;
}

void control_told(void *arg)
{
	struct control *control = arg;
	struct awaited *awaited;

	while ((awaited = take_awaited(control))) {
		finish_revocation(control, &awaited->command, NULL);
		free(awaited);
	}
}

/* Of many in a row that nobody waits for, the connections are closed together. */
static void revoke(struct control *control, const struct control_command *command)
{
	struct revocation revocation;
	bool is_over = command->until_ms && command->until_ms <= (int64_t)clock_wall_ms();
	int r;

	(void)control_revocation(command, &revocation);
	r = revoking_note(&control->revoking, &revocation);
	if (r == REVOCATION_FULL) {
		carry_out(control, command,
			"this node knows as many revocations as it may: the connections may come back");
	} else if (r < 0) {
		carry_out(control, command, "this node has no memory for it: the connections may come back");
	} else if (is_over || !command->reply.len) {
		tell_done(control, CONTROL_REVOKE, NULL);
		answer(control, &command->reply, 0, 0, NULL);
	} else {
		await_handshakes(control, command);
	}
}

const char *bus_read_command(struct slice text, struct control_command *command)
{
	const char *wrong = control_command_parse(text, command);
	const struct control_text *channel =
		command->who == CONTROL_CHANNEL ? &command->name : &command->channel;

	if (!wrong && channel->len && !route_channel_valid(channel->bytes, channel->len))
		return "channel is the name of a channel";
	return wrong;
}

/* The payload of the event, as it was published: without a type it stands in an update. */
static struct slice payload_of(const struct message *event)
{
	struct json_member data = {.name = "data"}, type = {.name = "type"};
	struct json_member members[] = {data, type};
	struct slice text = message_text(event);
	bool is_object;

	if (json_check(text.data, text.len, MESSAGE_DEPTH_MAX, members, 2, &is_object) || !is_object ||
		!json_string_is(members[1].value, "update", 6) || !members[0].value.data)
		return text;
	return members[0].value;
}

void control_take(struct control *control, struct slice payload)
{
	struct control_command command;
	const char *wrong = bus_read_command(payload, &command);

	if (wrong)
		refuse(control, &command, wrong);
	else if (command.what == CONTROL_REVOKE)
		revoke(control, &command);
	else
		carry_out(control, &command, NULL);
}

static void on_event(void *arg, struct message *event)
{
	control_take(arg, payload_of(event));
}

/* --- following --- */

static void on_followed(void *arg)
{
	struct control *control = arg;

	if (control->followed) /* another server took over, in between two looks at the state */
		revoking_again(&control->revoking);
	control->followed = true;
	control_log_read(&control->log, NULL);
}

/* Commands were missed that no longer follow the newest that was heard. A fork took some back that were
 * carried out already. */
static void on_resync(void *arg, const struct channel_log_resync *resync)
{
	struct control *control = arg;

	control_log_read(&control->log, resync->reason == CHANNEL_LOG_FORK ? NULL : &resync->position);
}

void control_connected(struct control *control, bool connected)
{
	control->followed = false;
	control->connected_ms = clock_monotonic_ms();
	revoking_connected(&control->revoking, connected);
}

enum bus_control_state bus_control_state(const struct bus *bus)
{
	const struct control *control = &bus->control;

	if (!bus->controlled)
		return BUS_CONTROL_OFF;
	if (control->revoking.refused)
		return BUS_CONTROL_LACKING;
	if (control->followed && revoking_is_done(&control->revoking))
		return BUS_CONTROL_READY;
	/* A Redis that keeps no log of commands must not keep all nodes from serving. */
	if (control->revoking.has_set && (broker_complaint(bus->broker).len ||
						 clock_monotonic_ms() - control->connected_ms >= FOLLOW_MS))
		return BUS_CONTROL_LACKING;
	return !bus->has_control && control->revoking.was_read ? BUS_CONTROL_AWAY : BUS_CONTROL_AWAITED;
}

void control_init(struct control *control, struct bus *bus, const char *node)
{
	static const struct route_history history = {
		.size = BUS_CONTROL_LOG_SIZE,
		.ttl_ms = BUS_CONTROL_LOG_TTL_MS,
	};

	*control = (struct control){
		.bus = bus,
		.refused_limit = {.burst = REFUSED_LINES, .interval_ms = LINES_MS},
		.done_limit = {.burst = DONE_LINES, .interval_ms = LINES_MS},
	};
	snprintf(control->node, sizeof(control->node), "%s", node);
	own_channel_init(&control->commands, bus, BUS_CONTROL_CHANNEL, "", &history, on_event, control);
	control->commands.tap.confirmed = on_followed;
	control->commands.tap.resync = on_resync;
	control->log.control = control;
	list_init(&control->awaited);
}

void control_deinit(struct control *control)
{
	struct awaited *awaited;

	while ((awaited = take_awaited(control)))
		free(awaited);
	revoking_deinit(&control->revoking);
}

void control_start(struct control *control)
{
	own_channel_follow(&control->commands, true);
}
