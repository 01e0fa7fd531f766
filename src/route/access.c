/*
 * Access: the same door for paths and subscriptions; see the header.
 *
 * Which of the routes joins a channel is found by going through all that are open to the identity, from
 * the channel back to the path:
 *
 * 	execution:7 ── fits execution:{id} ── id = 7 ── /ws/execution/7 ── leads to this route, and not to a
 * 	more literal one ── all channels of it get valid names
 *
 * Names cannot be probed, not even with a clock. Nothing but the configuration and the identity is asked,
 * never whether a channel has events or listeners. And a channel that is unknown costs what a forbidden
 * one costs: routes that the identity may not open are left out whatever the channel, and of the others
 * each part of each template is compared whatever the parts before it said. Only a name that fits is
 * looked at further. (A tree would find channels in fewer steps, and say by their number which templates
 * there are.)
 */
#include "route/access.h"

#include "auth/identity.h"
#include "route/names.h"
#include "route/route_build.h"
#include "route/route_match.h"

/* What a channel says of the path that joins it: its ids, in the order of the path; data NULL: any id. */
struct path_ids {
	struct slice ids[ROUTE_VARIABLES_MAX];
};

static bool lists(const struct identity *identity, struct slice channel)
{
	return identity && identity_lists(identity, channel);
}

bool access_may_enter(const struct route_match *match)
{
	const struct route *route = match->route;
	char name[ROUTE_CHANNEL_MAX + 1];

	if (route_auth(route) == ROUTE_AUTH_REQUIRED && !match->identity)
		return false;
	if (!route_channels_valid(match, true))
		return false;
	for (size_t i = 0; route->access == ROUTE_ACCESS_TOKEN && i < route->n_channels; i++)
		if (!lists(match->identity, (struct slice){name, route_channel(match, i, name)}))
			return false;
	return true;
}

static bool part_binds(const struct template_part *part, struct slice text, const struct identity *identity,
	struct path_ids *path)
{
	struct slice *id;

	if (part->claim)
		return identity && slice_equal(identity_claim(identity, part->claim), text);
	if (!part->is_variable)
		return slice_equal(part->text, text);
	id = &path->ids[part->variable];
	if (id->data)
		return slice_equal(*id, text); /* the same variable again */
	*id = text;
	return part->wide || !name_is_wide(text.data, text.len);
}

static bool template_binds(const struct template *template, const struct slice *channel, size_t n,
	const struct identity *identity, struct path_ids *path)
{
	bool fits = template->n_parts == n;

	*path = (struct path_ids){0};
	for (size_t i = 0; i < template->n_parts && i < n; i++)
		fits &= part_binds(&template->parts[i], channel[i], identity, path);
	return fits;
}

/* Is there a path with these ids that leads to this route, and none of its other channels keeps it shut? */
static bool leads(const struct route_table *table, const struct route *route, const struct identity *identity,
	const struct path_ids *path)
{
	struct route_match match = {.route = route, .identity = identity};
	struct slice segments[ROUTE_SEGMENTS_MAX];

	for (size_t i = 0; i < route->path.n_parts; i++) {
		const struct template_part *part = &route->path.parts[i];
		struct slice id;

		segments[i] = part->text;
		if (!part->is_variable)
			continue;
		id = path->ids[part->variable];
		/* Any id will do: one that no template names, and the shortest. */
		segments[i] = id.data ? id : slice_of("");
		id = id.data ? id : slice_of("0");
		memcpy(match.values[match.n_values].text, id.data, id.len);
		match.values[match.n_values++].len = id.len;
	}
	return route_table_at(table, segments, route->path.n_parts) == route &&
	       route_channels_valid(&match, true);
}

/* Routes with access: token add nothing: what they join is in the token's list, which is asked anyway. */
static bool is_open(const struct route *route, const struct identity *identity)
{
	return route->access != ROUTE_ACCESS_TOKEN && (route->auth != ROUTE_AUTH_REQUIRED || identity);
}

/* Could somebody with this identity have joined the channel by a path? */
static bool some_path_joins(const struct route_table *table, const struct identity *identity,
	const struct slice *channel, size_t n)
{
	struct path_ids path;
	bool joins = false;

	for (size_t i = 0; i < route_table_size(table); i++) {
		const struct route *route = route_table_get(table, i);
		const struct identity *seen = route_auth(route) == ROUTE_AUTH_NONE ? NULL : identity;

		for (size_t j = 0; is_open(route, identity) && j < route->n_channels; j++)
			if (template_binds(&route->channels[j], channel, n, seen, &path))
				joins |= leads(table, route, seen, &path);
	}
	return joins;
}

bool access_may_subscribe(
	const struct route_table *table, const struct route_match *match, struct slice channel)
{
	const struct route *route = match->route;
	struct slice parts[ROUTE_SEGMENTS_MAX];
	bool listed, own, any = false;
	size_t n;

	if (!route_channel_valid(channel.data, channel.len))
		return false;
	n = name_split(channel.data, channel.len, ':', parts);
	if (n == 0)
		return false; /* more parts than any template has */
	listed = lists(match->identity, channel);
	own = (int)route_joins(match, parts, n) | (int)route_lists(match, parts, n);
	if (route->access == ROUTE_ACCESS_TOKEN)
		own &= listed;
	if (route->subscribe_any_route)
		any = (int)listed | (int)some_path_joins(table, match->identity, parts, n);
	return own || any;
}
