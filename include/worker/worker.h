#ifndef TIDEGATE_WORKER_WORKER_H
#define TIDEGATE_WORKER_WORKER_H

/*
 * Worker: one data thread with its own loop, WebSocket server, hub and clients. It may be the only thread:
 * then the loop is that of the bus, and there is no other worker.
 *
 * Workers share a port (SO_REUSEPORT) and nothing else. Everything that a worker needs to know comes
 * through its inbox, and all its reports go up through its listener. So there is no lock on the way of
 * an event to a socket.
 *
 * worker_new() to worker_free() and all worker_post_…() are for the thread that owns the worker: the bus
 * thread. The listener is called on the worker's thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/fault_off.h"
#include "core/log.h"
#include "core/slice.h"

struct action;
struct action_answer;
struct buf;
struct config;
struct credit;
struct confirmation;
struct event_base;
struct join;
struct message;
struct metrics;
struct order_part;
struct presence_change;
struct session_change;
struct roll_call;
struct places;
struct revocations;
struct survey_part;
struct ticket;
struct tls_keys;
struct verifier;
struct wish;
struct worker;

enum {
	WORKERS_MAX = 64,        /* the bus keeps a channel's workers in one 64-bit mask */
	WORKER_STUCK_MS = 10000, /* without a turn of its loop a worker counts as stuck; an idle one turns 4
				    times a second */
};

struct worker_listener {
	void *arg;
	/* This worker wants a channel, or no longer wants it; see hub_listener.wish. */
	void (*wish)(void *arg, unsigned int worker, const struct wish *wish);
	/* Asks a channel's history; the join comes back through worker_post_joined(). */
	void (*join)(void *arg, struct join *join);
	/* What join_spend() returned. */
	void (*spent)(void *arg, struct credit *credit);
	/* Takes an action to a backend; what becomes of it comes back through worker_post_answer(). */
	void (*act)(void *arg, struct action *action);
	/* Somebody came to a channel or left it: takes that over. */
	void (*presence)(void *arg, struct presence_change *change);
	/* A connection is open, or has ended: takes that over. */
	void (*session)(void *arg, struct session_change *change);
	/* A question who is on a channel; comes back through worker_post_roll(). */
	void (*roll_call)(void *arg, struct roll_call *call);
	/* A part that worker_post_survey() brought is answered and goes back to the bus. */
	void (*surveyed)(void *arg, struct survey_part *part);
	/* A part that worker_post_order() brought is carried out and goes back to the bus. */
	void (*ordered)(void *arg, struct order_part *part);
	/* Asks the broker; the ticket comes back through worker_post_ticket(). */
	void (*ticket)(void *arg, struct ticket *ticket);
	/* A token names a key that may be among those behind the URL of token_keys: they are wanted. */
	int (*keys)(void *arg); /* 0 or -ENOMEM */
	/* Sockets or events take long, and the loop is shared: takes what has come for the bus meanwhile.
	 * True: there is more. */
	bool (*look)(void *arg);
};

struct worker_options {
	unsigned int index; /* below WORKERS_MAX */
	struct event_base
		*base; /* the bus', from worker_base_new(), to share it; NULL: a thread of its own */
	const char *host;
	uint16_t port;
	const struct config *config;   /* only read inside worker_new() */
	struct verifier *verifier;     /* of tokens, gets one more reference; NULL: none are taken */
	struct tls_keys *tls_keys;     /* takes its own reference; NULL: plain */
	struct places *places;         /* shared by all workers; outlives them */
	struct log_writer *log_writer; /* outlives the worker */
	struct worker_listener listener;
#ifdef TIDEGATE_FAULT_CONTROLS
	struct fault_off fault_off;
#endif
};

/* Listens, but does not serve yet. 0, or negative errno with one sentence appended to error. */
int worker_new(const struct worker_options *options, struct worker **workerp, struct buf *error);

/* Starts the thread. 0 or negative errno. */
int worker_start(struct worker *worker);

/* Without a thread: to be called after each turn of the loop. */
void worker_turn(struct worker *worker);

/* A loop that a worker can be on. NULL when out of memory. */
struct event_base *worker_base_new(bool priorities);

/* Ends the thread at once, if it was started, without waiting for clients; then frees the
 * worker. Accepts NULL. */
void worker_free(struct worker *worker);

/* Only while it listens, so not after worker_post_drain(). */
uint16_t worker_port(const struct worker *worker);

