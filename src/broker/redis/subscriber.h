#ifndef TIDEGATE_BROKER_REDIS_SUBSCRIBER_H
#define TIDEGATE_BROKER_REDIS_SUBSCRIBER_H

/*
 * Redis subscriber: the channels that we hear, over a link for nothing else.
 *
 * The probe channel is asked for first. When Redis has confirmed it, the subscriber listens, and asks
 * for the channels that are wanted. Events go up as they come, and echoes of the probe beside them. A
 * message that no subscriber should get ends the link, because the messages behind it may be out of
 * step. A channel stays wanted when the link is lost; the loss is said of it.
 *
 * In a cluster there are two sets of channels (redis/channels.h), and a link carries both. Commands of one
 * set are under way at a time, so that an error is of that set: sharded ones with a PING behind them, the
 * fence.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/broker.h"
#include "broker/redis/channels.h"
#include "broker/redis/link.h"
#include "core/fault_off.h"
#include "core/log.h"
#include "core/slice.h"

struct event;

/* All that happens beside events. */
struct redis_subscriber_listener {
	void *arg;
	void (*listening)(void *arg); /* the probe channel is confirmed */
	void (*echo)(void *arg, struct slice token);
	/* As redis_link_listener.closed(): redis_subscriber_lost() is called from inside it. */
	void (*closed)(void *arg, enum redis_link_end end, const char *reason);
};

/* What happens to sharded channels. */
struct redis_sharded_listener {
	void *arg; /* NULL: there are none */
	/* As broker_listener's. Its drained() follows these events, too. */
	void (*event)(void *arg, struct slice channel, struct slice payload);
	void (*subscribed)(void *arg, struct slice channel);
	void (*lost)(void *arg, struct slice channel);
	/* It is not this server's, or not now. It has to be unwanted here before this returns. */
	void (*gone)(void *arg, struct slice channel);
	/* An answer to SSUBSCRIBE that says that the server is not the right one, or does not know the
	 * command. */
	void (*erred)(void *arg, struct slice error);
};

struct redis_subscriber {
	struct redis_subscriber_listener listener;
	struct broker_listener events; /* all of it but state() is called */
	struct log *log;
	struct metrics *metrics;
	struct slice probe_channel; /* with the prefix; borrowed */
	size_t payload_bytes_max;
	struct redis_link *link; /* NULL: none */
	bool listening;          /* the probe channel is confirmed: other channels may be asked for */
	bool has_events;         /* event() was called in this turn */
	struct redis_channels sets[N_REDIS_HEARINGS];
	struct redis_sharded_listener sharded;
#ifdef TIDEGATE_FAULT_CONTROLS
	struct fault_off fault_off;
#endif
	bool fenced;                /* a fence is under way */
	bool sharded_next;          /* it is the turn of the sharded ones */
	uint64_t n_fences;          /* the number of the newest */
	struct event *flush_timer;  /* pending while there may be something to ask Redis for */
	struct event *listen_timer; /* pending until the probe channel is confirmed, or the fence is back */
	uint32_t listen_ms;         /* for that */
	struct log_limit too_large_limit;
	struct log_limit refused_limit;
};

/* The members above `link` are the caller's to fill, the others are zeroed. 0 or -ENOMEM. */
int redis_subscriber_init(struct redis_subscriber *subscriber, struct event_base *base, const char *prefix);
void redis_subscriber_deinit(struct redis_subscriber *subscriber); /* harmless on zeroed memory */

/* Opens its link. 0 or negative errno. */
int redis_subscriber_dial(struct redis_subscriber *subscriber, struct event_base *base,
	const struct redis_link_options *options);

/* A published probe arrived here. Until then no channel of a new link is said to be subscribed. */
void redis_subscriber_proven(struct redis_subscriber *subscriber);

/* Frees its link, which is gone or given up. Not from inside a call of the link, other than closed(). */
void redis_subscriber_lost(struct redis_subscriber *subscriber);

/* Says lost() of the channels that went with the link, if it was proven. */
void redis_subscriber_tell_lost(struct redis_subscriber *subscriber);

/* As broker_subscribe() and broker_unsubscribe(). */
int redis_subscriber_want(
	struct redis_subscriber *subscriber, enum redis_hearing hearing, struct slice channel);
void redis_subscriber_unwant(
	struct redis_subscriber *subscriber, enum redis_hearing hearing, struct slice channel);
void redis_subscriber_hurry(struct redis_subscriber *subscriber, struct slice channel);

#endif
