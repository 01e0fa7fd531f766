#ifndef TIDEGATE_CLI_PUBLISH_BROKER_H
#define TIDEGATE_CLI_PUBLISH_BROKER_H

/* Publish broker: one event through a Redis broker, as gateways do it: to a channel's log, or over TLS. */

struct cli_publication;
struct config;
struct route_history;

/* history NULL: to nobody's log. Prints the entry's position, or how many heard it. The exit status. */
int publish_through_broker(const struct config *config, const struct route_history *history,
	const struct cli_publication *wanted);

#endif
