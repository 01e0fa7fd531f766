#ifndef TIDEGATE_PROTOCOL_MESSAGE_H
#define TIDEGATE_PROTOCOL_MESSAGE_H

/*
 * Message: a frame for clients, made once and shared by count.
 *
 * It carries its finished bytes: a plain WebSocket frame, or another form of it (protocol/form.h). The bus
 * makes one per event and node; a reply is one for a single client. After it is made nothing in it changes
 * but the count (and, once each, where its other forms are), so any thread may read it while it holds a
 * reference. The last reference frees it, on whatever thread that is.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/map.h"
#include "core/slice.h"
#include "protocol/form.h"

struct clock_text;
struct key_path;

enum {
	MESSAGE_NOT_JSON = 1, /* the payload is not one RFC 8259 text */

	MESSAGE_DEPTH_MAX = 128, /* brackets open in a payload; backends are trusted with more than clients */
};

struct message {
	atomic_uint n_refs;
	_Atomic(struct message *) others[N_FORMS - 1]; /* see message_as(); NULL: nobody asked yet */
	uint32_t channel_len;                          /* 0 for a reply, which is for one client */
	uint64_t channel_hash;                         /* map_hash() of the channel; only for events */
	const char *channel;                           /* points behind the frame, NUL-terminated */
	uint64_t arrived_us; /* clock_monotonic_us() when it reached this node; 0 for replies */
	uint64_t key_hash;   /* of channel and key; see message_set_key() */
	uint32_t key_at;     /* the offset of the key in the frame */
	uint32_t key_len;    /* 0: no key */
	uint32_t pos_at;     /* the offset of the position in the frame */
	uint16_t pos_len;    /* 0: it says none, or its form does not show it */
	uint32_t retry_ms;   /* it asks its reader to come back after this time; 0: it does not */
	uint32_t frame_len;
	uint32_t header_len; /* of a plain frame: the text is frame + header_len */
	bool renames;        /* an event whose payload had members with the gateway's reserved names */
	bool is_entry;       /* an event that has a place in a log */
	unsigned char frame[];
};

/* The channel that an event is for, with what would be the same work for each of its events. */
struct message_channel {
	struct slice name;
	uint64_t hash;            /* map_hash() of the name */
	struct slice quoted;      /* the name as JSON, quotes included; absent: it is made */
	struct clock_text *clock; /* that events have their timestamps from; NULL: each has its own */
};

static inline struct message_channel message_channel(struct slice name)
{
	return (struct message_channel){.name = name, .hash = map_hash(name.data, name.len)};
}

/*
 * Makes an event as clients see it (docs/protocol.md, What a client hears). An object with a string `type`
 * keeps every byte; `timestamp` (if it is missing), `channel` and `pos` (if it is given) are spliced in
 * before its last brace. Any other JSON value becomes {"type":"update","data":<payload>,…}. If the payload
 * itself has a member `pos`, or `channel` with another value, that member is renamed to `payload_pos` or
 * `payload_channel`. 0, MESSAGE_NOT_JSON, or -ENOMEM. The caller owns the reference.
 */
int message_from_event(struct message_channel channel, struct slice payload, struct slice pos,
	uint64_t wall_ms, uint64_t arrived_us, struct message **messagep);

/*
 * Notes the key of an event, so that a newer one of the same channel and key can take its place in a queue.
 * Only for the maker of the event, before anybody else has a reference.
 */
void message_set_key(struct message *event, const struct key_path *path);

/* Are both events of the same channel, with the same key? */
bool message_same_key(const struct message *a, const struct message *b);

/*
 * The message in this form: made by the first who asks, on whatever thread, and the same for all. It is the
 * message itself where the plain form does as well. When out of memory it is that, too, or NULL for a form
 * whose peers do not understand the plain one (form_plain_does()). Borrowed: it lives as long as the
 * message, or as a reference to it that is taken as to any other. Its message_text() is no text unless it is
 * plain, and it has no other forms.
 */
struct message *message_other_form(struct message *message, enum form form, struct form_maker *maker);

static inline struct message *message_as(struct message *message, enum form form, struct form_maker *maker)
{
	return form == FORM_PLAIN ? message : message_other_form(message, form, maker);
}

/* Makes a reply of this text. NULL when out of memory. */
struct message *message_from_text(const char *text, size_t len);

/* Makes a message of bytes that need no form: what stands between the messages of an event stream. NULL when
 * out of memory. */
struct message *message_from_bytes(const char *bytes, size_t len);

/* The reply tells its reader a position, which is the len bytes at this offset of its text. Only for its
 * maker. */
void message_set_pos(struct message *reply, size_t at, size_t len);

struct message *message_ref(struct message *message);

/* Accepts NULL. */
void message_unref(struct message *message);

/* An event, not a reply to one client. */
static inline bool message_is_event(const struct message *message)
{
	return message->channel_len != 0;
}

/* Where in a channel's log its reader is now; empty if it does not say. */
static inline struct slice message_pos(const struct message *message)
{
	return (struct slice){(const char *)message->frame + message->pos_at, message->pos_len};
}

static inline struct slice message_text(const struct message *message)
{
	return (struct slice){
		(const char *)message->frame + message->header_len, message->frame_len - message->header_len};
}

#endif
