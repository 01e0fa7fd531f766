#ifndef TIDEGATE_WS_WS_ANSWERS_H
#define TIDEGATE_WS_WS_ANSWERS_H

/*
 * Ws answers: handshakes that were held back, and whose answers are due.
 *
 * One confirmation may be what 2,000 handshakes wait for, and answering them all takes 20 ms and more.
 * So they are answered a few at a time, with the priority of sockets: events go before them. Until then
 * they hear nothing and miss nothing, since their clients keep what arrives.
 */

struct event_base;
struct lws_loop;
struct ws_answers;
struct ws_connection;

/* Both outlive it. NULL when out of memory. */
struct ws_answers *ws_answers_new(struct event_base *base, struct lws_loop *loop);

/* The connection may end meanwhile, or be aborted: it leaves the list with its link `due`. */
void ws_answers_add(struct ws_answers *answers, struct ws_connection *connection);

/* Those that still wait are left alone. Accepts NULL. */
void ws_answers_free(struct ws_answers *answers);

#endif
