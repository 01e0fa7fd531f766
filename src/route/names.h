#ifndef TIDEGATE_SRC_ROUTE_NAMES_H
#define TIDEGATE_SRC_ROUTE_NAMES_H

/* Names: which bytes make an id, a variable's name, a channel's name. The public half is in route/route.h. */

#include <stdbool.h>
#include <stddef.h>

#include "route/route.h"

/*
 * Takes the id from one segment of a path, percent-decoded once, into out, NUL-terminated: a plain one as it
 * is, a wide one in the form that it has in names. The length, or 0 when it is neither (a broken escape, no
 * UTF-8, a control character, "." and "..", too long in that form, empty).
 */
size_t name_take_id(const char *segment, size_t len, char out[ROUTE_ID_MAX + 1]);

/* Of a part that is valid in a name: is it a wide id? */
bool name_is_wide(const char *part, size_t len);

/* Letters, digits and '_', not starting with a digit, 1 to 64 bytes. */
bool name_is_variable(const char *text, size_t len);

#endif
