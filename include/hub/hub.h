#ifndef TIDEGATE_HUB_HUB_H
#define TIDEGATE_HUB_HUB_H

/*
 * Hub: the channels of one worker, and the clients that listen to each.
 *
 * Channels are found by name. Subscriptions are indexed both ways, from the channel (to deliver) and from the
 * subscriber (to leave), and both indexes change in one place; a channel goes with its last subscription. The
 * hub reports when a channel gains its first or loses its last local subscriber, so that the node subscribes
 * in Redis to the channels that are wanted, and to no others.
 *
 * Delivering has two steps. hub_deliver() only notes a message with its channel; hub_flush() hands each
 * subscriber all noted messages of a channel as one batch. So messages that arrived together are written
 * together. A batch has a form for each kind of peer (protocol/form.h); all but the plain one are made once,
 * for the first subscriber that takes it.
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
struct wish;

enum {
	HUB_ALREADY = 1, /* there is a subscription already; nothing changed */
};

/* A subscriber; embedded in the caller's struct. Zeroed memory has no subscriptions. */
struct hub_subscriber {
	struct hub_subscription *first;
	uint32_t n;
	uint8_t form;   /* enum form that its peer takes; may change at any time, except within a flush */
	bool urgent;    /* it is not served before its channels are confirmed */
	uint64_t flush; /* private to the hub: the last flush in which it got messages of several channels */
};

struct hub_subscription {
	struct hub_channel *channel;
	struct hub_subscriber *subscriber;
	struct hub_subscription *next; /* of the same subscriber */
	uint32_t slot;                 /* its place in the channel's list */
	bool confirmed; /* the node's own subscription is confirmed: every event from now on comes */
	bool muted; /* gets no events until the subscriber changes this; must not be changed within a flush */
	/* while muted: gets the events that are in no log; must not be changed within a flush */
	bool hears_plain;
	bool granted;   /* the subscriber's own: a backend gave it, whatever the rights say */
	bool present;   /* the subscriber's own: the end of it is told with left() */
	uint16_t era;   /* the subscriber's own: the history of the channel that answered it; 0 if none did */
	void *owed;     /* the subscriber's own: what it owes its peer once confirmed */
	void *recovery; /* the subscriber's own: its question to the channel's history */
};

/* Messages of one channel, oldest first; borrowed for the length of the call. */
struct hub_batch {
	struct message *const *messages;
	uint32_t n;        /* 0: there was no memory for the only form that the peer understands */
	const void *bytes; /* all their frames, one behind the other */
	size_t len;
};

struct hub_listener {
	void *arg;
	/*
	 * The node should subscribe to a channel, or leave it; said again when a wish has become urgent.
	 * hub_confirm() must bring its generation back.
	 */
	void (*wish)(void *arg, const struct wish *wish);
	/* A subscription has become confirmed. It may leave inside the call, but no other subscription
	 * of its channel may. */
	void (*confirmed)(void *arg, struct hub_subscription *subscription);
	/*
	 * Messages for a subscriber. alone: this flush has no other messages for it, so the bytes may be sent
	 * as they are. Inside the call no subscription may end.
	 */
	void (*deliver)(
		void *arg, struct hub_subscriber *subscriber, const struct hub_batch *batch, bool alone);
	/* All batches of this flush were handed out. May be NULL. */
	void (*flushed)(void *arg);
	/* Belongs to this thread and outlives the hub. NULL: all subscribers get plain frames. */
	struct form_maker *maker;
	/* Of the struct whose first member is the subscriber, the bytes that a delivery touches: they are
	 * fetched ahead of it. */
	size_t subscriber_bytes;
	void *wish_arg; /* of wish(), which goes further up than the others */
	/* A subscription has begun; one that is `present` is about to end. Inside the calls no subscription
	 * may begin or end. Both NULL: nobody wants to know. */
	void (*joined)(void *arg, struct hub_subscription *subscription);
	void (*left)(void *arg, struct hub_subscription *subscription);
};

/* NULL when out of memory. */
struct hub *hub_new(const struct hub_listener *listener);

/* All subscriptions must have ended. Accepts NULL. */
void hub_free(struct hub *hub);

/* 0, HUB_ALREADY (with the existing subscription) or -ENOMEM. The hub owns the subscription. */
int hub_subscribe(struct hub *hub, struct hub_subscriber *subscriber, struct slice channel,
	struct hub_subscription **subscriptionp);

/* NULL if there is no subscription. */
struct hub_subscription *hub_find(
	const struct hub *hub, const struct hub_subscriber *subscriber, struct slice channel);

/* Frees the subscription; `owed` and `recovery` must be settled. */
void hub_unsubscribe(struct hub *hub, struct hub_subscription *subscription);

struct slice hub_subscription_channel(const struct hub_subscription *subscription);

/* The node is subscribed, as the hub wanted with this generation. An older generation is ignored. */
void hub_confirm(struct hub *hub, struct slice channel, uint64_t hash, uint64_t generation);

/* The node lost its subscriptions: new subscriptions wait for the next hub_confirm(). */
void hub_lost(struct hub *hub);

/* Likewise, of this channel only. */
void hub_channel_lost(struct hub *hub, struct slice channel, uint64_t hash);

/* Notes a message for the subscribers of its channel. Takes over the reference. 0 or -ENOMEM (the message is
 * lost). */
int hub_deliver(struct hub *hub, struct message *message);

/* All messages that will be delivered next: fetches the memory of their channels ahead (core/prefetch.h). */
void hub_expect(struct hub *hub, struct message *const *messages, uint32_t n);

/* Calls fn for each subscription of the channel, the newest first. fn may end the subscription that
 * it is called for. */
void hub_each(struct hub *hub, struct slice channel, uint64_t hash,
	void (*fn)(void *arg, struct hub_subscription *subscription), void *arg);

/* Calls fn for each channel that has a subscriber, in no order. Inside the call no subscription
 * may begin or end. */
void hub_each_channel(const struct hub *hub,
	void (*fn)(void *arg, struct slice channel, uint64_t hash, uint32_t n_subscribers), void *arg);

/* Some memory that many channels took goes back: now and then. */
void hub_tidy(struct hub *hub);

uint32_t hub_n_subscribers(const struct hub *hub, struct slice channel, uint64_t hash);

/* The bytes of the noted frames, counted once for each subscriber: they tell how long
 * hub_flush() will take. */
uint64_t hub_noted_bytes(const struct hub *hub);

/* Hands out the noted messages. */
void hub_flush(struct hub *hub);

size_t hub_n_channels(const struct hub *hub);
size_t hub_n_subscriptions(const struct hub *hub);

#endif
