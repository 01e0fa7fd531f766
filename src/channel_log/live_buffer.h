#ifndef TIDEGATE_CHANNEL_LOG_LIVE_BUFFER_H
#define TIDEGATE_CHANNEL_LOG_LIVE_BUFFER_H

/*
 * Live buffer: the events that come over pub/sub while a range read is under way (R2), in order and bounded.
 *
 * It holds no memory while it is empty. The caller owns the bodies. Zeroed memory is an empty buffer.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channel_log/position.h"

enum {
	LIVE_BUFFER_FULL = 1, /* the event was not taken; the buffer is as it was */
};

struct live_event {
	struct epoch epoch;
	uint64_t offset; /* 0: a plain event */
	uint64_t tag;
	uint64_t prev;
	void *body;
	size_t bytes;
};

struct live_buffer {
	struct live_event *slots;
	uint32_t capacity;
	uint32_t first; /* not yet taken out */
	uint32_t n;     /* behind the last */
	size_t bytes;
};

/* 0, LIVE_BUFFER_FULL or -ENOMEM. */
int live_buffer_push(
	struct live_buffer *buffer, const struct live_event *event, uint32_t entries_max, size_t bytes_max);

/* Takes the oldest out. False: empty, and its memory given back. */
bool live_buffer_take(struct live_buffer *buffer, struct live_event *event);

#endif
