/*
 * Config routes: reads the `routes` of a YAML file into the route table.
 *
 * The keys of a route are a table here. If the route table refuses a route, the error names its line.
 */

#include "config/config_routes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_lifecycle.h"
#include "config/config_messages.h"
#include "config/reader.h"
#include "config/value.h"
#include "core/buf.h"
#include "route/route.h"

/* The keys of a route, before it goes into the table. Texts belong to the document. */
struct templates {
	const char *texts[ROUTE_SUBSCRIBE_MAX];
	unsigned int lines[ROUTE_SUBSCRIBE_MAX];
	size_t n;
};

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

static int read_path(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	draft->path_line = reader_line(value);
	return reader_text(reader, value, "path", &draft->path);
}

static int refuse_second_channels(struct reader *reader, const yaml_node_t *value)
{
	return reader_refuse(reader, reader_line(value), "a route has 'channel' or 'channels', not both");
}

static int read_channel(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	if (draft->has_channels)
		return refuse_second_channels(reader, value);
	draft->has_channels = true;
	draft->channels.n = 1;
	draft->channels.lines[0] = reader_line(value);
	return reader_text(reader, value, "channel", &draft->channels.texts[0]);
}

static int read_channels(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	if (draft->has_channels)
		return refuse_second_channels(reader, value);
	draft->has_channels = true;
	return reader_texts(reader, value, "channels", ROUTE_CHANNELS_MAX, draft->channels.texts,
		draft->channels.lines, &draft->channels.n);
}

