/*
 * Config file: YAML, read as a tree with line numbers.
 *
 * Top-level keys are the options of options.def and `routes`; the keys of a route are a table here.
 * Everything else is refused with the line it stands on: a typing error must not turn into a default. The
 * walk follows what is known, never the document, so aliases may be used freely and one that contains itself
 * cannot lead anywhere.
 *
 * libyaml's document API keeps the whole tree, and with it the marks (docs/decisions/0004).
 */
#include "config/loader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "config/suggest.h"
#include "config/value.h"
#include "core/buf.h"
#include "route/route.h"

enum {
	KEYS_MAX = 32, /* known keys of one mapping */
};

struct reader {
	struct loader *loader;
	const char *name; /* of the file, for what is said about it */
	yaml_document_t *document;
};

/* What a route's keys said, before it goes into the table. Texts belong to the document. */
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
	bool compression;
	struct route_slow slow;
	unsigned int key_line; /* of slow.key */
	struct route_history history;
	unsigned int history_line;
};

static unsigned int line_of(const yaml_node_t *node)
{
	return (unsigned int)node->start_mark.line + 1;
}

static void open_line(struct reader *reader, unsigned int line)
{
	buf_printf(reader->loader->error, "%s:%u: ", reader->name, line);
}

/* One whole line about this file, cut at 512 bytes: it may quote what stands there. Always CONFIG_BAD. */
__attribute__((format(printf, 3, 4))) static int refuse(
	struct reader *reader, unsigned int line, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?'; /* a quoted newline must not make two lines of it */
	open_line(reader, line);
	buf_append_str(reader->loader->error, text);
	return CONFIG_BAD;
}

/* Nothing, `~` or `null`: a key with all that followed it commented out. */
static bool is_null(const yaml_node_t *node)
{
	const char *text;

	if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	text = (const char *)node->data.scalar.value;
	return !text[0] || strcmp(text, "~") == 0 || strcmp(text, "null") == 0;
}

static int read_text(struct reader *reader, const yaml_node_t *node, const char *what, const char **textp)
{
	if (node->type == YAML_MAPPING_NODE)
		return refuse(
			reader, line_of(node), "%s is one text: put quotes around what has {braces}", what);
	if (node->type != YAML_SCALAR_NODE)
		return refuse(reader, line_of(node), "%s is one text, not a list", what);
	*textp = (const char *)node->data.scalar.value;
	if (strlen(*textp) != node->data.scalar.length)
		return refuse(reader, line_of(node), "%s has a NUL character in it", what);
	return 0;
}

