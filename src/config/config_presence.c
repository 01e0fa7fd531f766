/* Config presence: what a route keeps and tells of who is on its channels; see the header. */

#include "config/config_presence.h"

#include <string.h>

#include "config/reader.h"
#include "config/value.h"

static int read_grace(struct reader *reader, const yaml_node_t *value, void *arg)
{
	static const struct value_bounds bounds = {0, ROUTE_PRESENCE_GRACE_MS_MAX};
	struct route_presence *presence = arg;

	return reader_value(reader, value, "grace", &value_duration, &presence->grace_ms, &bounds);
}

static int read_list(struct reader *reader, const yaml_node_t *value, void *arg)
{
	struct route_presence *presence = arg;

	return reader_value(reader, value, "list", &value_bool, &presence->list, NULL);
}

static int read_events(struct reader *reader, const yaml_node_t *value, void *arg)
{
	struct route_presence *presence = arg;

	return reader_value(reader, value, "events", &value_bool, &presence->events, NULL);
}

static int read_info(struct reader *reader, const yaml_node_t *value, void *arg)
{
	struct route_presence *presence = arg;
	int r = reader_text(reader, value, "info", &presence->info);
	size_t len = r == 0 ? strlen(presence->info) : 1;

	if (len == 0 || len > ROUTE_PRESENCE_INFO_MAX)
		return reader_refuse(reader, reader_line(value),
			"the info of presence is the name of a claim, of 1 to %d bytes",
			ROUTE_PRESENCE_INFO_MAX);
	return r;
}

static const struct reader_row rows[] = {
	{"grace", read_grace},
	{"list", read_list},
	{"events", read_events},
	{"info", read_info},
};

/* A mapping, even an empty one, means that the route keeps presence. */
int config_presence_read(struct reader *reader, const yaml_node_t *value, struct route_presence *presence)
{
	const char *word = "";
	int r = 0;

	*presence = (struct route_presence){true, true, true, ROUTE_PRESENCE_GRACE_MS, NULL};
	if (value->type == YAML_SCALAR_NODE && !reader_is_null(value))
		r = reader_text(reader, value, "presence", &word);
	if (r)
		return r;
	if (value->type == YAML_MAPPING_NODE)
		return reader_rows(
			reader, value, " in presence", rows, sizeof(rows) / sizeof(rows[0]), presence);
	if (!value_truth(word, &presence->on))
		return reader_refuse(reader, reader_line(value),
			"presence is 'on', 'off', or 'grace: …', 'list: …', 'events: …' and 'info: …' below "
			"it");
	return 0;
}
