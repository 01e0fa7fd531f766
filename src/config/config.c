/*
 * Config: puts the operator's settings together.
 *
 * 	defaults < file < environment < flags, then what only the whole can tell: CPUs, default routes,
 * contradictions
 *
 * Every value goes through loader_set(), so every value has a source and every refusal names it.
 */
#include "config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/redis/urls.h"
#include "config/config_open.h"
#include "config/cpus.h"
#include "config/loader.h"
#include "config/options.h"
#include "config/read_file.h"
#include "config/suggest.h"
#include "config/value.h"
#include "core/bucket.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/ip.h"
#include "route/route.h"

enum {
	FILE_MAX = 1024 * 1024, /* bytes of the YAML file: thousands of routes */
};

static int refused(struct loader *loader, const struct option *option, struct config_source source, int r,
	struct buf *why)
{
	if (r != CONFIG_BAD)
		return r;
	source_describe(loader->config, option, source, loader->error);
	if (source.kind == SOURCE_FILE)
		buf_printf(loader->error, ": %s", option->name);
	buf_printf(loader->error, ": %s", buf_text(why) ? buf_text(why) : "not valid");
	return r;
}

int loader_set(struct loader *loader, const struct option *option, struct config_source source,
	const char *const *texts, size_t n)
{
	struct buf why = {0};
	int r;

	r = option_set(option, loader->config, texts, n, &why);
	if (r == 0)
		loader->config->sources->options[option_index(option)] = source;
	else
		r = refused(loader, option, source, r, &why);
	buf_deinit(&why);
	return r;
}

int loader_set_text(
	struct loader *loader, const struct option *option, struct config_source source, const char *text)
{
	struct buf why = {0};
	int r;

	r = option_set_text(option, loader->config, text, &why);
	if (r == 0)
		loader->config->sources->options[option_index(option)] = source;
	else
		r = refused(loader, option, source, r, &why);
	buf_deinit(&why);
	return r;
}

static int load_defaults(struct loader *loader)
{
	for (size_t i = 0; i < N_OPTIONS; i++) {
		int r = loader_set_text(loader, &options[i], (struct config_source){0}, options[i].fallback);

		if (r)
			return r;
	}
	return 0;
}

static const char *find_variable(char *const *environment, const char *name)
{
	size_t len = strlen(name);

	for (; environment && *environment; environment++)
		if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=')
			return *environment + len + 1;
	return NULL;
}

static int load_file(struct loader *loader, const char *name)
{
	struct buf text = {0};
	int r;

	loader->config->sources->file = strdup(name);
	if (!loader->config->sources->file)
		return -ENOMEM;
	r = read_file(name, FILE_MAX, &text);
	if (r == 0) {
		r = config_file_load(loader, name, text.data, text.len);
	} else if (r != -ENOMEM) {
		buf_printf(loader->error, "%s: %s", name, strerror(-r));
		r = CONFIG_BAD;
	}
	if (text.data)
		explicit_bzero(text.data, text.cap); /* the Redis password may be in it */
	buf_deinit(&text);
	return r;
}

int config_duration(const char *text, uint64_t *msp, struct buf *error)
{
	static const struct value_bounds bounds = {1000, UINT64_C(315360000000)};

	return value_duration.parse(msp, &text, 1, &bounds, error);
}

int config_refuse_flag(const char *flag, struct buf *error)
{
	const char *known[N_OPTIONS];
	const char *meant;

	for (size_t i = 0; i < N_OPTIONS; i++)
		known[i] = options[i].name;
	meant = strncmp(flag, "--", 2) == 0 ? suggest(flag + 2, known, N_OPTIONS) : NULL;
	buf_append_str(error, "unknown option ");
	value_quote(error, flag);
	if (meant) {
		buf_append_str(error, ": did you mean ");
		option_flag(option_by_key(meant), error);
		buf_append_char(error, '?');
	}
	return CONFIG_BAD;
}

static int load_flags(struct loader *loader, const char *const *flags)
{
	for (; flags && *flags; flags += 2) {
		const struct option *option = option_by_flag(flags[0]);
		int r;

		if (!option)
			return config_refuse_flag(flags[0], loader->error);
		if (!flags[1]) {
			buf_printf(loader->error, "%s: it needs a value", flags[0]);
			return CONFIG_BAD;
		}
		r = loader_set_text(loader, option, (struct config_source){.kind = SOURCE_FLAG}, flags[1]);
		if (r)
			return r;
	}
	return 0;
}

