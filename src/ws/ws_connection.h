#ifndef TIDEGATE_WS_WS_CONNECTION_H
#define TIDEGATE_WS_WS_CONNECTION_H

/* Ws connection: one wsi of lws and the client on it. */

#include <stdbool.h>

#include "client/client.h"
#include "core/buf.h"
#include "core/list.h"

struct address;
struct lws;
struct tally_name;
struct ws_server;

struct ws_connection {
	struct client client;
	struct lws *wsi;
	struct ws_server *server;
	struct address *address; /* that it counts for, or NULL */
	struct tally_name *user; /* likewise */
	struct list due;         /* in the server's list of those to be aborted, or to be answered */
	struct buf *message;     /* a message that came in pieces, while it is incomplete */
	const char *extensions;  /* the answer to its offers of extensions: a constant, or NULL */
	char *head;              /* of the answer of an event stream that is held back, or NULL */
	char *path;              /* asked for, while the answer is held back; NULL if there was no memory */
	bool held_back;          /* by us: the answer to the handshake waits for a confirmation */
	bool held;               /* and by lws */
	bool streams;  /* server-sent events: the transport is an answer of HTTP, and no WebSocket */
	bool finishes; /* our direction ends once lws has sent the bytes that it keeps */
};

/* lws has sent the bytes that it kept, and the socket takes more. */
void ws_socket_writable(struct ws_connection *connection);

#endif
