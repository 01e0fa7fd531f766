#ifndef TIDEGATE_SRC_CLIENT_RENEWAL_H
#define TIDEGATE_SRC_CLIENT_RENEWAL_H

/*
 * Renewal: a client shows a newer token, in band.
 *
 * Its connection stays whose it is: the token of another user closes it with 4001, and an anonymous one
 * stays anonymous. What the newer token no longer allows ends at once, with `unsubscribed` and the reason
 * `forbidden`.
 */

#include "core/slice.h"

struct client;

/* id: of the command; token: the JSON string in it. Queues the answer. */
void renewal_run(struct client *client, struct slice id, struct slice token);

#endif
