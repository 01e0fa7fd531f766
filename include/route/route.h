#ifndef TIDEGATE_ROUTE_ROUTE_H
#define TIDEGATE_ROUTE_ROUTE_H

/*
 * Route: which path leads to which channels, and what a connection on it may do.
 *
 * A path template is segments, literal or one {variable} each: /ws/execution/{execution_id}. A channel template
 * is literals and {variables} of the path: execution:{execution_id}. The more literal template wins
 * (compared segment by segment from the left), whatever the order of declaration; two templates that match the same
 * paths are refused. A table is immutable once built and shared by count between threads; reload builds another.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/json.h"

struct buf;

enum {
	ROUTE_NOT_FOUND = 1, /* no template has this shape: 404 */
	ROUTE_BAD_ID = 2,    /* the shape fits, an id does not: 400 */
	ROUTE_CONFLICT = 3,  /* another template matches the same paths */
	ROUTE_BAD_TEMPLATE = 4, /* see the sentence in the error buffer */

	ROUTE_ID_MAX = 128,	  /* bytes of an id after percent-decoding once */
	ROUTE_VARIABLES_MAX = 8,  /* of one template */
	ROUTE_CHANNELS_MAX = 16,  /* that one route joins at once */
	ROUTE_PATH_MAX = 2048,	  /* longest path that is looked at */
	ROUTE_CHANNEL_MAX = 255,  /* longest channel name that is valid */
};

struct route_table;

/* What one route says. Built by configuration, copied by the table. */
struct route_spec {
	const char *path;
	const char *const *channels; /* joined at once; may be none */
	size_t n_channels;
	const char *const *subscribe; /* channel templates that may be subscribed besides; variables not of the path
					 match any one id: "execution:{id}" */
	size_t n_subscribe;
	bool subscribe_any_route; /* may also subscribe to every channel that some route of the table joins; the default */
};

struct route; /* owned by its table */

struct route_match {
	const struct route *route;
	size_t n_values;
	struct {
		char text[ROUTE_ID_MAX + 1]; /* decoded, NUL-terminated */
		size_t len;
	} values[ROUTE_VARIABLES_MAX];
};

/* An empty table with one reference; NULL when out of memory. */
struct route_table *route_table_new(void);

/*
 * Adds a route while the table is still private to its builder. 0, ROUTE_CONFLICT, ROUTE_BAD_TEMPLATE (one sentence,
 * without a file name, is appended to `error`) or -ENOMEM.
 */
int route_table_add(struct route_table *table, const struct route_spec *spec, struct buf *error);

struct route_table *route_table_ref(struct route_table *table);
void route_table_unref(struct route_table *table); /* accepts NULL */

size_t route_table_size(const struct route_table *table);
const struct route *route_table_get(const struct route_table *table, size_t i);

/* The raw path, without the query. 0, ROUTE_NOT_FOUND or ROUTE_BAD_ID. */
int route_table_match(const struct route_table *table, const char *path, size_t len, struct route_match *match);

/* The template as declared; what logs and metrics call this route. */
const char *route_path(const struct route *route);

/* How many channels it joins, and the name of the i-th for this match, NUL-terminated; returns its length. */
size_t route_n_channels(const struct route *route);
size_t route_channel(const struct route_match *match, size_t i, char out[ROUTE_CHANNEL_MAX + 1]);

/* May a connection on this route subscribe to this (valid) channel name? */
bool route_may_subscribe(const struct route_table *table, const struct route *route, const char *channel, size_t len);

/* Is it an id: A–Z a–z 0–9 . _ ~ -, 1 to ROUTE_ID_MAX bytes? */
bool route_id_valid(const char *id, size_t len);

/* Is it a channel name: ids joined by ':', at most ROUTE_CHANNEL_MAX bytes? */
bool route_channel_valid(const char *name, size_t len);

#endif
