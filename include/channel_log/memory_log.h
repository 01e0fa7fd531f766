#ifndef TIDEGATE_CHANNEL_LOG_MEMORY_LOG_H
#define TIDEGATE_CHANNEL_LOG_MEMORY_LOG_H

/*
 * Memory log: the log of one channel, for a node that has no Redis.
 *
 * It gives entries their offsets and tags and keeps the newest `size` entries, and one more as the anchor of
 * the oldest. It is read like the log in Redis, so the state machine above it is the same. There is only one
 * branch, and the epoch lasts as long as the process.
 */

#include <stdint.h>

#include "channel_log/envelope.h"
#include "channel_log/position.h"
#include "core/slice.h"

struct memory_log;

struct memory_log_entry {
	uint64_t offset;
	uint64_t tag;
	struct slice payload; /* borrowed until the next append */
};

/* size is at least 1. The epoch is drawn by the caller. NULL when out of memory. */
struct memory_log *memory_log_new(const struct epoch *epoch, uint32_t size);
void memory_log_free(struct memory_log *log); /* accepts NULL */

/*
 * Copies the payload into the log. wall_us: becomes the tag. envelope: filled with what to push to
 * subscribers; its payload is the copy. 0, or -ENOMEM, which leaves the log as it was.
 */
int memory_log_append(
	struct memory_log *log, struct slice payload, uint64_t wall_us, struct envelope *envelope);

void memory_log_top(const struct memory_log *log, struct position *top);

/*
 * The range read. Returns how many entries there are from this offset on, at most count, and in *firstp the
 * offset of the first. memory_log_at() gives each entry.
 */
uint32_t memory_log_read(const struct memory_log *log, uint64_t from, uint32_t count, uint64_t *firstp);

/* NULL when the entry is not kept any more. */
const struct memory_log_entry *memory_log_at(const struct memory_log *log, uint64_t offset);

#endif
