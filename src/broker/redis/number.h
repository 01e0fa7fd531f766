#ifndef TIDEGATE_BROKER_REDIS_NUMBER_H
#define TIDEGATE_BROKER_REDIS_NUMBER_H

/* Redis number: a number as the word of a command. */

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#include "core/slice.h"

enum {
	REDIS_NUMBER_MAX = 21, /* digits of 2^64 - 1, and a NUL */
};

/* Borrows the text. */
static inline struct slice redis_number_write(char text[REDIS_NUMBER_MAX], uint64_t number)
{
	return (struct slice){text, (size_t)snprintf(text, REDIS_NUMBER_MAX, "%" PRIu64, number)};
}

#endif
