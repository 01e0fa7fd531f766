/*
 * Text: UTF-8 boundaries and JSON strings.
 *
 * This is the only place that escapes. Every text of a peer that we repeat, in a frame or in a log
 * line, goes through here, so that it can end neither a string nor a line. Input is not assumed to
 * be UTF-8; output always is.
 */

#include "core/text.h"

#include <stdint.h>
#include <string.h>

static const char hex[] = "0123456789abcdef";

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

/* Copies one sequence of two bytes or more, or replaces one byte that begins no sequence. */
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

/* An ASCII byte that is not plain. */
static size_t put_escape(char *out, unsigned char c)
{
	/* The letter behind the backslash; 'u' stands for \u00XX. */
	static const char controls[] = "uuuuuuuubtnufruuuuuuuuuuuuuuuuuu";
	const char pair[2] = {'\\', c < 0x20 ? controls[c] : (char)c};

	if (c == 0x7f || pair[1] == 'u')
		return put_code(out, c);
	return put(out, pair, sizeof(pair));
}

/* Bytes at the start that are copied as they are. */
static size_t plain_run(const unsigned char *s, size_t len)
{
	size_t n = 0;

	while (n < len && s[n] >= 0x20 && s[n] < 0x7f && s[n] != '"' && s[n] != '\\')
		n++;
	return n;
}

size_t text_json_quote(char *out, const char *data, size_t len)
{
	const unsigned char *s = (const unsigned char *)data;
	size_t n_out = put(out, "\"", 1);
	size_t n;

	for (size_t i = 0; i < len; i += n) {
		char *at = out ? out + n_out : NULL;

		n = plain_run(s + i, len - i);
		if (n > 0) {
			n_out += put(at, s + i, n);
			continue;
		}
		n = text_utf8_sequence(s + i, len - i);
		n_out += n == 1 ? put_escape(at, s[i]) : put_wide(at, s + i, n);
		n += n == 0; /* a byte that is no UTF-8 */
	}
	return n_out + put(out ? out + n_out : NULL, "\"", 1);
}

size_t text_whole_lines(const char *data, size_t len)
{
	const char *end = memrchr(data, '\n', len);

	return end ? (size_t)(end - data) + 1 : 0;
}