static size_t sequence_length(const yaml_node_t *node)
{
	return (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
}

/* The texts of a list, with their lines if wanted. */
static int read_texts(struct reader *reader, const yaml_node_t *node, const char *what, size_t max,
	const char **texts, unsigned int *lines, size_t *np)
{
	*np = 0;
	if (is_null(node))
		return 0;
	if (node->type != YAML_SEQUENCE_NODE)
		return refuse(reader, line_of(node), "%s is a list: [a, b], or one '- …' a line", what);
	if (sequence_length(node) > max)
		return refuse(reader, line_of(node), "%s has more than %zu items", what, max);
	for (size_t i = 0; i < sequence_length(node); i++) {
		const yaml_node_t *item =
			yaml_document_get_node(reader->document, node->data.sequence.items.start[i]);
		int r = read_text(reader, item, what, &texts[i]);

		if (r)
			return r;
		if (lines)
			lines[i] = line_of(item);
	}
	*np = sequence_length(node);
	return 0;
}

/* A mapping whose keys are known. */
struct keys {
	const char *where; /* "" or " in a route" */
	const char *names[KEYS_MAX];
	size_t n;
	int (*read)(struct reader *reader, size_t key, const yaml_node_t *value, void *arg);
	void *arg;
};

static int refuse_key(struct reader *reader, const struct keys *keys, unsigned int line, const char *word)
{
	const char *meant = suggest(word, keys->names, keys->n);
	struct buf *error = reader->loader->error;

	open_line(reader, line);
	buf_append_str(error, "unknown key ");
	value_quote(error, word);
	buf_append_str(error, keys->where);
	if (meant)
		buf_printf(error, ": did you mean '%s'?", meant);
	for (size_t i = 0; i < keys->n; i++)
		buf_printf(error, i == 0 ? " (known: %s" : ", %s", keys->names[i]);
	buf_append_char(error, ')');
	return CONFIG_BAD;
}

static int find_key(struct reader *reader, const struct keys *keys, const yaml_node_t *node, size_t *keyp)
{
	const char *word;
	int r;

	r = read_text(reader, node, "a key", &word);
	if (r)
		return r;
	for (*keyp = 0; *keyp < keys->n; (*keyp)++)
		if (strcmp(keys->names[*keyp], word) == 0)
			return 0;
	return refuse_key(reader, keys, line_of(node), word);
}

static int read_mapping(struct reader *reader, const yaml_node_t *node, const struct keys *keys)
{
	unsigned int seen[KEYS_MAX] = {0};
	const yaml_node_pair_t *pair = node->data.mapping.pairs.start;

	for (; pair < node->data.mapping.pairs.top; pair++) {
		const yaml_node_t *name = yaml_document_get_node(reader->document, pair->key);
		const yaml_node_t *value = yaml_document_get_node(reader->document, pair->value);
		size_t key;
		int r;

		r = find_key(reader, keys, name, &key);
		if (r)
			return r;
		if (seen[key])
			return refuse(reader, line_of(name), "key '%s'%s is there twice, first in line %u",
				keys->names[key], keys->where, seen[key]);
		seen[key] = line_of(name);
		r = keys->read(reader, key, value, keys->arg);
		if (r)
			return r;
	}
	return 0;
}

/* Routes */

static int read_path(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	draft->path_line = line_of(value);
	return read_text(reader, value, "path", &draft->path);
}

static int refuse_second_channels(struct reader *reader, const yaml_node_t *value)
{
	return refuse(reader, line_of(value), "a route has 'channel' or 'channels', not both");
}

static int read_channel(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	if (draft->has_channels)
		return refuse_second_channels(reader, value);
	draft->has_channels = true;
	draft->channels.n = 1;
	draft->channels.lines[0] = line_of(value);
	return read_text(reader, value, "channel", &draft->channels.texts[0]);
}

static int read_channels(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	if (draft->has_channels)
		return refuse_second_channels(reader, value);
	draft->has_channels = true;
	return read_texts(reader, value, "channels", ROUTE_CHANNELS_MAX, draft->channels.texts,
		draft->channels.lines, &draft->channels.n);
}

static int read_subscribe(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	const char *word;

	draft->subscribe_any_route = false;
	if (value->type != YAML_SCALAR_NODE)
		return read_texts(reader, value, "subscribe", ROUTE_SUBSCRIBE_MAX, draft->subscribe.texts,
			draft->subscribe.lines, &draft->subscribe.n);
	word = (const char *)value->data.scalar.value;
	if (strcmp(word, "any") == 0)
		draft->subscribe_any_route = true;
	else if (strcmp(word, "none") != 0)
		return refuse(reader, line_of(value), "subscribe is 'any', 'none' or a list of channels");
	return 0;
}

static int refuse_policy(struct reader *reader, unsigned int line, const char *name)
{
	struct buf *error = reader->loader->error;

	open_line(reader, line);
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
	int r = read_text(reader, value, "policy", &name);

	if (r == 0 && !slow_policy_parse(name, &draft->slow.policy))
		r = refuse_policy(reader, line_of(value), name);
	return r;
}

static int read_slow_key(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	draft->key_line = line_of(value);
	return read_text(reader, value, "key", &draft->slow.key);
}

/* A value of a route that is written as an option's is. */
static int read_value(struct reader *reader, const yaml_node_t *value, const char *what,
	const struct value_type *type, void *member, const struct value_bounds *bounds)
{
	struct buf why = {0};
	const char *text;
	int r = read_text(reader, value, what, &text);

	if (r == 0) {
		r = type->parse(member, &text, 1, bounds, &why);
		if (r == CONFIG_BAD)
			refuse(reader, line_of(value), "%s: %s", what,
				buf_text(&why) ? buf_text(&why) : "not valid");
	}
	buf_deinit(&why);
	return r;
}

static int read_slow_bytes(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	const struct option *option = &options[OPTION_outbox_bytes_max];
	const struct value_bounds bounds = {option->least, option->most};

	return read_value(reader, value, "bytes", &value_types[VALUE_SIZE], &draft->slow.bytes_max, &bounds);
}

static int read_slow_age(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	static const struct value_bounds bounds = {SLOW_AGE_MS_MIN, SLOW_AGE_MS_MAX};

	if (value->type == YAML_SCALAR_NODE && strcmp((const char *)value->data.scalar.value, "none") == 0) {
		draft->slow.age_max_ms = SLOW_AGE_NONE;
		return 0;
	}
	return read_value(
		reader, value, "age", &value_types[VALUE_DURATION], &draft->slow.age_max_ms, &bounds);
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
	struct keys keys = {.where = " in slow", .n = N_SLOW_KEYS, .read = read_one_slow_key, .arg = draft};

	if (value->type != YAML_MAPPING_NODE)
		return refuse(reader, line_of(value), "slow is a policy, or 'policy: …' and more below it");
	for (size_t i = 0; i < N_SLOW_KEYS; i++)
		keys.names[i] = slow_keys[i].name;
	return read_mapping(reader, value, &keys);
}

static int read_slow(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	int r = value->type == YAML_SCALAR_NODE ? read_slow_policy(reader, value, draft)
						: read_slow_keys(reader, value, draft);

	if (r)
		return r;
	if (draft->slow.policy == SLOW_LATEST_BY_KEY && !draft->slow.key)
		return refuse(reader, line_of(value),
			"latest_by_key needs a 'key': the path of a member, such as data.id");
	if (draft->slow.policy != SLOW_LATEST_BY_KEY && draft->slow.key)
		return refuse(reader, draft->key_line, "'key' goes with policy latest_by_key only");
	return 0;
}

static int read_compression(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	const char *word;
	int r = read_text(reader, value, "compression", &word);

	if (r)
		return r;
	draft->compression = strcmp(word, "on") == 0;
	if (!draft->compression && strcmp(word, "off") != 0)
		return refuse(reader, line_of(value), "compression is 'on' or 'off'");
	return 0;
}

static int read_history_size(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	static const struct value_bounds bounds = {1, ROUTE_HISTORY_SIZE_MAX};
	unsigned int size = 0;
	int r = read_value(reader, value, "size", &value_types[VALUE_COUNT], &size, &bounds);

	if (r == 0)
		draft->history.size = size;
	return r;
}

static int read_history_ttl(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	static const struct value_bounds bounds = {ROUTE_HISTORY_TTL_MS_MIN, ROUTE_HISTORY_TTL_MS_MAX};

	return read_value(
		reader, value, "ttl", &value_types[VALUE_DURATION], &draft->history.ttl_ms, &bounds);
}

static int read_history_on_gap(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	const char *word;
	int r = read_text(reader, value, "on_gap", &word);

	if (r)
		return r;
	draft->history.close_on_gap = strcmp(word, "close") == 0;
	if (!draft->history.close_on_gap && strcmp(word, "ignore") != 0)
		return refuse(reader, line_of(value), "on_gap is 'ignore' or 'close'");
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
	struct keys keys = {
		.where = " in history", .n = N_HISTORY_KEYS, .read = read_one_history_key, .arg = draft};

	for (size_t i = 0; i < N_HISTORY_KEYS; i++)
		keys.names[i] = history_keys[i].name;
	return read_mapping(reader, value, &keys);
}

/* A mapping, even an empty one, means that there is one. */
static int read_history(struct reader *reader, const yaml_node_t *value, struct route_draft *draft)
{
	const char *word = "";
	int r = 0;

	draft->history_line = line_of(value);
	if (value->type == YAML_SCALAR_NODE)
		r = read_text(reader, value, "history", &word);
	if (r)
		return r;
	if (strcmp(word, "off") == 0)
		return 0;
	draft->history.size = ROUTE_HISTORY_SIZE;
	draft->history.ttl_ms = ROUTE_HISTORY_TTL_MS;
	if (value->type == YAML_MAPPING_NODE)
		return read_history_keys(reader, value, draft);
	if (strcmp(word, "on") != 0)
		return refuse(reader, line_of(value),
			"history is 'on', 'off', or 'size: …', 'ttl: …' and 'on_gap: …' below it");
	return 0;
}

/* What a route can say. A new key is a row here and a line in docs/configuration.md. */
static const struct route_key route_keys[] = {
	{"path", read_path},
	{"channel", read_channel},
	{"channels", read_channels},
	{"subscribe", read_subscribe},
	{"slow", read_slow},
	{"compression", read_compression},
	{"history", read_history},
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
		.compression = draft->compression,
		.slow = draft->slow,
		.history = draft->history,
	};
}

