#ifndef TIDEGATE_BENCH_SEQUENCE_H
#define TIDEGATE_BENCH_SEQUENCE_H

/*
 * Sequence: whether one connection got the events of its channel, each once, in order.
 *
 * Events are numbered over all channels in turn, so those of one channel are `stride` apart. The check is
 * exact: a hole is remembered until it is filled, so an event that comes late is told from one that comes
 * twice and from one that never comes. While all is well a sequence is one number and no memory.
 */

#include <stddef.h>
#include <stdint.h>

enum sequence_verdict {
	SEQUENCE_NEXT,    /* the one that was due */
	SEQUENCE_AHEAD,   /* a later one; those before it are missing so far */
	SEQUENCE_LATE,    /* one that was missing, after a later one: reordered */
	SEQUENCE_DOUBLE,  /* was here before */
	SEQUENCE_FOREIGN, /* of another channel */
};

struct sequence_holes;

struct sequence {
	uint64_t next;
	struct sequence_holes *holes; /* NULL while none */
};

/* first: the number of the channel's first event. */
static inline void sequence_init(struct sequence *sequence, uint64_t first)
{
	*sequence = (struct sequence){.next = first};
}

void sequence_deinit(struct sequence *sequence);

/* What sequence_take() does when it is not the one that was due. */
int sequence_take_odd(struct sequence *sequence, uint64_t number, uint32_t stride);

/* A verdict, or -ENOMEM. */
static inline int sequence_take(struct sequence *sequence, uint64_t number, uint32_t stride)
{
	if (number != sequence->next)
		return sequence_take_odd(sequence, number, stride);
	sequence->next += stride;
	return SEQUENCE_NEXT;
}

/* How many events below `end` never came. */
uint64_t sequence_missing(const struct sequence *sequence, uint64_t end, uint32_t stride);

#endif
