#ifndef TIDEGATE_CLIENT_VERBS_H
#define TIDEGATE_CLIENT_VERBS_H

/* Verbs: the commands of a client, one row each; and those that a backend says in its place. */

#include <stdbool.h>

#include "core/slice.h"

struct client;
struct command;

/* Carries out a command and queues its answer. */
void verbs_run(struct client *client, const struct command *command);

/*
 * A backend subscribes the client to a channel, or takes it out: as if the client had asked without an id,
 * but its rights and rates do not count. False: it may have no further subscription, which it is told; or it
 * has none to take away.
 */
bool verbs_grant(struct client *client, struct slice channel);
bool verbs_take_away(struct client *client, struct slice channel);

#endif