/* Would the table refuse a route of this path and these few templates for what they say? */
static bool is_refused(const struct route_spec *spec)
{
	struct route_table *scratch = route_table_new();
	struct buf ignored = {0};
	bool refused = scratch && route_table_add(scratch, spec, &ignored) == ROUTE_BAD_TEMPLATE;

	buf_deinit(&ignored);
	route_table_unref(scratch);
	return refused;
}

/* Would it be taken without its history? The table may keep it then: it is thrown away with the rest. */
static bool is_refused_for_history(const struct route_draft *draft, struct route_table *table)
{
	struct route_spec spec = draft_spec(draft);
	struct buf ignored = {0};
	int r;

	spec.history = (struct route_history){0};
	r = route_table_add(table, &spec, &ignored);
	buf_deinit(&ignored);
	return r == 0;
}

/* The line of the template that the table refused: tried one by one, since that happens once in a life. */
static unsigned int refused_line(const struct route_draft *draft, struct route_table *table)
{
	struct route_spec spec = {.path = draft->path};

	if (is_refused(&spec))
		return draft->path_line;
	for (size_t i = 0; i < draft->channels.n; i++) {
		/* All up to this one, so that the second of two equal channels is found too. */
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
	if (is_refused_for_history(draft, table))
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
		open_line(reader, draft->path_line);
		buf_append_str(reader->loader->error, "path ");
		value_quote(reader->loader->error, draft->path);
		buf_printf(reader->loader->error, " matches the same paths as '%s' in line %u",
			route_path(other), config->sources->route_lines[route_index(other)]);
		return CONFIG_BAD;
	}
	r = route_table_add(config->routes, &spec, &why);
	if (r == 0)
		r = note_line(config->sources, draft->line);
	else if (r > 0)
		r = refuse(reader, refused_line(draft, config->routes), "%s",
			buf_text(&why) ? buf_text(&why) : "not a valid route");
	buf_deinit(&why);
	return r;
}

