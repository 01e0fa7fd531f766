/* Twins: the deflated forms of the batches of one flush; see the header. */

#include "twins.h"

#include <stdlib.h>

#include "hub/hub.h"
#include "protocol/message.h"

void twins_deinit(struct twins *twins)
{
	buf_deinit(&twins->bytes);
	free(twins->messages);
	*twins = (struct twins){.deflater = twins->deflater};
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

/* For all batches of the flush, so that nothing of it moves: deflated they are no larger than plain. */
static bool reserve(struct twins *twins, uint32_t n_messages, size_t len)
{
	if (n_messages > twins->capacity) {
		void *grown = reallocarray(twins->messages, n_messages, sizeof(struct message *));

		if (!grown)
			return false;
		twins->messages = grown;
		twins->capacity = n_messages;
	}
	twins->n_messages = 0;
	buf_reset(&twins->bytes);
	twins->reserved = len == 0 || buf_reserve(&twins->bytes, len);
	return twins->reserved;
}

void twins_make(struct twins *twins, const struct hub_batch *plain, uint32_t n_messages, size_t len,
	struct hub_batch *batch)
{
	struct message **messages;
	bool any = false;

	*batch = *plain;
	if (!twins->deflater || (!twins->reserved && !reserve(twins, n_messages, len)))
		return;
	messages = twins->messages + twins->n_messages;
	for (uint32_t i = 0; i < plain->n; i++) {
		messages[i] = message_deflated(plain->messages[i], twins->deflater);
		any |= messages[i] != plain->messages[i];
	}
	if (!any)
		return;
	twins->n_messages += plain->n;
	*batch = (struct hub_batch){.messages = messages, .n = plain->n};
	hub_batch_lay_out(batch, &twins->bytes);
}

void twins_forget(struct twins *twins, size_t bytes_kept)
{
	if (twins->bytes.cap > bytes_kept || twins->capacity > bytes_kept / sizeof(struct message *))
		twins_deinit(twins);
	twins->reserved = false;
}
