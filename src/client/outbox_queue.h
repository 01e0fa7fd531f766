#ifndef TIDEGATE_CLIENT_OUTBOX_QUEUE_H
#define TIDEGATE_CLIENT_OUTBOX_QUEUE_H

/*
 * Outbox queue: the memory of an outbox that is not empty.
 *
 * 	     head                              head + n_slots
 * 	      ▼                                     ▼
 * 	──────┬──────┬──────┬──────┬──────┬──────┬──────
 * 	      │reply │reply │  A1  │ hole │  B2  │           positions grow, slot = position modulo capacity
 * 	──────┴──────┴──────┴──────┴──────┴──────┴──────
 * 	                      ▲ first_event
 *
 * A message that is taken out of the middle leaves a hole; there is never one at the head. Positions do not
 * change until the queue moves to other memory, so the index can keep them.
 */

#include <stdint.h>

#include "client/outbox_index.h"

struct message;

struct outbox_queue {
	uint32_t capacity; /* a power of two */
	uint32_t head;     /* the position of the oldest */
	uint32_t n_slots;  /* from the oldest to the newest, holes among them */
	uint32_t n_events;
	uint32_t first_event; /* no event that may give way waits before this position */
	/* messages before this position do not give way, while promised_bytes is not 0 */
	uint32_t promised_end;
	uint32_t promised_bytes; /* bytes of the messages before promised_end */
	uint32_t n_promised;     /* events there */
	uint64_t *total;         /* bytes of this and other boxes; the owner's */
	uint64_t replayed_us;    /* see outbox_note_replay() */
	struct outbox_index index;
	struct message *ring[];
};

/* NULL: a hole, or no longer (not yet) in the queue. */
static inline struct message *outbox_queue_at(const struct outbox_queue *queue, uint32_t position)
{
	/* also for a position before the head: the difference wraps */
	if (position - queue->head >= queue->n_slots)
		return 0;
	return queue->ring[position & (queue->capacity - 1)];
}

#endif