static int read_route(struct reader *reader, const yaml_node_t *node)
{
	struct route_draft draft = {.line = line_of(node), .subscribe_any_route = true};
	struct keys keys = {.where = " in a route", .n = N_ROUTE_KEYS, .read = read_route_key, .arg = &draft};
	int r;

	if (node->type != YAML_MAPPING_NODE)
		return refuse(reader, draft.line, "a route is '- path: …' and 'channel: …' below it");
	for (size_t i = 0; i < N_ROUTE_KEYS; i++)
		keys.names[i] = route_keys[i].name;
	r = read_mapping(reader, node, &keys);
	if (r)
		return r;
	if (!draft.path)
		return refuse(reader, draft.line, "a route needs a 'path'");
	if (!draft.has_channels)
		return refuse(
			reader, draft.line, "a route needs a 'channel' (or 'channels', which may be [])");
	return add_route(reader, &draft);
}

static int read_routes(struct reader *reader, const yaml_node_t *node)
{
	if (is_null(node))
		return 0;
	if (node->type != YAML_SEQUENCE_NODE)
		return refuse(reader, line_of(node), "routes is a list: one '- path: …' a route");
	for (size_t i = 0; i < sequence_length(node); i++) {
		int r = read_route(
			reader, yaml_document_get_node(reader->document, node->data.sequence.items.start[i]));

		if (r)
			return r;
	}
	return 0;
}

