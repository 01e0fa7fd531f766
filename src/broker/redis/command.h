#ifndef TIDEGATE_BROKER_REDIS_COMMAND_H
#define TIDEGATE_BROKER_REDIS_COMMAND_H

/*
 * Redis command: words as the bytes that Redis is sent.
 */

#include <stddef.h>

#include "core/slice.h"

/* How many bytes *commandp has, which is the caller's to free; negative: out of memory. */
long long redis_command_format(const struct slice *argv, size_t n, char **commandp);
void redis_command_free(char *command);

#endif
