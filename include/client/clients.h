#ifndef TIDEGATE_CLIENT_CLIENTS_H
#define TIDEGATE_CLIENT_CLIENTS_H

/*
 * Clients: all clients of one worker, and what they share.
 *
 * The worker calls clients_turn() at the end of each turn of its loop: queued messages are sent, with one
 * write for each client, and clients that failed are closed. It calls clients_tick() now and then for
 * deadlines: pings, overdue pongs, parked handshakes, unanswered closes and subscriptions.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/delivery_time.h"
#include "client/drain.h"
#include "client/expiry.h"
#include "client/keepalive.h"
#include "core/bucket.h"
#include "core/list.h"
#include "core/map.h"
#include "core/slice.h"
#include "mail/disconnects.h"
#include "protocol/form.h"

struct action;
struct action_answer;
struct action_queue;
struct client;
struct confirmation;
struct credit;
struct hub;
struct hub_listener;
struct identity;
struct join;
struct log;
struct mail;
struct message;
struct metrics;
struct presence_change;
struct roll_call;
struct session_change;
struct route_table;
struct socket_ops;
struct wish;

/* Bounds and times that hold for every client; from configuration. */
struct client_limits {
	size_t message_bytes_max;
	size_t outbox_bytes_max;
	size_t deflate_bytes_min; /* shorter texts are not deflated */
	unsigned int subscriptions_max;
	struct bucket_rate messages; /* of one client */
	struct bucket_rate failures; /* likewise */
	uint64_t ping_interval_ms;
	uint64_t pong_timeout_ms;
	uint64_t token_leeway_ms; /* by which clocks may differ */
	bool takes_tokens;        /* there are keys */
};

/* Outcomes of clients_listener.identify(). */
enum {
	CLIENT_TOKEN_INVALID = 1,
	CLIENT_TOKEN_EXPIRED,
	CLIENT_TOKEN_REVOKED,
	CLIENT_TOKEN_LATER, /* its key is being fetched */
};

enum {
	/* how long a handshake is held back at most; then it is answered without a confirmation */
	CLIENT_PARKED_MS = 2000,
	CLIENT_CLOSING_MS = 5000,   /* for the peer to answer a close frame */
	CLIENT_SUBSCRIBE_MS = 5000, /* for a subscription to be confirmed, or a history to be read */
	CLIENT_DEGRADED_MS = 3000,  /* without the broker, before clients that know recovery are told */
	CLIENT_TELL_RATE_MS = 1000, /* between two answers that a client says too much */
	CLIENT_OVER_PART = 100, /* of the messages that are too many, one in so many is a mistake as well */
	CLIENT_FAILURES_MS = 60000, /* in which it may make failures_max mistakes */
	CLIENT_ASK_MS = 10,     /* between two subscribes of one connection that are not answered at once */
	CLIENT_ASKS_MORE = 100, /* more subscribes than twice subscriptions_max may come in one burst */
	CLIENT_JOINS_MAX = 4,   /* of one connection under way at once: a MiB of replays each */
	CLIENT_RETRY_MS = 2000, /* told to the peer when that failed */
};

/* What happens above. */
struct clients_listener {
	void *arg;
	/* The node should subscribe to a channel, or leave it; see hub_listener.wish. */
	void (*wish)(void *arg, const struct wish *wish);
	/* A parked client's handshake may be answered now. Not called from inside client_init(). */
	void (*ready)(void *arg, void *socket);
	/* Asks a channel's history; the join comes back through clients_joined(). */
	void (*join)(void *arg, struct join *join);
	/* What join_spend() returned. */
	void (*spent)(void *arg, struct credit *credit);
	/* Takes an action to the bus, and over; what became of it comes back through clients_answered(). */
	void (*act)(void *arg, struct action *action);
	/* Takes to the bus, and over, that somebody came to a channel or left it. */
	void (*presence)(void *arg, struct presence_change *change);
	/* Takes to the bus, and over, that a connection is open, or has ended. */
	void (*session)(void *arg, struct session_change *change);
	/* Takes a question to the bus, and over, which comes back through clients_told_roll(). 0 or
	 * -ENOMEM: not taken. */
	int (*roll_call)(void *arg, struct roll_call *call);
	/* All bytes that were given to socket_ops.send_later() must be sent now. NULL if it is never used. */
	void (*submit)(void *arg);
	/* The time, on the clock of message.arrived_us. Called once in several writes. */
	uint64_t (*now_us)(void *arg);
	/*
	 * Who does this token, which the client shows, say that it is? 0 and the identity, which is the
	 * caller's; an outcome above; or -ENOMEM. NULL if takes_tokens is never true.
	 */
	int (*identify)(
		void *arg, const struct client *client, struct slice token, struct identity **identityp);
};

