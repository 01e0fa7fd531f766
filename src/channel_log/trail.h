#ifndef TIDEGATE_CHANNEL_LOG_TRAIL_H
#define TIDEGATE_CHANNEL_LOG_TRAIL_H

/*
 * Trail: the tags of the entries right below the ring, after the ring had to forget its entries.
 *
 * A fork is repaired from the newest entry that we and the log have in common. Without entries only our own
 * position could be that one. A tag takes 8 bytes where its entry took hundreds. Zeroed memory is an empty
 * trail.
 */

#include <stdbool.h>
#include <stdint.h>

struct ring;

struct trail {
	uint64_t *tags;
	uint64_t first; /* the offset of the oldest */
	uint32_t n;
};

/* Remembers the newest entries of the ring but the last, and before them of the trail; the ring is about to
 * forget all but the last. Without memory the trail is empty. */
void trail_note(struct trail *trail, const struct ring *ring);

/* Whether the log had exactly this entry. Offset 0 with tag 0 is the place before the first. */
bool trail_knows(const struct trail *trail, uint64_t offset, uint64_t tag);

/* 0 when the offset is not in the trail. */
uint64_t trail_tag(const struct trail *trail, uint64_t offset);

/* The log has no such entries from this offset on. */
void trail_cut(struct trail *trail, uint64_t offset);

/* Forgets all; gives the memory back. */
void trail_clear(struct trail *trail);

#endif
