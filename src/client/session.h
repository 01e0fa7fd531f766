#ifndef TIDEGATE_CLIENT_SESSION_H
#define TIDEGATE_CLIENT_SESSION_H

/*
 * Session: tells the bus that a client is open, where its route has that said, and that one of which it was
 * told has ended. Where no route says so, this is one look at the route.
 */

struct client;

/* The handshake is answered. */
void session_opened(struct client *client);

/* Its socket is gone: why is known, and does not change any more. */
void session_ended(struct client *client);

#endif
