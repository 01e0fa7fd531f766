#ifndef TIDEGATE_CORE_PREFETCH_H
#define TIDEGATE_CORE_PREFETCH_H

/*
 * Prefetch: asks the processor for memory that will be looked at in a moment.
 *
 * With thousands of channels no part of a channel is in the cache when its event comes, and
 * each access waits some 80 ns. Where many events come at once, one walk that only asks for the
 * memory makes these waits overlap.
 */

#include <stddef.h>

enum {
	PREFETCH_LINE_BYTES = 64, /* of a cache line, on all processors that we run on */
};

static inline void prefetch(const void *data, size_t len)
{
	for (size_t at = 0; at < len; at += PREFETCH_LINE_BYTES)
		__builtin_prefetch((const char *)data + at);
}

#endif
