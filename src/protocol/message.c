/*
 * Message: a frame for clients, made once and shared by count.
 *
 * One allocation holds the count, the finished frame and the channel's name. An event is spliced, never
 * written anew: the backend's bytes are copied as they are, and the gateway's members are inserted before the
 * last brace. So numbers keep their digits and members their order, and the cost is that of a copy. Only a
 * member with one of the gateway's reserved names gets another name (docs/decisions/0012-reserved-names.md).
 */

#include "protocol/message.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/map.h"
#include "core/text.h"
#include "protocol/frame.h"
#include "protocol/json.h"
#include "protocol/key_path.h"

enum {
	MEMBER_TYPE,
	MEMBER_TIMESTAMP,
	MEMBER_CHANNEL,
	MEMBER_POS,
	N_MEMBERS,
};

/* The parts of an event: a head, the backend's bytes, our members, a tail. They are
 * measured first, then written. */
struct splice {
	struct slice head;
	struct slice body;
	bool renames; /* the body has members with names of ours, see put_body() */
	struct slice tail;
	struct slice stamp;   /* a member of our own, with its comma; absent if the backend gave one */
	struct slice channel; /* absent if the backend gave the same */
	struct slice quoted;  /* the same as JSON; absent: it is made */
	struct slice pos;
};

static size_t put(char *out, struct slice slice)
{
	if (out && slice.len)
		memcpy(out, slice.data, slice.len);
	return slice.len;
}

/* `,"name":"value"`, or nothing if the value is absent. out == NULL only measures. */
static size_t put_member(char *out, struct slice name, struct slice value, struct slice quoted)
{
	size_t n;

	if (!value.data)
		return 0;
	n = put(out, name);
	out = out ? out + n : NULL;
	return n + (quoted.data ? put(out, quoted) : text_json_quote(out, value.data, value.len));
}

/* A position has no character that JSON escapes. */
static size_t put_pos(char *out, struct slice pos)
{
	size_t n;

	if (!pos.data)
		return 0;
	n = put(out, slice_of(",\"pos\":\""));
	n += put(out ? out + n : NULL, pos);
	return n + put(out ? out + n : NULL, slice_of("\""));
}

/* The new name of a payload's member that has one of our names; absent if the member keeps its name. */
static struct slice other_name(const struct splice *splice, struct slice name)
{
	if (json_string_is(name, "pos", 3))
		return slice_of("\"payload_pos\"");
	if (splice->channel.data && json_string_is(name, "channel", 7))
		return slice_of("\"payload_channel\"");
	return (struct slice){0};
}

/*
 * Writes the body without its last brace. Every member in it with one of our names is renamed: clients take
 * `channel` and `pos` for the gateway's word, and must not find them twice.
 */
static size_t put_body(char *out, const struct splice *splice)
{
	const struct slice object = {splice->body.data, splice->body.len + 1};
	struct slice left = splice->body, name, value, other;
	size_t n = 0, pos = 0;

	while (splice->renames && json_object_next(object, &pos, &name, &value)) {
		other = other_name(splice, name);
		if (!other.data)
			continue;
		n += put(out ? out + n : NULL, (struct slice){left.data, (size_t)(name.data - left.data)});
		n += put(out ? out + n : NULL, other);
		left.len -= (size_t)(name.data + name.len - left.data);
		left.data = name.data + name.len;
	}
	return n + put(out ? out + n : NULL, left);
}

