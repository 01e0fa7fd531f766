/*
 * Sequence: holes as a short list of ranges, in order; see the header for what it promises.
 *
 * The list is searched from its end: what comes late belongs to the newest hole, as a rule. A run with so
 * many holes that this is slow has failed already.
 */

#include "bench/sequence.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct hole {
	uint64_t from;
	uint64_t end; /* the first number behind it, of the same channel */
};

struct sequence_holes {
	size_t n;
	size_t cap;
	struct hole list[];
};

enum {
	HOLES_FIRST = 4,
};

void sequence_deinit(struct sequence *sequence)
{
	free(sequence->holes);
	sequence->holes = NULL;
}

/* Makes room for a hole at this place in the list. */
static struct hole *hole_insert(struct sequence *sequence, size_t at)
{
	struct sequence_holes *holes = sequence->holes;
	size_t cap;

	if (!holes || holes->n == holes->cap) {
		cap = holes ? holes->cap * 2 : HOLES_FIRST;
		holes = realloc(holes, sizeof(*holes) + cap * sizeof(holes->list[0]));
		if (!holes)
			return NULL;
		if (!sequence->holes)
			holes->n = 0;
		holes->cap = cap;
		sequence->holes = holes;
	}
	memmove(&holes->list[at + 1], &holes->list[at], (holes->n - at) * sizeof(holes->list[0]));
	holes->n++;
	return &holes->list[at];
}

static void hole_remove(struct sequence_holes *holes, size_t at)
{
	holes->n--;
	memmove(&holes->list[at], &holes->list[at + 1], (holes->n - at) * sizeof(holes->list[0]));
}

/* Takes the number out of the hole, which shrinks, splits or goes. */
static int hole_fill(struct sequence *sequence, size_t at, uint64_t number, uint32_t stride)
{
	struct hole *hole = &sequence->holes->list[at];
	uint64_t from = hole->from;

	if (hole->end - hole->from == stride) {
		hole_remove(sequence->holes, at);
	} else if (number == hole->from) {
		hole->from += stride;
	} else if (number + stride == hole->end) {
		hole->end = number;
	} else {
		hole->from = number + stride;
		hole = hole_insert(sequence, at);
		if (!hole)
			return -ENOMEM;
		*hole = (struct hole){from, number};
	}
	return SEQUENCE_LATE;
}

int sequence_take_odd(struct sequence *sequence, uint64_t number, uint32_t stride)
{
	uint64_t distance = number > sequence->next ? number - sequence->next : sequence->next - number;
	struct hole *hole;

	if (distance % stride)
		return SEQUENCE_FOREIGN;
	if (number > sequence->next) {
		hole = hole_insert(sequence, sequence->holes ? sequence->holes->n : 0);
		if (!hole)
			return -ENOMEM;
		*hole = (struct hole){sequence->next, number};
		sequence->next = number + stride;
		return SEQUENCE_AHEAD;
	}
	for (size_t i = sequence->holes ? sequence->holes->n : 0; i-- > 0;) {
		hole = &sequence->holes->list[i];
		if (number >= hole->from && number < hole->end)
			return hole_fill(sequence, i, number, stride);
	}
	return SEQUENCE_DOUBLE;
}

uint64_t sequence_missing(const struct sequence *sequence, uint64_t end, uint32_t stride)
{
	uint64_t missing = sequence->next < end ? (end - sequence->next + stride - 1) / stride : 0;

	for (size_t i = 0; sequence->holes && i < sequence->holes->n; i++)
		missing += (sequence->holes->list[i].end - sequence->holes->list[i].from) / stride;
	return missing;
}
