#ifndef TIDEGATE_CHANNEL_LOG_RING_H
#define TIDEGATE_CHANNEL_LOG_RING_H

/*
 * Ring: the newest entries of one channel, without a hole, and the offset and tag of the entry before them
 * (the floor), which is the anchor of the oldest entry.
 *
 * The caller keeps its bounds and owns the bodies: taking an entry out hands its body over. Zeroed memory is
 * the ring of an empty log.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channel_log/channel_log.h"

struct ring {
	struct channel_log_entry *slots;
	uint32_t capacity; /* a power of two, or 0 */
	uint32_t head;
	uint32_t n;
	size_t bytes;
	uint64_t floor_offset; /* of the entry before the oldest; the entry n of the log is at n - this - 1 */
	uint64_t floor_tag;    /* 0: unknown, unless its offset is 0 too */
};

/* Adds an entry behind the newest; its offset must be the next one. 0 or -ENOMEM. */
int ring_push(struct ring *ring, const struct channel_log_entry *entry);

/* Adds an entry below the oldest; its offset must be the floor's. The tag of the new floor is
 * unknown. 0 or -ENOMEM. */
int ring_push_front(struct ring *ring, const struct channel_log_entry *entry);

/* The entry at the floor is known now, though it is not kept: an anchor. */
void ring_know_floor(struct ring *ring, const struct channel_log_entry *entry);

/* Takes out the oldest entry, which becomes the floor, or the newest. False if the ring is empty. */
bool ring_take_oldest(struct ring *ring, struct channel_log_entry *entry);
bool ring_take_newest(struct ring *ring, struct channel_log_entry *entry);

/* An empty ring's place in the log; gives its memory back. */
void ring_reset(struct ring *ring, uint64_t offset, uint64_t tag);

/* Gives memory back that it does not need any more. */
void ring_tighten(struct ring *ring);

/* NULL when the offset is not among the entries. */
const struct channel_log_entry *ring_at(const struct ring *ring, uint64_t offset);

/* The oldest offset whose tag is known: that of the floor or, if the floor's tag is unknown,
 * of the oldest entry. */
uint64_t ring_oldest_known(const struct ring *ring);

/* Whether the log had exactly this entry. */
bool ring_knows(const struct ring *ring, uint64_t offset, uint64_t tag);

#endif
