/*
 * Text: UTF-8 boundaries and JSON strings.
 *
 * The one place that escapes. Whatever a peer sent and we repeat, in a frame or in a log line, goes through
 * here, so that it can neither end a string nor a line. Input is never trusted to be UTF-8; output always is.
 */

#include "core/text.h"

#include <stdint.h>
#include <string.h>

static const char hex[] = "0123456789abcdef";

/* What an ASCII byte of a JSON string becomes: 0 itself, 'u' \u00XX, else this letter behind a backslash. */
static inline char escape_of(unsigned char c)
{
	static const char controls[] = "uuuuuuuubtnufruuuuuuuuuuuuuuuuuu";

	if (c < 0x20)
		return controls[c];
	if (c == '"' || c == '\\')
		return (char)c;
	return c == 0x7f ? 'u' : 0;
}

size_t text_cut(const char *data, size_t len, size_t max)
{
	size_t cut;
	unsigned int back;

	if (len <= max)
		return len;
	/* A sequence has at most three continuation bytes; more of them are no UTF-8 and cut anywhere. */
	for (cut = max, back = 0; cut > 0 && back < 4; cut--, back++)
		if (((unsigned char)data[cut] & 0xc0) != 0x80)
			return cut;
	return max;
}

bool text_is_plain(const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)data[i] >= 0x80 || escape_of((unsigned char)data[i]))
			return false;
	return true;
}

static size_t put(char *out, const void *data, size_t len)
{
	if (out)
		memcpy(out, data, len);
	return len;
}

static size_t put_code(char *out, unsigned int code)
{
	const char text[6] = {'\\', 'u', hex[code >> 12 & 0xf], hex[code >> 8 & 0xf], hex[code >> 4 & 0xf],
		hex[code & 0xf]};

	return put(out, text, sizeof(text));
}

/* One sequence of two bytes or more, or one byte that is none. */
static size_t put_wide(char *out, const unsigned char *s, size_t n)
{
	if (n == 0)
		return put(out, "\xef\xbf\xbd", 3);
	if (n == 2 && s[0] == 0xc2 && s[1] < 0xa0)
		return put_code(out, s[1]);
	if (n == 3 && s[0] == 0xe2 && s[1] == 0x80 && (s[2] == 0xa8 || s[2] == 0xa9))
		return put_code(out, 0x2000u + (s[2] & 0x3fu));
	return put(out, s, n);
}

static size_t put_ascii(char *out, unsigned char c)
{
	const char pair[2] = {'\\', escape_of(c)};

	if (!pair[1])
		return put(out, &c, 1);
	if (pair[1] == 'u')
		return put_code(out, c);
	return put(out, pair, sizeof(pair));
}

size_t text_json_quote(char *out, const char *data, size_t len)
{
	const unsigned char *s = (const unsigned char *)data;
	size_t n_out = put(out, "\"", 1);
	size_t n;

	for (size_t i = 0; i < len; i += n ? n : 1) {
		char *at = out ? out + n_out : NULL;

		n = text_utf8_sequence(s + i, len - i);
		n_out += n == 1 ? put_ascii(at, s[i]) : put_wide(at, s + i, n);
	}
	return n_out + put(out ? out + n_out : NULL, "\"", 1);
}
