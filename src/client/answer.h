#ifndef TIDEGATE_CLIENT_ANSWER_H
#define TIDEGATE_CLIENT_ANSWER_H

/*
 * Answer: the replies to a client's commands.
 *
 * Each is queued for the client, with the id that it gave; id and channel may be absent.
 * Without memory for the answer the client is closed, and its subscriptions go with it: check
 * its state before using them further.
 */

#include "core/slice.h"

struct client;

void answer_subscribed(struct client *client, struct slice id, struct slice channel);

/* It may not have that, or the gateway cannot. */
void answer_error(
	struct client *client, struct slice id, const char *code, const char *message, struct slice channel);

/* The same for a command that may succeed after CLIENT_RETRY_MS. */
void answer_retry(
	struct client *client, struct slice id, const char *code, const char *message, struct slice channel);

#endif
