/*
 * Route: one row of the table, from its declaration to the names of its channels.
 *
 * All templates are parsed when the route is built; a connection only puts its ids between ready literals.
 */
#include "route/route.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auth/identity.h"
#include "core/buf.h"
#include "route/names.h"
#include "route/route_build.h"

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

static struct slice identity_text(const struct identity *identity, const char *claim)
{
	return identity ? identity_claim(identity, claim) : (struct slice){0};
}

/* The text of this part of a channel for this match; empty if the identity has no such claim. */
static struct slice part_text(const struct route_match *match, const struct template_part *part)
{
	if (part->claim)
		return identity_text(match->identity, part->claim);
	if (!part->is_variable)
		return part->text;
	return (struct slice){match->values[part->variable].text, match->values[part->variable].len};
}

static size_t channel_len(const struct route_match *match, const struct template *channel)
{
	size_t len = channel->n_parts - 1;

	for (size_t i = 0; i < channel->n_parts; i++)
		len += part_text(match, &channel->parts[i]).len;
	return len;
}

size_t route_channel(const struct route_match *match, size_t i, char out[ROUTE_CHANNEL_MAX + 1])
{
	const struct template *channel = &match->route->channels[i];
	size_t len = 0;

	out[0] = '\0';
	if (channel_len(match, channel) > ROUTE_CHANNEL_MAX)
		return 0; /* a token that was renewed since says something longer */
	for (size_t j = 0; j < channel->n_parts; j++) {
		struct slice text = part_text(match, &channel->parts[j]);

		if (j > 0)
			out[len++] = ':';
		if (text.len) /* an identity may have no such claim */
			memcpy(out + len, text.data, text.len);
		len += text.len;
	}
	out[len] = '\0';
	return len;
}

/* Literals and ids are valid as they are. What a claim says may be anything. */
static bool channel_valid(const struct route_match *match, size_t i, bool has_claims)
{
	char name[ROUTE_CHANNEL_MAX + 1];
	size_t len;

	/* Each id may be as long as it is, and two of them still too long together. */
	if (channel_len(match, &match->route->channels[i]) > ROUTE_CHANNEL_MAX)
		return false;
	len = route_channel(match, i, name);
	return has_claims ? route_channel_valid(name, len) : !name_is_reserved(name, len);
}

bool route_channels_valid(const struct route_match *match, bool asked)
{
	for (size_t i = 0; i < match->route->n_channels; i++) {
		bool has_claims = template_has_claims(&match->route->channels[i]);

		if ((asked || !has_claims) && !channel_valid(match, i, has_claims))
			return false;
	}
	return true;
}

size_t route_ids(const struct route_match *match, char out[ROUTE_IDS_MAX + 1])
{
	size_t len = 0;

	for (size_t i = 0; i < match->n_values; i++) {
		if (i > 0)
			out[len++] = '/';
		memcpy(out + len, match->values[i].text, match->values[i].len);
		len += match->values[i].len;
	}
	out[len] = '\0';
	return len;
}

void route_variables(const struct route_match *match, struct buf *out)
{
	const struct template *path = &match->route->path;
	size_t n = 0;

	buf_append_char(out, '{');
	for (size_t i = 0; i < path->n_parts; i++) {
		if (!path->parts[i].is_variable)
			continue;
		if (n)
			buf_append_char(out, ',');
		buf_append_json_string(out, path->parts[i].text.data, path->parts[i].text.len);
		buf_append_char(out, ':');
		buf_append_json_string(out, match->values[n].text, match->values[n].len);
		n++;
	}
	buf_append_char(out, '}');
}

void route_rematch(const struct route *route, const char *ids, const struct identity *identity,
	struct route_match *match)
{
	struct slice parts[ROUTE_SEGMENTS_MAX];

	match->route = route;
	match->identity = identity;
	match->n_values = *ids ? route_split(ids, strlen(ids), '/', parts) : 0;
	for (size_t i = 0; i < match->n_values; i++) {
		memcpy(match->values[i].text, parts[i].data, parts[i].len);
		match->values[i].text[parts[i].len] = '\0';
		match->values[i].len = parts[i].len;
	}
}

size_t route_split(const char *text, size_t len, char separator, struct slice parts[ROUTE_SEGMENTS_MAX])
{
	size_t n = 0;

	for (size_t start = 0;;) {
		const char *found = memchr(text + start, separator, len - start);
		size_t end = found ? (size_t)(found - text) : len;

		if (n == ROUTE_SEGMENTS_MAX)
			return 0;
		parts[n++] = (struct slice){text + start, end - start};
		if (end == len)
			return n;
		start = end + 1;
	}
}

static bool part_fits(
	const struct route_match *match, const struct template_part *part, struct slice channel_part)
{
	bool is_free = part->is_variable && !part->claim && part->variable < 0;

	if (is_free)
		return part->wide || !name_is_wide(channel_part.data, channel_part.len);
	if (part->variable >= 0 && (size_t)part->variable >= match->n_values)
		return false;
	return slice_equal(part_text(match, part), channel_part);
}

/* Looks at all parts, whatever is found: see route/access.c. */
static bool template_fits(const struct route_match *match, const struct template *template,
	const struct slice *channel, size_t n)
{
	bool fits = true;

	if (template->n_parts != n)
		return false;
	for (size_t i = 0; i < n; i++)
		fits &= part_fits(match, &template->parts[i], channel[i]);
	return fits;
}

static bool any_fits(const struct route_match *match, const struct template *templates, size_t n_templates,
	const struct slice *channel, size_t n)
{
	bool any = false;

	for (size_t i = 0; i < n_templates; i++)
		any |= template_fits(match, &templates[i], channel, n);
	return any;
}

bool route_joins(const struct route_match *match, const struct slice *channel, size_t n)
{
	return any_fits(match, match->route->channels, match->route->n_channels, channel, n);
}

bool route_lists(const struct route_match *match, const struct slice *channel, size_t n)
{
	return any_fits(match, match->route->subscribe, match->route->n_subscribe, channel, n);
}

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
