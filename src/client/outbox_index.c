/* Outbox index: finds the waiting event of a key; see the header. */

#include "client/outbox_index.h"

#include <errno.h>
#include <stdlib.h>

#include "client/outbox_queue.h"
#include "protocol/message.h"

enum {
	PLACES_MIN = 16,
	PLACES_AN_EVENT =
		4, /* after a reset, so that the next reset comes after at least as many more events */
};

void outbox_index_deinit(struct outbox_index *index)
{
	free(index->positions);
	*index = (struct outbox_index){0};
}

int outbox_index_reset(struct outbox_index *index, uint32_t n_events)
{
	uint32_t n_places = PLACES_MIN;

	outbox_index_deinit(index);
	while (n_places / PLACES_AN_EVENT < n_events)
		n_places *= 2;
	index->positions = calloc(n_places, sizeof(uint32_t));
	if (!index->positions)
		return -ENOMEM;
	index->n_places = n_places;
	return 0;
}

bool outbox_index_has_room(const struct outbox_index *index)
{
	return index->n_used < index->n_places / 2;
}

bool outbox_index_find(const struct outbox_index *index, const struct outbox_queue *queue,
	const struct message *event, uint32_t *placep, uint32_t *positionp)
{
	uint32_t place = (uint32_t)event->key_hash & (index->n_places - 1);

	for (; index->positions[place]; place = (place + 1) & (index->n_places - 1)) {
		const struct message *other = outbox_queue_at(queue, index->positions[place] - 1);

		if (!other || !message_same_key(other, event))
			continue;
		*placep = place;
		*positionp = index->positions[place] - 1;
		return true;
	}
	*placep = place;
	return false;
}

void outbox_index_set(struct outbox_index *index, uint32_t place, uint32_t position)
{
	index->n_used += !index->positions[place];
	index->positions[place] = position + 1;
}
