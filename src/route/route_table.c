/*
 * Route table: all routes, found by path; all channels that they join, found by name.
 *
 * It is built by one thread, then read by many: only its count of references changes. There is one match for
 * each connection and one check for each subscribe; neither allocates memory.
 *
 * 	path ── split at '/' ── decode each ── walk the tree ── bind ids ── names of the channels
 */
#include "route/route.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "route/names.h"
#include "route/route_build.h"
#include "route/route_match.h"
#include "route/tree.h"

struct route_table {
	atomic_uint n_refs;
	struct route **routes;
	size_t n_routes;
	struct tree_node *paths;   /* -> struct route */
	struct tree_node *streams; /* the paths of event streams -> struct route */
	struct tree_node *keys; /* the channels that latest_by_key routes join or list -> struct key_path */
	struct tree_node *histories;  /* the channels that routes with a history join -> struct route */
	struct tree_node *presences;  /* the same of routes that keep presence */
	struct tree_node *lifecycles; /* the same of routes that say which channels are occupied */
	const char **claims;          /* NULL-terminated; the texts are the templates'; NULL: none */
	size_t n_claims;
	enum route_auth auth; /* of routes that do not say */
	bool keeps_presence;  /* one of them does */
};

struct route_table *route_table_new(void)
{
	struct route_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	atomic_init(&table->n_refs, 1);
	table->paths = tree_new();
	table->streams = tree_new();
	table->keys = tree_new();
	table->histories = tree_new();
	table->presences = tree_new();
	table->lifecycles = tree_new();
	if (!table->paths || !table->streams || !table->keys || !table->histories || !table->presences ||
		!table->lifecycles)
		goto fail;
	return table;

fail:
	route_table_unref(table);
	return NULL;
}

struct route_table *route_table_ref(struct route_table *table)
{
	atomic_fetch_add_explicit(&table->n_refs, 1, memory_order_relaxed);
	return table;
}

void route_table_unref(struct route_table *table)
{
	if (!table || atomic_fetch_sub_explicit(&table->n_refs, 1, memory_order_acq_rel) > 1)
		return;
	for (size_t i = 0; i < table->n_routes; i++)
		route_free(table->routes[i]);
	free(table->routes);
	free(table->claims);
	tree_free(table->paths);
	tree_free(table->streams);
	tree_free(table->keys);
	tree_free(table->histories);
	tree_free(table->presences);
	tree_free(table->lifecycles);
	free(table);
}

/* --- what routes must agree on, and its room --- */

/* The templates that a route joins, then those that it lists. */
static const struct template *named_template(const struct route *route, size_t i)
{
	return i < route->n_channels ? &route->channels[i] : &route->subscribe[i - route->n_channels];
}

static size_t n_keyed_templates(const struct route *route)
{
	return route->key ? route->n_channels + route->n_subscribe : 0;
}

/* An event has one key, the same for all its clients. */
static int check_keys(const struct route_table *table, const struct route *route, struct buf *error)
{
	for (size_t i = 0; i < n_keyed_templates(route); i++) {
		const struct template *template = named_template(route, i);
		const struct key_path *other = tree_get(table->keys, template);

		if (!other || strcmp(other->text, route->key->text) == 0)
			continue;
		buf_printf(error, "key '%s': another route has key '%s' for channel '%s'", route->key->text,
			other->text, template->text);
		return ROUTE_BAD_TEMPLATE;
	}
	return 0;
}

/* Room for the keys, so that setting them cannot fail. */
static int reserve_keys(struct route_table *table, const struct route *route)
{
	for (size_t i = 0; i < n_keyed_templates(route); i++) {
		const struct template *template = named_template(route, i);

		if (!tree_get(table->keys, template) && tree_set(table->keys, template, NULL) < 0)
			return -ENOMEM;
	}
	return 0;
}

static void set_keys(struct route_table *table, const struct route *route)
{
	for (size_t i = 0; i < n_keyed_templates(route); i++) {
		int r = tree_set(table->keys, named_template(route, i), route->key);

		assert(r == 0);
		(void)r;
	}
}

static size_t n_kept_templates(const struct route *route)
{
	return route->history.size > 0 ? route->n_channels : 0;
}

static bool history_equal(const struct route_history *a, const struct route_history *b)
{
	return a->size == b->size && a->ttl_ms == b->ttl_ms && a->close_on_gap == b->close_on_gap;
}

/* A channel has one log in Redis, the same for all routes. */
static int check_histories(const struct route_table *table, const struct route *route, struct buf *error)
{
	for (size_t i = 0; i < n_kept_templates(route); i++) {
		const struct template *template = &route->channels[i];
		const struct route *other = tree_get(table->histories, template);

		if (!other || history_equal(&other->history, &route->history))
			continue;
		buf_printf(error, "history: route '%s' has another one for channel '%s'", route_path(other),
			template->text);
		return ROUTE_BAD_TEMPLATE;
	}
	return 0;
}

