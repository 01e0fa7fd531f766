/*
 * Route: one row of the table, built from its declaration.
 *
 * All templates are parsed here, once; a connection only puts its ids between ready literals (route_match.c).
 */
#include "route/route.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "route/route_build.h"

/* --- the templates --- */

/* Parses into a scratch buf, so that the sentence can open with the template that it is about. */
static int parse_channel(struct template *template, const char *text, const struct route *route,
	bool may_be_free, struct buf *error)
{
	struct buf why = {0};
	int r;

	r = template_parse_channel(template, text, &route->path, may_be_free, route->any_ids, &why);
	if (r == ROUTE_BAD_TEMPLATE)
		buf_printf(
			error, "channel '%s': %s", text, buf_text(&why) ? buf_text(&why) : "it is not valid");
	buf_deinit(&why);
	return r;
}

/* key: that of the configuration. */
static int parse_path(struct template *template, const char *key, const char *text, struct buf *error)
{
	struct buf why = {0};
	int r;

	r = template_parse_path(template, text, &why);
	if (r == ROUTE_BAD_TEMPLATE)
		buf_printf(
			error, "%s '%s': %s", key, text, buf_text(&why) ? buf_text(&why) : "it is not valid");
	buf_deinit(&why);
	return r;
}

/* The next variable from the i-th part on, or NULL. */
static const struct template_part *next_variable(const struct template *template, size_t *ip)
{
	while (*ip < template->n_parts) {
		const struct template_part *part = &template->parts[(*ip)++];

		if (part->is_variable)
			return part;
	}
	return NULL;
}

/* A match counts its ids from the left. */
static bool same_variables(const struct template *a, const struct template *b)
{
	const struct template_part *one, *other;
	size_t i = 0, j = 0;

	do {
		one = next_variable(a, &i);
		other = next_variable(b, &j);
		if (!one || !other)
			return one == other;
	} while (slice_equal(one->text, other->text));
	return false;
}

/* The place of its event streams that nobody has to write: beside that of its WebSockets. */
static int parse_default_sse(struct route *route, struct buf *error)
{
	struct buf text = {0};
	int r = -ENOMEM;

	if (strncmp(route->path.text, "/ws/", 4) != 0)
		return 0;
	buf_printf(&text, "/sse/%s", route->path.text + 4);
	if (buf_text(&text))
		r = parse_path(&route->sse, "sse", buf_text(&text), error);
	buf_deinit(&text);
	return r;
}

static int parse_sse(struct route *route, const struct route_spec *spec, struct buf *error)
{
	int r;

	if (!spec->sse)
		return parse_default_sse(route, error);
	if (!*spec->sse)
		return 0;
	r = parse_path(&route->sse, "sse", spec->sse, error);
	if (r || same_variables(&route->path, &route->sse))
		return r;
	buf_printf(
		error, "sse '%s': it needs the variables of '%s', in the same order", spec->sse, spec->path);
	return ROUTE_BAD_TEMPLATE;
}

/* Nobody would ever have that claim. */
static int check_claims(const struct template *template, const struct route *route, struct buf *error)
{
	if (route->auth != ROUTE_AUTH_NONE || !template_has_claims(template))
		return 0;
	buf_printf(error, "channel '%s': it needs a token, and with 'auth: none' nobody is asked for one",
		template->text);
	return ROUTE_BAD_TEMPLATE;
}

