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

#include "config/config_check.h"
#include "config/cpus.h"
#include "config/loader.h"
#include "config/options.h"
#include "config/read_file.h"
#include "config/suggest.h"
#include "config/value.h"
#include "core/buf.h"
#include "core/clock.h"
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

static enum route_auth default_auth(const struct config *config)
{
	if (config->auth != ROUTE_AUTH_DEFAULT)
		return config->auth;
	return config_wants_tokens(config) ? ROUTE_AUTH_REQUIRED : ROUTE_AUTH_NONE;
}

/* How many threads there are, where that was left to us. */
static void choose_threads(struct config *config)
{
	struct config_sources *sources = config->sources;
	unsigned int n_cpus = cpus_allowed("");

	if (config->workers == 0) {
		sources->workers_counted = config->single_thread != CONFIG_SWITCH_ON;
		config->workers = sources->workers_counted ? n_cpus : 1;
	}
	if (config->single_thread == CONFIG_SWITCH_AUTO) {
		sources->thread_chosen = true;
		config->single_thread =
			config->workers == 1 && n_cpus == 1 ? CONFIG_SWITCH_ON : CONFIG_SWITCH_OFF;
	}
}

static int finish(struct loader *loader)
{
	struct config *config = loader->config;
	int r;

	choose_threads(config);
	r = config_check_options(loader);
	if (r)
		return r;
	route_table_set_auth(config->routes, default_auth(config));
	r = add_default_routes(config);
	if (r)
		return r;
	return config_check_routes(loader);
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

const char *config_file_name(const struct config *config)
{
	return config->sources->file;
}

bool config_is_flag(const char *flag)
{
	return option_by_flag(flag) != NULL;
}
