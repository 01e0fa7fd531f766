#ifndef TIDEGATE_SRC_ROUTE_TEMPLATE_H
#define TIDEGATE_SRC_ROUTE_TEMPLATE_H

/*
 * Template: a path or a channel name with holes, split into parts.
 *
 * Both kinds are the same thing under another separator: "/ws/{topic}/{id}" and "{topic}:{id}". Each part is
 * a literal (a valid id) or one {variable}.
 */

#include <stdbool.h>
#include <stddef.h>

#include "core/slice.h"
#include "route/route.h"

struct buf;

struct template_part {
	struct slice text; /* the literal, or the variable's name without braces; points into the template's
			      text */
	bool is_variable;
	bool is_wide; /* a variable that any id fits, not only a plain one */
	int variable; /* which variable of the path, counted from 0; -1: none of them */
};

struct template
{
	char *text; /* as declared */
	size_t n_parts;
	struct template_part parts[ROUTE_SEGMENTS_MAX];
};

/*
 * Both: 0, ROUTE_BAD_TEMPLATE with one sentence appended to error, or -ENOMEM. On failure too the template
 * may be handed to template_deinit().
 *
 * A path's variables are numbered from the left; none may come twice. All are wide: what else an id is, the
 * route says when it is bound.
 */
int template_parse_path(struct template *template, const char *text, struct buf *error);

/* A channel's variables are looked up in the path, and are all wide or none. `may_be_free`: those that it
 * does not have may be there too. */
int template_parse_channel(struct template *template, const char *text, const struct template *path,
	bool may_be_free, bool is_wide, struct buf *error);

/* Takes zeroed memory too. */
void template_deinit(struct template *template);

#endif
