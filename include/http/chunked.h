#ifndef TIDEGATE_HTTP_CHUNKED_H
#define TIDEGATE_HTTP_CHUNKED_H

/*
 * Chunked: a body that says its length piece by piece (RFC 9112 section 7.1). Read as it comes, in whatever
 * portions.
 *
 * Extensions and trailers are passed over. Lines end with CR and LF here: a body's end is nothing to guess.
 */

#include <stddef.h>
#include <stdint.h>

struct buf;

enum chunked_outcome {
	CHUNKED_DONE = 1, /* that was all of it */
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

/* Zeroed memory is one that has read nothing. */
struct chunked {
	enum chunked_state state;
	unsigned int n_line; /* bytes of the line so far that is no data */
	uint64_t left;       /* of the piece */
};

/*
 * Appends what the bytes hold to out, which is not to grow longer than max. 0: more is to come; an outcome;
 * or -ENOMEM. Not to be called again after anything but 0.
 */
int chunked_read(struct chunked *chunked, const char *data, size_t len, struct buf *out, size_t max);

#endif
