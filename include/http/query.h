#ifndef TIDEGATE_HTTP_QUERY_H
#define TIDEGATE_HTTP_QUERY_H

/* Query: the members of a URL's query, "a=1&b=2". */

#include <stddef.h>

#include "core/slice.h"

/*
 * Finds the next member of this name, from *atp on, and moves *atp behind it; with atp NULL it finds the
 * first one. Writes its value, percent-decoded and NUL-terminated, and returns its length. A percent sign
 * that begins no escape stands for itself, as browsers write it. -ENOENT: there is no such member; -ENOSPC:
 * out is too small for it; out is "" in both cases.
 */
int query_text(struct slice query, const char *name, size_t *atp, char *out, size_t size);

#endif
