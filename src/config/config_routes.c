/*
 * Config routes: reads the `routes` of a YAML file into the route table.
 *
 * The keys of a route are a table here. If the route table refuses a route, the error names its line.
 */

#include "config/config_routes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_actions.h"
#include "config/config_history.h"
#include "config/config_lifecycle.h"
#include "config/config_messages.h"
#include "config/config_presence.h"
#include "config/config_slow.h"
#include "config/reader.h"
#include "config/value.h"
#include "core/buf.h"
#include "route/route.h"

struct templates {
	const char *texts[ROUTE_SUBSCRIBE_MAX];
	unsigned int lines[ROUTE_SUBSCRIBE_MAX];
	size_t n;
};

/* The keys of a route, before it goes into the table. Texts belong to the document. */
struct route_draft {
	unsigned int line;
	unsigned int path_line;
	const char *path;
	bool has_channels;
	struct templates channels;
	struct templates subscribe;
	bool subscribe_any_route;
	bool any_ids;
	bool compression;
	enum route_auth auth;
	enum route_access access;
	unsigned int access_line;
	struct route_slow slow;
	unsigned int key_line; /* of slow.key */
	struct route_history history;
	unsigned int history_line;
	struct route_actions actions;
	const yaml_node_t *messages; /* read when the route has its place in the table; NULL: none */
	struct route_presence presence;
	unsigned int presence_line;
	struct route_lifecycle lifecycle;
	unsigned int lifecycle_line;
	const char *sse;
	unsigned int sse_line;
	bool sse_on; /* as it is written */
};

/* --- the keys --- */

static int read_path(struct reader *reader, const yaml_node_t *value, void *arg)
{
	struct route_draft *draft = arg;

	draft->path_line = reader_line(value);
	return reader_text(reader, value, "path", &draft->path);
}

static int refuse_second_channels(struct reader *reader, const yaml_node_t *value)
{
	return reader_refuse(reader, reader_line(value), "a route has 'channel' or 'channels', not both");
}

static int read_channel(struct reader *reader, const yaml_node_t *value, void *arg)
{
	struct route_draft *draft = arg;

	if (draft->has_channels)
		return refuse_second_channels(reader, value);
	draft->has_channels = true;
	draft->channels.n = 1;
	draft->channels.lines[0] = reader_line(value);
	return reader_text(reader, value, "channel", &draft->channels.texts[0]);
}

static int read_channels(struct reader *reader, const yaml_node_t *value, void *arg)
{
	struct route_draft *draft = arg;

	if (draft->has_channels)
		return refuse_second_channels(reader, value);
	draft->has_channels = true;
	return reader_texts(reader, value, "channels", ROUTE_CHANNELS_MAX, draft->channels.texts,
		draft->channels.lines, &draft->channels.n);
}

static int read_subscribe(struct reader *reader, const yaml_node_t *value, void *arg)
{
	struct route_draft *draft = arg;
	const char *word;

	draft->subscribe_any_route = false;
	if (value->type != YAML_SCALAR_NODE)
		return reader_texts(reader, value, "subscribe", ROUTE_SUBSCRIBE_MAX, draft->subscribe.texts,
			draft->subscribe.lines, &draft->subscribe.n);
	word = (const char *)value->data.scalar.value;
	if (strcmp(word, "any") == 0)
		draft->subscribe_any_route = true;
	else if (strcmp(word, "none") != 0)
		return reader_refuse(
			reader, reader_line(value), "subscribe is 'any', 'none' or a list of channels");
	return 0;
}

static int read_slow(struct reader *reader, const yaml_node_t *value, void *arg)
{
	struct route_draft *draft = arg;

	return config_slow_read(reader, value, &draft->slow, &draft->key_line);
}

static int read_compression(struct reader *reader, const yaml_node_t *value, void *arg)
{
	struct route_draft *draft = arg;

	return reader_value(reader, value, "compression", &value_bool, &draft->compression, NULL);
}

static int read_auth(struct reader *reader, const yaml_node_t *value, void *arg)
{
	struct route_draft *draft = arg;
	const char *word;
	int r = reader_text(reader, value, "auth", &word);

	if (r == 0 && !route_auth_parse(word, &draft->auth))
		r = reader_refuse(reader, reader_line(value), "auth is 'none', 'optional' or 'required'");
	return r;
}

static int read_access(struct reader *reader, const yaml_node_t *value, void *arg)
{
	struct route_draft *draft = arg;
	const char *word;
	int r = reader_text(reader, value, "access", &word);

	draft->access_line = reader_line(value);
	if (r == 0 && !route_access_parse(word, &draft->access))
		r = reader_refuse(reader, reader_line(value), "access is 'route' or 'token'");
	return r;
}

