#ifndef TIDEGATE_CONFIG_CONFIG_H
#define TIDEGATE_CONFIG_CONFIG_H

/*
 * Config: what the operator said, from a YAML file, the environment and the command line.
 *
 * File < environment < flag. Every option is one row of config/options.def: name, type, default, bounds,
 * flag, whether a reload may change it, help; the row is also its help text, its TIDEGATE_… variable and its
 * line in `check`. What is wrong is said in one line with file and line number (or the flag's or variable's
 * name) and nothing starts. Immutable once loaded.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/log.h"

struct buf;
struct config_sources;
struct route_table;

enum {
	CONFIG_BAD = 1, /* the sentence is in the error buffer */
};

/* host:port as written; the host may be a name of this machine, an IPv4 or a bracketed IPv6 address. */
struct config_address {
	char *host;    /* without brackets; "0.0.0.0" when only a port was written */
	uint16_t port; /* 0: any free one, printed at start */
};

struct config {
	struct config_address listen;
	struct config_address admin;
	char *admin_token;    /* "": none is wanted. A secret */
	bool metrics_public;  /* /metrics does not want it */
	char *redis;          /* URL; "" for the memory broker */
	char *channel_prefix; /* in Redis; "" for none */
	unsigned int workers; /* 0 was resolved to the CPUs that this process may use */
	enum log_level log_level;
	enum log_format log_format;
	uint64_t ping_interval_ms;
	uint64_t pong_timeout_ms;
	uint64_t shutdown_timeout_ms;
	uint64_t drain_delay_ms;
	uint64_t drain_time_ms;
	size_t message_bytes_max;       /* from a client */
	size_t event_bytes_max;         /* from a backend */
	size_t outbox_bytes_max;        /* queued for one client */
	size_t compression_bytes_min;   /* smaller events are sent as they are */
	unsigned int connections_max;   /* 0: what the limit of open files leaves */
	unsigned int subscriptions_max; /* of one connection */
	bool io_uring;                  /* where it is built in and the kernel allows it */
	char **trusted_proxies;         /* addresses or CIDR blocks; NULL-terminated */
	char **topics;                  /* declared topics; NULL-terminated */

	bool default_routes; /* the rows for cards, execution and topics are in the table too */

	struct route_table *routes;     /* one reference */
	struct config_sources *sources; /* private: where each value came from, for config_print() */
};

/* What the command line said, already split into words. */
struct config_args {
	const char *file;         /* NULL: TIDEGATE_CONFIG, or none */
	const char *const *flags; /* pairs: "--listen", "127.0.0.1:1", …; NULL-terminated */
};

/*
 * Loads and checks everything. 0; CONFIG_BAD with one line appended to error, e.g.
 * "tidegate.yaml:12: unknown key 'chanel' in a route (known: path, channel, …)"; -ENOMEM.
 * `environment` is an array like environ(7). TIDEGATE_X_FILE names a file that holds the value of X. Unknown
 * TIDEGATE_… variables are an error too, save those that Kubernetes makes up for a service of that name
 * (TIDEGATE_SERVICE_HOST, TIDEGATE_PORT_8080_TCP, …).
 */
int config_load(
	const struct config_args *args, char *const *environment, struct config **configp, struct buf *error);

void config_free(struct config *config); /* accepts NULL */

/*
 * Of a configuration that is to be served, and not only to say whom to talk to: 0, or CONFIG_BAD with one
 * line appended to error. An admin listener that others can reach must want a token.
 */
int config_check_served(const struct config *config, struct buf *error);

/* The file that it was read from, as it was named; NULL: none. */
const char *config_file_name(const struct config *config);

/* The effective configuration: one line a value with its source, then the routes; passwords are masked. */
void config_print(const struct config *config, struct buf *out);

/*
 * What a process goes by that was started with `running` and has read `newest` since, which may be the same:
 * one JSON object with options, their sources, and routes. Secrets are masked.
 */
void config_write(const struct config *running, const struct config *newest, struct buf *out);

/*
 * What differs between two configurations and takes effect only after a restart: the options' names,
 * comma-separated, are appended to names. How many there are.
 */
size_t config_restart_needed(const struct config *running, const struct config *loaded, struct buf *names);

/*
 * Is `flag` ("--listen") an option of the table? All of them take a value. For the command line, which knows
 * "--config" by itself: it becomes config_args.file.
 */
bool config_is_flag(const char *flag);

/* CONFIG_BAD, with the sentence about one that is none: which may have been meant. */
int config_refuse_flag(const char *flag, struct buf *error);

/*
 * The options' lines of the help text, "--config" among them: of all ("*"), or of those that are named, with
 * spaces between.
 */
void config_help(const char *names, struct buf *out);

/* The same options' flags, a space before each. */
void config_flags(const char *names, struct buf *out);

/* Cases for bash's completion, one an option: which words may follow its flag, or its default where any may.
 */
void config_flag_words(struct buf *out);

#endif