static size_t splice_write(char *out, const struct splice *splice)
{
	size_t n = put(out, splice->head);

	n += put_body(out ? out + n : NULL, splice);
	n += put(out ? out + n : NULL, splice->stamp);
	n += put_member(out ? out + n : NULL, slice_of(",\"channel\":"), splice->channel, splice->quoted);
	n += put_pos(out ? out + n : NULL, splice->pos);
	return n + put(out ? out + n : NULL, splice->tail);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static struct slice trim(struct slice slice)
{
	while (slice.len && is_space(slice.data[slice.len - 1]))
		slice.len--;
	while (slice.len && is_space(slice.data[0])) {
		slice.data++;
		slice.len--;
	}
	return slice;
}

/* Fills in everything but the timestamp, which is only formatted if the event has none. */
static int splice_plan(struct splice *splice, const struct message_channel *channel, struct slice payload,
	struct slice pos, bool *has_stampp)
{
	struct json_member members[N_MEMBERS] = {
		[MEMBER_TYPE] = {.name = "type"},
		[MEMBER_TIMESTAMP] = {.name = "timestamp"},
		[MEMBER_CHANNEL] = {.name = "channel"},
		[MEMBER_POS] = {.name = "pos"},
	};
	struct slice theirs;
	bool is_object;

	if (json_check(payload.data, payload.len, MESSAGE_DEPTH_MAX, members, N_MEMBERS, &is_object))
		return MESSAGE_NOT_JSON;
	*splice = (struct splice){.body = trim(payload),
		.tail = slice_of("}"),
		.channel = channel->name,
		.quoted = channel->quoted,
		.pos = pos};
	*has_stampp = false;
	if (!is_object || !json_is_string(members[MEMBER_TYPE].value)) {
		splice->head = slice_of("{\"type\":\"update\",\"data\":");
		return 0;
	}
	splice->body.len--; /* without its last brace; it has a member, so a comma may follow */
	*has_stampp = members[MEMBER_TIMESTAMP].value.data;
	theirs = members[MEMBER_CHANNEL].value;
	/* If several members of this name differ, some clients would take the wrong one. */
	if (members[MEMBER_CHANNEL].n == 1 && json_is_string(theirs) &&
		json_string_is(theirs, channel->name.data, channel->name.len))
		splice->channel = (struct slice){0};
	splice->renames = members[MEMBER_POS].value.data || (theirs.data && splice->channel.data);
	return 0;
}

/* Room for a text of this length, framed, and the channel's name behind it. The caller fills the text in. */
static struct message *message_new(size_t text_len, struct message_channel channel)
{
	size_t header_len = frame_header_len(text_len);
	struct message *message;
	char *name;

	if (text_len > UINT32_MAX / 2 || channel.name.len > UINT32_MAX / 2)
		return NULL; /* lengths have 32 bits, and a longer event could not be queued anyway */
	message = malloc(sizeof(*message) + header_len + text_len + channel.name.len + 1);
	if (!message)
		return NULL;
	atomic_init(&message->n_refs, 1);
	for (size_t i = 0; i < N_FORMS - 1; i++)
		atomic_init(&message->others[i], NULL);
	message->header_len = (uint32_t)frame_header_write(message->frame, FRAME_TEXT, false, text_len);
	message->frame_len = (uint32_t)(header_len + text_len);
	message->renames = false;
	message->arrived_us = 0;
	message->is_entry = false;
	message->key_hash = 0;
	message->key_at = 0;
	message->key_len = 0;
	message->pos_at = 0;
	message->pos_len = 0;
	message->retry_ms = 0;
	name = (char *)message->frame + message->frame_len;
	put(name, channel.name);
	name[channel.name.len] = '\0';
	message->channel = name;
	message->channel_len = (uint32_t)channel.name.len;
	message->channel_hash = channel.hash;
	return message;
}

static void put_time(char *out, struct clock_text *clock, uint64_t wall_ms)
{
	if (clock)
		memcpy(out, clock_text_at(clock, wall_ms), CLOCK_TIMESTAMP_LEN);
	else
		clock_format(wall_ms, out);
}

int message_from_event(struct message_channel channel, struct slice payload, struct slice pos,
	uint64_t wall_ms, uint64_t arrived_us, struct message **messagep)
{
	char stamp[] = ",\"timestamp\":\"0000-00-00T00:00:00.000Z\"";
	struct message *message;
	struct splice splice;
	bool has_stamp;
	int r;

	r = splice_plan(&splice, &channel, payload, pos, &has_stamp);
	if (r)
		return r;
	if (!has_stamp) {
		put_time(stamp + sizeof(",\"timestamp\":\"") - 1, channel.clock, wall_ms);
		splice.stamp = (struct slice){stamp, sizeof(stamp) - 1};
	}
	message = message_new(splice_write(NULL, &splice), channel);
	if (!message)
		return -ENOMEM;
	splice_write((char *)message->frame + message->header_len, &splice);
	message->arrived_us = arrived_us;
	message->renames = splice.renames;
	message->is_entry = pos.data != NULL;
	/* Its quote and the last brace follow. */
	message->pos_at = (uint32_t)(message->frame_len - 2 - pos.len);
	message->pos_len = (uint16_t)pos.len;
	*messagep = message;
	return 0;
}

void message_set_key(struct message *event, const struct key_path *path)
{
	struct slice key = key_path_find(path, message_text(event));

	if (!key.data)
		return;
	event->key_at = (uint32_t)(key.data - (const char *)event->frame);
	event->key_len = (uint32_t)key.len;
	event->key_hash = map_hash(key.data, key.len) + event->channel_hash;
}

bool message_same_key(const struct message *a, const struct message *b)
{
	return a->key_len && a->key_hash == b->key_hash && a->key_len == b->key_len &&
	       a->channel_len == b->channel_len &&
	       memcmp(a->frame + a->key_at, b->frame + b->key_at, a->key_len) == 0 &&
	       memcmp(a->channel, b->channel, a->channel_len) == 0;
}

struct message *message_from_text(const char *data, size_t len)
{
	struct message *message = message_new(len, (struct message_channel){0});

	if (message)
		put((char *)message->frame + message->header_len, (struct slice){data, len});
	return message;
}

struct message *message_from_bytes(const char *bytes, size_t len)
{
	struct message *message = message_from_text(bytes, len);

	if (!message)
		return NULL;
	memmove(message->frame, message->frame + message->header_len, len);
	message->header_len = 0;
	message->frame_len = (uint32_t)len;
	for (size_t i = 0; i < N_FORMS - 1; i++)
		atomic_store_explicit(&message->others[i], message, memory_order_relaxed);
	return message;
}

void message_set_pos(struct message *reply, size_t at, size_t len)
{
	reply->pos_at = (uint32_t)(reply->header_len + at);
	reply->pos_len = (uint16_t)len;
}

struct message *message_ref(struct message *message)
{
	/* The caller already holds a reference, so no ordering is needed. */
	atomic_fetch_add_explicit(&message->n_refs, 1, memory_order_relaxed);
	return message;
}

void message_unref(struct message *message)
{
	/* All that other threads did with the message happens before the last thread frees it. */
	if (!message || atomic_fetch_sub_explicit(&message->n_refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < N_FORMS - 1; i++) {
		struct message *other = atomic_load_explicit(&message->others[i], memory_order_relaxed);

		if (other != message)
			message_unref(other); /* which has no forms but itself: not deeper than this */
	}
	free(message);
}
