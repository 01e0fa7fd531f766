#ifndef TIDEGATE_CHANNEL_LOG_MEMORY_LOG_H
#define TIDEGATE_CHANNEL_LOG_MEMORY_LOG_H

/*
 * Memory log: the log itself, of one channel, for a node that has no Redis.
 *
 * It gives entries their offsets and tags and keeps the newest `size` of them, with one more as the anchor of
 * the oldest. It is read like the log in Redis, so the state machine above it is the same. There is one
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
 * Copies the payload into the log. wall_us becomes the tag. envelope is what to push to subscribers; its
 * payload is the copy. 0, or -ENOMEM: then nothing happened.
 */
int memory_log_append(
	struct memory_log *log, struct slice payload, uint64_t wall_us, struct envelope *envelope);

void memory_log_top(const struct memory_log *log, struct position *top);

/*
 * The range read: how many entries there are from this offset on, count at most, and the offset of the first
 * of them. memory_log_at() has each.
 */
uint32_t memory_log_read(const struct memory_log *log, uint64_t from, uint32_t count, uint64_t *firstp);

/* NULL when it is not kept. */
const struct memory_log_entry *memory_log_at(const struct memory_log *log, uint64_t offset);

#endif
