/* Reader: takes the nodes of a YAML document apart; see the header. */

#include "config/reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config/suggest.h"
#include "core/buf.h"

enum {
	MERGE_DEPTH_MAX = 8,
	/* keys of a file, counted each time that one is read: more than a file of FILE_MAX can hold */
	PAIRS_MAX = 200000,
};

unsigned int reader_line(const yaml_node_t *node)
{
	return (unsigned int)node->start_mark.line + 1;
}

void reader_open_line(struct reader *reader, unsigned int line)
{
	buf_printf(reader->loader->error, "%s:%u: ", reader->name, line);
}

__attribute__((format(printf, 3, 4))) int reader_refuse(
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
	reader_open_line(reader, line);
	buf_append_str(reader->loader->error, text);
	return CONFIG_BAD;
}

bool reader_is_null(const yaml_node_t *node)
{
	const char *text;

	if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	text = (const char *)node->data.scalar.value;
	return !text[0] || strcmp(text, "~") == 0 || strcmp(text, "null") == 0;
}

bool reader_is(const yaml_node_t *node, const char *word)
{
	return word && node->type == YAML_SCALAR_NODE &&
	       strcmp((const char *)node->data.scalar.value, word) == 0;
}

/* Is it {item_id} without quotes, which YAML takes for a mapping with one key and no value? */
static bool is_bare_variable(struct reader *reader, const yaml_node_t *node)
{
	const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	const yaml_node_t *value;

	if (node->data.mapping.pairs.top - pair != 1)
		return false;
	value = yaml_document_get_node(reader->document, pair->value);
	return value && reader_is_null(value);
}

int reader_text(struct reader *reader, const yaml_node_t *node, const char *what, const char **textp)
{
	if (node->type == YAML_MAPPING_NODE && is_bare_variable(reader, node))
		return reader_refuse(reader, reader_line(node),
			"%s is one text: put quotes around what has {braces}", what);
	if (node->type != YAML_SCALAR_NODE)
		return reader_refuse(reader, reader_line(node), "%s is one text, not a %s", what,
			node->type == YAML_MAPPING_NODE ? "mapping of keys" : "list");
	if (reader_is_null(node))
		return reader_refuse(reader, reader_line(node), "%s is empty", what);
	*textp = (const char *)node->data.scalar.value;
	if (strlen(*textp) != node->data.scalar.length)
		return reader_refuse(reader, reader_line(node), "%s has a NUL character in it", what);
	return 0;
}

