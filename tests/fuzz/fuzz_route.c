/*
 * Fuzz the way from a path to channels: whatever matches has sound ids and channel names, and a connection
 * may have back what it joined. A first byte of 'T' makes the rest a template instead, up to a newline, and
 * the path what follows it; so the tables differ too. A first byte of 'S' makes it the whole of a route, for
 * somebody with a token: a byte of switches, and lines with the template, two channels, one to subscribe to,
 * a key, and the path. With 'P' two more lines stand before that: the path of its event streams, and a
 * name: of the claim that presence tells of users, of the stream of lifecycle, and of that of actions.
 */

#include "fuzz.h"

#include <string.h>

#include "auth/claims.h"
#include "auth/identity.h"
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
	route_rematch(match->route, ids, match->identity, &again);
	PROMISE(again.n_values == match->n_values);
	for (size_t i = 0; i < again.n_values; i++)
		PROMISE(!strcmp(again.values[i].text, match->values[i].text));
	PROMISE(route_serves_alike(match->route, match->route));
	PROMISE(!route_joins_by_id(match->route) || match->n_values);
}

static void check_match(const struct route_table *table, const struct route_match *match)
{
	char name[ROUTE_CHANNEL_MAX + 1];
	char ids[ROUTE_IDS_MAX + 1];

	PROMISE(match->n_values <= ROUTE_VARIABLES_MAX);
	PROMISE(route_ids(match, ids) == strlen(ids));
	check_told(match, ids);
	/* Without a token none of the routes asks who it is. */
	PROMISE(match->identity || (!route_needs_token(match->route) && access_may_enter(match)));
	if (!access_may_enter(match))
		return;
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

/* The next line of the text. */
static char *take_line(const char **text, size_t *size)
{
	const char *newline = *size ? memchr(*text, '\n', *size) : NULL;
	size_t len = newline ? (size_t)(newline - *text) : *size;
	char *line = strndup(*text, len);

	PROMISE(line);
	*text += len + (newline ? 1 : 0);
	*size -= len + (newline ? 1 : 0);
	return line;
}

/* Who listens by it, what hears it as a stream, and where that is told and asked; "": none. */
static void add_listeners(struct route_spec *spec, const char *stream, const char *name)
{
	name = *name ? name : NULL;
	spec->sse = stream;
	spec->presence =
		(struct route_presence){.on = !spec->compression, .list = true, .events = true, .info = name};
	spec->lifecycle = (struct route_lifecycle){
		.stream = name, .events = spec->n_channels ? LIFECYCLE_ALL : LIFECYCLE_CHANNELS};
	if (spec->actions.stream)
		spec->actions.stream = name;
}

/* More channels than one route may have, to join and to subscribe to: no input is so long. */
static void refuses_too_many(struct route_table *table, struct buf *error)
{
	static const char *const channels[ROUTE_SUBSCRIBE_MAX + 1] = {"cards"};
	const struct route_spec joins = {
		.path = "/ws/many", .channels = channels, .n_channels = ROUTE_CHANNELS_MAX + 1};
	const struct route_spec lists = {.path = "/ws/many",
		.channels = channels,
		.n_channels = 1,
		.subscribe = channels,
		.n_subscribe = ROUTE_SUBSCRIBE_MAX + 1};

	PROMISE(route_table_add(table, &joins, error) == ROUTE_BAD_TEMPLATE && error->len);
	PROMISE(route_table_add(table, &lists, error) == ROUTE_BAD_TEMPLATE);
	buf_reset(error);
}

/* The route that the input describes, added to both tables alike; the input is what is left, the path. */
static void add_route(
	struct route_table *tables[2], const char **text, size_t *size, size_t n_lines, struct buf *error)
{
	unsigned char on = *size ? (unsigned char)**text : 0;
	char *lines[7];
	struct route_spec spec = {
		.n_channels = on & 1   ? 2
			      : on & 2 ? 0
				       : 1,
		.n_subscribe = on & 2 ? 1 : 0,
		.subscribe_any_route = !(on & 2),
		.any_ids = on & 4,
		.compression = on & 8,
		.auth = on & 16   ? ROUTE_AUTH_REQUIRED
			: on & 32 ? ROUTE_AUTH_NONE
				  : ROUTE_AUTH_OPTIONAL,
		.access = on & 32 ? ROUTE_ACCESS_TOKEN : ROUTE_ACCESS_ROUTE,
		.history = {.size = on & 64 ? 10 : 0},
		.actions = {.stream = on & 128 ? "actions" : NULL},
	};

	*text += *size ? 1 : 0;
	*size -= *size ? 1 : 0;
	for (size_t i = 0; i < n_lines; i++)
		lines[i] = take_line(text, size);
	if (n_lines > 5)
		add_listeners(&spec, lines[5], lines[6]);
	spec.path = lines[0];
	spec.channels = (const char *const *)&lines[1];
	spec.subscribe = (const char *const *)&lines[3];
	spec.slow.policy = *lines[4] ? SLOW_LATEST_BY_KEY : SLOW_DISCONNECT;
	spec.slow.key = *lines[4] ? lines[4] : NULL;
	for (size_t i = 0; i < 2; i++) {
		int r = route_table_add(tables[i], &spec, error);

		PROMISE(r >= 0 && (r == 0 || r == ROUTE_CONFLICT || error->len));
		buf_reset(error);
	}
	for (size_t i = 0; i < n_lines; i++)
		free(lines[i]);
}

/* What a document says of a route, and what a reload compares: a twin is alike, and no other. */
static void check_twin(const struct route *route, const struct route *twin, const struct route *other)
{
	PROMISE(route_serves_alike(route, twin) && !route_serves_alike(route, other));
	PROMISE(!strcmp(route_path(route), route_path(twin)));
	for (size_t i = 0; i < route_n_channels(route); i++)
		PROMISE(!strcmp(route_channel_template(route, i), route_channel_template(twin, i)));
	for (size_t i = 0; i < route_n_subscribe(route); i++)
		PROMISE(!strcmp(route_subscribe_template(route, i), route_subscribe_template(twin, i)));
	PROMISE(route_subscribes_any_route(route) == route_subscribes_any_route(twin));
	PROMISE(route_compresses(route) == route_compresses(twin));
	PROMISE(route_auth_written(route) == route_auth_written(twin));
	PROMISE(route_access(route) == route_access(twin));
	PROMISE(route_access_written(route) == route_access_written(twin));
	PROMISE(route_slow(route)->policy == route_slow(twin)->policy);
	PROMISE(!route_actions(route)->stream == !route_actions(twin)->stream);
	PROMISE(route_history(route)->size == route_history(twin)->size);
	PROMISE(!route_sse(route) == !route_sse(twin));
	PROMISE(!route_sse(route) || !strcmp(route_sse(route), route_sse(twin)));
	PROMISE(route_presence(route)->on == route_presence(twin)->on);
}

static struct identity *somebody(const struct route_table *table)
{
	const struct claims_rules rules = {
		.identity = {"sub", "channels", route_table_claims(table)}, .exp_optional = true};
	struct identity *identity = NULL;

	PROMISE(claims_read(
			slice_of("{\"sub\":\"ada|7\",\"team\":\"red\",\"channels\":[\"cards:*\",\"cards\"]}"),
			&rules, 0, &identity) == 0);
	return identity;
}

/* A table with one route more, for somebody with a token. */
static void look_as_somebody(const char *text, size_t size, size_t n_lines)
{
	static const char *const channels[] = {"cards"};
	struct route_table *tables[2] = {route_table_new(), route_table_new()};
	struct identity *identity;
	struct route_match match;
	struct buf error = {0};
	int r;

	PROMISE(tables[0] && tables[1]);
	for (size_t i = 0; i < 2; i++)
		add(tables[i], "/ws/cards", channels, 1, &error);
	add_route(tables, &text, &size, n_lines, &error);
	if (route_table_size(tables[0]) == 2)
		check_twin(route_table_get(tables[0], 1), route_table_get(tables[1], 1),
			route_table_get(tables[0], 0));
	identity = somebody(tables[0]);
	r = route_table_match(tables[0], text, size, &match);
	match.identity = identity;
	if (r == 0)
		check_match(tables[0], &match);
	identity_free(identity);
	route_table_unref(tables[0]);
	route_table_unref(tables[1]);
	buf_deinit(&error);
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
	if (size > 0 && (path[0] == 'S' || path[0] == 'P'))
		look_as_somebody(path + 1, size - 1, path[0] == 'S' ? 5 : 7);
	add(table, "/ws/cards", &channels[0], 1, &error);
	add(table, "/ws/execution/{id}", &channels[1], 1, &error);
	add(table, "/ws/{topic}/{id}", &channels[2], 1, &error);
	add(table, "/{a}/{b}/{c}/x", &channels[3], 1, &error);
	add_wide(table, "/any/{topic}/{id}", &channels[2], &error);
	if (size == 0)
		refuses_too_many(table, &error);
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
