/* Config history: the history that a route keeps of its channels; see the header. */

#include "config/config_history.h"

#include <string.h>

#include "config/reader.h"
#include "config/value.h"

static int read_size(struct reader *reader, const yaml_node_t *value, void *arg)
{
	static const struct value_bounds bounds = {1, ROUTE_HISTORY_SIZE_MAX};
	struct route_history *history = arg;
	unsigned int size = 0;
	int r = reader_value(reader, value, "size", &value_count, &size, &bounds);

	if (r == 0)
		history->size = size;
	return r;
}

static int read_ttl(struct reader *reader, const yaml_node_t *value, void *arg)
{
	static const struct value_bounds bounds = {ROUTE_HISTORY_TTL_MS_MIN, ROUTE_HISTORY_TTL_MS_MAX};
	struct route_history *history = arg;

	return reader_value(reader, value, "ttl", &value_duration, &history->ttl_ms, &bounds);
}

static int read_on_gap(struct reader *reader, const yaml_node_t *value, void *arg)
{
	struct route_history *history = arg;
	const char *word;
	int r = reader_text(reader, value, "on_gap", &word);

	if (r)
		return r;
	history->close_on_gap = strcmp(word, "close") == 0;
	if (!history->close_on_gap && strcmp(word, "ignore") != 0)
		return reader_refuse(reader, reader_line(value), "on_gap is 'ignore' or 'close'");
	return 0;
}

static const struct reader_row rows[] = {
	{"size", read_size},
	{"ttl", read_ttl},
	{"on_gap", read_on_gap},
};

/* A mapping, even an empty one, means that the route has a history. */
int config_history_read(struct reader *reader, const yaml_node_t *value, struct route_history *history)
{
	const char *word = "";
	bool on = true;
	int r = 0;

	if (value->type == YAML_SCALAR_NODE && !reader_is_null(value))
		r = reader_text(reader, value, "history", &word);
	if (r)
		return r;
	if (value->type != YAML_MAPPING_NODE && !value_truth(word, &on))
		return reader_refuse(reader, reader_line(value),
			"history is 'on', 'off', or 'size: …', 'ttl: …' and 'on_gap: …' below it");
	if (!on)
		return 0;
	history->size = ROUTE_HISTORY_SIZE;
	history->ttl_ms = ROUTE_HISTORY_TTL_MS;
	if (value->type != YAML_MAPPING_NODE)
		return 0;
	return reader_rows(reader, value, " in history", rows, sizeof(rows) / sizeof(rows[0]), history);
}
