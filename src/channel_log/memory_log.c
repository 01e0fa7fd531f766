/* Memory log: the newest entries in a circle by offset; see the header. */

#include "channel_log/memory_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct memory_log {
	struct epoch epoch;
	uint64_t top; /* offset of the newest entry; 0 before the first */
	uint32_t capacity;
	uint32_t n_slots;               /* allocated so far: a quiet channel is small */
	struct memory_log_entry *slots; /* offset n is at n % capacity */
};

enum {
	FIRST_SLOTS = 8,
};

struct memory_log *memory_log_new(const struct epoch *epoch, uint32_t size)
{
	struct memory_log *log = calloc(1, sizeof(*log));

	if (!log)
		return NULL;
	log->epoch = *epoch;
	log->capacity = size + 1; /* the anchor of the oldest */
	return log;
}

void memory_log_free(struct memory_log *log)
{
	if (!log)
		return;
	for (uint32_t i = 0; i < log->n_slots; i++)
		free((char *)log->slots[i].payload.data);
	free(log->slots);
	free(log);
}

/* The place of this offset; NULL when out of memory. Until the circle is full, offsets are indices. */
static struct memory_log_entry *slot_for(struct memory_log *log, uint64_t offset)
{
	uint32_t i = (uint32_t)(offset % log->capacity), n = log->n_slots ? log->n_slots : FIRST_SLOTS;
	struct memory_log_entry *slots;

	if (i < log->n_slots)
		return &log->slots[i];
	while (n <= i)
		n *= 2;
	if (n > log->capacity)
		n = log->capacity;
	slots = realloc(log->slots, n * sizeof(*slots));
	if (!slots)
		return NULL;
	memset(slots + log->n_slots, 0, (n - log->n_slots) * sizeof(*slots));
	log->slots = slots;
	log->n_slots = n;
	return &slots[i];
}

int memory_log_append(
	struct memory_log *log, struct slice payload, uint64_t wall_us, struct envelope *envelope)
{
	uint64_t tag = wall_us & (POSITION_NUMBER_MAX - 1);
	struct memory_log_entry *slot = slot_for(log, log->top + 1);
	const struct memory_log_entry *before = memory_log_at(log, log->top);
	char *copy = slot ? malloc(payload.len + 1) : NULL;

	if (!copy)
		return -ENOMEM;
	if (payload.len)
		memcpy(copy, payload.data, payload.len);
	envelope->prev = before ? before->tag : 0;
	free((char *)slot->payload.data);
	/* A clock that says 0 would say "no entry". */
	*slot = (struct memory_log_entry){++log->top, tag ? tag : 1, {copy, payload.len}};
	envelope->epoch = log->epoch;
	envelope->offset = slot->offset;
	envelope->tag = slot->tag;
	envelope->payload = slot->payload;
	return 0;
}

void memory_log_top(const struct memory_log *log, struct position *top)
{
	const struct memory_log_entry *newest = memory_log_at(log, log->top);

	*top = (struct position){log->epoch, log->top, newest ? newest->tag : 0};
}

const struct memory_log_entry *memory_log_at(const struct memory_log *log, uint64_t offset)
{
	uint64_t i = offset % log->capacity;

	return offset && i < log->n_slots && log->slots[i].offset == offset ? &log->slots[i] : NULL;
}

uint32_t memory_log_read(const struct memory_log *log, uint64_t from, uint32_t count, uint64_t *firstp)
{
	uint64_t oldest = log->top >= log->capacity ? log->top - log->capacity + 1 : 1;

	if (from < oldest)
		from = oldest;
	*firstp = from;
	if (from > log->top)
		return 0;
	return log->top - from + 1 < count ? (uint32_t)(log->top - from + 1) : count;
}
