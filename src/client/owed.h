#ifndef TIDEGATE_CLIENT_OWED_H
#define TIDEGATE_CLIENT_OWED_H

/*
 * Owed: the answers that a client waits for, and a bound on them.
 *
 * A subscribe is answered once the node's own subscription is confirmed. Until then its answer is owed, and
 * hangs on the subscription (hub_subscription.owed). A subscription may owe several: a client may say the
 * same subscribe again. Every command that asks the node for something has two bounds here: one on unanswered
 * commands, one on the rate.
 */

#include <stdbool.h>

#include "core/slice.h"

struct client;
struct clients;
struct hub_subscription;

/*
 * Owes an answer to the command with this id. made: the command made the subscription, which goes again if it
 * is not confirmed in time. Without memory the client is closed.
 */
void owed_add(struct client *client, struct hub_subscription *subscription, struct slice id, bool made);

/* The same for a client that wanted the history of a channel that keeps none. */
void owed_add_without_history(struct client *client, struct hub_subscription *subscription, struct slice id);

/* Was it made by a command that is not answered yet? Then nothing was promised for it so far. */
bool owed_made(const struct hub_subscription *subscription);

/*
 * The subscription is confirmed, or it cannot be for the time being: all answers that it owes are given. The
 * subscription may be gone afterwards.
 */
void owed_confirmed(struct client *client, struct hub_subscription *subscription);
void owed_unavailable(struct client *client, struct hub_subscription *subscription);

/* The subscription ends: drops its answers. */
void owed_forget(struct hub_subscription *subscription);

/* Refuses the commands whose time is over. */
void owed_tick(struct clients *clients);

/* May one more answer be owed to the client? Joins that are under way count as well (client.n_unanswered). */
bool owed_has_room(const struct client *client);

/*
 * May the client ask the node for something more? A subscribe that is not answered at once is work for the
 * bus and for Redis, and the channel lingers when it is left. A connection that subscribes and leaves in turn
 * would queue more of that than all others together: so it has a burst, and then a steady rate. True counts
 * as asked.
 */
bool owed_may_ask(struct client *client);

#endif
