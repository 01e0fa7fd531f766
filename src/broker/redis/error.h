#ifndef TIDEGATE_BROKER_REDIS_ERROR_H
#define TIDEGATE_BROKER_REDIS_ERROR_H

/*
 * Redis error: what Redis answers instead of a result, in our words. The table is the mapping that broker.h
 * promises. Pure.
 */

#include <stdbool.h>

#include "core/slice.h"

/* Negative errno, see broker.h; -EIO for a word that the table does not have. */
int redis_error_errno(struct slice text);

/*
 * Does it say that Redis does not serve this connection at all: no password, no room, no data yet? Whatever
 * was asked; other answers are about the one command.
 */
bool redis_error_is_refusal(struct slice text);

/* Must people mend it: passwords and rights? False: it may pass by itself. */
bool redis_error_is_for_people(struct slice text);

/* Does the server not know the command, or this form of it? Proxies have many words for that. */
bool redis_error_is_unknown(struct slice text);

/* Does the server not have the function or script that was called? */
bool redis_error_is_missing(struct slice text);

/* What people should know, where the words of Redis do not say it: a sentence. NULL: they do. */
const char *redis_error_hint(struct slice text);

/* Is it this word that Redis, or a script that it ended, says? */
bool redis_error_names(struct slice text, const char *word);

#endif
