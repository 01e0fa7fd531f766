#ifndef TIDEGATE_CLIENT_POSITIONS_H
#define TIDEGATE_CLIENT_POSITIONS_H

/*
 * Positions: where a client stands in each of its channels, for one that hears several on an event stream.
 *
 * A browser keeps one id for a stream, the last that it was told. So no message has an id there; instead the
 * client is told all of its positions in one, behind the messages of a turn:
 * "cards=E.102.T,user:7=E.9.T". That is no event, so nobody hears it, and if the stream breaks before it
 * comes, some messages come twice.
 */

#include <stdbool.h>

#include "core/slice.h"

struct message;
struct positions;

/* NULL when out of memory. */
struct positions *positions_new(void);
void positions_free(struct positions *positions); /* accepts NULL */

/* The client has been queued something that says where in this channel it is then. An absent position, or
 * NULL positions, change nothing. 0 or -ENOMEM. */
int positions_note(struct positions *positions, struct slice channel, struct slice pos);

/* Has the client not been told all of them? Never with NULL. */
bool positions_untold(const struct positions *positions);

/* One line for its stream that says all of them; NULL when out of memory. */
struct message *positions_tell(struct positions *positions);

#endif
