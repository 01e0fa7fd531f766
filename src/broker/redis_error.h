#ifndef TIDEGATE_BROKER_REDIS_ERROR_H
#define TIDEGATE_BROKER_REDIS_ERROR_H

/*
 * Redis error: what Redis answers instead of a result, in our words. The table is the mapping that broker.h
 * promises. Pure.
 */

#include <stdbool.h>

#include "protocol/json.h"

/* Negative errno, see broker.h; -EIO for a word that the table does not have. */
int redis_error_errno(struct slice text);

bool redis_error_starts(struct slice text, const char *start);

/* Is it this word that Redis, or a script that it ended, says? */
bool redis_error_names(struct slice text, const char *word);

#endif
