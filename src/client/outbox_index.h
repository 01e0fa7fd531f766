#ifndef TIDEGATE_CLIENT_OUTBOX_INDEX_H
#define TIDEGATE_CLIENT_OUTBOX_INDEX_H

/*
 * Outbox index: finds the waiting event of a key in a queue.
 *
 * It is a hash table of positions, at most half full, that grows with the queue. The keys are those of the
 * messages at the positions. No position is taken out: one that has left the queue, or has another message by
 * now, is stale and matches no key. Stale positions go when the table fills up and is built anew.
 *
 * Only for events that have a key (message_set_key()).
 */

#include <stdbool.h>
#include <stdint.h>

struct message;
struct outbox_queue;

/* Zeroed memory: there is no index. */
struct outbox_index {
	uint32_t *positions; /* position + 1; 0 for a free slot */
	uint32_t n_places;   /* a power of two */
	uint32_t n_used;     /* with the stale positions */
};

void outbox_index_deinit(struct outbox_index *index);

/* Forgets all events and makes room for at least this number. 0, or -ENOMEM, and there is no index. */
int outbox_index_reset(struct outbox_index *index, uint32_t n_events);

/* Is there room for another event? */
bool outbox_index_has_room(const struct outbox_index *index);

/*
 * Finds the slot for this event's key, which is valid until the next reset. True if an event with this key
 * waits: *positionp is its position.
 */
bool outbox_index_find(const struct outbox_index *index, const struct outbox_queue *queue,
	const struct message *event, uint32_t *placep, uint32_t *positionp);

void outbox_index_set(struct outbox_index *index, uint32_t place, uint32_t position);

#endif
