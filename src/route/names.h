#ifndef TIDEGATE_SRC_ROUTE_NAMES_H
#define TIDEGATE_SRC_ROUTE_NAMES_H

/* Names: the bytes that ids, names of variables and names of channels consist of. The public
 * half is in route/route.h. */

#include <stdbool.h>
#include <stddef.h>

#include "core/slice.h"
#include "route/route.h"

/*
 * Writes the id of one segment of a path into out, percent-decoded once and NUL-terminated: a plain id as it
 * is, a wide id in the form that it has in names. Returns its length, or 0 if it is neither: empty, a broken
 * escape, not UTF-8, a control character, "." or "..", or too long in that form.
 */
size_t name_take_id(const char *segment, size_t len, char out[ROUTE_ID_MAX + 1]);

/* Of a part that is valid in a name: is it a wide id? */
bool name_is_wide(const char *part, size_t len);

/* Does it begin as the names of our own keys and channels? */
bool name_is_reserved(const char *name, size_t len);

/* Letters, digits and '_', not starting with a digit, 1 to 64 bytes. */
bool name_is_variable(const char *text, size_t len);

/* Splits a name at ':', or a path at '/'. Returns the number of parts, or 0 if there are more than
 * ROUTE_SEGMENTS_MAX. */
size_t name_split(const char *text, size_t len, char separator, struct slice parts[ROUTE_SEGMENTS_MAX]);

#endif
