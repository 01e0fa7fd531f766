#ifndef TIDEGATE_CLI_PUBLISH_LOGGED_H
#define TIDEGATE_CLI_PUBLISH_LOGGED_H

/* Publish logged: one event to a channel's log in Redis, by the library that gateways use. */

struct cli_publication;
struct config;
struct route_history;

/* Prints the entry's position. The exit status. */
int publish_logged(const struct config *config, const struct route_history *history,
	const struct cli_publication *wanted);

#endif