/* Adds it unless the file has a route for the same paths, which counts more. */
static int add_default_route(struct config *config, const char *path, const char *channel)
{
	const struct route_spec spec = {
		.path = path, .channels = &channel, .n_channels = 1, .subscribe_any_route = true};
	struct buf ignored = {0};
	int r = 0;

	if (!route_table_find(config->routes, path))
		r = route_table_add(config->routes, &spec, &ignored);
	buf_deinit(&ignored);
	return r;
}

static int add_topic_routes(struct config *config, const char *topic)
{
	char path[ROUTE_ID_MAX + sizeof("/ws//{item_id}")];
	char channel[ROUTE_ID_MAX + sizeof(":{item_id}")];
	int r;

	strcpy(stpcpy(path, "/ws/"), topic);
	r = add_default_route(config, path, topic);
	if (r)
		return r;
	strcat(path, "/{item_id}");
	strcpy(stpcpy(channel, topic), ":{item_id}");
	return add_default_route(config, path, channel);
}

static int add_default_routes(struct config *config)
{
	int r;

	if (!config->default_routes)
		return 0;
	r = add_default_route(config, "/ws/cards", "cards");
	if (r)
		return r;
	r = add_default_route(config, "/ws/execution/{execution_id}", "execution:{execution_id}");
	for (char *const *topic = config->topics; r == 0 && *topic; topic++)
		r = add_topic_routes(config, *topic);
	return r;
}

/* Opens the line with the source of an option that was set; defaults do not contradict each other. */
static int contradiction(struct loader *loader, size_t one, size_t other, const char *sentence)
{
	const struct config_source *sources = loader->config->sources->options;
	size_t blamed = sources[one].kind == SOURCE_DEFAULT ? other : one;

	source_describe(loader->config, &options[blamed], sources[blamed], loader->error);
	buf_printf(loader->error, ": %s", sentence);
	return CONFIG_BAD;
}

/* Do both name the same port, on the same address or on all addresses? */
static bool addresses_clash(const struct config_address *a, const struct config_address *b)
{
	static const char *const wild[] = {"0.0.0.0", "::"};

	if (a->port != b->port || a->port == 0)
		return false;
	if (strcmp(a->host, b->host) == 0)
		return true;
	for (size_t i = 0; i < 2; i++)
		if (strcmp(a->host, wild[i]) == 0 || strcmp(b->host, wild[i]) == 0)
			return true;
	return false;
}

static int check_routes(struct loader *loader)
{
	const struct config *config = loader->config;

	for (size_t i = 0; i < config->sources->n_route_lines; i++) {
		const struct route *route = route_table_get(config->routes, i);

		if (!*config->redis && route_lifecycle(route)->stream) {
			buf_printf(loader->error,
				"%s:%u: lifecycle is a stream in Redis, and 'redis' names no server",
				config->sources->file, config->sources->route_lines[i]);
			return CONFIG_BAD;
		}
		if (route_n_channels(route) <= config->subscriptions_max)
			continue;
		buf_printf(loader->error, "%s:%u: path '%s' joins %zu channels, subscriptions_max is %u",
			config->sources->file, config->sources->route_lines[i], route_path(route),
			route_n_channels(route), config->subscriptions_max);
		return CONFIG_BAD;
	}
	return 0;
}

/* Options for rediss:// would be ignored beside redis://, and whoever set them believes that no stranger can
 * read along. */
static int check_redis_tls(struct loader *loader)
{
	const struct config *config = loader->config;
	const struct redis_tls_options *tls = &config->redis_tls;
	const struct {
		size_t option;
		bool given;
	} rows[] = {
		{OPTION_redis_ca, tls->ca && *tls->ca},
		{OPTION_redis_cert, tls->cert && *tls->cert},
		{OPTION_redis_key, tls->key && *tls->key},
		{OPTION_redis_tls_name, tls->name && *tls->name},
		{OPTION_redis_tls_verify, tls->verify != REDIS_TLS_FULL},
	};

	if (!*config->redis || redis_urls_want_tls(config->redis))
		return 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].given)
			return contradiction(loader, rows[i].option, OPTION_redis,
				"it is for TLS, and redis is without: write rediss://, or leave it out");
	return 0;
}

