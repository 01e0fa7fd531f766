#ifndef TIDEGATE_CLIENT_EXPIRY_H
#define TIDEGATE_CLIENT_EXPIRY_H

/*
 * Expiry: which connections have something due because of their tokens' age.
 *
 * A wheel of 64 slots of a second each, one for each worker. A link stands in the slot of its second,
 * modulo 64; one that is due in a later round stays where it is when its slot comes by. So joining and
 * leaving cost the same however many connections there are, and a token of an hour is looked at 56 times.
 * What is due comes out at most a second late, in no particular order within its second.
 *
 * Time is handed in, in milliseconds of a clock that never jumps.
 */

#include <stdint.h>

#include "core/list.h"

enum {
	EXPIRY_SLOTS = 64,
};

struct expiry {
	struct list slots[EXPIRY_SLOTS];
	struct list due; /* taken from their slots, not handed out yet */
	uint64_t now_s;  /* all seconds before it have been looked at */
};

/* Embedded in what is due. Zeroed: it takes no part. */
struct expiry_link {
	struct list link;
	uint64_t due_ms;
};

void expiry_init(struct expiry *expiry, uint64_t now_ms);

/* The link is due at this time; if it took part before, no longer at the other. */
void expiry_set(struct expiry *expiry, struct expiry_link *link, uint64_t due_ms);

/* The link takes no part any more. Harmless if it took no part before. */
void expiry_remove(struct expiry_link *link);

/* Takes out the next link that is due; NULL if there is none. */
struct expiry_link *expiry_next(struct expiry *expiry, uint64_t now_ms);

#endif
