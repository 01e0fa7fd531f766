#ifndef TIDEGATE_SRC_CONFIG_VALUE_PRIVATE_H
#define TIDEGATE_SRC_CONFIG_VALUE_PRIVATE_H

/* Shared by value.c and the files of the kinds of types. */

#include "config/value.h"

/* Says that the text is not `what`. CONFIG_BAD. */
int value_refuse(struct buf *error, const char *text, const char *what);

/* Replaces a string by a copy of the text. */
int value_replace(char **stringp, const char *text);

/* A number without sign and unit. False if it is something else. */
bool value_number(const char *text, uint64_t *valuep);

/* Functions of types whose member is one string. */
void value_text_print(const void *member, struct buf *out);
bool value_text_equal(const void *a, const void *b);
void value_text_deinit(void *member);

#endif
