#ifndef TIDEGATE_PROTOCOL_DEFLATER_H
#define TIDEGATE_PROTOCOL_DEFLATER_H

/*
 * Deflater: one text as the payload of a permessage-deflate frame (RFC 7692 section 7.2.1).
 *
 * Each text is deflated by itself, without the texts before it. So one frame serves all peers that agreed to
 * permessage-deflate with a window of 32 KiB, whatever each was sent before. The state is large, so each
 * worker has one deflater, which takes zlib's memory with its first text.
 *
 * It refuses texts that would not get smaller, and texts that are too short to be worth trying.
 */

#include <stddef.h>

#include "core/slice.h"

struct deflater;

enum {
	DEFLATER_NO_GAIN = 1, /* send the text as it is */
};

/* Texts below bytes_min are not tried. NULL when out of memory. */
struct deflater *deflater_new(size_t bytes_min);
void deflater_free(struct deflater *deflater); /* accepts NULL */

void deflater_set_min(struct deflater *deflater, size_t bytes_min);

/* 0 with the payload, shorter than the text and borrowed until the next call;
 * DEFLATER_NO_GAIN; or -ENOMEM. */
int deflater_run(struct deflater *deflater, struct slice text, struct slice *payloadp);

#endif
