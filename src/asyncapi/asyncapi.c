/* AsyncAPI: puts the document together; see the header. */

#include "asyncapi/asyncapi.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "asyncapi/draft.h"
#include "asyncapi/protocol_text.h"
#include "auth/json_memory.h"
#include "broker/redis/urls.h"
#include "config/config.h"
#include "core/buf.h"
#include "route/route.h"
#include "version.h"

/* What every gateway has. NULL when out of memory. */
static json_t *load_protocol(void)
{
	struct buf text = {0};
	json_t *root = NULL;

	for (size_t i = 0; i < sizeof(protocol_json) / sizeof(protocol_json[0]); i++)
		buf_append_str(&text, protocol_json[i]);
	if (buf_text(&text))
		root = json_loads(buf_text(&text), JSON_REJECT_DUPLICATES, NULL);
	buf_deinit(&text);
	return root;
}

/* Clients come by a name that the gateway does not know: of a balancer, perhaps with TLS. */
static json_t *public_server(const struct config *config, const char *protocol, const char *description)
{
	const struct config_address *listen = &config->listen;
	bool local = strcmp(listen->host, "0.0.0.0") == 0 || strcmp(listen->host, "::") == 0;

	return json_pack("{s:s, s:s, s:s, s:{s:{s:o, s:s}}}", "host", "{host}", "protocol", protocol,
		"description", description, "variables", "host", "default",
		json_sprintf("%s:%u", local ? "localhost" : listen->host, listen->port), "description",
		"A gateway, or the balancer in front of them.");
}

static void add_public_servers(struct draft *draft)
{
	const struct config *config = draft->config;
	bool tls = *config->tls.certificate;
	bool streams = false;

	for (size_t i = 0; i < route_table_size(config->routes); i++)
		streams |= route_sse(route_table_get(config->routes, i)) != NULL;
	draft_put(draft, draft->servers, "clients",
		public_server(config, tls ? "wss" : "ws", "Where clients connect, by WebSocket (RFC 6455)."));
	if (streams)
		draft_put(draft, draft->servers, "streams",
			public_server(config, tls ? "https" : "http",
				"The same by EventSource (text/event-stream); what is said beside it comes "
				"by POST."));
}

static void add_redis_server(struct draft *draft, const struct redis_url *url, const char *description)
{
	const char *host = url->unix_path ? "localhost" : url->host;
	char name[DRAFT_NAME_MAX] = "redis", address[DRAFT_NAME_MAX];

	if (json_object_get(draft->servers, name))
		draft_name(draft->servers, "redis_", host, name);
	if (url->unix_path)
		snprintf(address, sizeof(address), "%s", host);
	else
		snprintf(address, sizeof(address), strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, url->port);
	draft_put(draft, draft->servers, name,
		json_pack("{s:s, s:s, s:s}", "host", address, "protocol", url->tls ? "rediss" : "redis",
			"description", description));
}

/* A server for each element, or the sentinels of it. */
static void add_redis_servers(struct draft *draft)
{
	struct redis_urls urls = {0};
	struct buf ignored = {0};

	if (redis_urls_parse(draft->config->redis, &urls, &ignored) < 0)
		draft->failed = true; /* out of memory: it was checked */
	for (size_t i = 0; i < urls.n; i++) {
		const struct redis_element *element = &urls.elements[i];

		if (element->kind == REDIS_SINGLE)
			add_redis_server(draft, &element->server,
				urls.n == 1 ? "Where backends publish, and take up what clients ask."
					    : "One of several, where backends publish, and take up what "
					      "clients ask: each channel is on one.");
		for (size_t j = 0; j < element->n_seeds; j++)
			add_redis_server(draft, &element->seeds[j],
				"A sentinel: it is asked which server is the primary, where backends "
				"publish, and take up what clients ask.");
	}
	redis_urls_deinit(&urls);
	buf_deinit(&ignored);
}

/* Places of a token that are there only if an option names them. */
static void add_schemes(struct draft *draft)
{
	const struct config *config = draft->config;
	json_t *schemes = json_object_get(json_object_get(draft->root, "components"), "securitySchemes");

	if (*config->token_cookie)
		draft_put(draft, schemes, "cookie",
			json_pack("{s:s, s:s, s:s}", "type", "httpApiKey", "in", "cookie", "name",
				config->token_cookie));
	if (*config->token_query)
		draft_put(draft, schemes, "query",
			json_pack("{s:s, s:s, s:s}", "type", "httpApiKey", "in", "query", "name",
				config->token_query));
	if (config->tickets)
		draft_put(draft, schemes, "ticket",
			json_pack("{s:s, s:s, s:s, s:s}", "type", "httpApiKey", "in", "query", "name",
				"ticket", "description",
				"A word that a backend has put into Redis: good once."));
}

/* Tools go by names. Most messages are called what their `type` says, the others by their key. */
static void name_messages(struct draft *draft)
{
	const char *key;
	json_t *message;

	json_object_foreach(draft->messages, key, message)
	{
		json_t *properties = json_object_get(json_object_get(message, "payload"), "properties");
		json_t *type = json_object_get(json_object_get(properties, "type"), "const");

		if (!json_object_get(message, "name"))
			draft_put(draft, message, "name", type ? json_incref(type) : json_string(key));
	}
}

static void fill(struct draft *draft)
{
	const struct config *config = draft->config;
	bool has_redis = *config->redis != '\0';

	draft_put(draft, json_object_get(draft->root, "info"), "version", json_string(TIDEGATE_VERSION));
	add_public_servers(draft);
	if (has_redis)
		add_redis_servers(draft);
	add_schemes(draft);
	draft_add_close_codes(draft);
	for (size_t i = 0; i < route_table_size(config->routes); i++) {
		const struct route *route = route_table_get(config->routes, i);

		draft_add_route(draft, route);
		if (has_redis)
			draft_add_redis(draft, route);
	}
	name_messages(draft);
}

void asyncapi_write(const struct config *config, struct buf *out)
{
	struct draft draft = {.config = config};
	char *text = NULL;

	json_memory_watch();
	draft.root = load_protocol();
	draft.servers = json_object_get(draft.root, "servers");
	draft.channels = json_object_get(draft.root, "channels");
	draft.operations = json_object_get(draft.root, "operations");
	draft.messages = json_object_get(json_object_get(draft.root, "components"), "messages");
	if (draft.root)
		fill(&draft);
	if (draft.root && !draft.failed && !json_memory_failed())
		text = json_dumps(draft.root, JSON_INDENT(2));
	if (text) {
		buf_append_str(out, text);
		buf_append_char(out, '\n');
	} else {
		out->failed = true;
	}
	free(text);
	json_decref(draft.root);
}
