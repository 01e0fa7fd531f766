/*
 * Message deflated: the twin of an event whose text is deflated, made once and shared by count like the event
 * itself.
 *
 * Workers that need it at the same time may each make one; the first to put it down wins, the others free
 * theirs and take that one. So nobody waits, and all clients of the node share one frame.
 */

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/deflater.h"
#include "protocol/frame.h"
#include "protocol/message.h"

/* The twin's frame, and behind it, as in the event, the channel's name; also the key, which the text no
 * longer shows. */
static void twin_fill(struct message *twin, const struct message *message, struct slice payload)
{
	unsigned char *behind = twin->frame + twin->frame_len;

	twin->header_len = (uint32_t)frame_header_write(twin->frame, FRAME_TEXT, true, payload.len);
	memcpy(twin->frame + twin->header_len, payload.data, payload.len);
	twin->channel = memcpy(behind, message->channel, message->channel_len + 1);
	twin->key_at = twin->frame_len + message->channel_len + 1;
	memcpy(twin->frame + twin->key_at, message->frame + message->key_at, message->key_len);
}

static struct message *twin_new(const struct message *message, struct slice payload)
{
	size_t frame_len = frame_header_len(payload.len) + payload.len;
	struct message *twin =
		malloc(sizeof(*twin) + frame_len + message->channel_len + 1 + message->key_len);

	if (!twin)
		return NULL;
	atomic_init(&twin->n_refs, 1);
	atomic_init(&twin->deflated, twin); /* deflated again it would not be smaller */
	twin->channel_len = message->channel_len;
	twin->channel_hash = message->channel_hash;
	twin->arrived_us = message->arrived_us;
	twin->key_hash = message->key_hash;
	twin->key_len = message->key_len;
	twin->is_entry = message->is_entry;
	twin->frame_len = (uint32_t)frame_len;
	twin_fill(twin, message, payload);
	return twin;
}

/* The twin; the message itself if that would not be smaller; NULL when out of memory. */
static struct message *make(struct message *message, struct deflater *deflater)
{
	struct slice payload;
	int r = deflater_run(deflater, message_text(message), &payload);

	if (r == DEFLATER_NO_GAIN)
		return message;
	return r == 0 ? twin_new(message, payload) : NULL;
}

struct message *message_deflated(struct message *message, struct deflater *deflater)
{
	struct message *found = atomic_load_explicit(&message->deflated, memory_order_acquire);
	struct message *made;

	if (found)
		return found;
	made = make(message, deflater);
	if (!made)
		return message; /* as it is it says the same */
	if (atomic_compare_exchange_strong_explicit(
		    &message->deflated, &found, made, memory_order_acq_rel, memory_order_acquire))
		return made;
	if (made != message)
		message_unref(made);
	return found;
}
