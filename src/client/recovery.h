#ifndef TIDEGATE_CLIENT_RECOVERY_H
#define TIDEGATE_CLIENT_RECOVERY_H

/*
 * Recovery: gives a client that says where it was the events that it missed, then goes on live, without
 * a gap or a double.
 *
 * Its subscription is muted until the bus has answered its join. The answer comes in its place among
 * the events: events that were noted before are handed to the others first, and later events follow
 * the entries of the answer.
 */

#include <stdbool.h>

#include "channel_log/position.h"
#include "core/slice.h"

struct client;
struct clients;
struct hub_subscription;
struct join;

/*
 * Asks the channel's history for the events after `since`. There must be no recovery of this subscription
 * yet. The peer is answered when the history has answered; or after CLIENT_SUBSCRIBE_MS it is told that
 * recovery is not possible now, and the subscription goes. patient: then the subscription stays, gets the
 * events that are in no log, and is answered when the log can be read, unless the peer asks anew. Without
 * memory the client is closed.
 */
void recovery_begin(struct client *client, struct hub_subscription *subscription, const struct since *since,
	struct slice id, bool patient);

/* The peer does not want the recovery any more: tells it so, and the subscription goes on without. There must
 * be a recovery. */
void recovery_give_up(struct client *client, struct hub_subscription *subscription);

/* The subscription leaves. Harmless without a recovery. */
void recovery_forget(struct hub_subscription *subscription);

/* The client leaves: its joins under way are not counted any more. */
void recovery_disown(struct client *client);

/* Has the recovery taken longer than promised? Then the peer was told so and may ask anew. */
bool recovery_is_late(const struct hub_subscription *subscription);

/* Tells the peers whose recovery takes too long. */
void recovery_tick(struct clients *clients);

/* The bus' answer. Takes over the join. */
void recovery_answered(struct clients *clients, struct join *join);

#endif
