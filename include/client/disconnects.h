#ifndef TIDEGATE_CLIENT_DISCONNECTS_H
#define TIDEGATE_CLIENT_DISCONNECTS_H

/* Disconnects: notes the connections that end; see mail/disconnects.h. */

struct client;
struct disconnects;

/* The client was open, and is about to go. */
void disconnects_note(struct disconnects *disconnects, const struct client *client);

#endif
