#ifndef TIDEGATE_BROKER_REDIS_CLUSTER_CHANNELS_H
#define TIDEGATE_BROKER_REDIS_CLUSTER_CHANNELS_H

/*
 * Redis cluster's channels: at which member each channel is heard, in both ways.
 *
 * Sharded, by SSUBSCRIBE, it is heard at the owner of its slot and moves with it. Classic, by
 * SUBSCRIBE, it is heard at any member: it stays where it is while the slot moves, and goes elsewhere
 * at once when the member is not sound, because events that are published without a shard reach all
 * other members all the time.
 *
 * subscribed() goes up when all the ways that are wanted are confirmed, lost() when one is lost.
 */

#include <stdbool.h>
#include <stddef.h>

#include "broker/broker.h"
#include "broker/redis/channels.h"
#include "core/fault_off.h"
#include "core/list.h"
#include "core/map.h"

struct redis_member;
struct redis_members;

struct redis_cluster_channels {
	struct broker_listener events; /* all of it but state() is called */
	const struct redis_members *members;
	const char *prefix;           /* borrowed */
	bool hears[N_REDIS_HEARINGS]; /* the ways that are wanted */
#ifdef TIDEGATE_FAULT_CONTROLS
	struct fault_off fault_off;
#endif
	struct map by_name;
	struct list unplaced; /* a way has no member yet */
};

/* The members above by_name are the caller's to fill, the others zeroed. */
void redis_cluster_channels_init(struct redis_cluster_channels *channels);
void redis_cluster_channels_deinit(struct redis_cluster_channels *channels); /* harmless on zeroed memory */

/* As broker_subscribe() and broker_unsubscribe(). */
int redis_cluster_channels_want(struct redis_cluster_channels *channels, struct slice name);
void redis_cluster_channels_unwant(struct redis_cluster_channels *channels, struct slice name);
void redis_cluster_channels_hurry(struct redis_cluster_channels *channels, struct slice name);

/* Slots have moved: sharded ones follow. all: or only those that are nowhere are looked at. */
void redis_cluster_channels_place(struct redis_cluster_channels *channels, bool all);

/* This member is not sound: classic ones leave it, if there is another. */
void redis_cluster_channels_evacuate(struct redis_cluster_channels *channels, struct redis_member *member);

/* This member is about to be freed: nothing is heard there. */
void redis_cluster_channels_forget(struct redis_cluster_channels *channels, struct redis_member *member);

/* Other ways are wanted than before. What is heard in a way that stays is not lost: nobody publishes in a way
 * that is new, yet. */
void redis_cluster_channels_hear(struct redis_cluster_channels *channels, bool classic, bool sharded);

/* From now on somebody publishes to sharded channels: those that are not heard are lost. */
void redis_cluster_channels_need_sharded(struct redis_cluster_channels *channels);

/* A server's reports. */
void redis_cluster_channels_event(struct redis_cluster_channels *channels, struct redis_member *member,
	enum redis_hearing hearing, struct slice name, struct slice payload);
void redis_cluster_channels_subscribed(struct redis_cluster_channels *channels, struct redis_member *member,
	enum redis_hearing hearing, struct slice name);
void redis_cluster_channels_lost(struct redis_cluster_channels *channels, struct redis_member *member,
	enum redis_hearing hearing, struct slice name);
/* As redis_sharded_listener.gone(). */
void redis_cluster_channels_gone(
	struct redis_cluster_channels *channels, struct redis_member *member, struct slice name);

#endif
