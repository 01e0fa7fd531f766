#ifndef TIDEGATE_WS_WS_REQUEST_H
#define TIDEGATE_WS_WS_REQUEST_H

/*
 * Ws request: a connection of the public port until it has asked for a WebSocket, or was refused.
 *
 * Most requests come in one piece and need no memory here. A request that comes in pieces,
 * or that was refused, has memory of its own, which lws keeps for us while the connection
 * waits for its head (lws_http_head_wanted()).
 */

#include <stdbool.h>
#include <stddef.h>

struct handshake_refusal;
struct lws;
struct request_head;
struct ws_server;

/* A connection that is to be told, once it has asked, that this node is full; unless a place comes free. 0,
 * or -ENOMEM. */
int ws_request_stand(struct lws *wsi);
bool ws_request_is_standing(struct lws *wsi);

/* Bytes came; no bytes mean that the peer has ended. Returns how many were taken, or -1 to close. */
int ws_request_receive(struct ws_server *server, struct lws *wsi, const char *data, size_t len);

/* The socket takes more. */
void ws_request_writable(struct ws_server *server, struct lws *wsi);

/* Answers a request that becomes no WebSocket, counts it and logs it. The connection stays. remote: NULL to
 * take the client's address from the head. */
void ws_request_refuse(struct ws_server *server, struct lws *wsi, const struct request_head *head,
	const char *remote, const struct handshake_refusal *refusal);

/* It took too long, and lws is about to close. */
void ws_request_late(struct ws_server *server, struct lws *wsi);

/* The connection ends without having become a WebSocket. */
void ws_request_end(struct lws *wsi);

#endif
