#ifndef TIDEGATE_CONFIG_CONFIG_H
#define TIDEGATE_CONFIG_CONFIG_H

/*
 * Config: the operator's settings, from a YAML file, the environment and the command line.
 *
 * A flag counts more than the environment, and the environment more than the file. Every option is one
 * row of config/options.def, with name, type, default, bounds, whether a reload may change it, and
 * help; its flag, its TIDEGATE_… variable and its line in `check` come from this row. A mistake is told
 * in one line, with file and line number or with the name of the flag or variable, and nothing starts.
 * A loaded configuration does not change.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/redis/pubsub.h"
#include "broker/redis/tls.h"
#include "config/messages.h"
#include "core/log.h"
#include "route/route.h"
#include "tls/tls_keys.h"

struct buf;
struct config_sources;
struct verifier;
struct verifier_keys;

enum {
	CONFIG_BAD = 1, /* a sentence is in the error buffer */
};

/* host:port as written; the host may be a name of this machine, an IPv4 or a bracketed IPv6 address. */
struct config_address {
	char *host;    /* without brackets; "0.0.0.0" when only a port was written */
	uint16_t port; /* 0: any free port, which is printed at the start */
};

/* An option that is on, off, or found out by us. */
enum config_switch {
	CONFIG_SWITCH_AUTO,
	CONFIG_SWITCH_ON,
	CONFIG_SWITCH_OFF,
};

#define CONFIG_AUTO UINT32_MAX /* of a number that may be `auto`; too large for an enumerator */

struct config {
	struct config_address listen;
	struct config_address admin;
	char *admin_token;                /* a secret; "" if no token is wanted */
	bool metrics_public;              /* /metrics does not want the token */
	struct tls_paths tls;             /* of the public listener; without a certificate it is plain */
	struct tls_paths admin_tls;       /* likewise of the admin listener */
	enum tls_version tls_min_version; /* of both */
	char *admin_tls_ca;               /* whom subcommands believe; "" for the default */
	char *redis;                      /* URL; "" for the memory broker */
	enum redis_pubsub redis_pubsub;
	struct redis_tls_options redis_tls; /* for rediss:// */
	char *channel_prefix;               /* in Redis; "" for none */
	unsigned int workers;               /* 0 has become the number of CPUs that this process may use */
	enum config_switch single_thread;   /* not auto once it is loaded; on: there is one worker */
	enum log_level log_level;
	enum log_format log_format;
	uint64_t ping_interval_ms;
	uint64_t pong_timeout_ms;
	uint64_t shutdown_timeout_ms;
	uint64_t drain_delay_ms;
	uint64_t node_lease_ms;
	uint64_t drain_time_ms;
	size_t message_bytes_max;             /* from a client */
	size_t event_bytes_max;               /* from a backend */
	size_t outbox_bytes_max;              /* that may wait for one client */
	size_t compression_bytes_min;         /* smaller events are sent as they are */
	uint64_t memory_max;                  /* bytes; 0: 90 % of what there is */
	unsigned int connections_max;         /* 0: as many as the limit of open files leaves */
	unsigned int subscriptions_max;       /* of one connection */
	unsigned int connections_per_address; /* 0: no bound; or CONFIG_AUTO */
	unsigned int connections_per_user;    /* 0: no bound */
	size_t handshake_bytes_max;           /* of a request on the public port */
	unsigned int message_rate;            /* of one connection, a second; 0: no bound */
	unsigned int message_burst;           /* of one connection; 0: twice subscriptions_max */
	unsigned int failures_max;            /* of one connection, a minute; 0: no bound */
	bool control;                         /* control commands are followed */
	bool io_uring;                        /* use it, if it is built in and the kernel allows it */
	bool proxy_protocol;                  /* they say so, before anything else */
	char **trusted_proxies;               /* addresses or CIDR blocks; NULL-terminated */
	enum route_auth auth; /* where routes do not say; ROUTE_AUTH_DEFAULT: see config_wants_tokens() */
	char *token_secret;   /* a secret; "" for none */
	char *token_secret_previous; /* likewise */
	char **token_keys;           /* files, and at most one URL; NULL-terminated */
	char *token_keys_ca;         /* a file; "" for the authorities of the system */
	char **token_algorithms;     /* names; NULL-terminated, never empty */
	char *token_issuer;          /* "" for any */
	char *token_audience;        /* likewise */
	char *token_user;            /* the names of claims */
	char *token_channels;
	uint64_t token_leeway_ms;
	char *token_cookie; /* the name; "" for none */
	char *token_query;  /* likewise */
	bool tickets;       /* clients may bring one */
	char **origins;     /* of pages that may connect (http/origin.h); NULL-terminated */
	char **topics;      /* declared topics; NULL-terminated */

	bool client_script;  /* the public port serves the JavaScript client */
	bool demo;           /* and the page of the demonstration */
	bool default_routes; /* the table also has the routes for cards, execution and topics */

	struct route_table *routes;      /* one reference */
	struct config_messages messages; /* that its routes declare */
	struct config_sources *sources;  /* private: where each value came from, for config_print() */
};

/* The command line, already split into words. */
struct config_args {
	const char *file;         /* NULL: the file that TIDEGATE_CONFIG names, if any */
	const char *const *flags; /* pairs: "--listen", "127.0.0.1:1", …; NULL-terminated */
};

