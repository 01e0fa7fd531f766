#ifndef TIDEGATE_CLIENT_ANSWER_H
#define TIDEGATE_CLIENT_ANSWER_H

/*
 * Answer: what a client is told about something that it asked.
 *
 * Each is queued for the client, with the id that it gave; id and channel may be absent. Without memory for
 * the answer the client is closed, and its subscriptions go with it: look at its state before going on with
 * them.
 */

#include "core/slice.h"

struct client;

void answer_subscribed(struct client *client, struct slice id, struct slice channel);

/* It may not have that, or the gateway cannot. */
void answer_error(
	struct client *client, struct slice id, const char *code, const char *message, struct slice channel);

/* The same for what may go well after CLIENT_RETRY_MS. */
void answer_retry(
	struct client *client, struct slice id, const char *code, const char *message, struct slice channel);

#endif
