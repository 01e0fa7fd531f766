#ifndef TIDEGATE_CLI_CLI_H
#define TIDEGATE_CLI_CLI_H

/*
 * Cli: the subcommands that talk to a gateway or to a Redis, each in a file of its own.
 *
 * They return the exit status: 0; 1 after one line on standard error; 2 for wrong words.
 */

#include <stdbool.h>

struct config;

enum {
	EXIT_USAGE = 2, /* wrong words; nothing was done */
};

/* What `tidegate publish` was asked for. */
struct cli_publication {
	const char *channel;
	const char *json;
	bool history;    /* to the channel's log, or not at all */
	const char *key; /* an idempotency key, of the log; NULL: none */
};

/* `tidegate publish CHANNEL JSON`: to the Redis of the configuration, or else through the admin port. */
int cli_publish(const struct config *config, const struct cli_publication *publication);

/* `tidegate tail CHANNEL…`: prints what a subscriber would see, until it is interrupted. */
int cli_tail(const struct config *config, char *const *channels, int n);

/* `tidegate status`: how a gateway and the others of its Redis are; the answer of its admin API with
 * `as_json`. */
int cli_status(const struct config *config, bool as_json);

/* `tidegate config`: what a running gateway goes by; the answer of its admin API with `as_json`. */
int cli_config(const struct config *config, bool as_json);

/* `tidegate disconnect ID`: closes one connection of a gateway. */
int cli_disconnect(const struct config *config, const char *id);

/* `tidegate health`: 0 if the gateway at the configured admin address says that it lives, within seconds. */
int cli_health(const struct config *config);

/* `tidegate functions`: prints the library that Redis needs for history, to be loaded by hand. */
int cli_functions(void);

/* `tidegate reload`: the gateway at the admin address reads its configuration anew. */
int cli_reload(const struct config *config);

#endif
