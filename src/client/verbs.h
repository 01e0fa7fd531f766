#ifndef TIDEGATE_CLIENT_VERBS_H
#define TIDEGATE_CLIENT_VERBS_H

/* Verbs: what a client may ask, one row each. */

#include "protocol/json.h"

struct client;
struct command;
struct hub_subscription;

/* Carries out a command and queues its answer. */
void verbs_run(struct client *client, const struct command *command);

/*
 * Answers those who waited for the confirmation of this subscription, or refuses them for the time being.
 * Settles subscription->owed; the subscription may be gone afterwards.
 */
void verbs_subscribed(struct client *client, struct hub_subscription *subscription);
void verbs_unavailable(struct client *client, struct hub_subscription *subscription);

/* Who wanted the history of a channel that keeps none is told so once the subscription is confirmed. Out of
 * memory closes the client. */
void verbs_owe_without_history(struct client *client, struct hub_subscription *subscription, struct slice id);

/* Forgets the owed answers. */
void verbs_forget(struct hub_subscription *subscription);

/* Refuses those whose time is over. */
struct clients;
void verbs_tick(struct clients *clients);

#endif
