/* Route channel: what is said and heard on the path of a route. */

#include "asyncapi/draft.h"

#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "route/route.h"

/* Where something is said. */
enum place {
	EVERYWHERE,
	WITH_TOKENS,
	WITH_ACTIONS,
	WITH_PRESENCE, /* of any route: the question names its channel */
};

/* What a client says, and what it hears of that: names of messages in protocol.json. */
static const struct exchange {
	const char *said, *heard;
	enum place place;
	bool by_post; /* beside an event stream */
} exchanges[] = {
	{"subscribe", "subscribed", EVERYWHERE, true},
	{"unsubscribe", "unsubscribed", EVERYWHERE, false},
	{"ping", "pong", EVERYWHERE, false},
	{"auth", "authenticated", WITH_TOKENS, false},
	{"action", "reply", WITH_ACTIONS, true},
	{"presence", "present", WITH_PRESENCE, true},
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
	switch (exchange->place) {
	case WITH_TOKENS:
		return takes_tokens(draft, route);
	case WITH_ACTIONS:
		return route_actions(route)->stream;
	case WITH_PRESENCE:
		return route_table_keeps_presence(draft->config->routes);
	case EVERYWHERE:
		break;
	}
	return true;
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
	if (route_presence(route)->on && route_presence(route)->events)
		put_message(draft, messages, "presence_changed");
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

/* Is it part of an exchange, where that is asked for on this channel? */
static bool is_exchanged(const json_t *messages, const char *name)
{
	for (size_t i = 0; i < N_EXCHANGES; i++)
		if (json_object_get(messages, exchanges[i].said) &&
			(strcmp(exchanges[i].said, name) == 0 || strcmp(exchanges[i].heard, name) == 0))
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

static void add_exchange(
	struct draft *draft, const char *key, const struct exchange *exchange, bool secured, bool posted)
{
	json_t *operation = json_pack("{s:s, s:o, s:[o], s:{s:o, s:[o,o]}}", "action", "receive", "channel",
		draft_ref("channels", key, NULL), "messages", draft_ref("channels", key, exchange->said),
		"reply", "channel", draft_ref("channels", key, NULL), "messages",
		draft_ref("channels", key, exchange->heard), draft_ref("channels", key, "error"));

	if (posted)
		draft_put(draft, operation, "bindings",
			json_pack("{s:{s:s, s:s}}", "http", "method", "POST", "bindingVersion", "0.3.0"));
	add_operation(draft, exchange->said, key, operation, secured);
}

/* What comes without having been asked for. */
static void add_hearing(struct draft *draft, const char *key, const json_t *messages, bool secured)
{
	json_t *operation = json_pack("{s:s, s:o, s:[]}", "action", "send", "channel",
		draft_ref("channels", key, NULL), "messages");
	const char *name;
	const json_t *message;

	json_object_foreach((json_t *)messages, name, message) if (!is_exchanged(messages, name))
		draft_append(draft, json_object_get(operation, "messages"), draft_ref("channels", key, name));
	add_operation(draft, "hear", key, operation, secured);
}

/* What is said by POST to the path of an event stream, and what the response says of it. */
static void add_posts(
	struct draft *draft, const char *key, const struct route *route, json_t *messages, bool secured)
{
	put_message(draft, messages, "error");
	for (size_t i = 0; i < N_EXCHANGES; i++) {
		if (!exchanges[i].by_post || !happens(draft, route, &exchanges[i]))
			continue;
		put_message(draft, messages, exchanges[i].said);
		put_message(draft, messages, exchanges[i].heard);
		add_exchange(draft, key, &exchanges[i], secured, true);
	}
}

/* The same events over a plain GET, if the route has that. */
static void add_event_stream(struct draft *draft, const struct route *route, const json_t *on_socket)
{
	static const char *const said[] = {
		"presence_changed", "subscribed", "resync", "degraded", "restored"};
	const char *path = route_sse(route);
	json_t *channel, *messages;
	const json_t *message;
	const char *name;
	char key[DRAFT_NAME_MAX];

	if (!path)
		return;
	channel = draft_address(draft, "", path);
	messages = draft_put(draft, channel, "messages", json_object());
	draft_name(draft->channels, "", path, key);
	draft_put(draft, channel, "servers", json_pack("[o]", draft_ref("servers", "streams", NULL)));
	json_object_foreach((json_t *)on_socket, name, message) if (strncmp(name, "event", 5) == 0)
		put_message(draft, messages, name);
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++)
		if (json_object_get(on_socket, said[i]))
			put_message(draft, messages, said[i]);
	put_message(draft, messages, "close");
	draft_put(draft, draft->channels, key, channel);
	add_hearing(draft, key, messages, takes_tokens(draft, route));
	add_posts(draft, key, route, messages, takes_tokens(draft, route));
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
			add_exchange(draft, key, &exchanges[i], secured, false);
	add_hearing(draft, key, messages, secured);
	add_event_stream(draft, route, messages);
}
