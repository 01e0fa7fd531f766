/*
 * Config open: what a configuration leaves open, and what would shut everybody out.
 *
 * Some is refused, because nobody means it; for the rest there is a warning, once, by `tidegate check`
 * and in the log of a start. Who means it says so, and the warning goes.
 */

#include "config/config_open.h"

#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "config/config_print.h"
#include "config/loader.h"
#include "config/options.h"
#include "core/buf.h"
#include "core/ip.h"
#include "route/route.h"

bool host_is_loopback(const char *host)
{
	return ip_is_loopback(slice_of(host)) || strcmp(host, "localhost") == 0;
}

static bool has_any_origin(const struct config *config)
{
	for (size_t i = 0; config->origins[i]; i++)
		if (strcmp(config->origins[i], "*") == 0)
			return true;
	return false;
}

/* Any site can make a page of its own say one of these. */
static bool has_nameless_origin(const struct config *config)
{
	for (size_t i = 0; config->origins[i]; i++)
		if (strcmp(config->origins[i], "null") == 0 || strcmp(config->origins[i], "file://") == 0)
			return true;
	return has_any_origin(config);
}

/* --- what is refused --- */

static int refuse_option(const struct config *config, size_t option, const char *sentence, struct buf *error)
{
	source_describe(config, &options[option], config->sources->options[option], error);
	buf_printf(error, ": %s", sentence);
	return CONFIG_BAD;
}

/* A route that nobody could come in by: the keys were forgotten. */
static int check_shut_routes(const struct config *config, struct buf *error)
{
	if (config_wants_tokens(config))
		return 0;
	for (size_t i = 0; i < route_table_size(config->routes); i++) {
		const struct route *route = route_table_get(config->routes, i);

		if (route_auth(route) != ROUTE_AUTH_REQUIRED && !route_needs_token(route))
			continue;
		if (route_auth_written(route) == ROUTE_AUTH_DEFAULT && !route_needs_token(route))
			return refuse_option(config, OPTION_auth,
				"'required' shuts everybody out while there are no keys: set token_secret or "
				"token_keys",
				error);
		route_source_describe(config, i, error);
		buf_printf(error,
			": path '%s' lets nobody in without a token, and there are no keys to check one "
			"with: "
			"set token_secret or token_keys",
			route_path(route));
		return CONFIG_BAD;
	}
	return 0;
}

int config_check_open(const struct config *config, struct buf *error)
{
	if (*config->token_cookie && has_nameless_origin(config))
		return refuse_option(config, OPTION_origins,
			"'*', 'null' and 'file://' do not go with token_cookie: browsers send the cookie for "
			"every page, and "
			"each "
			"could act as its visitor. Name the pages: origins: [same, https://app.example.com]",
			error);
	if (config_keys_url(config) && !*config->token_issuer)
		return refuse_option(config, OPTION_token_keys,
			"keys from a URL are somebody's who signs for many: set token_issuer to the iss of "
			"his "
			"tokens",
			error);
	return check_shut_routes(config, error);
}

/* --- what is warned of --- */

static bool is_unsaid(const struct config *config)
{
	bool unsaid = false;

	for (size_t i = 0; i < route_table_size(config->routes); i++)
		unsaid |= route_auth_written(route_table_get(config->routes, i)) == ROUTE_AUTH_DEFAULT;
	return unsaid && config->auth == ROUTE_AUTH_DEFAULT && !config_wants_tokens(config);
}

/* Paths by whose id anybody with a token chooses a channel, as many as fit; "" if there are none. */
static void list_chosen(const struct config *config, char *out, size_t size)
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < route_table_size(config->routes) && len < size; i++) {
		const struct route *route = route_table_get(config->routes, i);

		if (route_access_written(route) != ROUTE_ACCESS_DEFAULT || !route_joins_by_id(route) ||
			route_auth(route) == ROUTE_AUTH_NONE)
			continue;
		len += (size_t)snprintf(out + len, size - len, len ? ", %s" : "%s", route_path(route));
	}
}

static size_t add(struct config_warning *warnings, size_t n, const char *message, const char *remedy)
{
	warnings[n].message = message;
	warnings[n].remedy = remedy;
	return n + 1;
}

size_t config_warnings(const struct config *config, struct config_warning warnings[CONFIG_WARNINGS_MAX])
{
	const size_t size = sizeof(warnings[0].what);
	size_t n = 0;

	memset(warnings, 0, CONFIG_WARNINGS_MAX * sizeof(*warnings));
	if (is_unsaid(config) && !host_is_loopback(config->listen.host)) {
		snprintf(warnings[n].what, size, strchr(config->listen.host, ':') ? "[%s]:%u" : "%s:%u",
			config->listen.host, config->listen.port);
		n = add(warnings, n, "anybody who reaches the public port may read every channel",
			"set token_secret or token_keys, so that clients need a token; or auth: none, if it "
			"is meant to be open");
	}
	list_chosen(config, warnings[n].what, size);
	if (config_wants_tokens(config) && *warnings[n].what)
		n = add(warnings, n, "whoever has a token may join every id of a path",
			"say it in the route: access: token (only what the token lists) or access: route");
	if (*config->token_query) {
		snprintf(warnings[n].what, size, "token_query: %s", config->token_query);
		n = add(warnings, n, "tokens stand in URLs, which proxies and browsers write down",
			"Authorization, or the subprotocol tidegate.bearer, where the client can");
	}
	if (has_any_origin(config)) {
		snprintf(warnings[n].what, size, "origins: *");
		n = add(warnings, n, "pages of every site may connect",
			"name them: origins: [same, https://app.example.com]");
	}
	if (config_keys_url(config) && !*config->token_audience) {
		snprintf(warnings[n].what, size, "token_keys: %s", config_keys_url(config));
		n = add(warnings, n, "tokens of the same issuer for other services are taken, too",
			"token_audience: what aud of a token for this service holds");
	}
	return n;
}
