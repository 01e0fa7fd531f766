#ifndef TIDEGATE_WS_LWS_LOOP_H
#define TIDEGATE_WS_LWS_LOOP_H

/*
 * Lws loop: runs one libwebsockets context on a libevent loop of ours, through lws'
 * public interface for foreign loops.
 *
 * lws says which descriptors to watch, and we tell it what happened to them. lws_loop_turn() runs its timers
 * once per turn of the loop: time-outs of handshakes and closes. An open connection has no timer. A storm of
 * connections cannot hold a turn up: after LWS_LOOP_TURN_SERVED of them the loop is left for lws_loop_turn().
 */

#include <libwebsockets.h>

struct event_base;
struct buf;
struct lws_loop;

enum {
	LWS_LOOP_TURN_SERVED = 32, /* a millisecond of plain handshakes, some ten of TLS */
};

/* The base outlives the loop. NULL when out of memory. */
struct lws_loop *lws_loop_new(struct event_base *base);

/*
 * Creates the context. Sets the members of info that concern the loop; the caller sets the others.
 * NULL when lws refuses. info and all that it points to are borrowed for the call, except for the
 * protocols, which must live on.
 */
struct lws_context *lws_loop_create_context(struct lws_loop *loop, struct lws_context_creation_info *info);

/* Runs the timers of lws that are due, serves connections that lws holds back, and makes sure that the loop
 * wakes up for the next timer. */
void lws_loop_turn(struct lws_loop *loop);

/* A connection was served by somebody else than this loop. */
void lws_loop_count(struct lws_loop *loop);

/* How often a connection was served so far. */
uint64_t lws_loop_n_served(const struct lws_loop *loop);

/* Destroys the context, if there is one, and the loop. Accepts NULL. */
void lws_loop_free(struct lws_loop *loop);

/* Appends one sentence that says why lws_loop_new() or lws_loop_create_context() failed. */
void lws_loop_explain(struct buf *error);

#endif
