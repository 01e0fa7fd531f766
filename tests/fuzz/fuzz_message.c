/*
 * Fuzz message_from_event(): whatever a backend publishes, what clients get is one JSON object that says the
 * right channel and position (or none) and holds the payload byte by byte, but for names that are the
 * gateway's.
 *
 * The first byte chooses what goes with the payload: bit 0 a position, bit 1 a channel that needs escaping.
 */

#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "protocol/frame.h"
#include "protocol/json.h"
#include "protocol/key_path.h"
#include "protocol/message.h"

static struct slice trimmed(const char *data, size_t len)
{
	while (len && memchr(" \t\r\n", data[len - 1], 4))
		len--;
	while (len && memchr(" \t\r\n", data[0], 4)) {
		data++;
		len--;
	}
	return (struct slice){data, len};
}

static void check_text(
	const struct message *message, struct slice payload, struct slice channel, struct slice pos)
{
	struct json_member members[] = {{.name = "type"}, {.name = "data"}, {.name = "timestamp"},
		{.name = "channel"}, {.name = "pos"}};
	struct slice text = message_text(message);
	struct slice kept = trimmed(payload.data, payload.len);
	bool is_object;
	int r = json_check(text.data, text.len, MESSAGE_DEPTH_MAX, members, 5, &is_object);

	/* A payload as deep as may be is one deeper when it is wrapped, and that is as far as the checker
	 * looks. */
	if (r == JSON_TOO_DEEP)
		PROMISE(json_check(payload.data, payload.len, MESSAGE_DEPTH_MAX - 1, NULL, 0, &is_object) ==
			JSON_TOO_DEEP);
	else
		PROMISE(r == 0 && is_object);
	if (!message->renames && (memcmp(text.data, kept.data, kept.len - 1) != 0 || kept.data[0] != '{'))
		PROMISE(memmem(text.data, text.len, kept.data, kept.len));
	if (r)
		return;
	PROMISE(json_is_string(members[0].value) && members[2].value.data);
	PROMISE(json_is_string(members[3].value) &&
		json_string_is(members[3].value, channel.data, channel.len));
	PROMISE(pos.data ? json_is_string(members[4].value) &&
				   json_string_is(members[4].value, pos.data, pos.len)
			 : !members[4].value.data);
}

/* What stands at data.id, and that the event is alone of its key. */
static void check_key(struct message *message)
{
	struct message *copy = message_from_text(message_text(message).data, message_text(message).len);
	struct key_path path;
	const char *why;

	PROMISE(copy && slice_equal(message_text(copy), message_text(message)));
	PROMISE(key_path_parse(&path, "data.id", &why) == 0);
	message_set_key(message, &path);
	PROMISE(message_same_key(message, message) == (message->key_len > 0));
	PROMISE(message->key_at + message->key_len <= message->frame_len);
	PROMISE(!message_same_key(copy, message));
	message_unref(message_ref(copy));
	message_unref(copy);
}

/* What needs no form is the same in all of them. */
static void check_bytes(struct slice bytes)
{
	struct message *message = message_from_bytes(bytes.data, bytes.len);

	PROMISE(message && slice_equal(message_text(message), bytes) && message->frame_len == bytes.len);
	message_set_pos(message, 0, bytes.len);
	PROMISE(message->pos_at == 0 && message->pos_len == (uint16_t)bytes.len);
	message_unref(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice payload, channel = {"cards", 5}, pos = {0};
	struct message *message;
	bool is_object;
	int r;

	if (size == 0)
		return 0;
	payload = (struct slice){(const char *)data + 1, size - 1};
	if (data[0] & 1)
		pos = (struct slice){"k3JdQaXw.102.1795394760620802", 29};
	if (data[0] & 2)
		channel = (struct slice){"a\"\\\n\xc3\xa9:b", 8};
	r = message_from_event(message_channel(channel), payload, pos, UINT64_C(1767225600000), 1, &message);
	PROMISE(r == MESSAGE_NOT_JSON || r == 0);
	PROMISE((r == 0) ==
		(json_check(payload.data, payload.len, MESSAGE_DEPTH_MAX, NULL, 0, &is_object) == 0));
	if (r)
		return 0;
	PROMISE(message->header_len == frame_header_len(message_text(message).len));
	PROMISE(message->channel_len == channel.len &&
		memcmp(message->channel, channel.data, channel.len + 1) == 0);
	check_text(message, payload, channel, pos);
	check_key(message);
	check_bytes(payload);
	message_unref(message);
	return 0;
}
