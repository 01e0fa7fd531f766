/*
 * Reply: the messages that the gateway itself sends to one client.
 *
 * All have one shape: type, the client's id, data, timestamp. Names and sentences are escaped here. An id is
 * not: command_parse() has checked it, and it is echoed as it stands.
 */

#include "protocol/reply.h"

#include <inttypes.h>
#include <string.h>

#include "core/buf.h"
#include "core/clock.h"
#include "protocol/message.h"

enum {
	REPLY_FIRST = 256, /* bytes; most replies have fewer */
};

static void reply_begin(struct buf *out, const char *type, struct slice id)
{
	buf_reserve(out, REPLY_FIRST);
	buf_append_str(out, "{\"type\":\"");
	buf_append_str(out, type);
	buf_append_char(out, '"');
	if (!id.data)
		return;
	buf_append_str(out, ",\"id\":");
	buf_append(out, id.data, id.len);
}

static struct message *reply_end(struct buf *out, uint64_t wall_ms)
{
	char timestamp[CLOCK_TIMESTAMP_LEN];
	struct message *message = NULL;

	clock_format(wall_ms, timestamp);
	buf_append_str(out, ",\"timestamp\":\"");
	buf_append(out, timestamp, sizeof(timestamp));
	buf_append_str(out, "\"}");
	if (!out->failed)
		message = message_from_text(out->data, out->len);
	buf_deinit(out);
	return message;
}

struct message *reply_pong(struct slice id, uint64_t wall_ms)
{
	struct buf out = {0};

	reply_begin(&out, "pong", id);
	return reply_end(&out, wall_ms);
}

static struct message *reply_channel(
	const char *type, struct slice id, struct slice channel, uint64_t wall_ms)
{
	struct buf out = {0};

	reply_begin(&out, type, id);
	buf_append_str(&out, ",\"data\":{\"channel\":");
	buf_append_json_string(&out, channel.data, channel.len);
	buf_append_char(&out, '}');
	return reply_end(&out, wall_ms);
}

struct message *reply_subscribed(struct slice id, struct slice channel, uint64_t wall_ms)
{
	return reply_channel("subscribed", id, channel, wall_ms);
}

struct message *reply_unsubscribed(struct slice id, struct slice channel, uint64_t wall_ms)
{
	return reply_channel("unsubscribed", id, channel, wall_ms);
}

struct message *reply_revoked(struct slice channel, uint64_t wall_ms)
{
	struct buf out = {0};

	reply_begin(&out, "unsubscribed", (struct slice){0});
	buf_append_str(&out, ",\"data\":{\"channel\":");
	buf_append_json_string(&out, channel.data, channel.len);
	buf_append_str(&out, ",\"reason\":\"forbidden\"}");
	return reply_end(&out, wall_ms);
}

static struct message *reply_lease(const char *type, struct slice id, uint64_t left_ms, uint64_t wall_ms)
{
	struct buf out = {0};

	reply_begin(&out, type, id);
	if (left_ms != UINT64_MAX)
		buf_printf(&out, ",\"data\":{\"expires_in_ms\":%" PRIu64 "}", left_ms);
	return reply_end(&out, wall_ms);
}

struct message *reply_authenticated(struct slice id, uint64_t left_ms, uint64_t wall_ms)
{
	return reply_lease("authenticated", id, left_ms, wall_ms);
}

struct message *reply_refresh(uint64_t wall_ms)
{
	return reply_lease("refresh", (struct slice){0}, UINT64_MAX, wall_ms);
}

struct message *reply_token_expiring(uint64_t left_ms, uint64_t wall_ms)
{
	return reply_lease("token_expiring", (struct slice){0}, left_ms, wall_ms);
}

struct message *reply_error(struct slice id, const char *code, const char *message, struct slice channel,
	uint64_t retry_after_ms, uint64_t wall_ms)
{
	struct buf out = {0};

	reply_begin(&out, "error", id);
	buf_append_str(&out, ",\"data\":{\"code\":");
	buf_append_json_string(&out, code, strlen(code));
	buf_append_str(&out, ",\"message\":");
	buf_append_json_string(&out, message, strlen(message));
	if (channel.data) {
		buf_append_str(&out, ",\"channel\":");
		buf_append_json_string(&out, channel.data, channel.len);
	}
	if (retry_after_ms)
		buf_printf(&out, ",\"retry_after_ms\":%" PRIu64, retry_after_ms);
	buf_append_char(&out, '}');
	return reply_end(&out, wall_ms);
}

/* Behind another. Its value follows. */
static void append_member(struct buf *out, const char *name)
{
	buf_append_str(out, ",\"");
	buf_append_str(out, name);
	buf_append_str(out, "\":");
}

static void append_member_bool(struct buf *out, const char *name, bool value)
{
	append_member(out, name);
	buf_append_str(out, value ? "true" : "false");
}

/* Appends a position, which wants no escapes. Returns where it stands. */
static size_t append_pos(struct buf *out, const char *pos)
{
	size_t at;

	append_member(out, "pos");
	buf_append_char(out, '"');
	at = out->len;
	buf_append_str(out, pos);
	buf_append_char(out, '"');
	return at;
}

