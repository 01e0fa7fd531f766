/*
 * Buf: bytes that grow.
 *
 * Promises that a text is either whole or marked failed: nothing is appended after an append that did not
 * fit, so there are never holes in it. Grows by doubling; never shrinks but by buf_deinit().
 */

#include "core/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"

enum {
	BUF_FIRST = 128, /* a log line or a short reply, so that those allocate once */
};

void buf_deinit(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){0};
}

void buf_wipe(struct buf *buf)
{
	if (buf->data)
		explicit_bzero(buf->data, buf->cap);
	buf_deinit(buf);
}

void buf_reset(struct buf *buf)
{
	buf->len = 0;
	buf->failed = false;
}

static bool buf_grow(struct buf *buf, size_t need)
{
	size_t cap = buf->cap ? buf->cap : BUF_FIRST;
	char *data;

	while (cap < need)
		cap *= 2;
	data = realloc(buf->data, cap);
	if (!data)
		return false;
	buf->data = data;
	buf->cap = cap;
	return true;
}

char *buf_reserve(struct buf *buf, size_t more)
{
	if (buf->failed)
		return NULL;
	/* A quarter of the address space is more than there is, and doubling below it cannot overflow. */
	if (more > SIZE_MAX / 4 - buf->len ||
		((!buf->data || more > buf->cap - buf->len) && !buf_grow(buf, buf->len + more))) {
		buf->failed = true;
		return NULL;
	}
	return buf->data + buf->len;
}

void buf_append(struct buf *buf, const void *data, size_t len)
{
	char *at = buf_reserve(buf, len);

	if (!at || !len)
		return;
	memcpy(at, data, len);
	buf->len += len;
}

void buf_append_str(struct buf *buf, const char *text)
{
	buf_append(buf, text, strlen(text));
}

void buf_append_char(struct buf *buf, char c)
{
	buf_append(buf, &c, 1);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	size_t room = buf->failed ? 0 : buf->cap - buf->len;
	va_list args;
	char *at;
	int n;

	va_start(args, format);
	n = vsnprintf(room ? buf->data + buf->len : NULL, room, format, args);
	va_end(args);
	if (n >= 0 && (size_t)n < room) {
		buf->len += (size_t)n;
		return;
	}
	at = n < 0 ? NULL : buf_reserve(buf, (size_t)n + 1);
	if (!at) {
		buf->failed = true;
		return;
	}
	va_start(args, format);
	vsnprintf(at, (size_t)n + 1, format, args);
	va_end(args);
	buf->len += (size_t)n;
}

void buf_append_json_string(struct buf *buf, const char *data, size_t len)
{
	size_t n = text_json_quote(NULL, data, len);
	char *at = buf_reserve(buf, n);

	if (!at)
		return;
	text_json_quote(at, data, len);
	buf->len += n;
}

void buf_consume(struct buf *buf, size_t n)
{
	if (n == 0)
		return;
	buf->len -= n;
	memmove(buf->data, buf->data + n, buf->len);
}

const char *buf_text(struct buf *buf)
{
	char *end = buf_reserve(buf, 1);

	if (!end)
		return NULL;
	*end = '\0';
	return buf->data;
}
