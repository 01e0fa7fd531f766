/* Route channel: what is said and heard on the path of a route. */

#include "asyncapi/draft.h"

#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "route/route.h"

/* What a client says, and what it hears of that. */
static const struct exchange {
	const char *said, *heard;
	bool with_tokens, with_actions; /* only where there are such */
} exchanges[] = {
	{"subscribe", "subscribed", false, false},
	{"unsubscribe", "unsubscribed", false, false},
	{"ping", "pong", false, false},
	{"auth", "authenticated", true, false},
	{"action", "reply", false, true},
};

enum {
	N_EXCHANGES = sizeof(exchanges) / sizeof(exchanges[0]),
};

/* What the gateway says by itself, beside events. */
static const char *const unasked[] = {
	"token_expiring", "refresh", "resync", "degraded", "restored", "reconnect"};

enum {
	N_UNASKED = sizeof(unasked) / sizeof(unasked[0]),
};

static bool takes_tokens(const struct draft *draft, const struct route *route)
{
	return config_wants_tokens(draft->config) && route_auth(route) != ROUTE_AUTH_NONE;
}

static bool happens(const struct draft *draft, const struct route *route, const struct exchange *exchange)
{
	return (!exchange->with_tokens || takes_tokens(draft, route)) &&
	       (!exchange->with_actions || route_actions(route)->stream);
}

static void put_message(struct draft *draft, json_t *messages, const char *name)
{
	draft_put(draft, messages, name, draft_ref("components/messages", name, NULL));
}

/* Where a token may be: one of these is enough. */
static json_t *security(struct draft *draft)
{
	json_t *schemes = json_object_get(json_object_get(draft->root, "components"), "securitySchemes");
	json_t *list = json_array();
	const char *name;
	json_t *scheme;

	json_object_foreach(schemes, name, scheme)
		draft_append(draft, list, draft_ref("components/securitySchemes", name, NULL));
	return list;
}

static json_t *bindings(const struct draft *draft, const struct route *route)
{
	bool recovers = route_history(route)->size > 0;
	json_t *query = json_pack("{s:s, s:{}}", "type", "object", "properties");
	json_t *properties = json_object_get(query, "properties");
	int r = 0;

	if (recovers)
		r |= json_object_set_new(properties, "since", draft_ref("components/schemas", "since", NULL));
	if (draft->config->tickets && takes_tokens(draft, route))
		r |= json_object_set_new(properties, "ticket", json_pack("{s:s}", "type", "string"));
	if (r) {
		json_decref(query);
		query = NULL;
	}
	return json_pack(
		"{s:{s:s, s:o, s:s}}", "ws", "method", "GET", "query", query, "bindingVersion", "0.1.0");
}

/* Who has no token hears nothing of it. */
static bool is_about_tokens(const char *name)
{
	return strcmp(name, "token_expiring") == 0 || strcmp(name, "refresh") == 0;
}

/* All messages of the channel. */
static void add_messages(struct draft *draft, const struct route *route, json_t *messages)
{
	const char *name;
	json_t *message;

	if (draft_add_declared(draft, route, false, messages) == 0)
		put_message(draft, messages, "event");
	for (size_t i = 0; i < N_EXCHANGES; i++) {
		if (!happens(draft, route, &exchanges[i]))
			continue;
		put_message(draft, messages, exchanges[i].said);
		put_message(draft, messages, exchanges[i].heard);
	}
	put_message(draft, messages, "error");
	for (size_t i = 0; i < N_UNASKED; i++)
		if (!is_about_tokens(unasked[i]) || takes_tokens(draft, route))
			put_message(draft, messages, unasked[i]);
	json_object_foreach(draft->messages, name, message) if (strncmp(name, "close_", 6) == 0)
		put_message(draft, messages, name);
}

static bool is_exchanged(const char *name)
{
	for (size_t i = 0; i < N_EXCHANGES; i++)
		if (strcmp(exchanges[i].said, name) == 0 || strcmp(exchanges[i].heard, name) == 0)
			return true;
	return strcmp(name, "error") == 0;
}

static void add_operation(
	struct draft *draft, const char *name, const char *key, json_t *operation, bool secured)
{
	char whole[2 * DRAFT_NAME_MAX];

	snprintf(whole, sizeof(whole), "%s_%s", name, key);
	if (secured)
		draft_put(draft, operation, "security", security(draft));
	draft_put(draft, draft->operations, whole, operation);
}

static void add_exchange(struct draft *draft, const char *key, const struct exchange *exchange, bool secured)
{
	json_t *operation = json_pack("{s:s, s:o, s:[o], s:{s:o, s:[o,o]}}", "action", "receive", "channel",
		draft_ref("channels", key, NULL), "messages", draft_ref("channels", key, exchange->said),
		"reply", "channel", draft_ref("channels", key, NULL), "messages",
		draft_ref("channels", key, exchange->heard), draft_ref("channels", key, "error"));

	add_operation(draft, exchange->said, key, operation, secured);
}

/* What comes without having been asked for. */
static void add_hearing(struct draft *draft, const char *key, const json_t *messages, bool secured)
{
	json_t *operation = json_pack("{s:s, s:o, s:[]}", "action", "send", "channel",
		draft_ref("channels", key, NULL), "messages");
	const char *name;
	const json_t *message;

	json_object_foreach((json_t *)messages, name, message) if (!is_exchanged(name))
		draft_append(draft, json_object_get(operation, "messages"), draft_ref("channels", key, name));
	add_operation(draft, "hear", key, operation, secured);
}

void draft_add_route(struct draft *draft, const struct route *route)
{
	const char *path = route_path(route);
	json_t *channel = draft_address(draft, "", path);
	json_t *messages = draft_put(draft, channel, "messages", json_object());
	bool secured = takes_tokens(draft, route);
	char key[DRAFT_NAME_MAX];

	draft_name(draft->channels, "", path, key);
	draft_put(draft, channel, "servers", json_pack("[o]", draft_ref("servers", "clients", NULL)));
	draft_put(draft, channel, "bindings", bindings(draft, route));
	if (secured && route_auth(route) == ROUTE_AUTH_OPTIONAL)
		draft_put(
			draft, channel, "description", json_string("A token is looked at, and not needed."));
	add_messages(draft, route, messages);
	draft_put(draft, draft->channels, key, channel);
	for (size_t i = 0; i < N_EXCHANGES; i++)
		if (happens(draft, route, &exchanges[i]))
			add_exchange(draft, key, &exchanges[i], secured);
	add_hearing(draft, key, messages, secured);
}