static void append_member_text(struct buf *out, const char *name, const char *value)
{
	append_member(out, name);
	buf_append_json_string(out, value, strlen(value));
}

struct message *reply_recovered(
	struct slice id, struct slice channel, const struct reply_recovery *recovery, uint64_t wall_ms)
{
	struct buf out = {0};
	struct message *reply;
	size_t at = 0;

	reply_begin(&out, "subscribed", id);
	buf_append_str(&out, ",\"data\":{\"channel\":");
	buf_append_json_string(&out, channel.data, channel.len);
	append_member_bool(&out, "recoverable", recovery->recoverable);
	if (recovery->recoverable) {
		append_member_bool(&out, "recovered", recovery->recovered);
		if (recovery->reason)
			append_member_text(&out, "reason", recovery->reason);
		at = append_pos(&out, recovery->pos);
		if (recovery->recovered)
			buf_printf(&out, ",\"count\":%" PRIu32, recovery->count);
	}
	buf_append_char(&out, '}');
	reply = reply_end(&out, wall_ms);
	if (reply && at)
		message_set_pos(reply, at, strlen(recovery->pos));
	return reply;
}

struct message *reply_resync(struct slice channel, const char *reason, bool continuous, uint64_t retracted,
	const char *pos, uint64_t wall_ms)
{
	struct buf out = {0};
	struct message *reply;
	size_t at;

	reply_begin(&out, "resync", (struct slice){0});
	buf_append_str(&out, ",\"data\":{\"channel\":");
	buf_append_json_string(&out, channel.data, channel.len);
	append_member_text(&out, "reason", reason);
	append_member_bool(&out, "continuous", continuous);
	if (continuous)
		buf_printf(&out, ",\"retracted\":%" PRIu64, retracted);
	at = append_pos(&out, pos);
	buf_append_char(&out, '}');
	reply = reply_end(&out, wall_ms);
	if (reply)
		message_set_pos(reply, at, strlen(pos));
	return reply;
}

struct message *reply_presence(
	struct slice id, struct slice channel, const struct reply_roll *roll, uint64_t wall_ms)
{
	struct buf out = {0};

	reply_begin(&out, "presence", id);
	buf_append_str(&out, ",\"data\":{\"channel\":");
	buf_append_json_string(&out, channel.data, channel.len);
	buf_printf(
		&out, ",\"n_users\":%" PRIu64 ",\"n_anonymous\":%" PRIu64, roll->n_users, roll->n_anonymous);
	if (roll->names) {
		buf_append_str(&out, ",\"users\":[");
		buf_append(&out, roll->users.data, roll->users.len);
		buf_append_char(&out, ']');
	}
	buf_append_char(&out, '}');
	return reply_end(&out, wall_ms);
}

struct message *reply_degraded(struct slice channel, uint64_t wall_ms)
{
	struct buf out = {0};

	reply_begin(&out, "degraded", (struct slice){0});
	buf_append_str(&out, ",\"data\":{\"reason\":\"upstream\"");
	if (channel.data) {
		buf_append_str(&out, ",\"channel\":");
		buf_append_json_string(&out, channel.data, channel.len);
	}
	buf_append_char(&out, '}');
	return reply_end(&out, wall_ms);
}

struct message *reply_restored(struct slice channel, uint64_t wall_ms)
{
	struct buf out = {0};

	reply_begin(&out, "restored", (struct slice){0});
	if (channel.data) {
		buf_append_str(&out, ",\"data\":{\"channel\":");
		buf_append_json_string(&out, channel.data, channel.len);
		buf_append_char(&out, '}');
	}
	return reply_end(&out, wall_ms);
}

struct message *reply_reconnect(const char *reason, uint64_t after_ms, uint64_t wall_ms)
{
	struct buf out = {0};
	struct message *reply;

	reply_begin(&out, "reconnect", (struct slice){0});
	buf_printf(&out, ",\"data\":{\"reason\":\"%s\",\"after_ms\":%" PRIu64 "}", reason, after_ms);
	reply = reply_end(&out, wall_ms);
	if (reply)
		reply->retry_ms = (uint32_t)after_ms;
	return reply;
}

struct message *reply_action(struct slice id, struct slice data, bool more, uint64_t wall_ms)
{
	struct buf out = {0};

	reply_begin(&out, "reply", id);
	if (data.data) {
		buf_append_str(&out, ",\"data\":");
		buf_append(&out, data.data, data.len);
	}
	if (more)
		buf_append_str(&out, ",\"more\":true");
	return reply_end(&out, wall_ms);
}

struct message *reply_action_error(struct slice id, struct slice code, struct slice message, uint64_t wall_ms)
{
	struct buf out = {0};

	reply_begin(&out, "error", id);
	buf_append_str(&out, ",\"data\":{\"code\":");
	buf_append(&out, code.data, code.len);
	buf_append_str(&out, ",\"message\":");
	buf_append(&out, message.data, message.len);
	buf_append_char(&out, '}');
	return reply_end(&out, wall_ms);
}
