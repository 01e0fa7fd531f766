#ifndef TIDEGATE_CLI_JSON_AT_H
#define TIDEGATE_CLI_JSON_AT_H

/* JSON at: one value out of an answer of the admin API, by its path. */

#include "core/slice.h"

/* "broker.state" of {"broker":{"state":…}}; absent where the text is not JSON, or there is no such member. */
struct slice json_at(struct slice text, const char *path);

/* A number, or 0. */
double json_number_at(struct slice text, const char *path);

/* A string, unescaped and cut to fit, with what a terminal might obey replaced; "" where there is none.
 * Returns out. */
const char *json_text_at(struct slice text, const char *path, char *out, size_t size);

#endif