struct clients {
	struct clients_listener listener;
	const struct socket_ops *ops;
	struct hub *hub;
	struct log *log;
	struct metrics *metrics;
	struct route_table *routes; /* the newest table; one reference */
	struct client_limits limits;
	struct keepalive keepalive;
	struct expiry expiry;
	struct list all;
	struct list parked;      /* client.due */
	struct list blocked;     /* client.due */
	struct list closing;     /* client.due */
	struct list flush;       /* client.flush */
	struct list subscribing; /* subscriptions whose answers are owed, in order of their deadlines */
	struct list recovering;  /* recoveries that are not answered, in order of their deadlines */
	struct list pressing;    /* the same, once half of their time is over */
	struct map actions;      /* that are not answered, by their numbers */
	struct action_queue *action_queues; /* the same in order of their deadlines */
	uint64_t last_action;               /* the number of the newest */
	struct mail *session_ends;          /* one for each client that the bus was told of */
	struct list roll_calls;             /* under way, of clients that are or were here */
	struct form_maker maker;
	const struct confirmation *confirmation; /* while it is handed to those who wait for it */
	struct list orders;                      /* order_part.link */
	struct list *order_at; /* the client that the first of them comes to next; NULL without an order */
	struct drain drain;
	struct disconnects disconnects;
	size_t n_clients;
	size_t n_live; /* clients that are neither closing nor gone */
	/* unique in the process: all workers count in the same steps, from different numbers */
	uint64_t next_id;
	uint64_t id_step;
	uint64_t now_ms; /* clock_monotonic_ms() of this turn */
	uint64_t wall_ms;
	uint64_t n_sent;       /* messages of this flush that are not in the metrics yet */
	uint64_t sent_bytes;   /* likewise */
	uint64_t queued_bytes; /* in all outboxes */
	struct delivery_time delivery_time;
	unsigned int worker; /* the worker that they belong to */
	uint64_t lost_ms;    /* when the broker was lost; 0 while it is there */
	bool degraded;       /* clients were told `degraded` */
	bool connected;      /* the broker is there: it is worth waiting for a confirmation */
};

/* Connections get the ids first_id, first_id + id_step, … Takes a reference to routes. 0 or -ENOMEM. */
int clients_init(struct clients *clients, const struct clients_listener *listener,
	const struct socket_ops *ops, const struct client_limits *limits, struct route_table *routes,
	uint64_t first_id, uint64_t id_step, struct log *log, struct metrics *metrics);

/*
 * Sets other bounds and another table, to which it takes a reference. The bounds hold for all clients from
 * now on. Connections whose route is gone or differs in the new table go on with their old table.
 */
void clients_configure(
	struct clients *clients, const struct client_limits *limits, struct route_table *routes);

/* All clients must be gone. */
void clients_deinit(struct clients *clients);

/* Sets the times that hold for this turn. */
void clients_set_time(struct clients *clients, uint64_t now_ms, uint64_t wall_ms);

/* These events will be delivered next. The references stay the caller's. */
void clients_expect(struct clients *clients, struct message *const *events, uint32_t n);

/* An event for the subscribers of its channel. Takes over the reference. */
void clients_deliver(struct clients *clients, struct message *event);

/*
 * So many sockets have taken all bytes of a socket_ops.send_later() with this cookie: it says at once what
 * client_sent() would say for each of them, without a look at any.
 */
void clients_sent(struct clients *clients, const void *cookie, uint32_t n_clients);

/* n messages went to sockets. */
static inline void clients_count_sent(struct clients *clients, uint64_t n, uint64_t bytes)
{
	clients->n_sent += n;
	clients->sent_bytes += bytes;
}

/*
 * The worker cannot keep up: n events of one channel are not delivered. event: the last of them; if it is an
 * entry of a log, all are. Its reference stays the caller's.
 */
void clients_pass_over(struct clients *clients, const struct message *event, uint32_t n);

/* The node's subscription to the channel is confirmed. The message in it stays the caller's. */
void clients_confirm(struct clients *clients, struct slice channel, uint64_t hash,
	const struct confirmation *confirmation);

/* The subscription is lost, and others are not: who comes now waits for the next confirmation. */
void clients_channel_lost(struct clients *clients, struct slice channel, uint64_t hash);

/* The link to the broker was made or lost. */
void clients_connected(struct clients *clients, bool connected);

/* The bus' answer to clients_listener.join(). Takes over the join. */
void clients_joined(struct clients *clients, struct join *join);

/* The answer to listener.roll_call(). Takes over the question. */
void clients_told_roll(struct clients *clients, struct roll_call *call);

/* What became of an action, or a part of its answer. The event in it stays the caller's. */
void clients_answered(struct clients *clients, const struct action_answer *answer);

/*
 * Events of the channel were lost or retracted: subscribers that know recovery are told by this message, the
 * others are closed if close_others. The reference stays the caller's.
 */
void clients_resync(struct clients *clients, struct slice channel, uint64_t hash, struct message *told,
	bool close_others);

/* Subscribers of the channel that know recovery are told this. The reference stays the caller's. */
void clients_tell(struct clients *clients, struct slice channel, uint64_t hash, struct message *told);

/*
 * An event came over pub/sub that the channel's history of this era had already when it began.
 * Subscribers that this history, or a later one, has answered have the event already; all others get it.
 * The reference stays the caller's.
 */
void clients_late(
	struct clients *clients, struct slice channel, uint64_t hash, struct message *event, uint16_t era);

void clients_turn(struct clients *clients);
void clients_tick(struct clients *clients);

/*
 * Sends all clients away with 1012 over this time, the newest first. Clients that know recovery are told
 * before when to come back. For handshakes that are held back ready() is called: refuse them. All clients are
 * gone when clients.n_clients is 0. A second call changes nothing.
 */
void clients_drain(struct clients *clients, uint64_t time_ms, uint64_t seed);

/* To be called about ten times a second during the drain. */
void clients_drain_tick(struct clients *clients);

/* Stops holding handshakes back. */
void clients_unpark_all(struct clients *clients);

/* Ends all remaining clients at once. */
void clients_abort_all(struct clients *clients);

#endif
