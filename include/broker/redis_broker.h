#ifndef TIDEGATE_BROKER_REDIS_BROKER_H
#define TIDEGATE_BROKER_REDIS_BROKER_H

/*
 * Redis broker: events through plain pub/sub of Redis servers, logs through their functions. Several servers
 * share the channels.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/broker.h"
#include "broker/redis/pubsub.h"
#include "core/fault_off.h"

struct redis_slots_source;
struct redis_tls;
struct redis_urls;

struct redis_options {
	const struct redis_urls *urls; /* copied */
	const struct redis_tls *tls;   /* for URLs with TLS; must outlive the broker */
	const char *channel_prefix;    /* put before every channel name in Redis; "" for none; copied */
	const char *node_id; /* unique per process; names the probe channel and CLIENT SETNAME; copied */
	uint64_t seed;       /* for jitter */
	/* load the library after each connect, for backends that publish to logs; otherwise with the first
	 * call that needs it */
	bool loads_library;

	enum redis_pubsub pubsub; /* of a cluster */

	bool wants_primary; /* the shard's: a server that says it is a replica is not used */
	/* The cluster's: commands follow their slots, and are published to sharded channels. */
	const struct redis_slots_source *router; /* borrowed */
	bool sharded;

	/* From here on 0 is the default. */
	size_t payload_bytes_max;  /* a larger event is dropped and counted, the link lives on; 256 KiB
				      (docs/limits.md, Redis) */
	uint32_t dial_timeout_ms;  /* to connect, and again to be greeted; 2 s */
	uint32_t probe_idle_ms;    /* silence after which the link is probed; 4 s */
	uint32_t probe_timeout_ms; /* for the echo; after two misses in silence the link is lost; 2 s */
#ifdef TIDEGATE_FAULT_CONTROLS
	struct fault_off fault_off;
#endif
};

/*
 * Starts connecting at once and for ever. The listener, log and metrics (may be NULL) must outlive it.
 * 0, -EINVAL or -ENOMEM.
 */
int redis_broker_new(struct event_base *base, const struct redis_options *options,
	const struct broker_listener *listener, struct log *log, struct metrics *metrics,
	struct broker **brokerp);

/*
 * Appends the library that Redis needs for logs, as `FUNCTION LOAD` takes it. The Redis broker loads it by
 * itself; this is for people who have more rights than the gateway.
 */
void redis_broker_library(struct buf *out);

#endif
