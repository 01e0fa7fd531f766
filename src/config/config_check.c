/*
 * Config check: what of a configuration does not go together.
 *
 * A refusal is one line. It opens with the source of the option, or the line of the route, that is to blame.
 */
#include "config/config_check.h"

#include <string.h>

#include "broker/redis/urls.h"
#include "config/config_open.h"
#include "config/loader.h"
#include "config/options.h"
#include "core/bucket.h"
#include "core/buf.h"
#include "route/route.h"

/* --- options that contradict each other --- */

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
	static const char *const taken[] = {"since", "ticket", "lastEventId"};
	const char *name = loader->config->token_query;

	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		if (strcmp(name, taken[i]) == 0)
			return contradiction(loader, OPTION_token_query, OPTION_token_query,
				"token_query: 'since', 'ticket' and 'lastEventId' have a meaning already");
	return 0;
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

int config_check_options(struct loader *loader)
{
	const struct config *config = loader->config;
	int r;

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
	if (config->single_thread == CONFIG_SWITCH_ON && config->workers > 1)
		return contradiction(loader, OPTION_single_thread, OPTION_workers,
			"a single thread has one worker: set workers to 1");
	r = check_redis_tls(loader);
	if (r == 0)
		r = check_token_query(loader);
	if (r == 0)
		r = check_tls(loader);
	if (r == 0)
		r = check_burst(loader);
	return r;
}

/* --- routes --- */

int config_check_routes(struct loader *loader)
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

/* --- what is to be served --- */

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
