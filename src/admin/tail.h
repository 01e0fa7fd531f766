#ifndef TIDEGATE_ADMIN_TAIL_H
#define TIDEGATE_ADMIN_TAIL_H

/* Tail: the channels that one caller of GET /tail listens to. */

struct admin_tail;

/* Stops listening. Accepts NULL. */
void admin_tail_free(struct admin_tail *tail);

#endif
