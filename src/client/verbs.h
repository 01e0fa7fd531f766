#ifndef TIDEGATE_CLIENT_VERBS_H
#define TIDEGATE_CLIENT_VERBS_H

/* Verbs: what a client may ask, one row each. */

struct client;
struct command;
struct hub_subscription;

/* Carries out a command and queues its answer. */
void verbs_run(struct client *client, const struct command *command);

/* Answers a subscribe that waited for its confirmation, or refuses it for the time being. Settles
 * subscription->owed. */
void verbs_subscribed(struct client *client, struct hub_subscription *subscription);
void verbs_unavailable(struct client *client, struct hub_subscription *subscription);

/* Forgets an owed answer. */
void verbs_forget(struct hub_subscription *subscription);

/* Refuses those whose time is over. */
struct clients;
void verbs_tick(struct clients *clients);

#endif
