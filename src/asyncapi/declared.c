/* Declared: the messages of a route's `messages`, in two forms; see the header. */

#include "asyncapi/draft.h"

#include <string.h>

#include "config/config.h"
#include "route/route.h"

/* Of these keywords the value is data, in which "$ref" is a name like any other. */
static bool is_data(const char *keyword)
{
	static const char *const keywords[] = {"const", "enum", "default", "examples"};

	for (size_t i = 0; i < sizeof(keywords) / sizeof(*keywords); i++)
		if (strcmp(keyword, keywords[i]) == 0)
			return true;
	return false;
}

/* "#" means the file, and would mean the document: it leads to where the file stands. */
static int lead_to(json_t *schema, const char *message)
{
	const char *key;
	json_t *value;
	size_t i;
	int r = 0;

	json_array_foreach(schema, i, value) r |= lead_to(value, message);
	json_object_foreach(schema, key, value)
	{
		const char *ref = strcmp(key, "$ref") == 0 ? json_string_value(value) : NULL;

		if (ref && *ref == '#')
			r |= json_object_set_new(schema, key,
				json_sprintf("#/components/messages/%s/payload/properties/data%s", message,
					ref + 1));
		else if (!is_data(key))
			r |= lead_to(value, message);
	}
	return r;
}

/* What is in a published event is the backend's; the gateway adds where it came, and when. */
static json_t *describe(const struct config_message *declared, const char *name, bool published)
{
	json_t *schema = json_loads(declared->schema, 0, NULL);
	int r = lead_to(schema, name);
	json_t *message = json_pack("{s:s, s:{s:s, s:[s,s], s:{s:{s:s}, s:o}}}", "name", declared->name,
		"payload", "type", "object", "required", "type", "data", "properties", "type", "const",
		declared->name, "data", schema);
	json_t *payload = json_object_get(message, "payload");

	if (r == 0 && (published || !message))
		return message;
	for (size_t i = 0; i < 3; i++) {
		static const char *const added[] = {"channel", "timestamp", "pos"};

		r |= json_object_set_new(json_object_get(payload, "properties"), added[i],
			draft_ref("components/schemas", added[i], NULL));
	}
	r |= json_array_append_new(json_object_get(payload, "required"), json_string("channel"));
	r |= json_array_append_new(json_object_get(payload, "required"), json_string("timestamp"));
	if (r == 0)
		return message;
	json_decref(message);
	return NULL;
}

/* Does this channel have messages of this type? */
static bool knows(const struct draft *draft, json_t *messages, const char *type)
{
	const char *key;
	json_t *message;

	json_object_foreach(messages, key, message)
	{
		const char *name =
			json_string_value(json_object_get(json_object_get(draft->messages, key), "name"));

		if (name && strcmp(name, type) == 0)
			return true;
	}
	return false;
}

size_t draft_add_declared(struct draft *draft, const struct route *route, bool published, json_t *messages)
{
	const struct config_messages *all = &draft->config->messages;
	size_t n = 0;

	for (size_t i = 0; i < all->n; i++) {
		const struct config_message *declared = &all->items[i];
		char name[DRAFT_NAME_MAX];

		if (declared->route != route_index(route))
			continue;
		n++;
		if (knows(draft, messages, declared->name))
			continue; /* another route that joins this channel has declared it */
		draft_name(draft->messages, published ? "published_" : "event_", declared->name, name);
		draft_put(draft, draft->messages, name, describe(declared, name, published));
		draft_put(draft, messages, name, draft_ref("components/messages", name, NULL));
	}
	return n;
}