/* Names of the query that are somebody else's. */
static int check_token_query(struct loader *loader)
{
	static const char *const taken[] = {"since", "ticket"};
	const char *name = loader->config->token_query;

	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		if (strcmp(name, taken[i]) == 0)
			return contradiction(loader, OPTION_token_query, OPTION_token_query,
				"token_query: 'since' and 'ticket' have a meaning already");
	return 0;
}

bool config_wants_library(const struct config *config)
{
	return config->control || route_table_keeps_history(config->routes) ||
	       route_table_carries_actions(config->routes) || route_table_keeps_presence(config->routes) ||
	       route_table_tells_lifecycle(config->routes);
}

unsigned int config_message_burst(const struct config *config)
{
	return config->message_burst ? config->message_burst : 2 * config->subscriptions_max;
}

/* What may be said at once is counted in the time that pays for it, in the bucket of each client. */
static int check_burst(struct loader *loader)
{
	const struct config *config = loader->config;
	size_t option = config->message_burst ? OPTION_message_burst : OPTION_subscriptions_max;
	unsigned int burst_max = bucket_burst_max(config->message_rate, 1000);

	if (config_message_burst(config) <= burst_max)
		return 0;
	if (config->message_burst)
		return contradiction(loader, option, OPTION_message_rate,
			"message_burst is more than message_rate makes good in 71 minutes");
	return contradiction(loader, option, OPTION_message_rate,
		"twice subscriptions_max, which message_burst is where it is not set, is more than "
		"message_rate makes good in 71 minutes");
}

static enum route_auth default_auth(const struct config *config)
{
	if (config->auth != ROUTE_AUTH_DEFAULT)
		return config->auth;
	return config_wants_tokens(config) ? ROUTE_AUTH_REQUIRED : ROUTE_AUTH_NONE;
}

/* A key or an authority without a certificate would leave the port plain, and its owner in the belief that
 * it is not. */
static int check_tls(struct loader *loader)
{
	const struct config *config = loader->config;
	const struct {
		size_t option, needed;
		bool wrong;
	} rows[] = {
		{OPTION_tls_key, OPTION_tls_certificate, *config->tls.key && !*config->tls.certificate},
		{OPTION_tls_client_ca, OPTION_tls_certificate,
			*config->tls.client_ca && !*config->tls.certificate},
		{OPTION_admin_tls_key, OPTION_admin_tls_certificate,
			*config->admin_tls.key && !*config->admin_tls.certificate},
		{OPTION_admin_tls_client_ca, OPTION_admin_tls_certificate,
			*config->admin_tls.client_ca && !*config->admin_tls.certificate},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].wrong)
			return contradiction(loader, rows[i].option, rows[i].needed,
				"it is of no use without a certificate");
	return 0;
}

static int finish(struct loader *loader)
{
	struct config *config = loader->config;
	int r;

	if (config->workers == 0) {
		config->workers = cpus_allowed("");
		config->sources->workers_counted = true;
	}
	if (addresses_clash(&config->listen, &config->admin))
		return contradiction(
			loader, OPTION_admin, OPTION_listen, "listen and admin have the same port");
	if (config->outbox_bytes_max < config->event_bytes_max)
		return contradiction(loader, OPTION_outbox_bytes_max, OPTION_event_bytes_max,
			"outbox_bytes_max is less than event_bytes_max: the largest event would disconnect "
			"its readers");
	if (config->proxy_protocol && !config->trusted_proxies[0])
		return contradiction(loader, OPTION_proxy_protocol, OPTION_trusted_proxies,
			"proxy_protocol lets in nobody but trusted_proxies, and there are none");
	r = check_redis_tls(loader);
	if (r == 0)
		r = check_token_query(loader);
	if (r == 0)
		r = check_tls(loader);
	if (r == 0)
		r = check_burst(loader);
	if (r)
		return r;
	route_table_set_auth(config->routes, default_auth(config));
	r = add_default_routes(config);
	if (r)
		return r;
	return check_routes(loader);
}

static int load(struct loader *loader, const struct config_args *args, char *const *environment)
{
	const char *file = args->file ? args->file : find_variable(environment, "TIDEGATE_CONFIG");
	int r;

	r = load_defaults(loader);
	if (r)
		return r;
	if (file && !file[0]) {
		buf_printf(loader->error, "%s: it is empty: leave it out for no file",
			args->file ? "--config" : "TIDEGATE_CONFIG");
		return CONFIG_BAD;
	}
	if (file) {
		r = load_file(loader, file);
		if (r)
			return r;
	}
	r = config_environment_load(loader, environment);
	if (r)
		return r;
	r = load_flags(loader, args->flags);
	if (r)
		return r;
	return finish(loader);
}

