/* Ring: entries in a circle, see the header. */

#include "channel_log/ring.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum {
	FIRST_CAPACITY = 8,
};

static struct channel_log_entry *slot(const struct ring *ring, uint32_t i)
{
	return &ring->slots[(ring->head + i) & (ring->capacity - 1)];
}

static int resize(struct ring *ring, uint32_t capacity)
{
	struct channel_log_entry *slots = malloc(capacity * sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < ring->n; i++)
		slots[i] = *slot(ring, i);
	free(ring->slots);
	ring->slots = slots;
	ring->capacity = capacity;
	ring->head = 0;
	return 0;
}

static int make_room(struct ring *ring)
{
	if (ring->n < ring->capacity)
		return 0;
	return resize(ring, ring->capacity ? ring->capacity * 2 : FIRST_CAPACITY);
}

int ring_push(struct ring *ring, const struct channel_log_entry *entry)
{
	int r = make_room(ring);

	assert(entry->offset == ring->floor_offset + ring->n + 1);
	if (r < 0)
		return r;
	*slot(ring, ring->n++) = *entry;
	ring->bytes += entry->bytes;
	return 0;
}

int ring_push_front(struct ring *ring, const struct channel_log_entry *entry)
{
	int r = make_room(ring);

	assert(entry->offset > 0 && entry->offset == ring->floor_offset);
	if (r < 0)
		return r;
	ring->head = (ring->head - 1) & (ring->capacity - 1);
	*slot(ring, 0) = *entry;
	ring->n++;
	ring->bytes += entry->bytes;
	ring->floor_offset--;
	ring->floor_tag = 0;
	return 0;
}

void ring_know_floor(struct ring *ring, const struct channel_log_entry *entry)
{
	assert(entry->offset == ring->floor_offset);
	ring->floor_tag = entry->tag;
}

bool ring_take_oldest(struct ring *ring, struct channel_log_entry *entry)
{
	if (!ring->n)
		return false;
	*entry = *slot(ring, 0);
	ring->head = (ring->head + 1) & (ring->capacity - 1);
	ring->n--;
	ring->bytes -= entry->bytes;
	ring->floor_offset = entry->offset;
	ring->floor_tag = entry->tag;
	return true;
}

bool ring_take_newest(struct ring *ring, struct channel_log_entry *entry)
{
	if (!ring->n)
		return false;
	*entry = *slot(ring, --ring->n);
	ring->bytes -= entry->bytes;
	return true;
}

void ring_reset(struct ring *ring, uint64_t offset, uint64_t tag)
{
	assert(!ring->n);
	free(ring->slots);
	*ring = (struct ring){.floor_offset = offset, .floor_tag = tag};
}

void ring_tighten(struct ring *ring)
{
	uint32_t capacity = FIRST_CAPACITY;

	while (capacity < ring->n)
		capacity *= 2;
	if (capacity < ring->capacity)
		resize(ring, capacity); /* without memory it stays as large as it is */
}

const struct channel_log_entry *ring_at(const struct ring *ring, uint64_t offset)
{
	if (offset <= ring->floor_offset || offset - ring->floor_offset > ring->n)
		return NULL;
	return slot(ring, (uint32_t)(offset - ring->floor_offset - 1));
}

uint64_t ring_oldest_known(const struct ring *ring)
{
	return ring->floor_offset && !ring->floor_tag ? ring->floor_offset + 1 : ring->floor_offset;
}

bool ring_knows(const struct ring *ring, uint64_t offset, uint64_t tag)
{
	const struct channel_log_entry *entry = ring_at(ring, offset);

	if (entry)
		return entry->tag == tag;
	return offset == ring->floor_offset && offset == ring_oldest_known(ring) && tag == ring->floor_tag;
}
