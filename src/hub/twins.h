#ifndef TIDEGATE_HUB_TWINS_H
#define TIDEGATE_HUB_TWINS_H

/*
 * Twins: the deflated forms of the batches of one flush.
 *
 * Made for the first subscriber of a channel whose peer takes them, and only then. What a form is made of
 * does not move until the flush is over, since sockets may look at it that long.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

struct deflater;
struct hub_batch;
struct message;

/* Zeroed memory with a deflater is ready for use; without one every batch stays as it is. */
struct twins {
	struct deflater *deflater;
	struct message **messages;
	uint32_t n_messages;
	uint32_t capacity;
	struct buf bytes;
	bool reserved; /* in this flush */
};

void twins_deinit(struct twins *twins);

/*
 * The deflated form of a batch; the plain one where nothing gets smaller, or without memory: that is good for
 * everybody. n_messages and len are those of the whole flush, what is laid out in it.
 */
void twins_make(struct twins *twins, const struct hub_batch *plain, uint32_t n_messages, size_t len,
	struct hub_batch *batch);

/* The flush is over: keeps memory for the next one, up to bytes_kept. */
void twins_forget(struct twins *twins, size_t bytes_kept);

/* The batch's frames as one stretch: the frame itself if it is one, else laid out in `bytes`, where there is
 * room. */
void hub_batch_lay_out(struct hub_batch *batch, struct buf *bytes);

#endif
