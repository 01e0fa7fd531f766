/* JSON memory: what jansson allocates, and whether it got it; see the header. */

#include "auth/json_memory.h"

#include <stdlib.h>

#include <jansson.h>

/* jansson hands its allocator no context, so the mark is the thread's. */
static _Thread_local bool failed;

static void *allocate(size_t size)
{
	void *memory = malloc(size);

	failed |= !memory;
	return memory;
}

void json_memory_begin(void)
{
	json_set_alloc_funcs(allocate, free);
	json_object_seed(0); /* or the first two threads that make an object would seed the tables together */
}

void json_memory_watch(void)
{
	failed = false;
}

bool json_memory_failed(void)
{
	return failed;
}
