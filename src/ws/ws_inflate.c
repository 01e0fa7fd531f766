/* Ws inflate: a client's deflated message back into its text; see the header. */

#include "ws/ws_inflate.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <zlib.h>

#include "core/buf.h"
#include "core/text.h"

enum {
	CHUNK = 4096, /* the text's memory grows in steps of this size */
	TEXT_KEPT = 64 * 1024,
	BETWEEN_BLOCKS = 128, /* of z_stream.data_type, see inflate() in zlib.h */
	UNUSED_BITS = 63,
};

struct ws_inflate {
	z_stream stream;
	bool ready; /* the stream has its memory */
	size_t text_max;
	struct buf text;
};

struct ws_inflate *ws_inflate_new(size_t text_max)
{
	struct ws_inflate *state = calloc(1, sizeof(*state));

	if (state)
		state->text_max = text_max;
	return state;
}

void ws_inflate_free(struct ws_inflate *state)
{
	if (!state)
		return;
	if (state->ready)
		(void)inflateEnd(&state->stream);
	buf_deinit(&state->text);
	free(state);
}

void ws_inflate_set_max(struct ws_inflate *state, size_t text_max)
{
	state->text_max = text_max;
}

/*
 * A sender may flush as often as it likes, and an honest one flushes with each frame of a message. A flush
 * takes five bytes, and a byte that deflate cannot compress up to two. So frames of one byte become seven,
 * and there is room for some empty blocks. It costs the sender as much as us.
 */
size_t ws_inflate_payload_max(size_t text_max)
{
	return 8 * text_max + 64;
}

static bool prepare(struct ws_inflate *state)
{
	if (state->text.cap > TEXT_KEPT)
		buf_deinit(&state->text);
	buf_reset(&state->text);
	if (!state->ready)
		state->ready = inflateInit2(&state->stream, -MAX_WBITS) == Z_OK;
	else
		(void)inflateReset(&state->stream); /* cannot fail on a stream that is ready */
	return state->ready;
}

/* Calls zlib once, into a chunk, never more than one byte past the bound. Returns zlib's result. */
static int inflate_chunk(struct ws_inflate *state)
{
	z_stream *z = &state->stream;
	size_t room = state->text_max + 1 - state->text.len;
	char *out;
	int r;

	if (room > CHUNK)
		room = CHUNK;
	out = buf_reserve(&state->text, room);
	if (!out)
		return Z_MEM_ERROR;
	z->next_out = (unsigned char *)out;
	z->avail_out = (uInt)room;
	r = inflate(z, Z_SYNC_FLUSH);
	state->text.len += room - z->avail_out;
	return r;
}

static int inflate_part(struct ws_inflate *state, const unsigned char *data, size_t len)
{
	z_stream *z = &state->stream;
	int r;

	z->next_in = (unsigned char *)data; /* zlib only reads there */
	z->avail_in = (uInt)len;            /* bounded by message_bytes_max */
	do {
		r = inflate_chunk(state);
		if (r == Z_MEM_ERROR)
			return -ENOMEM;
		if (r != Z_OK && r != Z_BUF_ERROR && r != Z_STREAM_END)
			return WS_INFLATE_BROKEN;
		if (state->text.len > state->text_max)
			return WS_INFLATE_TOO_BIG;
		/* A last block need not be the last: RFC 7692 section 7.2.3.5. */
		if (r == Z_STREAM_END)
			(void)inflateReset(z);
	} while (z->avail_in || !z->avail_out);
	return 0;
}

/* Nothing came since the last stream, or it ended with a block and a byte. */
static bool between_bytes(const z_stream *z)
{
	return z->total_in == 0 || ((z->data_type & BETWEEN_BLOCKS) && !(z->data_type & UNUSED_BITS));
}

static bool is_utf8(struct slice text)
{
	const unsigned char *s = (const unsigned char *)text.data;
	size_t n;

	for (size_t i = 0; i < text.len; i += n) {
		n = text_utf8_sequence(s + i, text.len - i);
		if (n == 0)
			return false;
	}
	return true;
}

int ws_inflate_message(struct ws_inflate *state, const void *payload, size_t len, struct slice *textp)
{
	static const unsigned char tail[] = {0x00, 0x00, 0xff, 0xff}; /* the sender took it off */
	int r;

	if (!prepare(state))
		return -ENOMEM;
	r = inflate_part(state, payload, len);
	/* Behind a whole block nothing was taken off: an empty message, or an empty block that was left. */
	if (r == 0 && !between_bytes(&state->stream))
		r = inflate_part(state, tail, sizeof(tail));
	if (r)
		return r;
	if (!between_bytes(&state->stream))
		return WS_INFLATE_BROKEN;
	*textp = (struct slice){state->text.len ? state->text.data : "", state->text.len};
	return is_utf8(*textp) ? 0 : WS_INFLATE_BROKEN;
}