int config_load(
	const struct config_args *args, char *const *environment, struct config **configp, struct buf *error)
{
	struct loader loader = {.error = error};
	int r = -ENOMEM;

	loader.config = calloc(1, sizeof(*loader.config));
	if (!loader.config)
		return r;
	loader.config->sources = calloc(1, sizeof(*loader.config->sources));
	loader.config->routes = route_table_new();
	if (!loader.config->sources || !loader.config->routes)
		goto fail;
	r = load(&loader, args, environment);
	if (r)
		goto fail;
	*configp = loader.config;
	return 0;

fail:
	config_free(loader.config);
	return r;
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < N_OPTIONS; i++)
		option_deinit(&options[i], config);
	route_table_unref(config->routes);
	config_messages_free(&config->messages);
	if (config->sources) {
		free(config->sources->file);
		free(config->sources->route_lines);
	}
	free(config->sources);
	free(config);
}

size_t config_restart_needed(const struct config *running, const struct config *loaded, struct buf *names)
{
	size_t n = 0;

	for (size_t i = 0; i < N_OPTIONS; i++) {
		if (options[i].effect != OPTION_RESTART || option_equal(&options[i], running, loaded))
			continue;
		buf_printf(names, n > 0 ? ", %s" : "%s", options[i].name);
		n++;
	}
	return n;
}

const struct tls_paths *config_tls_paths(const struct config *config, enum config_port port)
{
	return port == CONFIG_PUBLIC ? &config->tls : &config->admin_tls;
}

int config_read_tls(
	const struct config *config, enum config_port port, struct tls_keys **keysp, struct buf *error)
{
	static const struct tls_option_names names[] = {
		[CONFIG_PUBLIC] = {"tls_certificate", "tls_key", "tls_client_ca"},
		[CONFIG_ADMIN] = {"admin_tls_certificate", "admin_tls_key", "admin_tls_client_ca"},
	};
	const struct tls_paths *paths = config_tls_paths(config, port);
	int r;

	*keysp = NULL;
	if (!*paths->certificate)
		return 0;
	r = tls_keys_read(paths, &names[port], (int64_t)clock_wall_ms(), keysp, error);
	return r == -EINVAL ? CONFIG_BAD : r;
}

static int check_tls_keys(const struct config *config, struct buf *error)
{
	int r = 0;

	for (int port = 0; r == 0 && port < N_CONFIG_PORTS; port++) {
		struct tls_keys *keys;

		r = config_read_tls(config, (enum config_port)port, &keys, error);
		tls_keys_unref(keys);
	}
	return r;
}

/* Where a backend could put tickets, there is a Redis. */
static int check_tickets(const struct config *config, struct buf *error)
{
	if (!config->tickets || *config->redis)
		return 0;
	source_describe(config, &options[OPTION_tickets], config->sources->options[OPTION_tickets], error);
	buf_append_str(error, ": tickets are put into Redis, and there is none: set redis");
	return CONFIG_BAD;
}

static int check_admin(const struct config *config, struct buf *error)
{
	const struct config_source *source = &config->sources->options[OPTION_admin];

	if (*config->admin_token || host_is_loopback(config->admin.host))
		return 0;
	source_describe(config, &options[OPTION_admin], *source, error);
	buf_append_str(error, ": ");
	option_print(&options[OPTION_admin], config, error);
	buf_append_str(error, " can be reached from other machines and there is no admin_token: set "
			      "TIDEGATE_ADMIN_TOKEN_FILE (or TIDEGATE_ADMIN_TOKEN), or listen on 127.0.0.1");
	return CONFIG_BAD;
}

int config_check_served(const struct config *config, struct buf *error)
{
	int r = check_admin(config, error);

	if (r == 0)
		r = check_tls_keys(config, error);
	if (r == 0)
		r = check_tickets(config, error);
	return r ? r : config_check_open(config, error);
}

const char *config_file_name(const struct config *config)
{
	return config->sources->file;
}

bool config_is_flag(const char *flag)
{
	return option_by_flag(flag) != NULL;
}
