/*
 * Route match: what the ids of a path, and whoever came by it, make of a route: the names of its channels.
 *
 * Nothing here allocates memory, and no name is longer than ROUTE_CHANNEL_MAX.
 */
#include "route/route_match.h"

#include <string.h>

#include "auth/identity.h"
#include "core/buf.h"
#include "route/names.h"
#include "route/route_build.h"

/* --- the names of its channels --- */

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

/* --- what a connection keeps --- */

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
	match->n_values = *ids ? name_split(ids, strlen(ids), '/', parts) : 0;
	for (size_t i = 0; i < match->n_values; i++) {
		memcpy(match->values[i].text, parts[i].data, parts[i].len);
		match->values[i].text[parts[i].len] = '\0';
		match->values[i].len = parts[i].len;
	}
}

/* --- which channels are its own --- */

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
