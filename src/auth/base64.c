/* Base64: the alphabet of tokens, in its one canonical form; see the header. */

#include "auth/base64.h"

#include <stdint.h>

#include "core/buf.h"

enum {
	NONE = 0x40,  /* no letter */
	OLDER = 0x80, /* a letter of the older alphabet alone */
};

/* What each byte stands for. */
static const unsigned char letters[128] = {NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
	NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE,
	NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, OLDER | 62,
	NONE, 62, NONE, OLDER | 63, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, NONE, NONE, NONE, NONE, NONE,
	NONE, NONE, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24,
	25, NONE, NONE, NONE, NONE, 63, NONE, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41,
	42, 43, 44, 45, 46, 47, 48, 49, 50, 51, NONE, NONE, NONE, NONE, NONE};

static unsigned int value_of(char c)
{
	return (unsigned char)c < sizeof(letters) ? letters[(unsigned char)c] : NONE;
}

/* Two or three letters at the end, or none. */
static bool decode_rest(struct slice text, unsigned int refused, char *out, size_t *lenp)
{
	unsigned int bits = 0, spare;
	int n_bits = 0;

	for (size_t i = 0; i < text.len; i++, n_bits += 6) {
		unsigned int six = value_of(text.data[i]);

		if (six & refused)
			return false;
		bits = bits << 6 | (six & 0x3f);
	}
	for (n_bits -= 8; n_bits >= 0; n_bits -= 8)
		out[(*lenp)++] = (char)(bits >> n_bits);
	spare = bits & ((1u << (n_bits + 8)) - 1);
	return text.len == 0 || (text.len > 1 && spare == 0);
}

/* refused: the marks of bytes that are no letters here. */
static bool decode(struct slice text, unsigned int refused, char *out, size_t *lenp)
{
	size_t whole = text.len - text.len % 4, len = 0;

	for (size_t i = 0; i < whole; i += 4, len += 3) {
		unsigned int a = value_of(text.data[i]), b = value_of(text.data[i + 1]),
			     c = value_of(text.data[i + 2]), d = value_of(text.data[i + 3]), bits;

		if ((a | b | c | d) & refused)
			return false;
		bits = (a & 0x3f) << 18 | (b & 0x3f) << 12 | (c & 0x3f) << 6 | (d & 0x3f);
		out[len] = (char)(bits >> 16);
		out[len + 1] = (char)(bits >> 8);
		out[len + 2] = (char)bits;
	}
	if (!decode_rest((struct slice){text.data + whole, text.len - whole}, refused, out, &len))
		return false;
	*lenp = len;
	return true;
}

bool base64url_decode(struct slice text, char *out, size_t *lenp)
{
	return decode(text, NONE | OLDER, out, lenp);
}

bool base64_decode_any(struct slice text, char *out, size_t *lenp)
{
	if (text.len % 4 == 0)
		for (int i = 0; i < 2 && text.len && text.data[text.len - 1] == '='; i++)
			text.len--;
	return decode(text, NONE, out, lenp);
}

void base64url_append(struct buf *out, const void *data, size_t len)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const unsigned char *bytes = data;
	uint32_t bits = 0;
	unsigned int n_bits = 0;

	for (size_t i = 0; i < len; i++) {
		bits = (bits << 8 | bytes[i]) & 0xffff;
		for (n_bits += 8; n_bits >= 6; n_bits -= 6)
			buf_append_char(out, alphabet[bits >> (n_bits - 6) & 63]);
	}
	if (n_bits)
		buf_append_char(out, alphabet[bits << (6 - n_bits) & 63]);
}
