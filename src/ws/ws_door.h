#ifndef TIDEGATE_WS_WS_DOOR_H
#define TIDEGATE_WS_WS_DOOR_H

/*
 * Ws door: connections that come in. Each gets a place, is counted for the address that it comes from, and is
 * handed to lws, behind a PROXY header if those are wanted. Without a place the door rests.
 */

struct buf;
struct ws_server;
struct ws_server_options;

/* Listens. 0, or negative errno with one sentence appended to error. The server ends what is opened. */
int ws_door_open(struct ws_server *server, const struct ws_server_options *options, struct buf *error);

#endif
