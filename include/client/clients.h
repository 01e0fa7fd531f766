#ifndef TIDEGATE_CLIENT_CLIENTS_H
#define TIDEGATE_CLIENT_CLIENTS_H

/*
 * Clients: all clients of one worker, and what they share.
 *
 * The worker calls clients_turn() at the end of each turn of its loop: what was queued is sent, one write a
 * client, and who failed is closed. It calls clients_tick() now and then for deadlines: pings, overdue pongs,
 * parked handshakes, unanswered closes and subscriptions.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/delivery_time.h"
#include "client/disconnects.h"
#include "client/drain.h"
#include "client/keepalive.h"
#include "core/list.h"
#include "core/slice.h"
#include "protocol/form.h"

struct confirmation;
struct hub;
struct hub_listener;
struct join;
struct log;
struct message;
struct metrics;
struct route_table;
struct socket_ops;

/* Bounds and times that hold for every client; from configuration. */
struct client_limits {
	size_t message_bytes_max;
	size_t outbox_bytes_max;
	size_t deflate_bytes_min; /* of the texts that are worth deflating */
	unsigned int subscriptions_max;
	uint64_t ping_interval_ms;
	uint64_t pong_timeout_ms;
};

enum {
	CLIENT_PARKED_MS =
		2000, /* longest a handshake is held back; then it is answered without a confirmation */
	CLIENT_CLOSING_MS = 5000,   /* for the peer to answer a close frame */
	CLIENT_SUBSCRIBE_MS = 5000, /* for a subscription to be confirmed, or a history to be read */
	CLIENT_DEGRADED_MS = 3000,  /* without the broker; then those who know the word are told */
	CLIENT_ASK_MS = 10,     /* between two subscribes of one connection that are not answered at once */
	CLIENT_ASKS_MORE = 100, /* than twice subscriptions_max of them may come in one burst */
	CLIENT_JOINS_MAX = 4,   /* of one connection under way at once: a MiB of replays each */
	CLIENT_RETRY_MS = 2000, /* told to the peer when it was not */
};

/* What happens above. */
struct clients_listener {
	void *arg;
	/* The node should (not) be subscribed: hub_listener.interest. */
	void (*interest)(void *arg, struct slice channel, uint64_t hash, uint64_t generation, bool wanted);
	/* A parked client's handshake may be answered now. Not called from inside client_init(). */
	void (*ready)(void *arg, void *socket);
	/* Asks a channel's history; the join comes back through clients_joined(). Or gives such a one back,
	   to stay: join_spend() said so. */
	void (*join)(void *arg, struct join *join);
	/* All that was given to socket_ops.send_later() must be sent now. NULL: nothing ever is. */
	void (*submit)(void *arg);
	/* What time it is, on the clock of message.arrived_us: asked for once in several writes. */
	uint64_t (*now_us)(void *arg);
};

struct clients {
	struct clients_listener listener;
	const struct socket_ops *ops;
	struct hub *hub;
	struct log *log;
	struct metrics *metrics;
	struct route_table *routes; /* the newest; one reference */
	struct client_limits limits;
	struct keepalive keepalive;
	struct list all;
	struct list parked;      /* client.due */
	struct list blocked;     /* client.due */
	struct list closing;     /* client.due */
	struct list flush;       /* client.flush */
	struct list subscribing; /* owed answers, in order of their deadline */
	struct list recovering;  /* joins that are not answered, likewise */
	struct form_maker maker;
	const struct confirmation *confirmation; /* while it is handed to those who wait for it */
	struct drain drain;
	struct disconnects disconnects;
	size_t n_clients;
	size_t n_live;    /* of them, neither closing nor gone */
	uint64_t next_id; /* unique in the process: workers count up in the same steps from different numbers
			   */
	uint64_t id_step;
	uint64_t now_ms; /* clock_monotonic_ms() of this turn */
	uint64_t wall_ms;
	uint64_t n_sent;       /* of this flush, not yet in the metrics */
	uint64_t sent_bytes;   /* likewise */
	uint64_t queued_bytes; /* in all outboxes */
	struct delivery_time delivery_time;
	unsigned int worker; /* whose clients these are */
	uint64_t lost_ms;    /* since when the broker is away; 0: it is not */
	bool degraded;       /* that was told */
	bool connected;      /* to the broker: is it worth waiting for a confirmation? */
};

/* Connections get first_id, first_id + id_step, … Takes a reference to routes. 0 or -ENOMEM. */
int clients_init(struct clients *clients, const struct clients_listener *listener,
	const struct socket_ops *ops, const struct client_limits *limits, struct route_table *routes,
	uint64_t first_id, uint64_t id_step, struct log *log, struct metrics *metrics);

/*
 * Other bounds and another table, which it takes a reference to. Bounds hold for all from now on; established
 * connections of a route that the table has no more, or says something else about, go on by their old one.
 */
void clients_configure(
	struct clients *clients, const struct client_limits *limits, struct route_table *routes);

/* All clients must be gone. */
void clients_deinit(struct clients *clients);

/* The times that this turn goes by. */
void clients_set_time(struct clients *clients, uint64_t now_ms, uint64_t wall_ms);

/* These are delivered next. The references stay the caller's. */
void clients_expect(struct clients *clients, struct message *const *events, uint32_t n);

/* An event for the subscribers of its channel. Takes over the reference. */
void clients_deliver(struct clients *clients, struct message *event);

/*
 * The worker cannot keep up: n events of one channel are not delivered. `event` is the last of them, and all
 * are entries of a log if it is one. Its reference stays the caller's.
 */
void clients_pass_over(struct clients *clients, const struct message *event, uint32_t n);

/* The node's subscription to the channel is confirmed. The message in it stays the caller's. */
void clients_confirm(struct clients *clients, struct slice channel, uint64_t hash,
	const struct confirmation *confirmation);

/* The link to the broker came or went. */
void clients_connected(struct clients *clients, bool connected);

/* The bus' answer to clients_listener.join(). Takes over the join. */
void clients_joined(struct clients *clients, struct join *join);

/*
 * What was heard of the channel is no longer the whole truth: those who know the word are told by this
 * message, the others are closed if `close_others`. The reference stays the caller's.
 */
void clients_resync(struct clients *clients, struct slice channel, uint64_t hash, struct message *told,
	bool close_others);

/*
 * An event that this era's history of the channel had when it began, and that only now came over pub/sub: for
 * all but those whom that history answered, or one that began later: they have it. The reference stays the
 * caller's.
 */
void clients_late(
	struct clients *clients, struct slice channel, uint64_t hash, struct message *event, uint16_t era);

void clients_turn(struct clients *clients);
void clients_tick(struct clients *clients);

/*
 * Sends all away, with 1012, over so much time: the newest first. Who knows recovery is told before when to
 * come back. Whose handshake is held back hears that it may be answered: refuse it. They are gone when
 * clients.n_clients is 0. A second call changes nothing.
 */
void clients_drain(struct clients *clients, uint64_t time_ms, uint64_t seed);

/* Some ten times a second while that goes on. */
void clients_drain_tick(struct clients *clients);

/* No handshake is held back any longer. */
void clients_unpark_all(struct clients *clients);

/* Ends all that are still there, at once. */
void clients_abort_all(struct clients *clients);

#endif