static int parse_channels(struct route *route, const struct route_spec *spec, struct buf *error)
{
	if (spec->n_channels > ROUTE_CHANNELS_MAX) {
		buf_printf(
			error, "path '%s': it joins more than %d channels", spec->path, ROUTE_CHANNELS_MAX);
		return ROUTE_BAD_TEMPLATE;
	}
	route->channels = calloc(spec->n_channels + 1, sizeof(*route->channels));
	if (!route->channels)
		return -ENOMEM;
	for (size_t i = 0; i < spec->n_channels; i++) {
		int r;

		for (size_t j = 0; j < i; j++) {
			if (strcmp(spec->channels[i], spec->channels[j]) == 0) {
				buf_printf(error, "channel '%s': it is there twice", spec->channels[i]);
				return ROUTE_BAD_TEMPLATE;
			}
		}
		route->n_channels++;
		r = parse_channel(&route->channels[i], spec->channels[i], route, false, error);
		if (r == 0)
			r = check_claims(&route->channels[i], route, error);
		if (r)
			return r;
	}
	return 0;
}

static int parse_subscribe(struct route *route, const struct route_spec *spec, struct buf *error)
{
	route->subscribe_any_route = spec->subscribe_any_route;
	if (spec->n_subscribe > ROUTE_SUBSCRIBE_MAX) {
		buf_printf(error, "path '%s': it lists more than %d channels to subscribe", spec->path,
			ROUTE_SUBSCRIBE_MAX);
		return ROUTE_BAD_TEMPLATE;
	}
	route->subscribe = calloc(spec->n_subscribe + 1, sizeof(*route->subscribe));
	if (!route->subscribe)
		return -ENOMEM;
	for (size_t i = 0; i < spec->n_subscribe; i++) {
		int r;

		route->n_subscribe++;
		r = parse_channel(&route->subscribe[i], spec->subscribe[i], route, true, error);
		if (r == 0)
			r = check_claims(&route->subscribe[i], route, error);
		if (r)
			return r;
	}
	return 0;
}

/* --- what is kept and told, and where --- */

static int parse_slow(struct route *route, const struct route_spec *spec, struct buf *error)
{
	const char *why;

	route->slow = spec->slow;
	route->slow.key = NULL;
	if (!route->slow.age_max_ms)
		route->slow.age_max_ms =
			spec->slow.policy == SLOW_LATEST_BY_KEY ? SLOW_AGE_NONE : SLOW_AGE_MS;
	if (!spec->slow.key)
		return 0;
	route->key = calloc(1, sizeof(*route->key));
	if (!route->key)
		return -ENOMEM;
	if (key_path_parse(route->key, spec->slow.key, &why)) {
		buf_printf(error, "key '%s' %s", spec->slow.key, why);
		return ROUTE_BAD_TEMPLATE;
	}
	route->slow.key = route->key->text;
	return 0;
}

/* A history that is of no channel would be without effect in silence. */
static int take_history(struct route *route, const struct route_spec *spec, struct buf *error)
{
	route->history = spec->history;
	if (!spec->history.size)
		return 0;
	if (!spec->history.ttl_ms)
		route->history.ttl_ms = ROUTE_HISTORY_TTL_MS;
	if (route->n_channels > 0)
		return 0;
	buf_printf(error, "path '%s': it has a history, but joins no channel to keep one of", spec->path);
	return ROUTE_BAD_TEMPLATE;
}

/* As with a history. */
static int take_presence(struct route *route, const struct route_spec *spec, struct buf *error)
{
	route->presence = spec->presence;
	route->presence.info = NULL;
	if (!spec->presence.on)
		return 0;
	if (route->n_channels == 0) {
		buf_printf(error, "path '%s': it keeps presence, but joins no channel to keep it of",
			spec->path);
		return ROUTE_BAD_TEMPLATE;
	}
	if (!spec->presence.info)
		return 0;
	route->info = malloc(strlen(spec->presence.info) + 2);
	if (!route->info)
		return -ENOMEM;
	route->info[0] = '=';
	route->presence.info = strcpy(route->info + 1, spec->presence.info);
	return 0;
}