/*
 * Loads and checks everything. 0; CONFIG_BAD with one line appended to error, e.g.
 * "tidegate.yaml:12: unknown key 'chanel' in a route (known: path, channel, …)"; -ENOMEM.
 * environment: an array like environ(7). TIDEGATE_X_FILE names a file that holds the value of X.
 * Unknown TIDEGATE_… variables are an error too, except those that Kubernetes makes for a service
 * named tidegate (TIDEGATE_SERVICE_HOST, TIDEGATE_PORT_8080_TCP, …).
 */
int config_load(
	const struct config_args *args, char *const *environment, struct config **configp, struct buf *error);

void config_free(struct config *config); /* accepts NULL */

/*
 * Checks a configuration that will be served, rather than only tell a subcommand whom to talk to: an admin
 * listener that others can reach must want a token, keys of TLS must be there and good, and tickets want a
 * Redis. 0, or CONFIG_BAD with one line appended to error.
 */
int config_check_served(const struct config *config, struct buf *error);

/* What is allowed, and may be more open than somebody means it to be. */
struct config_warning {
	const char *message;
	char what[256]; /* it is about: an address, paths, a name */
	const char *remedy;
};

enum {
	CONFIG_WARNINGS_MAX = 5,
};

/* Returns how many there are, each of another kind. None: nothing is open that was not said to be. */
size_t config_warnings(const struct config *config, struct config_warning warnings[CONFIG_WARNINGS_MAX]);

/* How many messages a client may say at once: message_burst, or what it is where it is not set. */
unsigned int config_message_burst(const struct config *config);

/* Is there a way to say who one is? */
bool config_wants_tokens(const struct config *config);

/* Is anything done by functions in Redis: histories, actions, control? */
bool config_wants_library(const struct config *config);

/* What is known already when a verifier is made. */
struct config_keys {
	const struct verifier_keys *texts; /* of entries of token_keys; each is called as its entry */
	size_t n_texts;
	const char *const *claims; /* that tokens are asked for; NULL: those of the routes */
};

/*
 * Makes from the options, from the files of token_keys, and from what is known (NULL: nothing) what tokens
 * are judged by. A file whose text is known is not read, and a URL counts only where its text is known. 0
 * and *verifierp, which is NULL where config_wants_tokens() says no; CONFIG_BAD with one line appended to
 * error; or -ENOMEM.
 */
int config_verifier(const struct config *config, const struct config_keys *known, struct verifier **verifierp,
	struct buf *error);

/* Appends what stands in a file of token_keys, if its keys can be used. 0; CONFIG_BAD with one line appended
 * to error; or -ENOMEM. */
int config_read_keys(const struct config *config, const char *path, struct buf *text, struct buf *error);

/* The URL among token_keys; NULL if there is none. */
const char *config_keys_url(const struct config *config);

/* The ports that may speak TLS. */
enum config_port {
	CONFIG_PUBLIC,
	CONFIG_ADMIN,
	N_CONFIG_PORTS,
};

/* The paths that tls_keys_read() would read for a port. */
const struct tls_paths *config_tls_paths(const struct config *config, enum config_port port);

/* Reads the keys of a port. 0, with NULL where it speaks no TLS; CONFIG_BAD with one sentence appended to
 * error, or -ENOMEM. */
int config_read_tls(
	const struct config *config, enum config_port port, struct tls_keys **keysp, struct buf *error);

/* The name of its file, as it was given; NULL without a file. */
const char *config_file_name(const struct config *config);

/* The effective configuration: one line a value with its source, then the keys of tokens (NULL: none) and
 * the routes; passwords are masked. */
void config_print(const struct config *config, const struct verifier *verifier, struct buf *out);

/*
 * Writes the settings of a process that was started with `running` and has since read `newest`, which may be
 * the same: one JSON object with the options, their sources, the keys of tokens that are in force (NULL:
 * none), and the routes. Secrets are masked.
 */
void config_write(const struct config *running, const struct config *newest, const struct verifier *verifier,
	struct buf *out);

/*
 * Finds the options that differ between two configurations and take effect only after a restart. Appends
 * their names to names, comma-separated, and returns how many there are.
 */
size_t config_restart_needed(const struct config *running, const struct config *loaded, struct buf *names);

/*
 * Is `flag` ("--listen") the flag of an option? All options take a value. "--config" is not one of them: the
 * command line puts it into config_args.file.
 */
bool config_is_flag(const char *flag);

/* Appends a sentence about an unknown flag and about the flag that may have
 * been meant. Returns CONFIG_BAD. */
int config_refuse_flag(const char *flag, struct buf *error);

/*
 * Writes the help lines of options, "--config" included. names: the options, separated by
 * spaces, or "*" for all.
 */
void config_help(const char *names, struct buf *out);

/* Writes the flags of the same options, each behind a space. */
void config_flags(const char *names, struct buf *out);

/* Reads a duration of a second to ten years, as options have them: "1h". 0, or CONFIG_BAD with a sentence. */
int config_duration(const char *text, uint64_t *msp, struct buf *error);

/* Writes the cases of bash's completion, one for each option: the words that may follow its flag, or its
 * default where any word may. */
void config_flag_words(struct buf *out);

#endif
