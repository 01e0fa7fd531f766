/* Config lifecycle: what a route has said of its connections and channels in a stream; see the header. */

#include "config/config_lifecycle.h"

#include <string.h>

#include "config/reader.h"
#include "config/value.h"
#include "core/buf.h"

static int read_stream(struct reader *reader, const yaml_node_t *value, void *arg)
{
	struct route_lifecycle *lifecycle = arg;
	int r = reader_text(reader, value, "stream", &lifecycle->stream);
	size_t len = r == 0 ? strlen(lifecycle->stream) : 1;

	if (len == 0 || len > ROUTE_LIFECYCLE_STREAM_MAX)
		return reader_refuse(reader, reader_line(value),
			"the stream of lifecycle is a key in Redis, of 1 to %d bytes",
			ROUTE_LIFECYCLE_STREAM_MAX);
	return r;
}

static int refuse_event(struct reader *reader, unsigned int line, const char *name)
{
	struct buf *error = reader->loader->error;

	reader_open_line(reader, line);
	value_quote(error, name);
	buf_append_str(error, " is no event of lifecycle (known: ");
	for (size_t i = 0; i < N_LIFECYCLE_EVENTS; i++)
		buf_printf(error, i > 0 ? ", %s" : "%s", lifecycle_event_name((enum lifecycle_event)i));
	buf_append_char(error, ')');
	return CONFIG_BAD;
}

static int read_events(struct reader *reader, const yaml_node_t *value, void *arg)
{
	struct route_lifecycle *lifecycle = arg;
	const char *names[N_LIFECYCLE_EVENTS];
	unsigned int lines[N_LIFECYCLE_EVENTS];
	size_t n = 0;
	int r = reader_texts(reader, value, "events", N_LIFECYCLE_EVENTS, names, lines, &n);

	if (r == 0 && n == 0)
		return reader_refuse(reader, reader_line(value),
			"lifecycle without any event says nothing: leave 'events' out for all, or "
			"'lifecycle' for "
			"none");
	for (size_t i = 0; r == 0 && i < n; i++) {
		enum lifecycle_event event;

		if (!lifecycle_event_parse(names[i], &event))
			return refuse_event(reader, lines[i], names[i]);
		if (lifecycle->events & LIFECYCLE_BIT(event))
			return reader_refuse(reader, lines[i], "event '%s' is there twice", names[i]);
		lifecycle->events |= LIFECYCLE_BIT(event);
	}
	return r;
}

static int read_size(struct reader *reader, const yaml_node_t *value, void *arg)
{
	static const struct value_bounds bounds = {ROUTE_LIFECYCLE_SIZE_MIN, ROUTE_LIFECYCLE_SIZE_MAX};
	struct route_lifecycle *lifecycle = arg;

	return reader_value(reader, value, "size", &value_count, &lifecycle->size, &bounds);
}

static const struct reader_row rows[] = {
	{"stream", read_stream},
	{"events", read_events},
	{"size", read_size},
};

/* A word alone is the stream. */
int config_lifecycle_read(struct reader *reader, const yaml_node_t *value, struct route_lifecycle *lifecycle)
{
	int r = 0;

	*lifecycle = (struct route_lifecycle){0};
	if (value->type == YAML_SCALAR_NODE && !reader_is_null(value))
		return read_stream(reader, value, lifecycle);
	if (value->type == YAML_MAPPING_NODE)
		r = reader_rows(
			reader, value, " in lifecycle", rows, sizeof(rows) / sizeof(rows[0]), lifecycle);
	if (r == 0 && !lifecycle->stream)
		r = reader_refuse(reader, reader_line(value),
			"lifecycle is the name of a stream, or 'stream: …' and more below it");
	return r;
}
