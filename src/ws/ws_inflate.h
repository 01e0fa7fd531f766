#ifndef TIDEGATE_WS_WS_INFLATE_H
#define TIDEGATE_WS_WS_INFLATE_H

/*
 * Ws inflate: turns a client's deflated message back into its text (RFC 7692 section 7.2.2).
 *
 * Clients deflate without context takeover, so one state serves all connections of a worker, and an idle
 * connection needs no memory. A whole message is inflated at once, and no further than its bound: a bomb
 * costs as much as the longest text that is allowed. zlib's memory is taken with the first message.
 */

#include <stddef.h>

#include "core/slice.h"

struct ws_inflate;

enum {
	WS_INFLATE_TOO_BIG = 1, /* the text is longer than allowed */
	WS_INFLATE_BROKEN = 2,  /* not a deflate stream of whole blocks, or its text is not UTF-8 */
};

/* NULL when out of memory. */
struct ws_inflate *ws_inflate_new(size_t text_max);
void ws_inflate_free(struct ws_inflate *state); /* accepts NULL */

void ws_inflate_set_max(struct ws_inflate *state, size_t text_max);

/* The longest that a deflated message with a text of text_max may be. */
size_t ws_inflate_payload_max(size_t text_max);

/* The payload of a whole message, of all its frames. 0 with the text, borrowed until the next call; an
 * outcome above; or -ENOMEM. */
int ws_inflate_message(struct ws_inflate *state, const void *payload, size_t len, struct slice *textp);

#endif
