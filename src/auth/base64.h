#ifndef TIDEGATE_SRC_AUTH_BASE64_H
#define TIDEGATE_SRC_AUTH_BASE64_H

/* Base64: the alphabet of tokens (RFC 4648 section 5), in its one canonical form without padding. */

#include <stdbool.h>
#include <stddef.h>

#include "core/slice.h"

struct buf;

/*
 * Decodes into out, which has room for three bytes a four letters, and stores their number. False for what
 * is not the one form of some bytes: another letter, '=', a length that no bytes have, bits behind the last
 * byte.
 */
bool base64url_decode(struct slice text, char *out, size_t *lenp);

/* The same of what people paste: either alphabet, with padding or without. */
bool base64_decode_any(struct slice text, char *out, size_t *lenp);

void base64url_append(struct buf *out, const void *data, size_t len);

#endif
