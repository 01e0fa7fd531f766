#ifndef TIDEGATE_HTTP_CHUNKED_H
#define TIDEGATE_HTTP_CHUNKED_H

/*
 * Chunked: reads a body that tells its length piece by piece (RFC 9112 section 7.1),
 * in whatever portions it arrives.
 *
 * Extensions and trailers are skipped. Lines must end with CR and LF: nobody should have to
 * guess where a body ends.
 */

#include <stddef.h>
#include <stdint.h>

struct buf;

enum chunked_outcome {
	CHUNKED_DONE = 1, /* the body is complete */
	CHUNKED_BAD,
	CHUNKED_TOO_BIG,
};

enum chunked_state {
	CHUNKED_SIZE,
	CHUNKED_EXTENSION,
	CHUNKED_SIZE_LF,
	CHUNKED_DATA,
	CHUNKED_DATA_CR,
	CHUNKED_DATA_LF,
	CHUNKED_TRAILER,
	CHUNKED_TRAILER_LINE,
	CHUNKED_TRAILER_LF,
	CHUNKED_END_LF,
	CHUNKED_END,
};

/* Zeroed memory is the state before the first byte. */
struct chunked {
	enum chunked_state state;
	unsigned int n_line; /* bytes read of a line that is not data */
	uint64_t left;       /* bytes left of the piece */
};

/*
 * Appends the body's bytes in this portion to out, which may not grow longer than max. 0: more is to come; an
 * outcome; or -ENOMEM. After anything but 0 it must not be called again.
 */
int chunked_read(struct chunked *chunked, const char *data, size_t len, struct buf *out, size_t max);

#endif