/* The whole */

static int read_option(struct reader *reader, const struct option *option, const yaml_node_t *value)
{
	const struct config_source source = {.kind = SOURCE_FILE, .line = line_of(value)};
	const char *texts[VALUE_LIST_MAX];
	size_t n = 1;
	int r;

	if (option_is_list(option))
		r = read_texts(reader, value, option->name, VALUE_LIST_MAX, texts, NULL, &n);
	else
		r = read_text(reader, value, option->name, &texts[0]);
	if (r)
		return r;
	if (n == 1 && is_null(value))
		texts[0] = "";
	return loader_set(reader->loader, option, source, texts, n);
}

static int read_top_key(struct reader *reader, size_t key, const yaml_node_t *value, void *arg)
{
	(void)arg;
	return key < N_OPTIONS ? read_option(reader, &options[key], value) : read_routes(reader, value);
}

static int read_root(struct reader *reader, const yaml_node_t *root)
{
	struct keys keys = {.where = "", .n = N_OPTIONS + 1, .read = read_top_key};

	_Static_assert(N_OPTIONS + 1 <= KEYS_MAX, "more options than a mapping may have keys");
	if (root->type != YAML_MAPPING_NODE)
		return is_null(root) ? 0 : refuse(reader, line_of(root), "the file is 'key: value' lines");
	for (size_t i = 0; i < N_OPTIONS; i++)
		keys.names[i] = options[i].name;
	keys.names[N_OPTIONS] = "routes";
	return read_mapping(reader, root, &keys);
}

/* A byte that is no text has an offset only. */
static unsigned int line_at(const char *data, size_t len, size_t offset)
{
	unsigned int line = 1;

	for (size_t i = 0; i < len && i < offset; i++)
		line += data[i] == '\n';
	return line;
}

static int refuse_syntax(struct reader *reader, const yaml_parser_t *parser, const char *data, size_t len)
{
	unsigned int line = (unsigned int)parser->problem_mark.line + 1;
	const char *hint = "";

	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (parser->error == YAML_READER_ERROR)
		line = line_at(data, len, parser->problem_offset);
	if (strcmp(parser->problem, "found unexpected ':'") == 0)
		hint = "; inside [ ] put quotes around what has {braces}"; /* [a:{id}]: what routes lead one
									      to write */
	if (!parser->context)
		return refuse(reader, line, "not YAML: %s%s", parser->problem, hint);
	return refuse(reader, line, "not YAML: %s, %s that starts in line %zu%s", parser->problem,
		parser->context, parser->context_mark.line + 1, hint);
}

static int load_next(struct reader *reader, yaml_parser_t *parser, const char *data, size_t len)
{
	if (!yaml_parser_load(parser, reader->document))
		return refuse_syntax(reader, parser, data, len);
	return 0;
}

/* Empty: the stream had ended. */
static int load_second(struct reader *reader, yaml_parser_t *parser, const char *data, size_t len)
{
	yaml_document_t document;
	struct reader second = {reader->loader, reader->name, &document};
	const yaml_node_t *root;
	int r;

	r = load_next(&second, parser, data, len);
	if (r)
		return r;
	root = yaml_document_get_root_node(&document);
	if (root)
		r = refuse(reader, line_of(root), "a second document starts here; one is all that is read");
	yaml_document_delete(&document);
	return r;
}

int config_file_load(struct loader *loader, const char *name, const char *data, size_t len)
{
	yaml_parser_t parser;
	yaml_document_t document;
	struct reader reader = {loader, name, &document};
	const yaml_node_t *root;
	int r;

	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&parser, (const unsigned char *)data, len);
	r = load_next(&reader, &parser, data, len);
	if (r)
		goto out;
	root = yaml_document_get_root_node(&document);
	if (root)
		r = read_root(&reader, root);
	if (root && r == 0)
		r = load_second(&reader, &parser, data, len);
	yaml_document_delete(&document);
out:
	yaml_parser_delete(&parser);
	return r;
}
