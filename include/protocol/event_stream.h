#ifndef TIDEGATE_PROTOCOL_EVENT_STREAM_H
#define TIDEGATE_PROTOCOL_EVENT_STREAM_H

/*
 * Event stream: how messages look on a stream of server-sent events (the HTML standard).
 *
 * A message is one `data:` line with its JSON, and an empty line. In front of it stands `id:` if the message
 * says where in a channel's log its reader is now: browsers bring that back as Last-Event-ID. There is no
 * `event:` line, so that `onmessage` hears all messages. An empty line stands behind what is one whole, and
 * nowhere else: libraries that are not strict tell of a message without data at each.
 */

#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"

struct buf;

enum {
	EVENT_STREAM_POS_MAX = 64, /* of a position: a longer one is left out */
	/* "id: ", a position, "\nretry: ", ten digits, "\ndata: " */
	EVENT_STREAM_HEAD_MAX = 4 + EVENT_STREAM_POS_MAX + 8 + 10 + 7,
	EVENT_STREAM_GROWTH = EVENT_STREAM_HEAD_MAX + 2, /* what stands around a message's text */
};

#define EVENT_STREAM_TAIL "\n\n"

/* The heartbeat: a comment, which nobody hears. */
#define EVENT_STREAM_PING ":\n"

/*
 * Writes what stands before the text of a message. pos: may be empty. retry_ms: after how long the peer comes
 * back once the stream has ended; 0: as it was told before. Returns the length.
 */
size_t event_stream_head_write(unsigned char out[EVENT_STREAM_HEAD_MAX], struct slice pos, uint32_t retry_ms);

/*
 * The text on one line. JSON may have line ends between its tokens, and nowhere else: they become spaces.
 * Returns the text itself if it has none; otherwise a copy in scratch, or an absent slice when out of memory.
 */
struct slice event_stream_line(struct slice text, struct buf *scratch);

/* What the peer is told first: after how long it comes back if the stream breaks. */
void event_stream_open(struct buf *out, uint32_t retry_ms, uint64_t ping_interval_ms);

/*
 * The last message, in the place of a close frame: {"type":"close","data":{"code":…,"reason":…},…}. Some
 * codes say that the peer should not come back soon.
 */
void event_stream_close(struct buf *out, uint16_t code, const char *sentence, uint64_t wall_ms);

#endif