static bool presence_equal(const struct route_presence *a, const struct route_presence *b)
{
	return a->list == b->list && a->events == b->events && a->grace_ms == b->grace_ms &&
	       !a->info == !b->info && (!a->info || strcmp(a->info, b->info) == 0);
}

static int check_presences(const struct route_table *table, const struct route *route, struct buf *error)
{
	for (size_t i = 0; route->presence.on && i < route->n_channels; i++) {
		const struct template *template = &route->channels[i];
		const struct route *other = tree_get(table->presences, template);

		if (!other || presence_equal(&other->presence, &route->presence))
			continue;
		buf_printf(error, "presence: route '%s' has another one for channel '%s'", route_path(other),
			template->text);
		return ROUTE_BAD_TEMPLATE;
	}
	return 0;
}

static size_t n_told_channels(const struct route *route)
{
	return route->lifecycle.events & LIFECYCLE_CHANNELS ? route->n_channels : 0;
}

static bool lifecycle_equal(const struct route_lifecycle *a, const struct route_lifecycle *b)
{
	return strcmp(a->stream, b->stream) == 0 &&
	       (a->events & LIFECYCLE_CHANNELS) == (b->events & LIFECYCLE_CHANNELS);
}

/* Of one stream: two bounds would be the smaller one, and what workers take out is nobody else's. */
static int check_stream(const struct route *other, const struct route *route, struct buf *error)
{
	const char *stream = route->lifecycle.stream, *theirs = other->lifecycle.stream;
	const char *work = route->actions.stream, *their_work = other->actions.stream;

	if (stream && theirs && strcmp(stream, theirs) == 0 &&
		route->lifecycle.size != other->lifecycle.size) {
		buf_printf(error, "lifecycle: route '%s' has another size for stream '%s'", route_path(other),
			stream);
		return ROUTE_BAD_TEMPLATE;
	}
	if ((stream && their_work && strcmp(stream, their_work) == 0) ||
		(work && theirs && strcmp(work, theirs) == 0)) {
		buf_printf(error, "lifecycle: stream '%s' is that of actions, here or in route '%s'",
			stream && their_work && strcmp(stream, their_work) == 0 ? stream : work,
			route_path(other));
		return ROUTE_BAD_TEMPLATE;
	}
	return 0;
}

static int check_lifecycles(const struct route_table *table, const struct route *route, struct buf *error)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < table->n_routes; i++)
		r = check_stream(table->routes[i], route, error);
	for (size_t i = 0; r == 0 && i < n_told_channels(route); i++) {
		const struct template *template = &route->channels[i];
		const struct route *other = tree_get(table->lifecycles, template);

		if (!other || lifecycle_equal(&other->lifecycle, &route->lifecycle))
			continue;
		buf_printf(error, "lifecycle: route '%s' says it otherwise of channel '%s'",
			route_path(other), template->text);
		r = ROUTE_BAD_TEMPLATE;
	}
	return r;
}

/* Room for the first n channels of the route, so that setting them cannot fail. */
static int reserve_channels(struct tree_node *tree, const struct route *route, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct template *template = &route->channels[i];

		if (!tree_get(tree, template) && tree_set(tree, template, NULL) < 0)
			return -ENOMEM;
	}
	return 0;
}

static void set_channels(struct tree_node *tree, struct route *route, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int r = tree_set(tree, &route->channels[i], route);

		assert(r == 0);
		(void)r;
	}
}

