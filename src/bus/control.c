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

static void on_done(void *arg, int r, uint64_t n)
{
	struct errand *errand = arg;
	struct control *control = errand->control;
	struct bus *bus = control->bus;
	uint64_t suppressed;

	metrics_add(bus->metrics, done_metrics[errand->what], 1);
	if (log_limit_allow(bus->log, &control->done_limit, clock_monotonic_ms(), &suppressed))
		log_info(bus->log, "control command carried out",
			log_str("do", control_do_name(errand->what)), log_uint("n", n),
			log_uint("suppressed", suppressed));
	answer(control, &errand->reply, r, n, NULL);
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
	};

	if (command->reason.len)
		text.words = control_slice(&command->reason);
	return text;
}

static bool is_for_others(const struct control *control, const struct control_command *command)
{
	return command->who == CONTROL_CONN && !slice_is(control_slice(&command->name), control->node);
}

static void carry_out(struct control *control, const struct control_command *command)
{
	const struct order_text text = order_of(command);
	struct errand *errand = malloc(sizeof(*errand));

	if (errand)
		*errand = (struct errand){control, command->what, command->reply};
	if (errand && is_for_others(control, command))
		on_done(errand, 0, 0);
	else if (!errand || bus_order(control->bus, &text, on_done, errand) < 0) {
		answer(control, &command->reply, -ENOMEM, 0, NULL);
		free(errand);
	}
}

const char *bus_read_command(struct slice text, struct control_command *command)
{
	const char *wrong = control_command_parse(text, command);
	const struct control_text *channel =
		command->who == CONTROL_CHANNEL ? &command->name : &command->channel;

	if (!wrong && command->what == CONTROL_REVOKE)
		return "revoke is not known here";
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

static void on_event(void *arg, struct message *event)
{
	struct control *control = arg;
	struct control_command command;
	const char *wrong = bus_read_command(payload_of(event), &command);

	if (wrong)
		refuse(control, &command, wrong);
	else
		carry_out(control, &command);
}

/* --- following --- */

void control_init(struct control *control, struct bus *bus, const char *node)
{
	static const struct route_history history = {
		.size = CONTROL_LOG_SIZE,
		.ttl_ms = CONTROL_LOG_TTL_MS,
	};

	*control = (struct control){
		.bus = bus,
		.refused_limit = {.burst = REFUSED_LINES, .interval_ms = LINES_MS},
		.done_limit = {.burst = DONE_LINES, .interval_ms = LINES_MS},
	};
	snprintf(control->node, sizeof(control->node), "%s", node);
	own_channel_init(&control->commands, bus, "tg:", "control", &history, on_event, control);
}

void control_start(struct control *control)
{
	own_channel_follow(&control->commands, true);
}
