#ifndef TIDEGATE_WS_WS_MESSAGE_H
#define TIDEGATE_WS_WS_MESSAGE_H

/*
 * Ws message: what the peer of a connection says. Its pieces are put together, a deflated one is inflated,
 * and the client gets it whole. One that is too big is refused while it comes.
 */

#include <stddef.h>

struct ws_connection;

/* lws has read a message, or a piece of one. */
void ws_message_receive(struct ws_connection *connection, const char *data, size_t len);

/* Forgets the pieces of a message that is incomplete. */
void ws_message_drop(struct ws_connection *connection);

#endif
