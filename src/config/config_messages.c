/* Config messages: reads the `messages` of a route: types of events, and files with their schemas. */

#include "config/config_messages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "config/messages.h"
#include "config/read_file.h"
#include "config/reader.h"
#include "core/buf.h"

void config_messages_free(struct config_messages *messages)
{
	for (size_t i = 0; i < messages->n; i++) {
		free(messages->items[i].name);
		free(messages->items[i].schema);
	}
	free(messages->items);
	*messages = (struct config_messages){0};
}

static bool is_declared(const struct config_messages *messages, size_t route, const char *name)
{
	for (size_t i = 0; i < messages->n; i++)
		if (messages->items[i].route == route && strcmp(messages->items[i].name, name) == 0)
			return true;
	return false;
}

static int read_name(struct reader *reader, const yaml_node_t *node, size_t route, const char **namep)
{
	int r = reader_text(reader, node, "the type of a message", namep);
	size_t len = r == 0 ? strlen(*namep) : 0;

	if (r)
		return r;
	if (len == 0 || len > CONFIG_MESSAGE_NAME_MAX)
		return reader_refuse(reader, reader_line(node), "the type of a message has 1 to %d bytes",
			CONFIG_MESSAGE_NAME_MAX);
	if (is_declared(&reader->loader->config->messages, route, *namep))
		return reader_refuse(reader, reader_line(node), "message '%s' is declared twice", *namep);
	return 0;
}

/* A name that does not begin with a slash is looked for beside the configuration's file. */
static int resolve(const struct reader *reader, const char *file, struct buf *path)
{
	const char *slash = strrchr(reader->name, '/');

	if (*file != '/' && slash)
		buf_append(path, reader->name, (size_t)(slash - reader->name) + 1);
	buf_append_str(path, file);
	return buf_text(path) ? 0 : -ENOMEM;
}

/* Is the text a schema? A line about what is wrong with it, otherwise. */
static int check_schema(struct reader *reader, unsigned int line, const char *path, const struct buf *text)
{
	json_error_t error;
	json_t *schema = json_loadb(text->data, text->len, JSON_REJECT_DUPLICATES, &error);
	int r = 0;

	if (!schema)
		r = reader_refuse(reader, line, "%s:%d: not JSON: %s", path, error.line, error.text);
	else if (!json_is_object(schema))
		r = reader_refuse(reader, line, "%s: a JSON Schema is an object", path);
	json_decref(schema);
	return r;
}

static int read_schema(struct reader *reader, const yaml_node_t *node, struct buf *text)
{
	struct buf path = {0};
	const char *file;
	int r = reader_text(reader, node, "the schema of a message", &file);

	if (r == 0)
		r = resolve(reader, file, &path);
	if (r == 0) {
		r = read_file(buf_text(&path), CONFIG_MESSAGE_SCHEMA_MAX, text);
		if (r && r != -ENOMEM)
			r = reader_refuse(reader, reader_line(node), "%s: %s", buf_text(&path),
				r == -EFBIG ? "a schema has at most 256 KiB" : strerror(-r));
	}
	if (r == 0)
		r = check_schema(reader, reader_line(node), buf_text(&path), text);
	if (r == 0 && !buf_text(text))
		r = -ENOMEM;
	buf_deinit(&path);
	return r;
}

static int append(struct config_messages *messages, size_t route, const char *name, const char *schema)
{
	struct config_message *grown = reallocarray(messages->items, messages->n + 1, sizeof(*grown));
	struct config_message *item;

	if (!grown)
		return -ENOMEM;
	messages->items = grown;
	item = &grown[messages->n];
	*item = (struct config_message){route, strdup(name), strdup(schema)};
	messages->n++; /* from here on it is freed with the rest */
	return item->name && item->schema ? 0 : -ENOMEM;
}

static int read_message(struct reader *reader, const yaml_node_pair_t *pair, size_t route)
{
	const yaml_node_t *key = yaml_document_get_node(reader->document, pair->key);
	const yaml_node_t *value = yaml_document_get_node(reader->document, pair->value);
	struct buf schema = {0};
	const char *name;
	int r = read_name(reader, key, route, &name);

	if (r == 0)
		r = read_schema(reader, value, &schema);
	if (r == 0)
		r = append(&reader->loader->config->messages, route, name, buf_text(&schema));
	buf_deinit(&schema);
	return r;
}

int config_messages_read(struct reader *reader, const yaml_node_t *node, size_t route)
{
	const yaml_node_pair_t *pair;
	int r = 0;

	if (reader_is_null(node))
		return 0;
	if (node->type != YAML_MAPPING_NODE)
		return reader_refuse(reader, reader_line(node),
			"messages is a line 'TYPE: FILE' each, with the JSON Schema of the event's data in "
			"the file");
	if (node->data.mapping.pairs.top - node->data.mapping.pairs.start > CONFIG_MESSAGES_MAX)
		return reader_refuse(reader, reader_line(node), "a route declares at most %d messages",
			CONFIG_MESSAGES_MAX);
	for (pair = node->data.mapping.pairs.start; r == 0 && pair < node->data.mapping.pairs.top; pair++)
		r = read_message(reader, pair, route);
	return r;
}
