#ifndef TIDEGATE_CORE_BUF_H
#define TIDEGATE_CORE_BUF_H

/*
 * Buf: bytes that grow. Zeroed memory is an empty buf.
 *
 * An append that finds no memory leaves the bytes as they were and marks the buf failed; every later append
 * is refused until buf_reset(). So a text is built in one go and checked once, at its end.
 */

#include <stdbool.h>
#include <stddef.h>

#include "core/slice.h"

struct buf {
	char *data;
	size_t len;
	size_t cap;
	bool failed;
};

void buf_deinit(struct buf *buf);

/* The same of a buf with a secret in it: nothing of it stays in memory. */
void buf_wipe(struct buf *buf);

/* Empties the buf, keeps its memory, and forgets a failure. */
void buf_reset(struct buf *buf);

/* Room for `more` further bytes; returns where they start, or NULL (and failed). Adjust len yourself. */
char *buf_reserve(struct buf *buf, size_t more);

void buf_append(struct buf *buf, const void *data, size_t len);
void buf_append_str(struct buf *buf, const char *text);
void buf_append_char(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Text as a quoted JSON string (RFC 8259); invalid UTF-8 becomes U+FFFD. */
void buf_append_json_string(struct buf *buf, const char *data, size_t len);

/* Drops the first n bytes (n <= len). */
void buf_consume(struct buf *buf, size_t n);

/* Terminates the bytes with NUL (not counted in len) and returns them; NULL if the buf has failed. Borrowed
 * until the next change. */
const char *buf_text(struct buf *buf);

/* The buf's bytes, borrowed until the next change. */
static inline struct slice buf_slice(const struct buf *buf)
{
	return (struct slice){buf->data, buf->len};
}

#endif