static int take_actions(struct route *route, const struct route_spec *spec, struct buf *error)
{
	const struct route_actions *actions = &spec->actions;

	if (!actions->stream)
		return 0;
	if (strpbrk(actions->stream, "{}")) {
		buf_append_str(
			error, "the stream of actions has no braces, which stand around it in other keys");
		return ROUTE_BAD_TEMPLATE;
	}
	route->actions = (struct route_actions){
		.stream = strdup(actions->stream),
		.timeout_ms = actions->timeout_ms ? actions->timeout_ms : ROUTE_ACTIONS_TIMEOUT_MS,
		.in_flight = actions->in_flight ? actions->in_flight : ROUTE_ACTIONS_IN_FLIGHT,
		.backlog = actions->backlog ? actions->backlog : ROUTE_ACTIONS_BACKLOG,
	};
	return route->actions.stream ? 0 : -ENOMEM;
}

/* As with a history; and `tg:` begins the names of what gateways keep themselves. */
static const char *wrong_with_lifecycle(const struct route *route, const struct route_lifecycle *lifecycle)
{
	if (strpbrk(lifecycle->stream, "{}"))
		return "the stream of lifecycle has no braces, which stand around it in other keys";
	if (strncmp(lifecycle->stream, "tg:", 3) == 0)
		return "the stream of lifecycle does not begin with 'tg:', which is Tidegate's own";
	if (lifecycle->events && !(lifecycle->events & LIFECYCLE_CONNECTIONS) && route->n_channels == 0)
		return "lifecycle has events of channels only, and the route joins no channel";
	if (route->actions.stream && strcmp(route->actions.stream, lifecycle->stream) == 0)
		return "the stream of lifecycle is that of actions: its entries would be taken for actions";
	return NULL;
}

static int take_lifecycle(struct route *route, const struct route_spec *spec, struct buf *error)
{
	const struct route_lifecycle *lifecycle = &spec->lifecycle;
	const char *wrong;

	if (!lifecycle->stream)
		return 0;
	wrong = wrong_with_lifecycle(route, lifecycle);
	if (wrong) {
		buf_append_str(error, wrong);
		return ROUTE_BAD_TEMPLATE;
	}
	route->lifecycle = (struct route_lifecycle){
		.stream = strdup(lifecycle->stream),
		.events = lifecycle->events ? lifecycle->events : LIFECYCLE_ALL,
		.size = lifecycle->size ? lifecycle->size : ROUTE_LIFECYCLE_SIZE,
	};
	return route->lifecycle.stream ? 0 : -ENOMEM;
}

/* --- the whole --- */

int route_new(const struct route_spec *spec, struct route **routep, struct buf *error)
{
	struct route *route;
	int r;

	route = calloc(1, sizeof(*route));
	if (!route)
		return -ENOMEM;
	route->any_ids = spec->any_ids;
	route->auth = route->auth_written = spec->auth;
	route->access = spec->access;
	r = parse_path(&route->path, "path", spec->path, error);
	if (r)
		goto fail;
	r = parse_sse(route, spec, error);
	if (r)
		goto fail;
	r = parse_channels(route, spec, error);
	if (r)
		goto fail;
	r = parse_subscribe(route, spec, error);
	if (r)
		goto fail;
	r = parse_slow(route, spec, error);
	if (r)
		goto fail;
	r = take_history(route, spec, error);
	if (r)
		goto fail;
	r = take_presence(route, spec, error);
	if (r)
		goto fail;
	r = take_actions(route, spec, error);
	if (r)
		goto fail;
	r = take_lifecycle(route, spec, error);
	if (r)
		goto fail;
	route->compression = spec->compression;
	*routep = route;
	return 0;

fail:
	route_free(route);
	return r;
}

void route_free(struct route *route)
{
	if (!route)
		return;
	for (size_t i = 0; i < route->n_channels; i++)
		template_deinit(&route->channels[i]);
	for (size_t i = 0; i < route->n_subscribe; i++)
		template_deinit(&route->subscribe[i]);
	free(route->channels);
	free(route->subscribe);
	template_deinit(&route->path);
	template_deinit(&route->sse);
	free((char *)route->actions.stream);
	free((char *)route->lifecycle.stream);
	free(route->info);
	free(route->key);
	free(route);
}

