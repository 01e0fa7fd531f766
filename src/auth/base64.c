/* Base64: the alphabet of tokens, in its one canonical form; see the header. */

#include "auth/base64.h"

#include <stdint.h>

#include "core/buf.h"
#include "core/text.h"

/* -1 for a byte outside the alphabet. */
static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (text_is_digit(c))
		return c - '0' + 52;
	if (c == '-')
		return 62;
	return c == '_' ? 63 : -1;
}

/* The same, where the older alphabet counts too. */
static int value_of_any(char c)
{
	if (c == '+')
		return 62;
	return c == '/' ? 63 : value_of(c);
}

static bool decode(struct slice text, int (*value)(char c), char *out, size_t *lenp)
{
	uint32_t bits = 0;
	unsigned int n_bits = 0;
	size_t len = 0;

	if (text.len % 4 == 1)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		int six = value(text.data[i]);

		if (six < 0)
			return false;
		bits = bits << 6 | (uint32_t)six;
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			out[len++] = (char)(bits >> n_bits);
			bits &= (1u << n_bits) - 1;
		}
	}
	*lenp = len;
	return bits == 0;
}

bool base64url_decode(struct slice text, char *out, size_t *lenp)
{
	return decode(text, value_of, out, lenp);
}

bool base64_decode_any(struct slice text, char *out, size_t *lenp)
{
	if (text.len % 4 == 0)
		for (int i = 0; i < 2 && text.len && text.data[text.len - 1] == '='; i++)
			text.len--;
	return decode(text, value_of_any, out, lenp);
}

void base64url_append(struct buf *out, const void *data, size_t len)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const unsigned char *bytes = data;
	uint32_t bits = 0;
	unsigned int n_bits = 0;

	for (size_t i = 0; i < len; i++) {
		bits = (bits << 8 | bytes[i]) & 0xffff;
		for (n_bits += 8; n_bits >= 6; n_bits -= 6)
			buf_append_char(out, letters[bits >> (n_bits - 6) & 63]);
	}
	if (n_bits)
		buf_append_char(out, letters[bits << (6 - n_bits) & 63]);
}
