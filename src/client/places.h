#ifndef TIDEGATE_CLIENT_PLACES_H
#define TIDEGATE_CLIENT_PLACES_H

/*
 * Places: where a client stands in each of its channels, for one that hears several on an event stream.
 *
 * A browser keeps one id for a stream, the last that it was told. So no message has an id there; instead the
 * client is told all of its places in one, behind the messages of a turn: "cards=E.102.T,user:7=E.9.T". That
 * is no event, so nobody hears it, and if the stream breaks before it comes, some messages come twice.
 */

#include <stdbool.h>

#include "core/slice.h"

struct message;
struct places;

/* NULL when out of memory. */
struct places *places_new(void);
void places_free(struct places *places); /* accepts NULL */

/* The client has been queued something that says where in this channel it is then. An absent position, or
 * NULL places, change nothing. 0 or -ENOMEM. */
int places_note(struct places *places, struct slice channel, struct slice pos);

/* Has the client not been told all of them? Never with NULL places. */
bool places_untold(const struct places *places);

/* All of them for its stream, as what is in them now is told by; NULL when out of memory. */
struct message *places_tell(struct places *places);

#endif
