#ifndef TIDEGATE_SRC_AUTH_SECRET_H
#define TIDEGATE_SRC_AUTH_SECRET_H

/* Secret: the bytes of a secret as it is configured: the text itself, or "base64:…" for any bytes. */

struct buf;

enum {
	SECRET_BAD = 1, /* a sentence is in the error buffer, without a full stop */

	SECRET_BYTES_MIN = 32, /* 256 bits, RFC 7518 section 3.2 */
};

/* Fills an empty buf, which buf_wipe() empties. name: of the option. 0, -ENOMEM, SECRET_BAD. */
int secret_read(const char *name, const char *text, struct buf *bytes, struct buf *error);

#endif
