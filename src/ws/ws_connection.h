#ifndef TIDEGATE_WS_WS_CONNECTION_H
#define TIDEGATE_WS_WS_CONNECTION_H

/* Ws connection: one wsi of lws and the client on it. */

#include <stdbool.h>

#include "client/client.h"
#include "core/buf.h"
#include "core/list.h"
#include "core/slice.h"

struct address;
struct lws;
struct tally_name;
struct ws_server;

struct ws_connection {
	/* Each delivery touches these two and the first part of the client. */
	struct lws *wsi;
	struct ws_server *server;
	struct client client;
	struct address *address; /* that it counts for, or NULL */
	struct tally_name *user; /* likewise */
	struct list due;         /* in the server's list of those to be aborted, or to be answered */
	struct buf *message;     /* a message that came in pieces, while it is incomplete */
	char *head;              /* what the answer to its request begins with, until that is sent */
	char *path;              /* asked for, while the answer is held back; NULL if there was no memory */
	bool held;               /* the answer waits for a confirmation */
	bool peer_ended;         /* the peer sends no more bytes, but may read what is still to come */
	bool streams;  /* server-sent events: the transport is an answer of HTTP, and no WebSocket */
	bool finishes; /* our direction ends once lws has sent the bytes that it keeps */
};

/* Answers the request with what is ready: lws has a WebSocket from here on, and the client is open. early:
 * what the peer has sent behind its request. 0, or -ENOMEM: nothing was said. */
int ws_socket_open(struct ws_connection *connection, struct slice early);

/* lws has sent the bytes that it kept, and the socket takes more. */
void ws_socket_writable(struct ws_connection *connection);

#endif
