#ifndef TIDEGATE_SRC_ROUTE_ROUTE_BUILD_H
#define TIDEGATE_SRC_ROUTE_ROUTE_BUILD_H

/* Route, as its table sees it: how a route is built and what is in it. */

#include <stdbool.h>
#include <stddef.h>

#include "core/slice.h"
#include "protocol/key_path.h"
#include "route/route.h"
#include "route/template.h"

struct route {
	size_t index; /* in its table */
	struct template path;
	struct template *channels;
	size_t n_channels;
	struct template *subscribe;
	size_t n_subscribe;
	bool subscribe_any_route;
	bool any_ids;
	bool compression;
	enum route_auth auth; /* what holds */
	enum route_auth auth_written;
	enum route_access access;
	struct route_slow slow; /* its key is that of the path below */
	struct key_path *key;   /* NULL without a key */
	struct route_history history;
	struct route_actions actions; /* its stream is ours */
	struct route_presence presence;
	struct route_lifecycle lifecycle; /* its stream is ours */
	char *info;                       /* "=NAME": what presence.info points into; NULL: none */
	struct template sse;              /* the path of its event streams; without a text it has none */
};

/* 0, ROUTE_BAD_TEMPLATE with one sentence appended to error, or -ENOMEM. */
int route_new(const struct route_spec *spec, struct route **routep, struct buf *error);
void route_free(struct route *route); /* accepts NULL and a half-built route */

/* The route that a path of these segments leads to, or NULL. An empty segment stands for an id that no
 * template names. */
const struct route *route_table_at(const struct route_table *table, const struct slice *segments, size_t n);

#endif