static int reserve_claims(struct route_table *table, const struct route *route)
{
	const char **grown;
	size_t n = 0;

	for (size_t i = 0; i < route->n_channels + route->n_subscribe; i++)
		for (size_t j = 0; j < named_template(route, i)->n_parts; j++)
			n += named_template(route, i)->parts[j].claim != NULL;
	n += route->info != NULL;
	if (n == 0)
		return 0;
	grown = reallocarray(table->claims, table->n_claims + n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	table->claims = grown;
	grown[table->n_claims] = NULL;
	return 0;
}

static void set_claim(struct route_table *table, const char *claim)
{
	for (size_t i = 0; i < table->n_claims; i++)
		if (strcmp(table->claims[i], claim) == 0)
			return;
	table->claims[table->n_claims++] = claim;
	table->claims[table->n_claims] = NULL;
}

static void set_claims(struct route_table *table, const struct route *route)
{
	for (size_t i = 0; i < route->n_channels + route->n_subscribe; i++)
		for (size_t j = 0; j < named_template(route, i)->n_parts; j++)
			if (named_template(route, i)->parts[j].claim)
				set_claim(table, named_template(route, i)->parts[j].claim);
	if (route->info)
		set_claim(table, route->info);
}

static size_t n_present_channels(const struct route *route)
{
	return route->presence.on ? route->n_channels : 0;
}

/* --- adding a route --- */

static void set_stream(struct route_table *table, const struct route *route)
{
	int r = route->sse.text ? tree_set(table->streams, &route->sse, route) : 0;

	assert(r == 0);
	(void)r;
}

/* Of all its places, in the order in which they can be taken back: the route goes into the tree of paths
 * last, so if a step before fails, no match can find it. */
static int table_insert(struct route_table *table, struct route *route)
{
	struct route **grown;
	int r;

	grown = reallocarray(table->routes, table->n_routes + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	table->routes = grown;
	r = reserve_claims(table, route);
	if (r < 0)
		return r;
	r = reserve_keys(table, route);
	if (r < 0)
		return r;
	r = reserve_channels(table->histories, route, n_kept_templates(route));
	if (r == 0)
		r = reserve_channels(table->presences, route, n_present_channels(route));
	if (r == 0)
		r = reserve_channels(table->lifecycles, route, n_told_channels(route));
	if (r < 0)
		return r;
	if (route->sse.text)
		r = tree_set(table->streams, &route->sse, NULL); /* its room */
	if (r < 0)
		return r;
	r = tree_set(table->paths, &route->path, route);
	if (r < 0)
		return r;
	set_stream(table, route);
	set_claims(table, route);
	set_keys(table, route);
	set_channels(table->histories, route, n_kept_templates(route));
	table->keeps_presence |= route->presence.on;
	set_channels(table->presences, route, n_present_channels(route));
	set_channels(table->lifecycles, route, n_told_channels(route));
	if (route->auth_written == ROUTE_AUTH_DEFAULT)
		route->auth = table->auth;
	route->index = table->n_routes;
	grown[table->n_routes++] = route;
	return 0;
}

/* Whoever asks for a path means one thing. */
static int check_paths(const struct route_table *table, const struct route *route, struct buf *error)
{
	const struct route *other = tree_get(table->paths, &route->path);
	const char *path = route_path(route), *sse = route_sse(route);

	if (other) {
		buf_printf(error, "path '%s': it matches the same paths as '%s'", path, route_path(other));
		return ROUTE_CONFLICT;
	}
	other = tree_get(table->streams, &route->path);
	if (other) {
		buf_printf(error, "path '%s': the event streams of '%s' are there (it may say sse: off)",
			path, route_path(other));
		return ROUTE_CONFLICT;
	}
	other = sse ? tree_get(table->paths, &route->sse) : NULL;
	if (other || (sse && template_same_shape(&route->sse, &route->path))) {
		buf_printf(error, "sse '%s': it matches the same paths as '%s' (another path, or sse: off)",
			sse, other ? route_path(other) : path);
		return ROUTE_CONFLICT;
	}
	other = sse ? tree_get(table->streams, &route->sse) : NULL;
	if (other) {
		buf_printf(error, "sse '%s': the event streams of '%s' are there", sse, route_path(other));
		return ROUTE_CONFLICT;
	}
	return 0;
}

int route_table_add(struct route_table *table, const struct route_spec *spec, struct buf *error)
{
	struct route *route;
	int r;

	r = route_new(spec, &route, error);
	if (r)
		return r;
	r = check_paths(table, route, error);
	if (r)
		goto fail;
	r = check_keys(table, route, error);
	if (r)
		goto fail;
	r = check_histories(table, route, error);
	if (r)
		goto fail;
	r = check_presences(table, route, error);
	if (r)
		goto fail;
	r = check_lifecycles(table, route, error);
	if (r)
		goto fail;
	r = table_insert(table, route);
	if (r)
		goto fail;
	return 0;

fail:
	route_free(route);
	return r;
}

/* --- what is asked of it --- */

const struct route *route_table_find(const struct route_table *table, const char *path_template)
{
	struct template template;
	struct buf why = {0};
	const struct route *route = NULL;

	if (template_parse_path(&template, path_template, &why) == 0)
		route = tree_get(table->paths, &template);
	template_deinit(&template);
	buf_deinit(&why);
	return route;
}

void route_table_set_auth(struct route_table *table, enum route_auth auth)
{
	table->auth = auth;
	for (size_t i = 0; i < table->n_routes; i++)
		if (table->routes[i]->auth_written == ROUTE_AUTH_DEFAULT)
			table->routes[i]->auth = auth;
}

const char *const *route_table_claims(const struct route_table *table)
{
	static const char *const none[] = {NULL};

	return table->claims ? table->claims : none;
}

size_t route_table_size(const struct route_table *table)
{
	return table->n_routes;
}

const struct route *route_table_get(const struct route_table *table, size_t i)
{
	return table->routes[i];
}

/* --- from a path to a match --- */

/* The segments of a path, and the ids that they are. */
struct segments {
	size_t n;
	struct slice parts[ROUTE_SEGMENTS_MAX]; /* as in names; empty: not an id, so no literal either */
	char text[ROUTE_SEGMENTS_MAX][ROUTE_ID_MAX + 1];
};

static int segments_parse(struct segments *segments, const char *path, size_t len)
{
	segments->n = 0;
	if (len == 0 || len > ROUTE_PATH_MAX || path[0] != '/')
		return ROUTE_NOT_FOUND;
	if (len == 1)
		return 0;
	segments->n = name_split(path + 1, len - 1, '/', segments->parts);
	if (segments->n == 0)
		return ROUTE_NOT_FOUND;
	for (size_t i = 0; i < segments->n; i++) {
		struct slice *part = &segments->parts[i];

		if (part->len == 0)
			return ROUTE_NOT_FOUND;
		part->len = name_take_id(part->data, part->len, segments->text[i]);
		part->data = segments->text[i];
	}
	return 0;
}

/* path: the template that the segments fit. */
static int bind_ids(struct route_match *match, const struct template *path, const struct segments *segments)
{
	match->identity = NULL;
	match->n_values = 0;
	for (size_t i = 0; i < path->n_parts; i++) {
		if (!path->parts[i].is_variable)
			continue;
		if (segments->parts[i].len == 0)
			return ROUTE_BAD_ID;
		if (!match->route->any_ids && name_is_wide(segments->text[i], segments->parts[i].len))
			return ROUTE_BAD_ID;
		memcpy(match->values[match->n_values].text, segments->text[i], segments->parts[i].len + 1);
		match->values[match->n_values].len = segments->parts[i].len;
		match->n_values++;
	}
	return route_channels_valid(match, false) ? 0 : ROUTE_BAD_ID;
}

/* The route whose path in this tree fits, and the segments of the path that was sent. */
static int find(
	const struct tree_node *tree, struct slice path, struct segments *segments, struct route_match *match)
{
	int r = segments_parse(segments, path.data, path.len);

	if (r)
		return r;
	match->route = tree_match(tree, segments->parts, segments->n);
	return match->route ? 0 : ROUTE_NOT_FOUND;
}

int route_table_match(
	const struct route_table *table, const char *path, size_t len, struct route_match *match)
{
	struct segments segments;
	int r = find(table->paths, (struct slice){path, len}, &segments, match);

	return r ? r : bind_ids(match, &match->route->path, &segments);
}

int route_table_match_sse(
	const struct route_table *table, const char *path, size_t len, struct route_match *match)
{
	struct segments segments;
	int r = find(table->streams, (struct slice){path, len}, &segments, match);

	return r ? r : bind_ids(match, &match->route->sse, &segments);
}

const struct route *route_table_at(const struct route_table *table, const struct slice *segments, size_t n)
{
	return tree_match(table->paths, segments, n);
}

/* --- from the name of a channel --- */

static const void *at_channel(const struct tree_node *tree, struct slice channel)
{
	struct slice parts[ROUTE_SEGMENTS_MAX];
	size_t n = name_split(channel.data, channel.len, ':', parts);

	return n > 0 ? tree_match(tree, parts, n) : NULL;
}

const struct key_path *route_table_key(const struct route_table *table, struct slice channel)
{
	return at_channel(table->keys, channel);
}

const struct route_history *route_table_history(const struct route_table *table, struct slice channel)
{
	const struct route *route = at_channel(table->histories, channel);

	return route ? &route->history : NULL;
}

const struct route_presence *route_table_presence(const struct route_table *table, struct slice channel)
{
	const struct route *route = at_channel(table->presences, channel);

	return route ? &route->presence : NULL;
}

const struct route_lifecycle *route_table_lifecycle(const struct route_table *table, struct slice channel)
{
	const struct route *route = at_channel(table->lifecycles, channel);

	return route ? &route->lifecycle : NULL;
}

bool route_table_tells_lifecycle(const struct route_table *table)
{
	for (size_t i = 0; i < route_table_size(table); i++)
		if (route_lifecycle(route_table_get(table, i))->stream)
			return true;
	return false;
}

bool route_table_keeps_presence(const struct route_table *table)
{
	return table->keeps_presence;
}

bool route_table_carries_actions(const struct route_table *table)
{
	for (size_t i = 0; i < route_table_size(table); i++)
		if (route_actions(route_table_get(table, i))->stream)
			return true;
	return false;
}

bool route_table_keeps_history(const struct route_table *table)
{
	for (size_t i = 0; i < route_table_size(table); i++)
		if (route_history(route_table_get(table, i))->size)
			return true;
	return false;
}
