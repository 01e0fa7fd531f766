#ifndef TIDEGATE_AUTH_JSON_MEMORY_H
#define TIDEGATE_AUTH_JSON_MEMORY_H

/*
 * JSON memory: what jansson allocates, and whether it got it.
 *
 * Its parser does not always say so when there was no memory: a string whose buffer cannot grow loses a
 * letter and counts as read, and a copy lacks a member. A user's name must not become another one for that.
 * So allocations that fail leave a mark, and whoever has parsed asks for it before anything is believed.
 */

#include <stdbool.h>

/* Once, before the process has threads and before jansson is used. Without it there are no marks. */
void json_memory_begin(void);

/* Forgets what failed before, on this thread. */
void json_memory_watch(void);

/* Did an allocation of this thread fail since json_memory_watch()? */
bool json_memory_failed(void);

#endif
