/* Deflater: one text as the payload of a permessage-deflate frame; see the header. */

#include "protocol/deflater.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <zlib.h>

#include "core/buf.h"

enum {
	/* Within 3 % of what level 6 makes of JSON, at half its time where texts are long. */
	LEVEL = 4,
	/* 192 KiB of state. The default of 8 clears 64 KiB before each text, a sixth of the time of one of
	   150 bytes. */
	MEMORY_LEVEL = 7,
	TAIL = 4, /* 00 00 ff ff, which every sync flush ends with and the peer puts back */
	OUT_KEPT = 64 * 1024,
};

struct deflater {
	z_stream stream;
	bool ready; /* the stream has its memory */
	size_t bytes_min;
	struct buf out;
};

struct deflater *deflater_new(size_t bytes_min)
{
	struct deflater *deflater = calloc(1, sizeof(struct deflater));

	if (deflater)
		deflater->bytes_min = bytes_min;
	return deflater;
}

void deflater_free(struct deflater *deflater)
{
	if (!deflater)
		return;
	if (deflater->ready)
		(void)deflateEnd(
			&deflater->stream); /* Z_DATA_ERROR: it was not finished, as nothing is here */
	buf_deinit(&deflater->out);
	free(deflater);
}

void deflater_set_min(struct deflater *deflater, size_t bytes_min)
{
	deflater->bytes_min = bytes_min;
}

/* A stream that remembers nothing, and room for what is one byte short of no gain. */
static bool prepare(struct deflater *deflater, size_t room)
{
	if (deflater->out.cap > OUT_KEPT)
		buf_deinit(&deflater->out);
	buf_reset(&deflater->out);
	if (!deflater->ready)
		deflater->ready = deflateInit2(&deflater->stream, LEVEL, Z_DEFLATED, -MAX_WBITS, MEMORY_LEVEL,
					  Z_DEFAULT_STRATEGY) == Z_OK;
	else
		(void)deflateReset(&deflater->stream); /* cannot fail on a stream that is ready */
	return deflater->ready && buf_reserve(&deflater->out, room);
}

int deflater_run(struct deflater *deflater, struct slice text, struct slice *payloadp)
{
	z_stream *z = &deflater->stream;
	size_t room = text.len + TAIL;

	if (text.len < deflater->bytes_min)
		return DEFLATER_NO_GAIN;
	if (!prepare(deflater, room))
		return -ENOMEM;
	z->next_in = (unsigned char *)text.data; /* zlib only reads there */
	z->avail_in = (uInt)text.len;            /* a message's length has 31 bits */
	z->next_out = (unsigned char *)deflater->out.data;
	z->avail_out = (uInt)room;
	(void)deflate(z, Z_SYNC_FLUSH); /* what it did is seen from the room that is left */
	if (z->avail_in || !z->avail_out)
		return DEFLATER_NO_GAIN;
	*payloadp = (struct slice){deflater->out.data, room - z->avail_out - TAIL};
	return 0;
}
