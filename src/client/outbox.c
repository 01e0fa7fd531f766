/* Outbox: a queue of references with holes in it, see the headers. */

#include "client/outbox.h"

#include <errno.h>
#include <stdlib.h>

#include "client/outbox_index.h"
#include "client/outbox_queue.h"
#include "protocol/message.h"

enum {
	FIRST_CAPACITY = 8,
};

static struct message **slot(struct outbox_queue *queue, uint32_t position)
{
	return &queue->ring[position & (queue->capacity - 1)];
}

static void queue_free(struct outbox_queue *queue)
{
	if (!queue)
		return;
	outbox_index_deinit(&queue->index);
	free(queue);
}

/* Most clients queue once in their life: an idle outbox holds no memory. */
static void free_if_empty(struct outbox *box)
{
	if (box->n)
		return;
	queue_free(box->queue);
	*box = (struct outbox){0};
}

void outbox_deinit(struct outbox *box)
{
	struct message *message;

	while ((message = outbox_pop(box)))
		message_unref(message);
	free_if_empty(box);
}

/* The head is never a hole. */
static void skip_holes(struct outbox_queue *queue)
{
	while (queue->n_slots && !*slot(queue, queue->head)) {
		queue->head++;
		queue->n_slots--;
	}
}

static bool is_promised(const struct outbox_queue *queue, uint32_t position)
{
	return queue->promised_bytes && position - queue->head < queue->promised_end - queue->head;
}

/* Takes the message at this position out; the reference is the caller's. */
static struct message *take_out(struct outbox *box, uint32_t position)
{
	struct message *message = *slot(box->queue, position);

	if (is_promised(box->queue, position)) {
		box->queue->promised_bytes -= message->frame_len;
		box->queue->n_promised -= message_is_event(message);
	}
	*slot(box->queue, position) = NULL;
	skip_holes(box->queue);
	box->n--;
	box->bytes -= message->frame_len;
	*box->queue->total -= message->frame_len;
	box->queue->n_events -= message_is_event(message);
	return message;
}

/* Moves the messages to other memory, without holes. The index is not moved: it is built again
 * when it is needed. */
static int move(struct outbox *box, uint32_t capacity, uint64_t *total)
{
	struct outbox_queue *old = box->queue;
	struct outbox_queue *queue = calloc(1, sizeof(*queue) + capacity * sizeof(struct message *));

	if (!queue)
		return -ENOMEM;
	queue->capacity = capacity;
	for (uint32_t i = 0; old && i < old->n_slots; i++) {
		struct message *message = *slot(old, old->head + i);

		if (message)
			queue->ring[queue->n_slots++] = message;
		if (is_promised(old, old->head + i))
			queue->promised_end = queue->n_slots;
	}
	if (old) {
		queue->n_events = old->n_events;
		queue->replayed_us = old->replayed_us;
		queue->promised_bytes = old->promised_bytes;
		queue->n_promised = old->n_promised;
	}
	queue->total = total;
	queue_free(old);
	box->queue = queue;
	return 0;
}

/* A free slot. Holes are used before more memory is. */
static int make_slot(struct outbox *box, uint64_t *total)
{
	uint32_t capacity = box->queue ? box->queue->capacity : 0;

	if (!capacity)
		return move(box, FIRST_CAPACITY, total);
	if (box->queue->n_slots < capacity)
		return 0;
	return move(box, box->n <= capacity / 2 ? capacity : capacity * 2, total);
}

static void put(struct outbox *box, uint32_t position, struct message *message)
{
	*slot(box->queue, position) = message_ref(message);
	box->queue->n_slots++;
	box->n++;
	box->bytes += message->frame_len;
	*box->queue->total += message->frame_len;
	box->queue->n_events += message_is_event(message);
}

/* Notes the position of the newest event of its key. */
static void note_key(struct outbox_queue *queue, const struct message *message, uint32_t position)
{
	uint32_t place, other;

	if (!queue->index.positions || !message->key_len)
		return;
	if (!outbox_index_has_room(&queue->index)) {
		outbox_index_deinit(&queue->index);
		return;
	}
	outbox_index_find(&queue->index, queue, message, &place, &other);
	outbox_index_set(&queue->index, place, position);
}

/* Events that may give way. */
static uint32_t n_loose(const struct outbox *box)
{
	return box->queue ? box->queue->n_events - box->queue->n_promised : 0;
}

size_t outbox_promised_bytes(const struct outbox *box)
{
	return box->queue ? box->queue->promised_bytes : 0;
}

static bool fits(const struct outbox *box, const struct message *message, size_t bytes_max)
{
	if (box->bytes - outbox_promised_bytes(box) + message->frame_len <= bytes_max)
		return true;
	return message->frame_len > bytes_max && message_is_event(message) && !n_loose(box);
}

