/*
 * Fuzz the way from a path to channels: whatever matches has sound ids and channel names, and a connection
 * may have back what it joined. A first byte of 'T' makes the rest a template instead, up to a newline, and
 * the path what follows it; so the tables differ too.
 */

#include "fuzz.h"

#include <string.h>

#include "core/buf.h"
#include "protocol/json.h"
#include "route/access.h"
#include "route/route.h"

static void add(
	struct route_table *table, const char *path, const char *const *channels, size_t n, struct buf *error)
{
	const struct route_spec spec = {.path = path, .channels = channels, .n_channels = n};
	int r = route_table_add(table, &spec, error);

	PROMISE(r >= 0 && (r == 0) == (error->len == 0));
	buf_reset(error);
}

static void add_wide(
	struct route_table *table, const char *path, const char *const *channel, struct buf *error)
{
	const struct route_spec spec = {.path = path, .channels = channel, .n_channels = 1, .any_ids = true};

	PROMISE(route_table_add(table, &spec, error) == 0);
}

/* A wide one is valid wherever a name is, and only there. */
static bool is_id(const char *id, size_t len, bool may_be_wide)
{
	return route_id_valid(id, len) ||
	       (may_be_wide && memchr(id, '%', len) && !memchr(id, ':', len) && route_channel_valid(id, len));
}

/* Its values as JSON, and the same match again from its ids. */
static void check_told(const struct route_match *match, const char *ids)
{
	struct route_match again;
	struct buf out = {0};
	bool is_object;

	route_variables(match, &out);
	PROMISE(json_check(out.data, out.len, 2, NULL, 0, &is_object) == 0 && is_object);
	buf_deinit(&out);
	route_rematch(match->route, ids, NULL, &again);
	PROMISE(again.n_values == match->n_values);
	for (size_t i = 0; i < again.n_values; i++)
		PROMISE(!strcmp(again.values[i].text, match->values[i].text));
	PROMISE(route_serves_alike(match->route, match->route) && !route_needs_token(match->route));
	PROMISE(!route_joins_by_id(match->route) || match->n_values);
}

static void check_match(const struct route_table *table, const struct route_match *match)
{
	char name[ROUTE_CHANNEL_MAX + 1];
	char ids[ROUTE_IDS_MAX + 1];

	PROMISE(match->n_values <= ROUTE_VARIABLES_MAX);
	PROMISE(route_ids(match, ids) == strlen(ids));
	check_told(match, ids);
	PROMISE(access_may_enter(match)); /* none of the routes asks who it is */
	for (size_t i = 0; i < match->n_values; i++)
		PROMISE(is_id(
			match->values[i].text, match->values[i].len, route_takes_any_ids(match->route)));
	for (size_t i = 0; i < route_n_channels(match->route); i++) {
		size_t len = route_channel(match, i, name);

		PROMISE(len == strlen(name) && route_channel_valid(name, len));
		PROMISE(access_may_subscribe(table, match, (struct slice){name, len}));
	}
	PROMISE(route_table_get(table, route_index(match->route)) == match->route);
}

/* The template in the input and a channel made of its variables' names, taken from between the braces. */
static size_t add_template(struct route_table *table, const char *text, size_t size, struct buf *error)
{
	const char *newline = memchr(text, '\n', size);
	size_t len = newline ? (size_t)(newline - text) : size;
	char *template = strndup(text, len);
	char *colons = strndup(text, len);
	const char *channel = colons;

	PROMISE(template && colons);
	for (char *c = colons; *c; c++)
		if (*c == '/')
			*c = ':';
	if (channel[0] == ':')
		channel++;
	add(table, template, &channel, 1, error);
	free(template);
	free(colons);
	return newline ? len + 1 : len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const channels[] = {"cards", "execution:{id}", "{topic}:{id}", "{a}:{b}:{c}"};
	const char *path = (const char *)data;
	struct route_table *table = route_table_new();
	struct buf error = {0};
	struct route_match match;
	int r;

	PROMISE(table);
	add(table, "/ws/cards", &channels[0], 1, &error);
	add(table, "/ws/execution/{id}", &channels[1], 1, &error);
	add(table, "/ws/{topic}/{id}", &channels[2], 1, &error);
	add(table, "/{a}/{b}/{c}/x", &channels[3], 1, &error);
	add_wide(table, "/any/{topic}/{id}", &channels[2], &error);
	if (size > 0 && path[0] == 'T') {
		size_t taken = 1 + add_template(table, path + 1, size - 1, &error);

		path += taken;
		size -= taken;
	}
	r = route_table_match(table, path, size, &match);
	PROMISE(r == 0 || r == ROUTE_NOT_FOUND || r == ROUTE_BAD_ID);
	if (r == 0)
		check_match(table, &match);
	/* The same bytes as a name: what is let through is a name. */
	match = (struct route_match){.route = route_table_get(table, 0)};
	if (access_may_subscribe(table, &match, (struct slice){path, size}))
		PROMISE(route_channel_valid(path, size));
	route_table_unref(table);
	buf_deinit(&error);
	return 0;
}
