#ifndef TIDEGATE_SRC_ROUTE_NAMES_H
#define TIDEGATE_SRC_ROUTE_NAMES_H

/* Names: which bytes make an id, a variable's name, a channel's name. The public half is in route/route.h. */

#include <stdbool.h>
#include <stddef.h>

#include "route/route.h"

/*
 * Percent-decodes one segment, once, into out, NUL-terminated. Its length, or 0 when what comes out is not an
 * id (a broken escape, a byte outside the alphabet, too long, empty).
 */
size_t name_decode_id(const char *segment, size_t len, char out[ROUTE_ID_MAX + 1]);

/* Letters, digits and '_', not starting with a digit, 1 to 64 bytes. */
bool name_is_variable(const char *text, size_t len);

#endif
