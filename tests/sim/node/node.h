#ifndef TIDEGATE_SIM_NODE_H
#define TIDEGATE_SIM_NODE_H

/*
 * Node: a whole node's way from Redis to its clients, the real one, between a Redis and sockets made of
 * paper.
 *
 *     log, pushes, reads → bus with its histories → mail → clients with their outboxes → frames → peers
 *
 * Everything that is under way waits until a step takes it on: so all orders come up. One channel, one
 * worker. The log neither forks nor forgets: those are the channel log's simulator (tests/sim).
 */

#include <stdbool.h>
#include <stdint.h>

#include "broker/broker.h"
#include "bus/bus.h"
#include "client/client.h"
#include "client/clients.h"
#include "core/buf.h"
#include "mail/confirmation.h"
#include "metrics/metrics.h"

enum {
	NODE_PEERS = 4, /* the last one knows nothing of recovery */
	NODE_ENTRIES = 200,
	NODE_QUEUE = 1024,
	NODE_READS = 64,
	NODE_COMPLAINT = 160,
	NODE_ACKNOWLEDGEMENT = 0, /* among the pushes; entries count from 1 */
};

struct node;

struct peer {
	struct client client;
	struct node *node;
	bool is_open;
	struct buf wire; /* frames it has taken and not read yet */
	size_t room;     /* bytes that it takes before it blocks */
	bool wants_writable;
	/* What it knows. */
	bool has_position;
	bool waits;       /* for the answer to its since */
	bool hears_plain; /* meanwhile, for it was told that this takes long: what has no position */
	unsigned int position;
	unsigned int opened_at; /* the top when its handshake was answered: one that says nothing has no claim
				   before */
	unsigned int promised;  /* up to this entry */
	unsigned int n_events;  /* that it has heard */
	uint32_t n_dropped;     /* what it was told to count as given way */
};

enum mail_kind {
	MAIL_EVENT,
	MAIL_CONFIRM,
	MAIL_CONNECTED,
	MAIL_JOINED,
	MAIL_RESYNC,
	MAIL_LATE,
};

struct node_mail {
	enum mail_kind kind;
	struct message *message;
	struct join *join;
	struct confirmation confirmation; /* its message is the mail's */
	uint16_t era;
	bool flag; /* connected, or close_others */
};

/* Defined here: the bus posts to a worker, which is this. */
struct worker {
	struct node_mail queue[NODE_QUEUE];
	size_t n_queue;
	size_t n_outgoing; /* the last so many are events that were not flushed yet */
};

struct node_read {
	uint64_t from;
	uint32_t count;
	bool executed;
	unsigned int top;
	broker_log_read_fn done;
	void *arg;
};

struct node {
	struct broker broker; /* first: it is cast back */
	struct metrics metrics;
	struct broker_listener up;
	struct event_base *base;
	struct bus *bus;
	struct worker worker;
	struct worker *workers[1];
	struct clients clients;
	struct peer peers[NODE_PEERS];
	/* Redis. */
	unsigned int top;
	bool excused[NODE_ENTRIES + 1]; /* published where no history is kept, and lost with the link */
	bool is_away;
	bool is_wanted;
	bool is_subscribed;
	unsigned int pushes[NODE_QUEUE];
	size_t n_pushes;
	struct node_read reads[NODE_READS];
	size_t n_reads;
	/* Configuration. */
	bool keeps_history;
	unsigned int top_at_reload;
	bool drops_oldest;
	bool is_verbose;
	char complaint[NODE_COMPLAINT]; /* the first; empty: none */
};

void node_init(struct node *node, uint64_t seed);
void node_deinit(struct node *node);
void node_complain(struct node *node, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Steps. */
void node_publish(struct node *node);
void node_push(struct node *node);
void node_subscribe(struct node *node);
void node_execute(struct node *node);
void node_answer(struct node *node);
void node_cut(struct node *node);
void node_link(struct node *node);
void node_reload(struct node *node);
void node_turn_bus(struct node *node);
void node_turn_worker(struct node *node, unsigned int n); /* takes n mails, then writes */
void node_pass(struct node *node, unsigned int ms);
bool node_has_history(const struct node *node);

/* Peers: peer.c. */
void peer_come(struct node *node, struct peer *peer);
void peer_leave(struct peer *peer);
void peer_open(struct peer *peer);
void peer_take(struct node *node, struct peer *peer, size_t room);
void peer_read(struct node *node, struct peer *peer); /* all that is on the wire, and judges it */
void peer_is_complete(struct node *node, const struct peer *peer);
extern const struct socket_ops peer_ops;

#endif
