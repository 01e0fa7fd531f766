#ifndef TIDEGATE_WS_LWS_LOOP_H
#define TIDEGATE_WS_LWS_LOOP_H

/*
 * Lws loop: one libwebsockets context on a libevent loop of ours, through lws' public interface for foreign
 * loops.
 *
 * lws tells which descriptors to watch, we tell it what happened to them. Its own timers (handshake and close
 * time-outs; a connection that is up has none) are run by lws_loop_turn() once per turn of the loop.
 */

#include <libwebsockets.h>

struct event_base;
struct buf;
struct lws_loop;

/* NULL when out of memory. The base outlives it. */
struct lws_loop *lws_loop_new(struct event_base *base);

/*
 * Creates the context: sets what concerns the loop in `info`, the rest is the caller's. NULL when lws
 * refuses. info and what it points to need to live only for the call, but for the protocols.
 */
struct lws_context *lws_loop_create_context(struct lws_loop *loop, struct lws_context_creation_info *info);

/* Runs lws' timers that are due, serves what it holds back, and sees to it that the loop wakes up for the
 * next. */
void lws_loop_turn(struct lws_loop *loop);

/* Destroys the context, if any, then itself. Accepts NULL. */
void lws_loop_free(struct lws_loop *loop);

/* Appends one sentence: why lws_loop_new() or lws_loop_create_context() failed, which do not say so. */
void lws_loop_explain(struct buf *error);

#endif
