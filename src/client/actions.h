#ifndef TIDEGATE_CLIENT_ACTIONS_H
#define TIDEGATE_CLIENT_ACTIONS_H

/*
 * Actions: what the clients of a worker have asked of backends and is not answered yet.
 *
 * Each gets exactly one end: the last part of an answer, or one error. What comes later, or for a connection
 * that has gone, is counted and dropped. Nothing is repeated here: a client does that, with a key.
 */

struct action_answer;
struct client;
struct clients;
struct command;

/* Carries out an `action`: it is on its way to a backend afterwards, or the client was told why not. */
void actions_begin(struct client *client, const struct command *command);

/* The event in the answer stays the caller's. */
void actions_answered(struct clients *clients, const struct action_answer *answer);

/* Ends those whose time is over. */
void actions_tick(struct clients *clients);

/* The client has gone. */
void actions_forget(struct client *client);

void actions_deinit(struct clients *clients); /* no client may be left */

#endif
