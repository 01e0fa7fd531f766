/*
 * Message forms: a message in another form than the plain one, made once and shared by count like the message
 * itself.
 *
 * Workers that need a form at the same time may each make it; the first to put it down wins, the others free
 * theirs and take that one. So nobody waits, and all peers of the node share one.
 */

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/form.h"
#include "protocol/message.h"

/* The bytes, and behind them, as in the plain message, the channel's name; also the key, which the bytes may
 * no longer show. */
static void fill(struct message *made, const struct message *plain, const struct form_bytes *bytes)
{
	unsigned char *behind = made->frame + made->frame_len;

	memcpy(made->frame, bytes->head, bytes->head_len);
	memcpy(made->frame + bytes->head_len, bytes->body.data, bytes->body.len);
	if (bytes->tail.len)
		memcpy(behind - bytes->tail.len, bytes->tail.data, bytes->tail.len);
	made->channel = memcpy(behind, plain->channel, plain->channel_len + 1);
	made->key_at = made->frame_len + plain->channel_len + 1;
	memcpy(made->frame + made->key_at, plain->frame + plain->key_at, plain->key_len);
}

static struct message *form_new(const struct message *plain, const struct form_bytes *bytes)
{
	size_t frame_len = bytes->head_len + bytes->body.len + bytes->tail.len;
	struct message *made = malloc(sizeof(*made) + frame_len + plain->channel_len + 1 + plain->key_len);

	if (!made)
		return NULL;
	atomic_init(&made->n_refs, 1);
	for (size_t i = 0; i < N_FORMS - 1; i++)
		atomic_init(&made->others[i], made); /* it has the form that it is asked for */
	made->channel_len = plain->channel_len;
	made->channel_hash = plain->channel_hash;
	made->arrived_us = plain->arrived_us;
	made->key_hash = plain->key_hash;
	made->key_len = plain->key_len;
	made->pos_at = bytes->is_text ? plain->pos_at - plain->header_len + (uint32_t)bytes->head_len : 0;
	made->pos_len = bytes->is_text ? plain->pos_len : 0;
	made->retry_ms = plain->retry_ms;
	made->renames = plain->renames;
	made->is_entry = plain->is_entry;
	made->header_len = (uint32_t)bytes->head_len;
	made->frame_len = (uint32_t)frame_len;
	fill(made, plain, bytes);
	return made;
}

/* The message itself where the plain form does as well; NULL when out of memory. */
static struct message *make(struct message *plain, enum form form, struct form_maker *maker)
{
	struct form_bytes bytes;
	int r = form_make(maker, form, plain, &bytes);

	if (r == FORM_LIKE_PLAIN)
		return plain;
	return r == 0 ? form_new(plain, &bytes) : NULL;
}

struct message *message_other_form(struct message *message, enum form form, struct form_maker *maker)
{
	_Atomic(struct message *) *place = &message->others[form - 1];
	struct message *found = atomic_load_explicit(place, memory_order_acquire);
	struct message *made;

	if (found)
		return found;
	made = make(message, form, maker);
	if (!made)
		return form_plain_does(form) ? message : NULL;
	if (atomic_compare_exchange_strong_explicit(
		    place, &found, made, memory_order_acq_rel, memory_order_acquire))
		return made;
	if (made != message)
		message_unref(made);
	return found;
}