size_t reader_length(const yaml_node_t *node)
{
	return (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
}

int reader_texts(struct reader *reader, const yaml_node_t *node, const char *what, size_t max,
	const char **texts, unsigned int *lines, size_t *np)
{
	*np = 0;
	if (reader_is_null(node))
		return reader_refuse(reader, reader_line(node), "%s is empty: write [] for none", what);
	if (node->type != YAML_SEQUENCE_NODE)
		return reader_refuse(
			reader, reader_line(node), "%s is a list: [a, b], or one '- …' a line", what);
	if (reader_length(node) > max)
		return reader_refuse(reader, reader_line(node), "%s has more than %zu items", what, max);
	for (size_t i = 0; i < reader_length(node); i++) {
		const yaml_node_t *item =
			yaml_document_get_node(reader->document, node->data.sequence.items.start[i]);
		int r = reader_text(reader, item, what, &texts[i]);

		if (r)
			return r;
		if (lines)
			lines[i] = reader_line(item);
	}
	*np = reader_length(node);
	return 0;
}

static int refuse_key(
	struct reader *reader, const struct reader_keys *keys, unsigned int line, const char *word)
{
	const char *meant = suggest(word, keys->names, keys->n);
	struct buf *error = reader->loader->error;

	reader_open_line(reader, line);
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

static int find_key(
	struct reader *reader, const struct reader_keys *keys, const yaml_node_t *node, size_t *keyp)
{
	const char *word;
	int r;

	r = reader_text(reader, node, "a key", &word);
	if (r)
		return r;
	for (*keyp = 0; *keyp < keys->n; (*keyp)++)
		if (strcmp(keys->names[*keyp], word) == 0)
			return 0;
	return refuse_key(reader, keys, reader_line(node), word);
}

/* The place where a known key stands first. */
struct seen_key {
	const yaml_node_t *mapping;
	const yaml_node_pair_t *pair; /* a mapping may be merged twice */
	unsigned int line;
};

static bool is_key(const yaml_node_t *name, const char *prefix, size_t len)
{
	return name->type == YAML_SCALAR_NODE &&
	       strncmp((const char *)name->data.scalar.value, prefix, len) == 0;
}

static bool is_merge(const yaml_node_t *name)
{
	return reader_is(name, "<<") && name->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static int read_pair(struct reader *reader, const yaml_node_t *mapping, const yaml_node_pair_t *pair,
	const struct reader_keys *keys, struct seen_key *seen)
{
	const yaml_node_t *name = yaml_document_get_node(reader->document, pair->key);
	size_t key;
	int r;

	/* x-…: the writer's own, as anchors to merge from usually are. */
	if (is_merge(name) || is_key(name, "x-", 2))
		return 0;
	r = find_key(reader, keys, name, &key);
	if (r)
		return r;
	if (seen[key].mapping == mapping && seen[key].pair != pair)
		return reader_refuse(reader, reader_line(name), "key '%s'%s is there twice, first in line %u",
			keys->names[key], keys->where, seen[key].line);
	if (seen[key].mapping)
		return 0; /* a merged key counts less than a written one */
	seen[key] = (struct seen_key){mapping, pair, reader_line(name)};
	return keys->read(reader, key, yaml_document_get_node(reader->document, pair->value), keys->arg);
}

static int read_merged(struct reader *reader, const yaml_node_t *value, const struct reader_keys *keys,
	struct seen_key *seen, unsigned int depth);

/* Aliases can make a small file endless: `&a {<<: *a}`, or lists of lists of the same. */
static int read_pairs(struct reader *reader, const yaml_node_t *mapping, const struct reader_keys *keys,
	struct seen_key *seen, unsigned int depth)
{
	const yaml_node_pair_t *pair, *end = mapping->data.mapping.pairs.top;

	reader->n_pairs += (size_t)(end - mapping->data.mapping.pairs.start) + 1;
	if (depth > MERGE_DEPTH_MAX || reader->n_pairs > PAIRS_MAX)
		return reader_refuse(reader, reader_line(mapping), "too much is merged here with <<");
	for (pair = mapping->data.mapping.pairs.start; pair < end; pair++) {
		int r = read_pair(reader, mapping, pair, keys, seen);

		if (r)
			return r;
	}
	for (pair = mapping->data.mapping.pairs.start; pair < end; pair++) {
		int r = 0;

		if (is_merge(yaml_document_get_node(reader->document, pair->key)))
			r = read_merged(reader, yaml_document_get_node(reader->document, pair->value), keys,
				seen, depth + 1);
		if (r)
			return r;
	}
	return 0;
}

/* Reads the mapping that `<<` names, or several, of which an earlier one counts more. */
static int read_merged(struct reader *reader, const yaml_node_t *value, const struct reader_keys *keys,
	struct seen_key *seen, unsigned int depth)
{
	const yaml_node_item_t *item;

	if (value->type == YAML_MAPPING_NODE)
		return read_pairs(reader, value, keys, seen, depth);
	if (value->type != YAML_SEQUENCE_NODE)
		return reader_refuse(reader, reader_line(value), "<< takes a mapping, or a list of mappings");
	for (item = value->data.sequence.items.start; item < value->data.sequence.items.top; item++) {
		const yaml_node_t *one = yaml_document_get_node(reader->document, *item);
		int r;

		if (one->type != YAML_MAPPING_NODE)
			return reader_refuse(
				reader, reader_line(one), "<< takes a mapping, or a list of mappings");
		r = read_pairs(reader, one, keys, seen, depth);
		if (r)
			return r;
	}
	return 0;
}

int reader_mapping(struct reader *reader, const yaml_node_t *node, const struct reader_keys *keys)
{
	struct seen_key seen[READER_KEYS_MAX] = {{0}};

	return read_pairs(reader, node, keys, seen, 0);
}

struct rows {
	const struct reader_row *rows;
	void *arg;
};

static int read_row(struct reader *reader, size_t key, const yaml_node_t *value, void *arg)
{
	const struct rows *these = arg;

	return these->rows[key].read(reader, value, these->arg);
}

int reader_rows(struct reader *reader, const yaml_node_t *node, const char *where,
	const struct reader_row *rows, size_t n, void *arg)
{
	struct rows these = {rows, arg};
	struct reader_keys keys = {.where = where, .n = n, .read = read_row, .arg = &these};

	for (size_t i = 0; i < n; i++)
		keys.names[i] = rows[i].name;
	return reader_mapping(reader, node, &keys);
}

int reader_value(struct reader *reader, const yaml_node_t *value, const char *what,
	const struct value_type *type, void *member, const struct value_bounds *bounds)
{
	struct buf why = {0};
	const char *text;
	int r = reader_text(reader, value, what, &text);

	if (r == 0) {
		r = type->parse(member, &text, 1, bounds, &why);
		if (r == CONFIG_BAD)
			reader_refuse(reader, reader_line(value), "%s: %s", what,
				buf_text(&why) ? buf_text(&why) : "not valid");
	}
	buf_deinit(&why);
	return r;
}
