/* Rights: what one connection may subscribe to, and as whom; see the header. */

#include "route/rights.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "route/route.h"

int rights_init(struct rights *rights, struct route_table *routes, const struct route_match *match)
{
	char ids[ROUTE_IDS_MAX + 1];

	*rights = (struct rights){.route = match->route};
	if (route_ids(match, ids) > 0) {
		rights->ids = strdup(ids);
		if (!rights->ids)
			return -ENOMEM;
	}
	rights->routes = route_table_ref(routes);
	return 0;
}

void rights_deinit(struct rights *rights)
{
	free(rights->ids);
	route_table_unref(rights->routes);
	*rights = (struct rights){0};
}

void rights_follow(struct rights *rights, struct route_table *newest)
{
	const struct route *route;

	if (rights->routes == newest)
		return;
	route = route_table_find(newest, route_path(rights->route));
	if (!route || !route_serves_alike(route, rights->route))
		return;
	rights->route = route;
	route_table_unref(rights->routes);
	rights->routes = route_table_ref(newest);
}

static const char *own_ids(const struct rights *rights)
{
	return rights->ids ? rights->ids : "";
}

void rights_match(const struct rights *rights, struct route_match *match)
{
	route_rematch(rights->route, own_ids(rights), match);
}

bool rights_may_subscribe(const struct rights *rights, struct slice channel)
{
	return route_may_subscribe_own(
		rights->routes, rights->route, own_ids(rights), channel.data, channel.len);
}
