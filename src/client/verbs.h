#ifndef TIDEGATE_CLIENT_VERBS_H
#define TIDEGATE_CLIENT_VERBS_H

/* Verbs: the commands of a client, one row each. */

struct client;
struct command;

/* Carries out a command and queues its answer. */
void verbs_run(struct client *client, const struct command *command);

#endif
