#ifndef TIDEGATE_WS_WS_REQUEST_H
#define TIDEGATE_WS_WS_REQUEST_H

/*
 * Ws request: a connection of the public port until it has asked for a WebSocket, got a file, or was refused;
 * and all the time that it is an event stream, which is the answer to a request.
 *
 * It has memory of its own, which lws keeps for us while the connection waits for its head
 * (lws_http_head_wanted()). A request that names a ticket waits here until that was looked up, and is then
 * judged like any other.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "ws/places.h"

struct arrival;
struct handshake_refusal;
struct lws;
struct request_head;
struct ticket;
struct ws_connection;
struct ws_server;

/* A connection has come. Copies what is known of it. 0, or -ENOMEM, and the arrival stays the caller's. */
int ws_request_begin(struct lws *wsi, const struct arrival *arrival);

/* The place that the connection holds. */
enum place ws_request_place(struct lws *wsi);

/* Bytes came; no bytes mean that the peer has ended. 0, or -1 to close. */
int ws_request_receive(struct ws_server *server, struct lws *wsi, const char *data, size_t len);

/* The answer to the ticket that a request waits for; it is taken over. */
void ws_request_ticket(struct ws_server *server, struct ticket *ticket);

/* The connection that it gets was held, and may be answered now. */
void ws_request_answer(struct ws_connection *connection);

/* The socket takes more, or a ticket was answered. */
void ws_request_writable(struct ws_server *server, struct lws *wsi);

/* Answers a request that becomes no WebSocket, counts it and logs it. The connection stays. peer: whom it
 * comes from, unless the head says more. */
void ws_request_refuse(struct ws_server *server, struct lws *wsi, const struct request_head *head,
	const struct in6_addr *peer, const struct handshake_refusal *refusal);

/* Counts it and logs it, for a connection that is not worth an answer. */
void ws_request_note(struct ws_server *server, const struct request_head *head, const struct in6_addr *peer,
	const struct handshake_refusal *refusal);

/* It took too long, and lws is about to close. */
void ws_request_late(struct ws_server *server, struct lws *wsi);

/* The connection ends without having become a WebSocket. */
void ws_request_end(struct ws_server *server, struct lws *wsi);

#endif
