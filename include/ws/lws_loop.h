#ifndef TIDEGATE_WS_LWS_LOOP_H
#define TIDEGATE_WS_LWS_LOOP_H

/*
 * Lws loop: runs one libwebsockets context on a libevent loop of ours, through lws'
 * public interface for foreign loops.
 *
 * lws says which descriptors to watch, and we tell it what happened to them. lws_loop_turn() runs its timers
 * once per turn of the loop: time-outs of handshakes and closes. An open connection has no timer. A storm of
 * connections cannot hold a turn up: see lws_loop_set_pause().
 */

#include <libwebsockets.h>

struct event_base;
struct buf;
struct lws_loop;

enum {
	LWS_LOOP_TURN_SERVED = 32, /* without a pause: so many of them, and the loop is left */
	LWS_LOOP_PAUSE_SERVED = 4, /* before the clock is looked at: two milliseconds of TLS handshakes */
	LWS_LOOP_PAUSE_US = 1000,
};

/* The base outlives the loop. NULL when out of memory. */
struct lws_loop *lws_loop_new(struct event_base *base);

/*
 * Creates the context. Sets the members of info that concern the loop; the caller sets the others.
 * NULL when lws refuses. info and all that it points to are borrowed for the call, except for the
 * protocols, which must live on.
 */
struct lws_context *lws_loop_create_context(struct lws_loop *loop, struct lws_context_creation_info *info);

/* Its sockets go before others of the same base, if that has priorities. Called before there are any. */
void lws_loop_go_first(struct lws_loop *loop);

/* Runs the timers of lws that are due, serves connections that lws holds back, and makes sure that the loop
 * wakes up for the next timer. */
void lws_loop_turn(struct lws_loop *loop);

/* When connections were served for a millisecond and others are still to be, it is called in the place of
 * leaving the loop, and must call lws_loop_turn(). */
typedef void (*lws_loop_pause_fn)(void *arg);

/*
 * To leave the loop means that the kernel tells of all connections that are ready once more, which in a storm
 * costs a seventh of what serving them does.
 */
void lws_loop_set_pause(struct lws_loop *loop, lws_loop_pause_fn pause, void *arg);

/* A connection was served by somebody else than this loop. */
void lws_loop_served(struct lws_loop *loop);

/* How often a connection was served so far. */
uint64_t lws_loop_n_served(const struct lws_loop *loop);

/* Destroys the context, if there is one, and the loop. Accepts NULL. */
void lws_loop_free(struct lws_loop *loop);

/* Appends one sentence that says why lws_loop_new() or lws_loop_create_context() failed. */
void lws_loop_explain(struct buf *error);

#endif
