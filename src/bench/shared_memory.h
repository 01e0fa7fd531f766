#ifndef TIDEGATE_BENCH_SHARED_MEMORY_H
#define TIDEGATE_BENCH_SHARED_MEMORY_H

/* Shared memory: zeroed, and the same for all processes that are forked later. */

#include <stddef.h>

/* NULL when out of memory. */
void *shared_memory_new(size_t size);

/* Accepts NULL. Other processes keep theirs. */
void shared_memory_free(void *memory, size_t size);

#endif
