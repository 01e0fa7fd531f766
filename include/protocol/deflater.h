#ifndef TIDEGATE_PROTOCOL_DEFLATER_H
#define TIDEGATE_PROTOCOL_DEFLATER_H

/*
 * Deflater: one text as the payload of a permessage-deflate frame (RFC 7692 section 7.2.1).
 *
 * Each text is deflated by itself, without what came before, so its frame decodes at every peer that agreed
 * to permessage-deflate with a window of 32 KiB, whatever that peer was sent before: one frame for all. The
 * state is large, so there is one deflater a worker, and zlib's memory is taken with the first text.
 *
 * It refuses texts that would not get smaller, and those too short to be worth trying.
 */

#include <stddef.h>

#include "core/slice.h"

struct deflater;

enum {
	DEFLATER_NO_GAIN = 1, /* send it as it is */
};

/* Texts below bytes_min are not tried. NULL when out of memory. */
struct deflater *deflater_new(size_t bytes_min);
void deflater_free(struct deflater *deflater); /* accepts NULL */

void deflater_set_min(struct deflater *deflater, size_t bytes_min);

/* 0 with the payload, shorter than the text and borrowed until the next call; DEFLATER_NO_GAIN; or -ENOMEM.
 */
int deflater_run(struct deflater *deflater, struct slice text, struct slice *payloadp);

#endif
