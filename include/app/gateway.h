#ifndef TIDEGATE_APP_GATEWAY_H
#define TIDEGATE_APP_GATEWAY_H

/*
 * Gateway: the composition root of `tidegate serve`.
 *
 * Builds broker, bus, workers and admin listener, runs the bus thread's loop, answers signals, and takes all
 * down in order. SIGTERM or SIGINT: see app/shutdown. SIGHUP: see app/reload.
 */

struct config;
struct config_args;

/*
 * From now on SIGHUP waits until gateway_run() can obey it: one that comes while the configuration is read
 * for the first time must not end the process, and may be about a change that was made behind the reader.
 */
void gateway_hold_hangup(void);

/*
 * Serves until a signal ends it. A reload reads anew from args and environment. All is borrowed. The exit
 * status of the process: 0, or 1 after a line in the log.
 */
int gateway_run(const struct config *config, const struct config_args *args, char *const *environment);

#endif
