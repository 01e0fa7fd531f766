#ifndef TIDEGATE_APP_GATEWAY_H
#define TIDEGATE_APP_GATEWAY_H

/*
 * Gateway: the composition root of `tidegate serve`.
 *
 * It builds broker, bus, workers and admin listener, runs the loop of the bus thread, obeys signals, and
 * takes all parts down in order. SIGTERM or SIGINT: see app/shutdown. SIGHUP: see app/reload.
 */

struct config;
struct config_args;

/*
 * From now on SIGHUP waits until gateway_run() can obey it. A SIGHUP that comes while the configuration is
 * read for the first time must not end the process, and the file may have changed after it was read.
 */
void gateway_hold_hangup(void);

/*
 * Serves until a signal ends it. A reload reads args and environment anew. All arguments are borrowed.
 * Returns the exit status of the process: 0, or 1 after a line in the log.
 */
int gateway_run(const struct config *config, const struct config_args *args, char *const *environment);

#endif
