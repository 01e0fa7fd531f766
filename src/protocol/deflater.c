/* Deflater: one text as the payload of a permessage-deflate frame; see the header. */

#include "protocol/deflater.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <zlib.h>

#include "core/buf.h"

enum {
	/* Compresses JSON within 3 % of level 6, in half its time for long texts. */
	LEVEL = 4,
	/* 192 KiB of state. The default of 8 clears 64 KiB before each text, which is a sixth of the time for
	 * a text of 150 bytes. */
	MEMORY_LEVEL = 7,
	TAIL = 4, /* 00 00 ff ff: every sync flush ends with it, and the peer puts it back */
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
	struct deflater *deflater = calloc(1, sizeof(*deflater));

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

/* Resets the stream, and makes room for a payload that is one byte shorter than the text. */
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
	(void)deflate(z, Z_SYNC_FLUSH); /* the room that is left shows whether it succeeded */
	if (z->avail_in || !z->avail_out)
		return DEFLATER_NO_GAIN;
	*payloadp = (struct slice){deflater->out.data, room - z->avail_out - TAIL};
	return 0;
}