static int read_subscribe(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
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

static int refuse_policy(struct reader *reader, unsigned int line, const char *name)
{
	struct buf *error = reader->loader->error;

	reader_open_line(reader, line);
	value_quote(error, name);
	buf_append_str(error, " is no policy for slow clients (known: ");
	for (size_t i = 0; i < N_SLOW_POLICIES; i++)
		buf_printf(error, i > 0 ? ", %s" : "%s", slow_policy_name((enum slow_policy)i));
	buf_append_char(error, ')');
	return CONFIG_BAD;
}

static int read_slow_policy(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	const char *name;
	int r = reader_text(reader, value, "policy", &name);

	if (r == 0 && !slow_policy_parse(name, &draft->slow.policy))
		r = refuse_policy(reader, reader_line(value), name);
	return r;
}

static int read_slow_key(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	draft->key_line = reader_line(value);
	return reader_text(reader, value, "key", &draft->slow.key);
}

static int read_slow_bytes(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	const struct option *option = &options[OPTION_outbox_bytes_max];
	const struct value_bounds bounds = {option->least, option->most};

	return reader_value(reader, value, "bytes", &value_size, &draft->slow.bytes_max, &bounds);
}

static int read_slow_age(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	static const struct value_bounds bounds = {SLOW_AGE_MS_MIN, SLOW_AGE_MS_MAX};

	if (value->type == YAML_SCALAR_NODE && strcmp((const char *)value->data.scalar.value, "none") == 0) {
		draft->slow.age_max_ms = SLOW_AGE_NONE;
		return 0;
	}
	return reader_value(reader, value, "age", &value_duration, &draft->slow.age_max_ms, &bounds);
}

struct route_key {
	const char *name;
	int (*read)(struct reader *reader, const yaml_node_t *value, struct route_draft *draft);
};

static const struct route_key slow_keys[] = {
	{"policy", read_slow_policy},
	{"key", read_slow_key},
	{"bytes", read_slow_bytes},
	{"age", read_slow_age},
};

enum {
	N_SLOW_KEYS = sizeof(slow_keys) / sizeof(slow_keys[0]),
};

static int read_one_slow_key(struct reader *reader, size_t key, const yaml_node_t *value, void *arg)
{
	return slow_keys[key].read(reader, value, arg);
}

static int read_slow_keys(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	struct reader_keys keys = {
		.where = " in slow", .n = N_SLOW_KEYS, .read = read_one_slow_key, .arg = draft};

	if (value->type != YAML_MAPPING_NODE)
		return reader_refuse(
			reader, reader_line(value), "slow is a policy, or 'policy: …' and more below it");
	for (size_t i = 0; i < N_SLOW_KEYS; i++)
		keys.names[i] = slow_keys[i].name;
	return reader_mapping(reader, value, &keys);
}

static int read_slow(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	int r = value->type == YAML_SCALAR_NODE && !reader_is_null(value)
			? read_slow_policy(reader, value, draft)
			: read_slow_keys(reader, value, draft);

	if (r)
		return r;
	if (draft->slow.policy == SLOW_LATEST_BY_KEY && !draft->slow.key)
		return reader_refuse(reader, reader_line(value),
			"latest_by_key needs a 'key': the path of a member, such as data.id");
	if (draft->slow.policy != SLOW_LATEST_BY_KEY && draft->slow.key)
		return reader_refuse(reader, draft->key_line, "'key' goes with policy latest_by_key only");
	return 0;
}

static int read_compression(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	return reader_value(reader, value, "compression", &value_bool, &draft->compression, NULL);
}

static int read_auth(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	const char *word;
	int r = reader_text(reader, value, "auth", &word);

	if (r == 0 && !route_auth_parse(word, &draft->auth))
		r = reader_refuse(reader, reader_line(value), "auth is 'none', 'optional' or 'required'");
	return r;
}

static int read_access(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	const char *word;
	int r = reader_text(reader, value, "access", &word);

	draft->access_line = reader_line(value);
	if (r == 0 && !route_access_parse(word, &draft->access))
		r = reader_refuse(reader, reader_line(value), "access is 'route' or 'token'");
	return r;
}

static int read_ids(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	const char *word;
	int r = reader_text(reader, value, "ids", &word);

	if (r)
		return r;
	draft->any_ids = strcmp(word, "any") == 0;
	if (!draft->any_ids && strcmp(word, "plain") != 0)
		return reader_refuse(reader, reader_line(value), "ids is 'plain' or 'any'");
	return 0;
}

static int read_history_size(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	static const struct value_bounds bounds = {1, ROUTE_HISTORY_SIZE_MAX};
	unsigned int size = 0;
	int r = reader_value(reader, value, "size", &value_count, &size, &bounds);

	if (r == 0)
		draft->history.size = size;
	return r;
}

static int read_history_ttl(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	static const struct value_bounds bounds = {ROUTE_HISTORY_TTL_MS_MIN, ROUTE_HISTORY_TTL_MS_MAX};

	return reader_value(reader, value, "ttl", &value_duration, &draft->history.ttl_ms, &bounds);
}

static int read_history_on_gap(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	const char *word;
	int r = reader_text(reader, value, "on_gap", &word);

	if (r)
		return r;
	draft->history.close_on_gap = strcmp(word, "close") == 0;
	if (!draft->history.close_on_gap && strcmp(word, "ignore") != 0)
		return reader_refuse(reader, reader_line(value), "on_gap is 'ignore' or 'close'");
	return 0;
}

static const struct route_key history_keys[] = {
	{"size", read_history_size},
	{"ttl", read_history_ttl},
	{"on_gap", read_history_on_gap},
};

enum {
	N_HISTORY_KEYS = sizeof(history_keys) / sizeof(history_keys[0]),
};

static int read_one_history_key(struct reader *reader, size_t key, const yaml_node_t *value, void *arg)
{
	return history_keys[key].read(reader, value, arg);
}

static int read_history_keys(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	struct reader_keys keys = {
		.where = " in history", .n = N_HISTORY_KEYS, .read = read_one_history_key, .arg = draft};

	for (size_t i = 0; i < N_HISTORY_KEYS; i++)
		keys.names[i] = history_keys[i].name;
	return reader_mapping(reader, value, &keys);
}

/* A mapping, even an empty one, means that the route has a history. */
static int read_history(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	const char *word = "";
	bool on = true;
	int r = 0;

	draft->history_line = reader_line(value);
	if (value->type == YAML_SCALAR_NODE && !reader_is_null(value))
		r = reader_text(reader, value, "history", &word);
	if (r)
		return r;
	if (value->type != YAML_MAPPING_NODE && !value_truth(word, &on))
		return reader_refuse(reader, reader_line(value),
			"history is 'on', 'off', or 'size: …', 'ttl: …' and 'on_gap: …' below it");
	if (!on)
		return 0;
	draft->history.size = ROUTE_HISTORY_SIZE;
	draft->history.ttl_ms = ROUTE_HISTORY_TTL_MS;
	return value->type == YAML_MAPPING_NODE ? read_history_keys(reader, value, draft) : 0;
}

static int read_stream(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	int r = reader_text(reader, value, "stream", &draft->actions.stream);
	size_t len = r == 0 ? strlen(draft->actions.stream) : 1;

	if (len == 0 || len > ROUTE_ACTIONS_STREAM_MAX)
		return reader_refuse(reader, reader_line(value),
			"the stream of actions is a key in Redis, of 1 to %d bytes",
			ROUTE_ACTIONS_STREAM_MAX);
	return r;
}

static int read_actions_timeout(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	static const struct value_bounds bounds = {
		ROUTE_ACTIONS_TIMEOUT_MS_MIN, ROUTE_ACTIONS_TIMEOUT_MS_MAX};

	return reader_value(reader, value, "timeout", &value_duration, &draft->actions.timeout_ms, &bounds);
}

static int read_in_flight(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	static const struct value_bounds bounds = {1, ROUTE_ACTIONS_IN_FLIGHT_MAX};

	return reader_value(reader, value, "in_flight", &value_count, &draft->actions.in_flight, &bounds);
}

static int read_backlog(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	static const struct value_bounds bounds = {1, ROUTE_ACTIONS_BACKLOG_MAX};

	return reader_value(reader, value, "backlog", &value_count, &draft->actions.backlog, &bounds);
}

static const struct route_key actions_keys[] = {
	{"stream", read_stream},
	{"timeout", read_actions_timeout},
	{"in_flight", read_in_flight},
	{"backlog", read_backlog},
};

enum {
	N_ACTIONS_KEYS = sizeof(actions_keys) / sizeof(actions_keys[0]),
};

static int read_one_actions_key(struct reader *reader, size_t key, const yaml_node_t *value, void *arg)
{
	return actions_keys[key].read(reader, value, arg);
}

/* A word alone is the stream. */
static int read_actions(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	struct reader_keys keys = {
		.where = " in actions", .n = N_ACTIONS_KEYS, .read = read_one_actions_key, .arg = draft};
	int r = 0;

	if (value->type == YAML_SCALAR_NODE && !reader_is_null(value))
		return read_stream(reader, value, draft);
	for (size_t i = 0; i < N_ACTIONS_KEYS; i++)
		keys.names[i] = actions_keys[i].name;
	if (value->type == YAML_MAPPING_NODE)
		r = reader_mapping(reader, value, &keys);
	if (r == 0 && !draft->actions.stream)
		r = reader_refuse(reader, reader_line(value),
			"actions is the name of a stream, or 'stream: …' and more below it");
	return r;
}

/* It is looked at when the route is in the table. */
static int read_messages(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	(void)reader;
	draft->messages = value;
	return 0;
}

static int read_presence_list(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	return reader_value(reader, value, "list", &value_bool, &draft->presence.list, NULL);
}

static int read_presence_events(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	return reader_value(reader, value, "events", &value_bool, &draft->presence.events, NULL);
}

static int read_presence_grace(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	static const struct value_bounds bounds = {0, ROUTE_PRESENCE_GRACE_MS_MAX};

	return reader_value(reader, value, "grace", &value_duration, &draft->presence.grace_ms, &bounds);
}

static int read_presence_info(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	int r = reader_text(reader, value, "info", &draft->presence.info);
	size_t len = r == 0 ? strlen(draft->presence.info) : 1;

	if (len == 0 || len > ROUTE_PRESENCE_INFO_MAX)
		return reader_refuse(reader, reader_line(value),
			"the info of presence is the name of a claim, of 1 to %d bytes",
			ROUTE_PRESENCE_INFO_MAX);
	return r;
}

static const struct route_key presence_keys[] = {
	{"grace", read_presence_grace},
	{"list", read_presence_list},
	{"events", read_presence_events},
	{"info", read_presence_info},
};

enum {
	N_PRESENCE_KEYS = sizeof(presence_keys) / sizeof(presence_keys[0]),
};

static int read_one_presence_key(struct reader *reader, size_t key, const yaml_node_t *value, void *arg)
{
	return presence_keys[key].read(reader, value, arg);
}

/* A mapping, even an empty one, means that the route keeps presence. */
static int read_presence(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	struct reader_keys keys = {
		.where = " in presence", .n = N_PRESENCE_KEYS, .read = read_one_presence_key, .arg = draft};
	const char *word = "";
	int r = 0;

	draft->presence_line = reader_line(value);
	draft->presence = (struct route_presence){true, true, true, ROUTE_PRESENCE_GRACE_MS, NULL};
	if (value->type == YAML_SCALAR_NODE && !reader_is_null(value))
		r = reader_text(reader, value, "presence", &word);
	if (r)
		return r;
	if (value->type != YAML_MAPPING_NODE && !value_truth(word, &draft->presence.on))
		return reader_refuse(reader, reader_line(value),
			"presence is 'on', 'off', or 'grace: …', 'list: …', 'events: …' and 'info: …' below "
			"it");
	for (size_t i = 0; i < N_PRESENCE_KEYS; i++)
		keys.names[i] = presence_keys[i].name;
	return value->type == YAML_MAPPING_NODE ? reader_mapping(reader, value, &keys) : 0;
}

static int read_lifecycle(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	draft->lifecycle_line = reader_line(value);
	return config_lifecycle_read(reader, value, &draft->lifecycle);
}

/* A word or a path: `on` is the place that needs no path, and the default. */
static int read_sse(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
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
static const struct route_key route_keys[] = {
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

enum {
	N_ROUTE_KEYS = sizeof(route_keys) / sizeof(route_keys[0]),
};

static int read_route_key(struct reader *reader, size_t key, const yaml_node_t *value, void *arg)
{
	return route_keys[key].read(reader, value, arg);
}

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
	struct reader_keys keys = {
		.where = " in a route", .n = N_ROUTE_KEYS, .read = read_route_key, .arg = &draft};
	int r;

	if (node->type != YAML_MAPPING_NODE)
		return reader_refuse(reader, draft.line, "a route is '- path: …' and 'channel: …' below it");
	for (size_t i = 0; i < N_ROUTE_KEYS; i++)
		keys.names[i] = route_keys[i].name;
	r = reader_mapping(reader, node, &keys);
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
