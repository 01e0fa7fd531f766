/* Config JSON: the settings of a running gateway, for GET /config. Secrets are masked, as in `check`. */

#include "config/config.h"

#include <string.h>

#include "auth/verifier.h"
#include "config/config_print.h"
#include "config/loader.h"
#include "config/options.h"
#include "core/buf.h"
#include "route/route.h"

static void append_string(struct buf *out, const char *text)
{
	buf_append_json_string(out, text, strlen(text));
}

/* Appends the text in scratch as a JSON string, and empties scratch. */
static void append_described(struct buf *out, struct buf *scratch)
{
	const char *text = buf_text(scratch);

	if (text)
		append_string(out, text);
	else
		out->failed = true; /* no memory: the JSON is not whole */
	buf_reset(scratch);
}

/* The next start takes the newest value; the process goes on with the value that it was started with. */
static void write_option(const struct config *running, const struct config *newest, size_t i, struct buf *out)
{
	const struct option *option = &options[i];
	bool waits = option->effect == OPTION_RESTART && !option_equal(option, running, newest);
	const struct config *config = waits ? running : newest;
	struct buf scratch = {0};

	buf_printf(out, "%s{\"name\":\"%s\",\"value\":", i ? "," : "", option->name);
	option_print(option, config, &scratch);
	append_described(out, &scratch);
	buf_append_str(out, ",\"source\":");
	source_describe(config, option, config->sources->options[i], &scratch);
	append_described(out, &scratch);
	if (waits) {
		buf_append_str(out, ",\"after_restart\":");
		option_print(option, newest, &scratch);
		append_described(out, &scratch);
	}
	buf_append_char(out, '}');
	buf_deinit(&scratch);
}

static void write_subscribe(const struct route *route, struct buf *out)
{
	if (route_subscribes_any_route(route)) {
		buf_append_str(out, ",\"subscribe\":\"any\"");
		return;
	}
	buf_append_str(out, ",\"subscribe\":[");
	for (size_t i = 0; i < route_n_subscribe(route); i++) {
		buf_append_str(out, i ? "," : "");
		append_string(out, route_subscribe_template(route, i));
	}
	buf_append_char(out, ']');
}

static void write_route(const struct config *config, size_t i, struct buf *out)
{
	const struct route *route = route_table_get(config->routes, i);
	struct buf scratch = {0};

	buf_append_str(out, i ? ",{\"path\":" : "{\"path\":");
	append_string(out, route_path(route));
	buf_append_str(out, ",\"channels\":[");
	for (size_t j = 0; j < route_n_channels(route); j++) {
		buf_append_str(out, j ? "," : "");
		append_string(out, route_channel_template(route, j));
	}
	buf_append_char(out, ']');
	write_subscribe(route, out);
	buf_printf(out, ",\"ids\":\"%s\",\"auth\":\"%s\",\"access\":\"%s\"",
		route_takes_any_ids(route) ? "any" : "plain", route_auth_name(route_auth(route)),
		route_access_name(route_access(route)));
	buf_append_str(out, ",\"slow\":");
	slow_describe(config, route, &scratch);
	append_described(out, &scratch);
	buf_printf(out, ",\"compression\":%s,\"history\":", route_compresses(route) ? "true" : "false");
	history_describe(route, &scratch);
	append_described(out, &scratch);
	buf_append_str(out, ",\"actions\":");
	actions_describe(route, &scratch);
	append_described(out, &scratch);
	buf_append_str(out, ",\"presence\":");
	presence_describe(route, &scratch);
	append_described(out, &scratch);
	buf_append_str(out, ",\"lifecycle\":");
	lifecycle_describe(route, &scratch);
	append_described(out, &scratch);
	buf_append_str(out, ",\"sse\":");
	append_string(out, route_sse(route) ? route_sse(route) : "off");
	buf_append_str(out, ",\"source\":");
	route_source_describe(config, i, &scratch);
	append_described(out, &scratch);
	buf_append_char(out, '}');
	buf_deinit(&scratch);
}

static void write_text(struct buf *out, const char *member, const char *text)
{
	buf_printf(out, ",\"%s\":", member);
	append_string(out, text);
}

static void write_key(const struct verifier_key *key, size_t i, struct buf *out)
{
	buf_append_str(out, i ? ",{\"source\":" : "{\"source\":");
	append_string(out, key->source);
	write_text(out, "kind", key->kind);
	buf_printf(out, ",\"bits\":%d", key->bits);
	if (key->kid)
		write_text(out, "kid", key->kid);
	write_text(out, "algorithms", key->algorithms);
	if (key->skipped)
		write_text(out, "skipped", key->skipped);
	buf_append_char(out, '}');
}

void config_write(const struct config *running, const struct config *newest, const struct verifier *verifier,
	struct buf *out)
{
	buf_append_str(out, "{\"options\":[");
	for (size_t i = 0; i < N_OPTIONS; i++)
		write_option(running, newest, i, out);
	buf_append_str(out, "],\"keys\":[");
	for (size_t i = 0; verifier && i < verifier_n_keys(verifier); i++) {
		struct verifier_key key = verifier_key(verifier, i);

		write_key(&key, i, out);
	}
	buf_append_str(out, "],\"routes\":[");
	for (size_t i = 0; i < route_table_size(newest->routes); i++)
		write_route(newest, i, out);
	buf_append_str(out, "]}");
}
