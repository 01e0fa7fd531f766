/* Redis channel: what backends say and hear of a route: its channels, its actions, and who comes and goes. */

#include "asyncapi/draft.h"

#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "route/route.h"

static const char replies[] = "redis_replies";

/* The channel of this address, if the document has it: the name is written. */
static bool is_there(const struct draft *draft, const char *address, char name[DRAFT_NAME_MAX])
{
	const char *key;
	json_t *channel;

	json_object_foreach(draft->channels, key, channel)
	{
		const char *other = json_string_value(json_object_get(channel, "address"));

		if (strncmp(key, "redis_", 6) == 0 && other && strcmp(other, address) == 0) {
			snprintf(name, DRAFT_NAME_MAX, "%s", key);
			return true;
		}
	}
	return false;
}

static json_t *on_redis(struct draft *draft)
{
	json_t *list = json_array();
	const char *key;
	const json_t *server;

	json_object_foreach(draft->servers, key, server) if (strncmp(key, "redis", 5) == 0)
		draft_append(draft, list, draft_ref("servers", key, NULL));
	return list;
}

/* A list of these messages of a channel; NULL when out of memory. */
static json_t *refs(const char *channel, const json_t *messages)
{
	json_t *list = json_array();
	const char *key;
	const json_t *message;

	json_object_foreach((json_t *)messages, key,
		message) if (json_array_append_new(list, draft_ref("channels", channel, key)))
	{
		json_decref(list);
		return NULL;
	}
	return list;
}

static json_t *operation(const char *action, const char *name, const json_t *messages)
{
	return json_pack("{s:s, s:o, s:o}", "action", action, "channel", draft_ref("channels", name, NULL),
		"messages", refs(name, messages));
}

static const char *how(const struct route *route)
{
	return route_history(route)->size
		       ? "PUBLISH, or with a place in the channel's history FCALL tidegate_publish."
		       : "PUBLISH.";
}

/* The events of a channel that the document has not had yet, and that it is published to. */
static void add_new_channel(struct draft *draft, const struct route *route, const char *name, json_t *channel)
{
	json_t *messages = draft_put(draft, channel, "messages", json_object());
	char whole[2 * DRAFT_NAME_MAX];
	json_t *publish;

	if (draft_add_declared(draft, route, true, messages) == 0)
		draft_put(draft, messages, "published", draft_ref("components/messages", "published", NULL));
	draft_put(draft, channel, "servers", on_redis(draft));
	publish = operation("receive", name, messages);
	draft_put(draft, publish, "summary", json_string(how(route)));
	snprintf(whole, sizeof(whole), "publish_%s", name);
	draft_put(draft, draft->operations, whole, publish);
	draft_put(draft, draft->channels, name, json_incref(channel));
}

/* What this route declares of a channel that another one has brought. */
static void add_to_channel(struct draft *draft, const struct route *route, const char *name)
{
	json_t *messages = json_object_get(json_object_get(draft->channels, name), "messages");
	char whole[2 * DRAFT_NAME_MAX];

	if (draft_add_declared(draft, route, true, messages) == 0)
		return;
	snprintf(whole, sizeof(whole), "publish_%s", name);
	draft_put(draft, json_object_get(draft->operations, whole), "messages", refs(name, messages));
}

static void add_channel(struct draft *draft, const struct route *route, const char *template)
{
	json_t *channel = draft_address(draft, draft->config->channel_prefix, template);
	const char *address = json_string_value(json_object_get(channel, "address"));
	char name[DRAFT_NAME_MAX];

	if (!address) {
		draft->failed = true;
	} else if (is_there(draft, address, name)) {
		add_to_channel(draft, route, name);
	} else {
		draft_name(draft->channels, "redis_", address, name);
		add_new_channel(draft, route, name, channel);
	}
	json_decref(channel);
}

/* Where answers go is in each entry. */
static void add_replies(struct draft *draft)
{
	if (!json_object_get(draft->channels, replies))
		draft_put(draft, draft->channels, replies,
			json_pack("{s:n, s:o, s:{s:o}}", "address", "servers", on_redis(draft), "messages",
				"stream_answer", draft_ref("components/messages", "stream_answer", NULL)));
}

static void add_stream(struct draft *draft, const char *stream)
{
	char name[DRAFT_NAME_MAX], whole[2 * DRAFT_NAME_MAX];

	if (is_there(draft, stream, name))
		return;
	add_replies(draft);
	draft_name(draft->channels, "redis_", stream, name);
	draft_put(draft, draft->channels, name,
		json_pack("{s:s, s:s, s:o, s:{s:o}}", "address", stream, "description",
			"A stream: XREADGROUP, then XACK and XDEL.", "servers", on_redis(draft), "messages",
			"stream_entry", draft_ref("components/messages", "stream_entry", NULL)));
	snprintf(whole, sizeof(whole), "carry_out_%s", name);
	draft_put(draft, draft->operations, whole,
		json_pack("{s:s, s:o, s:[o], s:{s:{s:s}, s:o, s:[o]}}", "action", "send", "channel",
			draft_ref("channels", name, NULL), "messages",
			draft_ref("channels", name, "stream_entry"), "reply", "address", "location",
			"$message.payload#/reply", "channel", draft_ref("channels", replies, NULL),
			"messages", draft_ref("channels", replies, "stream_answer")));
}

/* Where it is said who comes and goes. */
static void add_lifecycle(struct draft *draft, const char *stream)
{
	char name[DRAFT_NAME_MAX], whole[2 * DRAFT_NAME_MAX];

	if (is_there(draft, stream, name))
		return;
	draft_name(draft->channels, "redis_", stream, name);
	draft_put(draft, draft->channels, name,
		json_pack("{s:s, s:s, s:o, s:{s:o}}", "address", stream, "description",
			"A stream: XREADGROUP, then XACK.", "servers", on_redis(draft), "messages",
			"lifecycle_entry", draft_ref("components/messages", "lifecycle_entry", NULL)));
	snprintf(whole, sizeof(whole), "hear_%s", name);
	draft_put(draft, draft->operations, whole,
		json_pack("{s:s, s:o, s:[o]}", "action", "send", "channel", draft_ref("channels", name, NULL),
			"messages", draft_ref("channels", name, "lifecycle_entry")));
}

void draft_add_redis(struct draft *draft, const struct route *route)
{
	for (size_t i = 0; i < route_n_channels(route); i++)
		add_channel(draft, route, route_channel_template(route, i));
	for (size_t i = 0; i < route_n_subscribe(route); i++)
		add_channel(draft, route, route_subscribe_template(route, i));
	if (route_actions(route)->stream)
		add_stream(draft, route_actions(route)->stream);
	if (route_lifecycle(route)->stream)
		add_lifecycle(draft, route_lifecycle(route)->stream);
}
