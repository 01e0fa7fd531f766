#ifndef TIDEGATE_WORKER_WORKER_H
#define TIDEGATE_WORKER_WORKER_H

/*
 * Worker: one data thread with its own loop, WebSocket server, hub and clients.
 *
 * Workers share a port (SO_REUSEPORT) and nothing else. What one needs to know comes through its inbox, and
 * what it has to say goes up through its listener; so there is no lock on the way of an event to a socket.
 *
 * worker_new() to worker_free() and all worker_post_…() are for the one thread that owns the worker (the
 * bus). The listener is called on the worker's thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/log.h"
#include "core/slice.h"

struct buf;
struct config;
struct confirmation;
struct join;
struct message;
struct metrics;
struct places;
struct survey_part;
struct worker;

enum {
	WORKERS_MAX = 64,        /* the bus keeps a channel's workers in one 64-bit mask */
	WORKER_STUCK_MS = 10000, /* without a turn of its loop a worker counts as stuck; an idle one turns 4
				    times a second */
};

struct worker_listener {
	void *arg;
	/* This worker does (not) want the channel; see hub_listener.interest. Slices are borrowed. */
	void (*interest)(void *arg, unsigned int worker, struct slice channel, uint64_t hash,
		uint64_t generation, bool wanted);
	/* Asks a channel's history; back through worker_post_joined(). Or gives such a one back, to stay:
	   join_spend() said so. */
	void (*join)(void *arg, struct join *join);
	/* A part that worker_post_survey() brought is answered, and goes home. */
	void (*surveyed)(void *arg, struct survey_part *part);
};

struct worker_options {
	unsigned int index; /* below WORKERS_MAX */
	const char *host;
	uint16_t port;
	const struct config *config;   /* only looked at inside worker_new() */
	struct places *places;         /* of all workers; outlives them */
	struct log_writer *log_writer; /* outlives the worker */
	struct worker_listener listener;
};

/* Listens, but does not serve yet. 0, or negative errno with one sentence appended to error. */
int worker_new(const struct worker_options *options, struct worker **workerp, struct buf *error);

/* Starts the thread. 0 or negative errno. */
int worker_start(struct worker *worker);

/* Ends the thread, if it was started, at once and whatever its clients do; then frees. Accepts NULL. */
void worker_free(struct worker *worker);

/* While it listens, so not after worker_post_drain(). */
uint16_t worker_port(const struct worker *worker);

/* Its counters; to be read only. */
const struct metrics *worker_metrics(const struct worker *worker);

/* Did its loop turn lately? */
bool worker_alive(const struct worker *worker, uint64_t now_ms);

/* For how long its loop should have turned by now. */
uint64_t worker_late_ms(const struct worker *worker, uint64_t now_ms);

/* An event for its clients; takes its own reference. Leaves with the next worker_post_flush(). 0 or -ENOMEM.
 */
int worker_post_event(struct worker *worker, struct message *event);
void worker_post_flush(struct worker *worker);

/* The node is subscribed to the channel. Takes its own reference to the message in it. */
void worker_post_confirm(
	struct worker *worker, struct slice channel, uint64_t hash, const struct confirmation *confirmation);

/* The answer to listener.join(). Takes over the join. */
void worker_post_joined(struct worker *worker, struct join *join);

/* See clients_resync(). Takes its own reference. */
void worker_post_resync(
	struct worker *worker, struct slice channel, uint64_t hash, struct message *told, bool close_others);

/* See clients_late(). Takes its own reference. 0 or -ENOMEM. */
int worker_post_late(
	struct worker *worker, struct slice channel, uint64_t hash, struct message *event, uint16_t era);

/* The link to the broker came or went. */
void worker_post_connected(struct worker *worker, bool connected);

/*
 * Another configuration, as far as a reload may change it; it is only looked at inside the call. What can
 * fail does so here; then worker_configure() makes it hold, or drops it again. 0, or negative errno with one
 * sentence, if there is one to say, appended to error.
 */
int worker_prepare(struct worker *worker, const struct config *config, struct buf *error);
void worker_configure(struct worker *worker, bool go);

/* Takes the part there, to be filled; back through listener.surveyed(), or lost with the worker. 0, or
 * -ENOMEM and it stays at home. */
int worker_post_survey(struct worker *worker, struct survey_part *part);

/* Stop accepting, send all clients away over so much time; see clients_drain(). */
void worker_post_drain(struct worker *worker, uint64_t time_ms, uint64_t seed);

/* After worker_post_drain(): is the last client gone, and the last handshake answered? */
bool worker_drained(const struct worker *worker);

#endif