static int read_ids(struct reader *reader, const yaml_node_t *value, void *arg)
{
	struct route_draft *draft = arg;
	const char *word;
	int r = reader_text(reader, value, "ids", &word);

	if (r)
		return r;
	draft->any_ids = strcmp(word, "any") == 0;
	if (!draft->any_ids && strcmp(word, "plain") != 0)
		return reader_refuse(reader, reader_line(value), "ids is 'plain' or 'any'");
	return 0;
}

static int read_history(struct reader *reader, const yaml_node_t *value, void *arg)
{
	struct route_draft *draft = arg;

	draft->history_line = reader_line(value);
	return config_history_read(reader, value, &draft->history);
}

static int read_actions(struct reader *reader, const yaml_node_t *value, void *arg)
{
	struct route_draft *draft = arg;

	return config_actions_read(reader, value, &draft->actions);
}

/* It is looked at when the route is in the table. */
static int read_messages(struct reader *reader, const yaml_node_t *value, void *arg)
{
	struct route_draft *draft = arg;

	(void)reader;
	draft->messages = value;
	return 0;
}

static int read_presence(struct reader *reader, const yaml_node_t *value, void *arg)
{
	struct route_draft *draft = arg;

	draft->presence_line = reader_line(value);
	return config_presence_read(reader, value, &draft->presence);
}

static int read_lifecycle(struct reader *reader, const yaml_node_t *value, void *arg)
{
	struct route_draft *draft = arg;

	draft->lifecycle_line = reader_line(value);
	return config_lifecycle_read(reader, value, &draft->lifecycle);
}

/* A word or a path: `on` is the place that needs no path, and the default. */
static int read_sse(struct reader *reader, const yaml_node_t *value, void *arg)
{
	struct route_draft *draft = arg;
	int r = reader_text(reader, value, "sse", &draft->sse);
	bool on;

	draft->sse_line = reader_line(value);
	if (r || *draft->sse == '/')
		return r;
	if (!value_truth(draft->sse, &on))
		return reader_refuse(reader, draft->sse_line, "sse is 'on', 'off' or a path");
	draft->sse = on ? NULL : "";
	draft->sse_on = on;
	return 0;
}

/* The keys of a route. A new key is a row here and a line in docs/configuration.md. */
static const struct reader_row rows[] = {
	{"path", read_path},
	{"channel", read_channel},
	{"channels", read_channels},
	{"subscribe", read_subscribe},
	{"auth", read_auth},
	{"access", read_access},
	{"ids", read_ids},
	{"slow", read_slow},
	{"compression", read_compression},
	{"history", read_history},
	{"actions", read_actions},
	{"messages", read_messages},
	{"presence", read_presence},
	{"lifecycle", read_lifecycle},
	{"sse", read_sse},
};

/* --- into the table --- */

static struct route_spec draft_spec(const struct route_draft *draft)
{
	return (struct route_spec){
		.path = draft->path,
		.channels = draft->channels.texts,
		.n_channels = draft->channels.n,
		.subscribe = draft->subscribe.texts,
		.n_subscribe = draft->subscribe.n,
		.subscribe_any_route = draft->subscribe_any_route,
		.any_ids = draft->any_ids,
		.compression = draft->compression,
		.auth = draft->auth,
		.access = draft->access,
		.slow = draft->slow,
		.history = draft->history,
		.actions = draft->actions,
		.presence = draft->presence,
		.lifecycle = draft->lifecycle,
		.sse = draft->sse,
	};
}

/* Would the table refuse a route with this path and these templates? */
static bool is_refused(const struct route_spec *spec)
{
	struct route_table *scratch = route_table_new();
	struct buf ignored = {0};
	bool refused = scratch && route_table_add(scratch, spec, &ignored) == ROUTE_BAD_TEMPLATE;

	buf_deinit(&ignored);
	route_table_unref(scratch);
	return refused;
}

/* Would it be taken as this? The table may keep it then: it is thrown away with the rest. */
static bool would_be_taken(const struct route_spec *spec, struct route_table *table)
{
	struct buf ignored = {0};
	int r = route_table_add(table, spec, &ignored);

	buf_deinit(&ignored);
	return r == 0;
}

/* The line of the template that the table refused. It tries them one by one, since this happens once
 * in a process' life. */
