#ifndef TIDEGATE_BROKER_REDIS_SUBSCRIBER_H
#define TIDEGATE_BROKER_REDIS_SUBSCRIBER_H

/*
 * Redis subscriber: the channels that we hear, over a link for nothing else.
 *
 * The probe channel is asked for first. When Redis has confirmed it, the subscriber listens, and asks for the
 * channels that are wanted. Events go up as they come, and echoes of the probe beside them. A message that no
 * subscriber should get ends the link, because the messages behind it may be out of step. A channel stays
 * wanted when the link is lost; the loss is said of it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "broker/broker.h"
#include "broker/redis/channels.h"
#include "broker/redis/link.h"
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
	struct redis_channels channels;
	struct event *flush_timer;  /* pending while there may be something to ask Redis for */
	struct event *listen_timer; /* pending until the probe channel is confirmed */
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
int redis_subscriber_want(struct redis_subscriber *subscriber, struct slice channel);
void redis_subscriber_unwant(struct redis_subscriber *subscriber, struct slice channel);
void redis_subscriber_hurry(struct redis_subscriber *subscriber, struct slice channel);

#endif
