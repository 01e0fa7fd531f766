/*
 * Config file: YAML, read as a tree with line numbers.
 *
 * Top-level keys are the options of options.def and `routes` (config_routes.c). Every other key is refused
 * with its line: a typing error must not turn into a default. The walk follows the known keys, never the
 * document, so aliases may be used freely, and an alias that contains itself does no harm.
 *
 * libyaml's document API keeps the whole tree, and with it the marks (docs/decisions/0004-yaml-as-a-tree.md).
 */
#include "config/loader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "config/config_routes.h"
#include "config/reader.h"
#include "config/value.h"
#include "core/buf.h"

static int read_option(struct reader *reader, const struct option *option, const yaml_node_t *value)
{
	const struct config_source source = {.kind = SOURCE_FILE, .line = reader_line(value)};
	const char *texts[VALUE_LIST_MAX];
	size_t n = 1;
	int r;

	if (reader_is_null(value))
		return loader_set_text(reader->loader, option, source, "");
	if (reader_is(value, option->type->nothing))
		return loader_set_text(reader->loader, option, source, option->type->nothing);
	if (option_may_be_listed(option) && value->type != YAML_SCALAR_NODE)
		r = reader_texts(reader, value, option->name, VALUE_LIST_MAX, texts, NULL, &n);
	else
		r = reader_text(reader, value, option->name, &texts[0]);
	if (r)
		return r;
	/* A list of one is written without brackets, and of several as in the environment. */
	if (option_is_list(option) && value->type == YAML_SCALAR_NODE)
		return loader_set_text(reader->loader, option, source, texts[0]);
	return loader_set(reader->loader, option, source, texts, n);
}

static int read_top_key(struct reader *reader, size_t key, const yaml_node_t *value, void *arg)
{
	(void)arg;
	return key < N_OPTIONS ? read_option(reader, &options[key], value)
			       : config_routes_read(reader, value);
}

static int read_root(struct reader *reader, const yaml_node_t *root)
{
	struct reader_keys keys = {.where = "", .n = N_OPTIONS + 1, .read = read_top_key};

	_Static_assert(N_OPTIONS + 1 <= READER_KEYS_MAX, "more options than a mapping may have keys");
	if (root->type != YAML_MAPPING_NODE)
		return reader_is_null(root)
			       ? 0
			       : reader_refuse(reader, reader_line(root),
					 "the file is 'key: value' lines, with a space behind the colon");
	for (size_t i = 0; i < N_OPTIONS; i++)
		keys.names[i] = options[i].name;
	keys.names[N_OPTIONS] = "routes";
	return reader_mapping(reader, root, &keys);
}

/* A byte that is no text has an offset only. */
static unsigned int line_at(const char *data, size_t len, size_t offset)
{
	unsigned int line = 1;

	for (size_t i = 0; i < len && i < offset; i++)
		line += data[i] == '\n';
	return line;
}

/* The text at the mark, which counts characters, not bytes. */
static const char *text_at(const char *data, size_t len, const yaml_mark_t *mark)
{
	const char *end = data + len, *at = data;

	for (size_t line = 0; line < mark->line && at < end; line++) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));

		at = newline ? newline + 1 : end;
	}
	for (size_t column = mark->column; at < end && (column > 0 || (*at & 0xc0) == 0x80); at++)
		column -= column > 0 && (*at & 0xc0) != 0x80;
	return at;
}

/* libyaml tells what its scanner found; this hint tells what to do about it. */
static const char *syntax_hint(const yaml_parser_t *parser, const char *data, size_t len)
{
	static const struct {
		const char *problem, *hint;
	} hints[] = {
		{"a tab character", "; YAML is indented with spaces"},
		{"found unexpected ':'", "; inside [ ] put quotes around what has {braces}"},
		{"mapping values are not allowed",
			"; put quotes around a text with ': ' in it or ':' at its end"},
		{"did not find expected key", "; are the lines of one list or route indented alike?"},
		{"did not find expected '-' indicator",
			"; are the lines of one list or route indented alike?"},
		{"alphabetic or numeric character", "; put quotes around a text that starts with * or &"},
		{"expected node content",
			"; is a [ or { not closed, or a text that starts with one without quotes?"},
	};
	const char *at = text_at(data, len, &parser->problem_mark);

	if (strstr(parser->problem, "cannot start any token"))
		return at < data + len && *at == '\t' ? "; it is a tab, and YAML is indented with spaces"
						      : "; put quotes around the text";
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
		if (strstr(parser->problem, hints[i].problem))
			return hints[i].hint;
	return "";
}

static int refuse_syntax(struct reader *reader, const yaml_parser_t *parser, const char *data, size_t len)
{
	unsigned int line = (unsigned int)parser->problem_mark.line + 1;
	const char *hint;

	/* Out of memory while it puts the document together, libyaml names neither an error nor a problem. */
	if (parser->error == YAML_MEMORY_ERROR || !parser->problem)
		return -ENOMEM;
	if (parser->error == YAML_READER_ERROR)
		line = line_at(data, len, parser->problem_offset);
	hint = syntax_hint(parser, data, len);
	if (!parser->context)
		return reader_refuse(reader, line, "not YAML: %s%s", parser->problem, hint);
	return reader_refuse(reader, line, "not YAML: %s, %s that starts in line %zu%s", parser->problem,
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
	struct reader second = {reader->loader, reader->name, &document, 0};
	const yaml_node_t *root;
	int r;

	r = load_next(&second, parser, data, len);
	if (r)
		return r;
	root = yaml_document_get_root_node(&document);
	if (root)
		r = reader_refuse(
			reader, reader_line(root), "a second document starts here; one is all that is read");
	yaml_document_delete(&document);
	return r;
}

int config_file_load(struct loader *loader, const char *name, const char *data, size_t len)
{
	yaml_parser_t parser;
	yaml_document_t document;
	struct reader reader = {loader, name, &document, 0};
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
