/* Chunked: a body in pieces; see the header. */

#include "http/chunked.h"

#include <errno.h>
#include <stdbool.h>

#include "core/buf.h"
#include "core/text.h"

enum {
	LINE_MAX_BYTES = 1024, /* of a size with its extensions, or of a trailer */
	SIZE_DIGITS_MAX = 15,
};

static bool enter(struct chunked *chunked, enum chunked_state state)
{
	chunked->state = state;
	chunked->n_line = 0;
	return true;
}

static bool go_on_if(struct chunked *chunked, bool condition, enum chunked_state state)
{
	return condition && enter(chunked, state);
}

/* Reads one byte of a size. False if it is not a digit. */
static bool read_size(struct chunked *chunked, char c)
{
	int digit = text_hex_value((unsigned char)c);

	if (digit >= 0) {
		chunked->left = chunked->left * 16 + (uint64_t)digit;
		return ++chunked->n_line <= SIZE_DIGITS_MAX;
	}
	if (!chunked->n_line)
		return false;
	if (c == '\r')
		return enter(chunked, CHUNKED_SIZE_LF);
	return go_on_if(chunked, c == ';' || c == ' ' || c == '\t', CHUNKED_EXTENSION);
}

/* Skips a byte of a line that is not needed. */
static bool skip_line(struct chunked *chunked, char c, enum chunked_state next)
{
	if (c == '\r')
		return enter(chunked, next);
	return c != '\n' && ++chunked->n_line <= LINE_MAX_BYTES;
}

/* Takes one byte that is not data. False if it has no place here. */
static bool step(struct chunked *chunked, char c)
{
	switch (chunked->state) {
	case CHUNKED_SIZE:
		return read_size(chunked, c);
	case CHUNKED_EXTENSION:
		return skip_line(chunked, c, CHUNKED_SIZE_LF);
	case CHUNKED_SIZE_LF:
		return go_on_if(chunked, c == '\n', chunked->left ? CHUNKED_DATA : CHUNKED_TRAILER);
	case CHUNKED_DATA_CR:
		return go_on_if(chunked, c == '\r', CHUNKED_DATA_LF);
	case CHUNKED_DATA_LF:
		return go_on_if(chunked, c == '\n', CHUNKED_SIZE);
	case CHUNKED_TRAILER:
		if (c == '\r')
			return enter(chunked, CHUNKED_END_LF);
		return go_on_if(chunked, c != '\n', CHUNKED_TRAILER_LINE);
	case CHUNKED_TRAILER_LINE:
		return skip_line(chunked, c, CHUNKED_TRAILER_LF);
	case CHUNKED_TRAILER_LF:
		return go_on_if(chunked, c == '\n', CHUNKED_TRAILER);
	case CHUNKED_END_LF:
		return go_on_if(chunked, c == '\n', CHUNKED_END);
	default:
		return false;
	}
}

static size_t take_data(struct chunked *chunked, const char *data, size_t len, struct buf *out)
{
	size_t n = chunked->left < len ? (size_t)chunked->left : len;

	buf_append(out, data, n);
	chunked->left -= n;
	if (!chunked->left)
		enter(chunked, CHUNKED_DATA_CR);
	return n;
}

int chunked_read(struct chunked *chunked, const char *data, size_t len, struct buf *out, size_t max)
{
	for (size_t i = 0; i < len && chunked->state != CHUNKED_END;) {
		if (chunked->state == CHUNKED_DATA)
			i += take_data(chunked, data + i, len - i, out);
		else if (!step(chunked, data[i++]))
			return CHUNKED_BAD;
		/* Checked before the data arrives, so that the peer does not send it in vain. */
		if (chunked->left > max || out->len > max - (size_t)chunked->left)
			return CHUNKED_TOO_BIG;
	}
	if (out->failed)
		return -ENOMEM;
	return chunked->state == CHUNKED_END ? CHUNKED_DONE : 0;
}
