#ifndef TIDEGATE_CLIENT_PRESENCE_H
#define TIDEGATE_CLIENT_PRESENCE_H

/*
 * Presence: tells the bus which users are on which channels, where a route keeps that, and asks it for
 * clients.
 *
 * A client is on a channel from its `open` on, as long as it is subscribed. Which of its subscriptions the
 * bus knows of is noted with each, so that what came also leaves, whatever the routes say by then.
 */

struct client;
struct clients;
struct command;
struct hub_subscription;
struct roll_call;
struct route_table;

/* A subscription of an open client, or of one that will open. */
void presence_came(struct client *client, struct hub_subscription *subscription);

/* The handshake is answered. */
void presence_opened(struct client *client);

/* The subscription ends, and the bus knows of it. */
void presence_left(struct client *client, struct hub_subscription *subscription);

/* There is another table of routes. */
void presence_configured(struct clients *clients, const struct route_table *old);

/* The client asks who is on a channel: it is answered now or later. */
void presence_ask(struct client *client, const struct command *command);

/* Takes the question over, which is home. */
void presence_answered(struct clients *clients, struct roll_call *call);

/* The client has gone: its question is answered to nobody. */
void presence_forget(struct client *client);

#endif
