#ifndef TIDEGATE_CLIENT_OUTBOX_INDEX_H
#define TIDEGATE_CLIENT_OUTBOX_INDEX_H

/*
 * Outbox index: where in a queue the event of a key waits.
 *
 * A hash table of positions, at the most half full, that grows with the queue. The keys are those of the
 * messages at the positions. Nothing is taken out of it: a position that left the queue, or has another
 * message by now, is stale and matches nothing; stale ones go when the table fills up and is built anew.
 *
 * Only for events that have a key (message_set_key()).
 */

#include <stdbool.h>
#include <stdint.h>

struct message;
struct outbox_queue;

/* Zeroed: there is none. */
struct outbox_index {
	uint32_t *positions; /* plus one; 0: free */
	uint32_t n_places;   /* a power of two */
	uint32_t n_used;     /* stale ones included */
};

void outbox_index_deinit(struct outbox_index *index);

/* Room for so many events at least, forgetting all. 0 or -ENOMEM (then there is none). */
int outbox_index_reset(struct outbox_index *index, uint32_t n_events);

/* Is there room for another one? */
bool outbox_index_has_room(const struct outbox_index *index);

/*
 * The place for this event's key: *positionp is where its like waits, and true; or false, if there is none.
 * The place is good until the next reset.
 */
bool outbox_index_find(const struct outbox_index *index, const struct outbox_queue *queue,
	const struct message *event, uint32_t *placep, uint32_t *positionp);

void outbox_index_set(struct outbox_index *index, uint32_t place, uint32_t position);

#endif