/* Behind all others. */
static int push_back(struct outbox *box, struct message *message, uint64_t *total)
{
	uint32_t position;
	int r = make_slot(box, total);

	if (r < 0)
		return r;
	position = box->queue->head + box->queue->n_slots;
	note_key(box->queue, message, position);
	put(box, position, message);
	return 0;
}

int outbox_push(struct outbox *box, struct message *message, size_t bytes_max, uint64_t *total)
{
	return fits(box, message, bytes_max) ? push_back(box, message, total) : OUTBOX_FULL;
}

int outbox_push_promised(struct outbox *box, struct message *message, uint64_t *total)
{
	int r = push_back(box, message, total);

	if (r < 0)
		return r;
	box->queue->promised_end = box->queue->head + box->queue->n_slots;
	box->queue->promised_bytes = box->bytes;
	box->queue->n_promised = box->queue->n_events;
	return 0;
}

int outbox_peek(const struct outbox *box, struct iovec *parts, int parts_max, size_t *bytesp)
{
	const struct outbox_queue *queue = box->queue;
	int n = 0;

	*bytesp = 0;
	for (uint32_t i = 0; queue && i < queue->n_slots && n < parts_max; i++) {
		struct message *message = outbox_queue_at(queue, queue->head + i);

		if (!message)
			continue;
		parts[n++] = (struct iovec){message->frame, message->frame_len};
		*bytesp += message->frame_len;
	}
	return n;
}

void outbox_note_replay(struct outbox *box, uint64_t arrived_us)
{
	if (box->queue && box->queue->replayed_us < arrived_us)
		box->queue->replayed_us = arrived_us;
}

uint64_t outbox_replayed_us(const struct outbox *box)
{
	return box->queue ? box->queue->replayed_us : 0;
}

struct message *outbox_pop(struct outbox *box)
{
	struct message *message;

	if (!box->n)
		return NULL;
	message = take_out(box, box->queue->head);
	free_if_empty(box);
	return message;
}

uint32_t outbox_n_events(const struct outbox *box)
{
	return box->queue ? box->queue->n_events : 0;
}

/* Finds the next event from this position on; there must be one. */
static uint32_t find_event(const struct outbox_queue *queue, uint32_t position)
{
	const struct message *message;

	while (!(message = outbox_queue_at(queue, position)) || !message_is_event(message))
		position++;
	return position;
}

/* Finds the first event that may give way; there must be one. Messages before it are looked at only once,
 * however often it is called. */
static uint32_t find_first_loose(struct outbox_queue *queue)
{
	if (queue->first_event - queue->head >= queue->n_slots)
		queue->first_event = queue->head;
	if (is_promised(queue, queue->first_event))
		queue->first_event = queue->promised_end;
	queue->first_event = find_event(queue, queue->first_event);
	return queue->first_event;
}

const struct message *outbox_oldest_event(struct outbox *box)
{
	struct outbox_queue *queue = box->queue;

	if (!outbox_n_events(box))
		return NULL;
	return *slot(queue, queue->n_promised ? find_event(queue, queue->head) : find_first_loose(queue));
}

bool outbox_drop_oldest_event(struct outbox *box)
{
	if (!n_loose(box))
		return false;
	message_unref(take_out(box, find_first_loose(box->queue)));
	free_if_empty(box);
	return true;
}

/* Builds the index from the waiting events; of two events with one key the older is dropped. Returns how many
 * were dropped, or -ENOMEM. */
static int build_index(struct outbox *box)
{
	struct outbox_queue *queue = box->queue;
	uint32_t end = queue->head + queue->n_slots, place, older;
	int n_dropped = 0;

	if (outbox_index_reset(&queue->index, queue->n_events) < 0)
		return -ENOMEM;
	for (uint32_t position = queue->head; position != end; position++) {
		const struct message *message = outbox_queue_at(queue, position);

		if (!message || !message->key_len)
			continue;
		if (outbox_index_find(&queue->index, queue, message, &place, &older) &&
			!is_promised(queue, older)) {
			message_unref(take_out(box, older));
			n_dropped++;
		}
		outbox_index_set(&queue->index, place, position);
	}
	return n_dropped;
}

int outbox_drop_same_key(struct outbox *box, const struct message *message)
{
	uint32_t place, position;
	int n_dropped = 0;

	if (!message->key_len || !outbox_n_events(box))
		return 0;
	if (!outbox_index_has_room(&box->queue->index)) {
		n_dropped = build_index(box);
		if (n_dropped < 0)
			return n_dropped;
	}
	if (outbox_index_find(&box->queue->index, box->queue, message, &place, &position) &&
		!is_promised(box->queue, position)) {
		message_unref(take_out(box, position));
		n_dropped++;
	}
	return n_dropped;
}