const char *route_path(const struct route *route)
{
	return route->path.text;
}

size_t route_index(const struct route *route)
{
	return route->index;
}

size_t route_n_channels(const struct route *route)
{
	return route->n_channels;
}

const char *route_channel_template(const struct route *route, size_t i)
{
	return route->channels[i].text;
}

size_t route_n_subscribe(const struct route *route)
{
	return route->n_subscribe;
}

const char *route_subscribe_template(const struct route *route, size_t i)
{
	return route->subscribe[i].text;
}

bool route_subscribes_any_route(const struct route *route)
{
	return route->subscribe_any_route;
}

bool route_takes_any_ids(const struct route *route)
{
	return route->any_ids;
}

bool route_compresses(const struct route *route)
{
	return route->compression;
}

enum route_auth route_auth(const struct route *route)
{
	return route->auth == ROUTE_AUTH_DEFAULT ? ROUTE_AUTH_NONE : route->auth;
}

enum route_auth route_auth_written(const struct route *route)
{
	return route->auth_written;
}

enum route_access route_access(const struct route *route)
{
	return route->access == ROUTE_ACCESS_DEFAULT ? ROUTE_ACCESS_ROUTE : route->access;
}

enum route_access route_access_written(const struct route *route)
{
	return route->access;
}

bool route_needs_token(const struct route *route)
{
	bool needs = route->access == ROUTE_ACCESS_TOKEN;

	for (size_t i = 0; i < route->n_channels; i++)
		needs |= template_has_claims(&route->channels[i]);
	return needs;
}

bool route_joins_by_id(const struct route *route)
{
	for (size_t i = 0; i < route->n_channels; i++)
		for (size_t j = 0; j < route->channels[i].n_parts; j++)
			if (route->channels[i].parts[j].variable >= 0)
				return true;
	return false;
}

const struct route_slow *route_slow(const struct route *route)
{
	return &route->slow;
}

const char *route_sse(const struct route *route)
{
	return route->sse.text;
}

const struct route_actions *route_actions(const struct route *route)
{
	return &route->actions;
}

const struct route_presence *route_presence(const struct route *route)
{
	return &route->presence;
}

const struct route_lifecycle *route_lifecycle(const struct route *route)
{
	return &route->lifecycle;
}

const struct route_history *route_history(const struct route *route)
{
	return &route->history;
}

/* --- two that are alike --- */

static bool texts_equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool templates_equal(const struct template *a, size_t n_a, const struct template *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (strcmp(a[i].text, b[i].text) != 0)
			return false;
	return true;
}

static bool slow_equal(const struct route_slow *a, const struct route_slow *b)
{
	return a->policy == b->policy && a->bytes_max == b->bytes_max && a->age_max_ms == b->age_max_ms &&
	       texts_equal(a->key, b->key);
}

static bool actions_equal(const struct route_actions *a, const struct route_actions *b)
{
	if (!a->stream || !b->stream)
		return a->stream == b->stream;
	return strcmp(a->stream, b->stream) == 0 && a->timeout_ms == b->timeout_ms &&
	       a->in_flight == b->in_flight && a->backlog == b->backlog;
}

bool route_serves_alike(const struct route *a, const struct route *b)
{
	return strcmp(a->path.text, b->path.text) == 0 &&
	       templates_equal(a->channels, a->n_channels, b->channels, b->n_channels) &&
	       templates_equal(a->subscribe, a->n_subscribe, b->subscribe, b->n_subscribe) &&
	       a->any_ids == b->any_ids && a->subscribe_any_route == b->subscribe_any_route &&
	       route_auth(a) == route_auth(b) && route_access(a) == route_access(b) &&
	       a->compression == b->compression && slow_equal(&a->slow, &b->slow) &&
	       actions_equal(&a->actions, &b->actions);
}
