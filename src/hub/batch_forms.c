/* Batch forms: the batches of one flush in the forms other than the plain one; see the header. */

#include "hub/batch_forms.h"

#include <stdlib.h>

#include "hub/hub.h"
#include "protocol/message.h"

static void room_deinit(struct batch_room *room)
{
	buf_deinit(&room->bytes);
	free(room->messages);
	*room = (struct batch_room){0};
}

void batch_forms_deinit(struct batch_forms *forms)
{
	for (size_t i = 0; i < N_FORMS - 1; i++)
		room_deinit(&forms->rooms[i]);
}

void hub_batch_lay_out(struct hub_batch *batch, struct buf *bytes)
{
	if (batch->n == 1) {
		batch->bytes = batch->messages[0]->frame;
		batch->len = batch->messages[0]->frame_len;
		return;
	}
	batch->bytes = bytes->data + bytes->len;
	for (uint32_t i = 0; i < batch->n; i++) {
		buf_append(bytes, batch->messages[i]->frame, batch->messages[i]->frame_len);
		batch->len += batch->messages[i]->frame_len;
	}
}

/* For all batches of the flush, so that nothing of it moves. */
static bool reserve(struct batch_room *room, uint32_t n_messages, size_t len)
{
	if (n_messages > room->capacity) {
		void *grown = reallocarray(room->messages, n_messages, sizeof(struct message *));

		if (!grown)
			return false;
		room->messages = grown;
		room->capacity = n_messages;
	}
	room->n_messages = 0;
	buf_reset(&room->bytes);
	room->reserved = len == 0 || buf_reserve(&room->bytes, len);
	return room->reserved;
}

void batch_forms_make(struct batch_forms *forms, enum form form, const struct hub_batch *plain,
	uint32_t n_messages, size_t len, struct hub_batch *batch)
{
	struct batch_room *room = &forms->rooms[form - 1];
	struct message **messages;
	bool any = false;

	*batch = form_plain_does(form) ? *plain : (struct hub_batch){0};
	if (!forms->maker)
		return;
	if (!room->reserved && !reserve(room, n_messages, len + n_messages * form_growth(form)))
		return;
	messages = room->messages + room->n_messages;
	for (uint32_t i = 0; i < plain->n; i++) {
		messages[i] = message_as(plain->messages[i], form, forms->maker);
		if (!messages[i])
			return;
		any |= messages[i] != plain->messages[i];
	}
	if (!any)
		return;
	room->n_messages += plain->n;
	*batch = (struct hub_batch){.messages = messages, .n = plain->n};
	hub_batch_lay_out(batch, &room->bytes);
}

void batch_forms_forget(struct batch_forms *forms, size_t bytes_kept)
{
	for (size_t i = 0; i < N_FORMS - 1; i++) {
		struct batch_room *room = &forms->rooms[i];

		if (room->bytes.cap > bytes_kept || room->capacity > bytes_kept / sizeof(struct message *))
			room_deinit(room);
		room->reserved = false;
	}
}
