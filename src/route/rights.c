/* Rights: what one connection may subscribe to, and as whom; see the header. */

#include "route/rights.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auth/identity.h"
#include "route/access.h"
#include "route/route.h"

/* One piece of memory for both, and none for most connections: there are many. */
struct rights_holder {
	struct identity *identity; /* owned; NULL: anonymous */
	char ids[];                /* route_ids() */
};

static int hold(struct rights *rights, const struct route_match *match, struct identity *identity)
{
	char ids[ROUTE_IDS_MAX + 1];
	size_t len = route_ids(match, ids);

	if (len == 0 && !identity)
		return 0;
	rights->holder = malloc(sizeof(*rights->holder) + len + 1);
	if (!rights->holder)
		return -ENOMEM;
	rights->holder->identity = identity;
	memcpy(rights->holder->ids, ids, len + 1);
	return 0;
}

int rights_init(struct rights *rights, struct route_table *routes, const struct route_match *match,
	struct identity *identity)
{
	struct route_match asking = *match;
	int r;

	*rights = (struct rights){0};
	asking.identity = identity;
	r = access_may_enter(&asking) ? hold(rights, match, identity) : RIGHTS_FORBIDDEN;
	if (r) {
		identity_free(identity);
		return r;
	}
	rights->route = match->route;
	rights->routes = route_table_ref(routes);
	return 0;
}

struct identity *rights_end(struct rights *rights)
{
	struct identity *identity = rights->holder ? rights->holder->identity : NULL;

	free(rights->holder);
	route_table_unref(rights->routes);
	*rights = (struct rights){0};
	return identity;
}

void rights_deinit(struct rights *rights)
{
	identity_free(rights_end(rights));
}

const struct identity *rights_identity(const struct rights *rights)
{
	return rights->holder ? rights->holder->identity : NULL;
}

struct slice rights_user(const struct rights *rights)
{
	const struct identity *identity = rights_identity(rights);

	return slice_of(identity ? identity_user(identity) : "");
}

int rights_renew(struct rights *rights, struct identity *identity)
{
	const struct identity *old = rights_identity(rights);

	if (!old || strcmp(identity_user(identity), identity_user(old)) != 0) {
		identity_free(identity);
		return RIGHTS_OTHER_USER;
	}
	identity_free(rights->holder->identity);
	rights->holder->identity = identity;
	return 0;
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
	return rights->holder ? rights->holder->ids : "";
}

void rights_match(const struct rights *rights, struct route_match *match)
{
	route_rematch(rights->route, own_ids(rights), rights_identity(rights), match);
}

bool rights_keep_history(const struct rights *rights)
{
	char name[ROUTE_CHANNEL_MAX + 1];
	struct route_match match;
	bool any = false;

	rights_match(rights, &match);
	for (size_t i = 0; i < route_n_channels(match.route) && !any; i++) {
		size_t len = route_channel(&match, i, name);

		any = route_table_history(rights->routes, (struct slice){name, len}) != NULL;
	}
	return any;
}

bool rights_may_subscribe(const struct rights *rights, struct slice channel)
{
	struct route_match match;

	rights_match(rights, &match);
	return access_may_subscribe(rights->routes, &match, channel);
}
