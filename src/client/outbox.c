/* Outbox: a ring of references, see the header. */

#include "client/outbox.h"

#include <errno.h>
#include <stdlib.h>

#include "protocol/message.h"

enum {
	FIRST_CAPACITY = 8,
};

void outbox_deinit(struct outbox *box)
{
	struct message *message;

	while ((message = outbox_pop(box)))
		message_unref(message);
	free(box->ring);
	*box = (struct outbox){0};
}

static int grow(struct outbox *box)
{
	uint32_t capacity = box->capacity ? box->capacity * 2 : FIRST_CAPACITY;
	struct message **ring = calloc(capacity, sizeof(struct message *));

	if (!ring)
		return -ENOMEM;
	for (uint32_t i = 0; i < box->n; i++)
		ring[i] = outbox_peek(box, i);
	free(box->ring);
	box->ring = ring;
	box->capacity = capacity;
	box->head = 0;
	return 0;
}

int outbox_push(struct outbox *box, struct message *message, size_t bytes_max)
{
	int r;

	if (box->bytes + (size_t)message->frame_len > bytes_max)
		return OUTBOX_FULL;
	if (box->n == box->capacity) {
		r = grow(box);
		if (r < 0)
			return r;
	}
	box->ring[(box->head + box->n) & (box->capacity - 1)] = message_ref(message);
	box->n++;
	box->bytes += message->frame_len;
	return 0;
}

int outbox_push_front(struct outbox *box, struct message *message)
{
	int r;

	if (box->n == box->capacity) {
		r = grow(box);
		if (r < 0)
			return r;
	}
	box->head = (box->head - 1) & (box->capacity - 1);
	box->ring[box->head] = message_ref(message);
	box->n++;
	box->bytes += message->frame_len;
	return 0;
}

struct message *outbox_peek(const struct outbox *box, uint32_t i)
{
	return box->ring[(box->head + i) & (box->capacity - 1)];
}

struct message *outbox_pop(struct outbox *box)
{
	struct message *message;

	if (!box->n)
		return NULL;
	message = box->ring[box->head];
	box->head = (box->head + 1) & (box->capacity - 1);
	box->n--;
	box->bytes -= message->frame_len;
	if (!box->n) {
		/* Most clients queue once in their life: an idle one holds no memory. */
		free(box->ring);
		*box = (struct outbox){0};
	}
	return message;
}
