/* Config actions: where what a route's clients ask of a backend goes; see the header. */

#include "config/config_actions.h"

#include <string.h>

#include "config/reader.h"
#include "config/value.h"

static int read_stream(struct reader *reader, const yaml_node_t *value, void *arg)
{
	struct route_actions *actions = arg;
	int r = reader_text(reader, value, "stream", &actions->stream);
	size_t len = r == 0 ? strlen(actions->stream) : 1;

	if (len == 0 || len > ROUTE_ACTIONS_STREAM_MAX)
		return reader_refuse(reader, reader_line(value),
			"the stream of actions is a key in Redis, of 1 to %d bytes",
			ROUTE_ACTIONS_STREAM_MAX);
	return r;
}

static int read_timeout(struct reader *reader, const yaml_node_t *value, void *arg)
{
	static const struct value_bounds bounds = {
		ROUTE_ACTIONS_TIMEOUT_MS_MIN, ROUTE_ACTIONS_TIMEOUT_MS_MAX};
	struct route_actions *actions = arg;

	return reader_value(reader, value, "timeout", &value_duration, &actions->timeout_ms, &bounds);
}

static int read_in_flight(struct reader *reader, const yaml_node_t *value, void *arg)
{
	static const struct value_bounds bounds = {1, ROUTE_ACTIONS_IN_FLIGHT_MAX};
	struct route_actions *actions = arg;

	return reader_value(reader, value, "in_flight", &value_count, &actions->in_flight, &bounds);
}

static int read_backlog(struct reader *reader, const yaml_node_t *value, void *arg)
{
	static const struct value_bounds bounds = {1, ROUTE_ACTIONS_BACKLOG_MAX};
	struct route_actions *actions = arg;

	return reader_value(reader, value, "backlog", &value_count, &actions->backlog, &bounds);
}

static const struct reader_row rows[] = {
	{"stream", read_stream},
	{"timeout", read_timeout},
	{"in_flight", read_in_flight},
	{"backlog", read_backlog},
};

/* A word alone is the stream. */
int config_actions_read(struct reader *reader, const yaml_node_t *value, struct route_actions *actions)
{
	int r = 0;

	if (value->type == YAML_SCALAR_NODE && !reader_is_null(value))
		return read_stream(reader, value, actions);
	if (value->type == YAML_MAPPING_NODE)
		r = reader_rows(reader, value, " in actions", rows, sizeof(rows) / sizeof(rows[0]), actions);
	if (r == 0 && !actions->stream)
		r = reader_refuse(reader, reader_line(value),
			"actions is the name of a stream, or 'stream: …' and more below it");
	return r;
}
