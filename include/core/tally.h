#ifndef TIDEGATE_CORE_TALLY_H
#define TIDEGATE_CORE_TALLY_H

/*
 * Tally: how many there are of each name, such as connections of each user, with one bound for all names.
 *
 * There is one for a process, shared by its threads; a mutex is held for a moment when one comes and when it
 * goes. A name has memory while one of it is counted.
 */

#include <stddef.h>

#include "core/slice.h"

struct tally;
struct tally_name;

enum {
	TALLY_FULL = 1, /* there are as many of this name as there may be */
};

/* Without a bound. NULL when out of memory. */
struct tally *tally_new(void);
void tally_free(struct tally *tally); /* accepts NULL; all have left */

/* 0: no bound, and nothing is counted. Of those who come from now on. */
void tally_set_max(struct tally *tally, unsigned int max);

/* One more of this name: 0 and what tally_leave() wants, NULL without a bound; TALLY_FULL; or -ENOMEM. */
int tally_enter(struct tally *tally, struct slice name, struct tally_name **namep);
void tally_leave(struct tally *tally, struct tally_name *name); /* accepts NULL */

/* The names of which one is counted. */
size_t tally_size(struct tally *tally);

#endif