static unsigned int refused_line(const struct route_draft *draft, struct route_table *table)
{
	struct route_spec spec = {.path = draft->path, .auth = draft->auth, .sse = ""};

	if (is_refused(&spec))
		return draft->path_line;
	spec.sse = draft->sse;
	if (is_refused(&spec))
		return draft->sse_line;
	spec.sse = "";
	for (size_t i = 0; i < draft->channels.n; i++) {
		/* All channels up to this one, so that the second of two equal channels is found too. */
		spec.channels = draft->channels.texts;
		spec.n_channels = i + 1;
		if (is_refused(&spec))
			return draft->channels.lines[i];
	}
	for (size_t i = 0; i < draft->subscribe.n; i++) {
		spec.subscribe = &draft->subscribe.texts[i];
		spec.n_subscribe = 1;
		if (is_refused(&spec))
			return draft->subscribe.lines[i];
	}
	spec = draft_spec(draft);
	spec.presence = (struct route_presence){0};
	if (would_be_taken(&spec, table))
		return draft->presence_line;
	spec = draft_spec(draft);
	spec.lifecycle = (struct route_lifecycle){0};
	if (would_be_taken(&spec, table))
		return draft->lifecycle_line;
	spec = draft_spec(draft);
	spec.history = (struct route_history){0};
	if (would_be_taken(&spec, table))
		return draft->history_line;
	return draft->key_line ? draft->key_line : draft->line; /* nothing else is left to refuse */
}

static int note_line(struct config_sources *sources, unsigned int line)
{
	unsigned int *grown = reallocarray(sources->route_lines, sources->n_route_lines + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	sources->route_lines = grown;
	grown[sources->n_route_lines++] = line;
	return 0;
}

static int add_route(struct reader *reader, const struct route_draft *draft)
{
	struct config *config = reader->loader->config;
	const struct route *other = route_table_find(config->routes, draft->path);
	struct route_spec spec = draft_spec(draft);
	struct buf why = {0};
	int r;

	if (other) {
		reader_open_line(reader, draft->path_line);
		buf_append_str(reader->loader->error, "path ");
		value_quote(reader->loader->error, draft->path);
		buf_printf(reader->loader->error, " matches the same paths as '%s' in line %u",
			route_path(other), config->sources->route_lines[route_index(other)]);
		return CONFIG_BAD;
	}
	r = route_table_add(config->routes, &spec, &why);
	if (r == 0)
		r = note_line(config->sources, draft->line);
	else if (r == ROUTE_CONFLICT)
		r = reader_refuse(reader, draft->sse_line ? draft->sse_line : draft->path_line, "%s",
			buf_text(&why) ? buf_text(&why) : "another route has this path");
	else if (r > 0)
		r = reader_refuse(reader, refused_line(draft, config->routes), "%s",
			buf_text(&why) ? buf_text(&why) : "not a valid route");
	buf_deinit(&why);
	if (r == 0 && draft->messages)
		r = config_messages_read(reader, draft->messages, route_table_size(config->routes) - 1);
	return r;
}

static int read_route(struct reader *reader, const yaml_node_t *node)
{
	struct route_draft draft = {.line = reader_line(node), .subscribe_any_route = true};
	int r;

	if (node->type != YAML_MAPPING_NODE)
		return reader_refuse(reader, draft.line, "a route is '- path: …' and 'channel: …' below it");
	r = reader_rows(reader, node, " in a route", rows, sizeof(rows) / sizeof(rows[0]), &draft);
	if (r)
		return r;
	if (!draft.path)
		return reader_refuse(reader, draft.line, "a route needs a 'path'");
	if (!draft.has_channels)
		return reader_refuse(
			reader, draft.line, "a route needs a 'channel' (or 'channels', which may be [])");
	if (draft.sse_on && strncmp(draft.path, "/ws/", 4) != 0)
		return reader_refuse(reader, draft.sse_line,
			"'sse: on' is for paths below /ws/; for others say the path: sse: /events/cards");
	if (draft.auth == ROUTE_AUTH_NONE && draft.access == ROUTE_ACCESS_TOKEN)
		return reader_refuse(reader, draft.access_line,
			"'access: token' needs a token, and with 'auth: none' nobody is asked for one");
	return add_route(reader, &draft);
}

int config_routes_read(struct reader *reader, const yaml_node_t *node)
{
	if (reader_is_null(node))
		return 0;
	if (node->type != YAML_SEQUENCE_NODE)
		return reader_refuse(reader, reader_line(node), "routes is a list: one '- path: …' a route");
	for (size_t i = 0; i < reader_length(node); i++) {
		int r = read_route(
			reader, yaml_document_get_node(reader->document, node->data.sequence.items.start[i]));

		if (r)
			return r;
	}
	return 0;
}
