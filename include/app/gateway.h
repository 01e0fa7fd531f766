#ifndef TIDEGATE_APP_GATEWAY_H
#define TIDEGATE_APP_GATEWAY_H

/*
 * Gateway: the composition root of `tidegate serve`.
 *
 * Builds broker, bus, workers and admin listener, runs the bus thread's loop, answers signals, and takes all
 * down in order. SIGTERM or SIGINT: clients are closed with 1012, the process ends when they are gone, at the
 * latest after shutdown_timeout. A second one ends it at once.
 */

struct config;

/* Serves until a signal ends it. The exit status of the process: 0, or 1 after a line in the log. */
int gateway_run(const struct config *config);

#endif