/* Its counters, for reading only. */
const struct metrics *worker_metrics(const struct worker *worker);

/* Has its loop turned lately? */
bool worker_alive(const struct worker *worker, uint64_t now_ms);

/* How overdue the next turn of its loop is. */
uint64_t worker_late_ms(const struct worker *worker, uint64_t now_ms);

/* Of events that were posted to it and that it has not taken. */
uint64_t worker_backlog_bytes(const struct worker *worker);

/* An event for its clients. Takes its own reference. The event is sent with the next
 * worker_post_flush(). 0 or -ENOMEM. */
int worker_post_event(struct worker *worker, struct message *event);
void worker_post_flush(struct worker *worker);

/* The node is subscribed to the channel. Takes its own reference to the message in it. */
void worker_post_confirm(
	struct worker *worker, struct slice channel, uint64_t hash, const struct confirmation *confirmation);

/* See clients_tell(). The reference stays the caller's. */
void worker_post_told(struct worker *worker, struct slice channel, uint64_t hash, struct message *told);

/* See clients_channel_lost(). */
void worker_post_channel_lost(struct worker *worker, struct slice channel, uint64_t hash);

/* What became of an action. Copied; takes its own reference to the event in it. Without memory for that the
 * client hears of a timeout. */
void worker_post_answer(struct worker *worker, const struct action_answer *answer);

/* The answer to listener.join(). Takes over the join. */
void worker_post_joined(struct worker *worker, struct join *join);

/* The answer to listener.roll_call(). Takes over the question. */
void worker_post_roll(struct worker *worker, struct roll_call *call);

/* The answer to listener.ticket(). Takes over the ticket. */
void worker_post_ticket(struct worker *worker, struct ticket *ticket);

/* See clients_resync(). Takes its own reference. */
void worker_post_resync(
	struct worker *worker, struct slice channel, uint64_t hash, struct message *told, bool close_others);

/* See clients_late(). Takes its own reference. 0 or -ENOMEM. */
int worker_post_late(
	struct worker *worker, struct slice channel, uint64_t hash, struct message *event, uint16_t era);

/* Handshakes of TLS from now on are made with these. Takes its own reference. 0 or -ENOMEM. */
int worker_post_tls_keys(struct worker *worker, struct tls_keys *keys);

/* The link to the broker was made or lost. */
void worker_post_connected(struct worker *worker, bool connected);

/*
 * Prepares another configuration, as far as a reload may change it; it is only read inside the call, and the
 * verifier (NULL: none) gets one more reference. Everything that can fail happens here; then
 * worker_configure() applies it, or drops it if not `go`. 0, or negative errno, where possible with one
 * sentence appended to error.
 */
int worker_prepare(
	struct worker *worker, const struct config *config, struct verifier *verifier, struct buf *error);
void worker_configure(struct worker *worker, bool go);

/* What is new of the keys that tokens are judged by. */
enum worker_keys_news {
	WORKER_KEYS_FETCHING, /* a fetch from their URL begins */
	WORKER_KEYS_FETCHED,  /* it was good; other keys were told before */
	WORKER_KEYS_CHANGED,  /* other keys hold from now on */
};

/* verifier: only with WORKER_KEYS_CHANGED, else NULL; takes its own reference. 0 or -ENOMEM. */
int worker_post_keys(struct worker *worker, enum worker_keys_news news, struct verifier *verifier);

/* Tokens that count no more from now on, in place of those that were told before. Takes its own reference. 0
 * or -ENOMEM. */
int worker_post_revocations(struct worker *worker, struct revocations *revocations);

/* Sends the part to the worker, to be filled. It comes back through listener.surveyed(), or is lost with the
 * worker. 0, or -ENOMEM if it was not sent. */
int worker_post_survey(struct worker *worker, struct survey_part *part);

/* Sends the part to the worker, to be carried out. It comes back through listener.ordered(), or when the
 * worker ends. 0, or -ENOMEM if it was not sent. */
int worker_post_order(struct worker *worker, struct order_part *part);

/* The worker stops accepting, and sends all clients away over this time; see clients_drain(). */
void worker_post_drain(struct worker *worker, uint64_t time_ms, uint64_t seed);

/* See slow_shed(); on its next tick, without memory for a mail. */
void worker_shed(struct worker *worker, uint64_t bytes);

/* After worker_post_drain(): is the last client gone, and the last handshake answered? */
bool worker_drained(const struct worker *worker);

#endif
