#ifndef TIDEGATE_CLIENT_RECOVERY_H
#define TIDEGATE_CLIENT_RECOVERY_H

/*
 * Recovery: a client that says where it was hears what it missed, then goes on live, without a gap or a
 * double.
 *
 * Its subscription is muted until the bus has answered its join. The answer comes in its place among the
 * events, so what was noted before is handed to the others first, and what comes after follows the entries of
 * the answer.
 */

#include <stdbool.h>

#include "channel_log/position.h"
#include "core/slice.h"

struct client;
struct clients;
struct hub_subscription;
struct join;

/*
 * Asks the channel's history for what came after `since`; there must be no recovery of this subscription yet.
 * The peer is answered once the answer is there, or after CLIENT_SUBSCRIBE_MS that it cannot be recovered
 * now: then the subscription goes. `patient`: it stays, hears what is in no log, and is answered when the log
 * can be read, unless the peer asks anew. Out of memory closes the client.
 */
void recovery_begin(struct client *client, struct hub_subscription *subscription, const struct since *since,
	struct slice id, bool patient);

/* The peer no longer wants it: it is told so, and the subscription goes on without. There must be one. */
void recovery_give_up(struct client *client, struct hub_subscription *subscription);

/* The subscription leaves. Harmless without a recovery. */
void recovery_forget(struct hub_subscription *subscription);

/* The client leaves: joins that are under way for it are counted by nobody. */
void recovery_disown(struct client *client);

/* Is it waited for beyond the time in which an answer is promised? Then the peer, who was told so, may ask
 * anew. */
bool recovery_is_late(const struct hub_subscription *subscription);

/* Those whose time is over are told. */
void recovery_tick(struct clients *clients);

/* The bus' answer. Takes over the join. */
void recovery_answered(struct clients *clients, struct join *join);

#endif
