#ifndef TIDEGATE_HUB_HUB_H
#define TIDEGATE_HUB_HUB_H

/*
 * Hub: who on this worker listens to what.
 *
 * Channels by name; subscriptions indexed both ways, from the channel (to deliver) and from the subscriber
 * (to leave), changed in one place, gone with the last. The hub reports when a channel gains its first or
 * loses its last local subscriber, so that the node subscribes in Redis to what is wanted and to nothing
 * else.
 *
 * Delivering has two steps. hub_deliver() only notes a message with its channel; hub_flush() hands each
 * subscriber all that was noted for a channel as one batch. So whatever arrived together is written together.
 * A batch has a form for each kind of peer (protocol/form.h); all but the plain one are made once, for the
 * first subscriber that takes it.
 *
 * One worker owns a hub; nothing in it is locked. It knows nothing of sockets.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"
#include "protocol/form.h"

struct form_maker;
struct hub;
struct hub_channel;
struct message;

enum {
	HUB_ALREADY = 1, /* there is such a subscription; nothing changed */
};

/* Embedded in whoever subscribes. Zeroed memory has no subscriptions. */
struct hub_subscriber {
	struct hub_subscription *first;
	uint32_t n;
	enum form form; /* that its peer takes; may change at any time but within a flush */
	uint64_t flush; /* private to the hub: the last one in which it heard several channels */
};

struct hub_subscription {
	struct hub_channel *channel;
	struct hub_subscriber *subscriber;
	struct hub_subscription *next; /* of the same subscriber */
	uint32_t slot;                 /* where the channel lists it */
	bool confirmed; /* every event from now on comes: the node's own subscription is confirmed */
	bool muted; /* hears nothing: the subscriber says when it may. To be changed outside of a flush only
		      */
	bool hears_plain; /* while muted: hears what is in no log all the same. Likewise */
	uint16_t era;     /* the subscriber's own: which history of the channel answered it; 0: none did */
	void *owed;       /* the subscriber's own: what it owes its peer once confirmed */
	void *recovery;   /* likewise: what is asked of the channel's history for it */
};

/* Messages of one channel, oldest first; borrowed for the length of the call. */
struct hub_batch {
	struct message *const *messages;
	uint32_t n;
	const void *bytes; /* all their frames, one behind the other */
	size_t len;
};

struct hub_listener {
	void *arg;
	/*
	 * The node should (not) be subscribed to the channel. `generation` counts how often this hub began to
	 * want channels: hub_confirm() must bring it back.
	 */
	void (*interest)(void *arg, struct slice channel, uint64_t hash, uint64_t generation, bool wanted);
	/* A subscription that was not is now confirmed. It may leave inside the call, but no other of its
	 * channel. */
	void (*confirmed)(void *arg, struct hub_subscription *subscription);
	/*
	 * Messages for a subscriber. `alone`: this turn has nothing else for it, the bytes may go out as they
	 * are. It must not unsubscribe anybody inside the call.
	 */
	void (*deliver)(
		void *arg, struct hub_subscriber *subscriber, const struct hub_batch *batch, bool alone);
	/* All batches of this flush were handed out. NULL: nobody asks. */
	void (*flushed)(void *arg);
	/* Of this thread, outlives the hub. NULL: everybody gets plain frames. */
	struct form_maker *maker;
	/* What a subscriber is the first member of: so much is looked at when it is handed something. */
	size_t subscriber_bytes;
};

/* NULL when out of memory. */
struct hub *hub_new(const struct hub_listener *listener);

/* Nobody may be subscribed any more. Accepts NULL. */
void hub_free(struct hub *hub);

/* 0, HUB_ALREADY (with the one there is) or -ENOMEM. The hub owns the subscription. */
int hub_subscribe(struct hub *hub, struct hub_subscriber *subscriber, struct slice channel,
	struct hub_subscription **subscriptionp);

/* NULL when there is none. */
struct hub_subscription *hub_find(
	const struct hub *hub, const struct hub_subscriber *subscriber, struct slice channel);

/* Frees the subscription; `owed` and `recovery` must be settled. */
void hub_unsubscribe(struct hub *hub, struct hub_subscription *subscription);

struct slice hub_subscription_channel(const struct hub_subscription *subscription);

/* The node is subscribed, as the hub wanted with this generation. An older generation is ignored. */
void hub_confirm(struct hub *hub, struct slice channel, uint64_t hash, uint64_t generation);

/* The node lost its subscriptions: who subscribes from now on waits for the next hub_confirm(). */
void hub_lost(struct hub *hub);

/* Notes a message for the subscribers of its channel. Takes over the reference. 0 or -ENOMEM (the message is
 * lost). */
int hub_deliver(struct hub *hub, struct message *message);

/* Messages that are delivered next, all of them: what that looks at is asked for at once (core/prefetch.h).
 */
void hub_expect(struct hub *hub, struct message *const *messages, uint32_t n);

/* Calls fn for each subscription of the channel, from the newest on. It may unsubscribe the one it is called
 * for. */
void hub_each(struct hub *hub, struct slice channel, uint64_t hash,
	void (*fn)(void *arg, struct hub_subscription *subscription), void *arg);

/* Every channel that has a subscriber, in no order. Nobody may subscribe or leave inside the call. */
void hub_each_channel(const struct hub *hub,
	void (*fn)(void *arg, struct slice channel, uint64_t hash, uint32_t n_subscribers), void *arg);

/* Some memory that many channels took goes back: now and then. */
void hub_tidy(struct hub *hub);

uint32_t hub_n_subscribers(const struct hub *hub, struct slice channel, uint64_t hash);

/* Of frames that were noted, once for each subscriber: how long hub_flush() will take. */
uint64_t hub_noted_bytes(const struct hub *hub);

/* Hands out what was noted. */
void hub_flush(struct hub *hub);

size_t hub_n_channels(const struct hub *hub);
size_t hub_n_subscriptions(const struct hub *hub);

#endif
