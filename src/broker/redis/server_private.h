#ifndef TIDEGATE_BROKER_REDIS_SERVER_PRIVATE_H
#define TIDEGATE_BROKER_REDIS_SERVER_PRIVATE_H

/* Shared by the server's three files: server.c keeps it connected, server_links.c has its two links,
 * server_calls.c has what is asked of it. */

#include "broker/backoff.h"
#include "broker/redis/errand.h"
#include "broker/redis/lease.h"
#include "broker/redis/log.h"
#include "broker/redis/nodes.h"
#include "broker/redis/outage.h"
#include "broker/redis/prover.h"
#include "broker/redis/publication.h"
#include "broker/redis/revocations.h"
#include "broker/redis/server.h"
#include "broker/redis/subscriber.h"
#include "broker/redis/tickets.h"
#include "broker/redis/url.h"
#include "broker/redis_broker.h"
#include "core/buf.h"

struct event;
struct event_base;
struct log;
struct metrics;
struct redis_library;
struct redis_link;
struct redis_tls;

struct redis_server {
	struct event_base *base;
	struct redis_server_listener listener;
	struct log *log;
	struct metrics *metrics;

	struct redis_url url;
	const struct redis_tls *tls;
	struct buf address;
	struct buf client_name;
	struct buf probe_channel; /* with the prefix */
	size_t payload_bytes_max;
	uint32_t dial_timeout_ms;

	bool ready;
	bool is_stranger;   /* the newest link led to another server than was meant */
	bool retired;       /* another one has taken over */
	bool wants_primary; /* whoever says it is a replica is not the server that was meant */
	struct redis_subscriber subscriber;
	struct redis_link *commander;
	bool can_command; /* the commander is greeted */
	struct redis_prover prover;
	struct redis_outage outage;
	uint64_t probe_us;     /* what the newest one took */
	uint64_t n_reconnects; /* how often it was lost after it had been ready */
	struct backoff backoff;
	struct event *redial_timer;

	struct redis_errands errands;
	struct redis_publications publications;
	struct redis_library *library;
	struct redis_log logs;
	struct redis_nodes nodes;
	struct redis_tickets tickets;
	struct redis_revocations revocations;
	struct redis_leases leases;
	bool loads_library;
	uint64_t moved_ms;     /* when it was asked why it sends us elsewhere; 0: never */
	uint64_t read_only_ms; /* when it was dialled again for being a replica */
#ifdef TIDEGATE_FAULT_CONTROLS
	struct fault_off fault_off;
#endif
};

/* server.c. Either link is gone, or useless: both go. Not from inside a call of a link, other than closed().
 */
void redis_server_lost(struct redis_server *server, enum redis_link_end end, const char *reason);

/* server_links.c. Opens both links, 0 or negative errno; who hears what the subscriber says; and for the
 * library, that Redis does not write. */
int redis_server_dial(struct redis_server *server);
struct redis_subscriber_listener redis_server_ears(struct redis_server *server);
void redis_server_read_only(void *arg);

#endif
