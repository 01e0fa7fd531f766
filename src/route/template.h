#ifndef TIDEGATE_SRC_ROUTE_TEMPLATE_H
#define TIDEGATE_SRC_ROUTE_TEMPLATE_H

/*
 * Template: a path or a channel name with holes, split into parts.
 *
 * Both kinds are the same with another separator: "/ws/{topic}/{id}" and "{topic}:{id}". Each part is a
 * literal (a valid id), one {variable}, or, in channels only, one {token.NAME}: a claim of the identity that
 * asks. A claim's name may have any bytes that are neither spaces nor braces, so also those of a URL.
 */

#include <stdbool.h>
#include <stddef.h>

#include "core/slice.h"
#include "route/route.h"

struct buf;

struct template_part {
	struct slice text; /* the literal, or the variable's name without braces; points into the template's
			      text */
	bool is_variable;  /* also a claim */
	char *claim;       /* NAME of {token.NAME}; NULL if it is none */
	bool wide;         /* a variable that matches any id, not only a plain one */
	int variable; /* the number of the path's variable, counted from 0; -1 if it is not in the path */
};

struct template
{
	char *text; /* as declared */
	size_t n_parts;
	struct template_part parts[ROUTE_SEGMENTS_MAX];
};

/*
 * Both functions return 0, ROUTE_BAD_TEMPLATE with one sentence appended to error, or -ENOMEM. Even after a
 * failure the template may be handed to template_deinit().
 *
 * A path's variables are numbered from the left, and no variable may come twice. All of them match any id;
 * the route restricts ids when it binds them.
 */
int template_parse_path(struct template *template, const char *text, struct buf *error);

/* A channel's variables are looked up in the path; either all or none match any id. may_be_free: variables
 * that are not in the path are allowed too. What a claim becomes in a name is always a plain id. */
int template_parse_channel(struct template *template, const char *text, const struct template *path,
	bool may_be_free, bool wide, struct buf *error);

/* Do both match the same texts, whatever the names of their variables? */
bool template_same_shape(const struct template *a, const struct template *b);

/* Does its name depend on who asks? */
bool template_has_claims(const struct template *template);

/* Takes zeroed memory too. */
void template_deinit(struct template *template);

#endif
