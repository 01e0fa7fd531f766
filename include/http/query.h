#ifndef TIDEGATE_HTTP_QUERY_H
#define TIDEGATE_HTTP_QUERY_H

/* Query: the members of a URL's query, "a=1&b=2". */

#include <stddef.h>

#include "core/slice.h"

/*
 * The value of the next member of that name, from *atp on, which moves behind it; NULL: of the first.
 * Percent-decoded; a percent sign that begins no escape stands for itself, as browsers write it. Writes text
 * with a NUL behind it and returns its length; -ENOENT: there is none (out is ""); -ENOSPC: it has no room
 * (likewise).
 */
int query_text(struct slice query, const char *name, size_t *atp, char *out, size_t size);

#endif
