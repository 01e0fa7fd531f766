#ifndef TIDEGATE_CLI_CLI_H
#define TIDEGATE_CLI_CLI_H

/*
 * Cli: the subcommands that talk to a gateway or to a Redis, each in a file of its own.
 *
 * They return the exit status: 0; 1 after one line on standard error; 2 for a wrong command line.
 */

#include <stdbool.h>
#include <stddef.h>

struct config;

enum {
	EXIT_USAGE = 2, /* the command line is wrong; nothing was done */
};

/* What `tidegate publish` is to publish. */
struct cli_publication {
	const char *channel;
	const char *json;
	bool history;    /* only to the channel's log */
	const char *key; /* the idempotency key in the log; may be NULL */
};

/* `tidegate publish CHANNEL JSON`: to the Redis of the configuration, or else through the admin port. */
int cli_publish(const struct config *config, const struct cli_publication *publication);

/* `tidegate tail CHANNEL…`: prints what a subscriber would see, until it is interrupted. */
int cli_tail(const struct config *config, char *const *channels, int n);

/* What `tidegate action` asks, and of whom. */
struct cli_action {
	const char *path;
	const char *json;
	const char *url; /* NULL: where a gateway with this configuration listens */
	const char *id;
	const char *key;     /* NULL: none */
	const char *token;   /* itself, or the file that has it; NULL: none */
	const char *ca;      /* a file of authorities; NULL: the usual ones */
	const char *timeout; /* a duration */
};

/* `tidegate action PATH JSON`: prints the parts of the answer, a line each. 0: answered; 1: refused, or not
 * sent; 3: it may have been carried out. */
int cli_action(const struct config *config, const struct cli_action *action);

/* `tidegate status`: the state of a gateway and of the other gateways at its Redis. as_json: the answer of
 * the admin API as it is. */
int cli_status(const struct config *config, bool as_json);

/* `tidegate config`: the settings of a running gateway. as_json: the answer of the admin API as it is. */
int cli_config(const struct config *config, bool as_json);

/* A member of a control command, as it was said on the command line. */
struct cli_control_member {
	const char *name;
	const char *value;
	bool is_number;
};

/* What `tidegate control` is to have done. */
struct cli_control {
	const char *what; /* disconnect, subscribe, … */
	const struct cli_control_member *members;
	size_t n_members;
	bool has_user;     /* among them */
	const char *lasts; /* a duration: of a revocation; may be NULL */
	bool as_json;      /* the answer of the admin API as it is */
};

/* `tidegate control`: a command to all gateways. 0 if all that are there have carried it out. */
int cli_control(const struct config *config, const struct cli_control *wanted);

/* `tidegate disconnect ID`: closes one connection of a gateway. */
int cli_disconnect(const struct config *config, const char *id);

/* `tidegate health`: 0 if the gateway at the configured admin address says within some
 * seconds that it lives. */
int cli_health(const struct config *config);

/* `tidegate functions`: prints the library that Redis needs for history, to be loaded by hand. */
int cli_functions(void);

/* `tidegate shard`: prints which element of `redis` has a channel, or the key of this name. */
int cli_shard(const struct config *config, const char *name, bool is_key);

/* What `tidegate token` is to make, or to look at. */
struct cli_token {
	const char *token; /* to look at; "-": standard input; NULL: to make one */
	const char *user;
	const char *channels;      /* behind commas; may be NULL */
	const char *expires;       /* a duration */
	const char *const *claims; /* NAME=VALUE */
	size_t n_claims;
};

/* `tidegate token`: 0 if it would be let in, 1 if not. */
int cli_token(const struct config *config, const struct cli_token *wanted);

/* `tidegate reload`: the gateway at the admin address reads its configuration anew. */
int cli_reload(const struct config *config);

#endif
