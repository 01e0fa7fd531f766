/* Live buffer: filled, then emptied from the front; see the header. */

#include "channel_log/live_buffer.h"

#include <errno.h>
#include <stdlib.h>

enum {
	FIRST_CAPACITY = 8,
};

static int grow(struct live_buffer *buffer)
{
	uint32_t capacity = buffer->capacity ? buffer->capacity * 2 : FIRST_CAPACITY;
	struct live_event *slots = realloc(buffer->slots, capacity * sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	buffer->slots = slots;
	buffer->capacity = capacity;
	return 0;
}

int live_buffer_push(
	struct live_buffer *buffer, const struct live_event *event, uint32_t entries_max, size_t bytes_max)
{
	int r;

	if (buffer->n - buffer->first >= entries_max || event->bytes > bytes_max - buffer->bytes)
		return LIVE_BUFFER_FULL;
	if (buffer->n == buffer->capacity) {
		r = grow(buffer);
		if (r < 0)
			return r;
	}
	buffer->slots[buffer->n++] = *event;
	buffer->bytes += event->bytes;
	return 0;
}

bool live_buffer_take(struct live_buffer *buffer, struct live_event *event)
{
	if (buffer->first == buffer->n) {
		free(buffer->slots);
		*buffer = (struct live_buffer){0};
		return false;
	}
	*event = buffer->slots[buffer->first++];
	buffer->bytes -= event->bytes;
	return true;
}
