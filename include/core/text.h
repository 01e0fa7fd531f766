#ifndef TIDEGATE_CORE_TEXT_H
#define TIDEGATE_CORE_TEXT_H

/* Text: bytes that may be UTF-8, their way into a JSON string and out of a URL. No memory, no state. */

#include <stdbool.h>
#include <stddef.h>

/* Of ASCII, whatever the locale. */
static inline bool text_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool text_is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/*
 * The length of the UTF-8 sequence at s, 1 to 4 bytes; 0 if there is no valid one: overlong forms,
 * surrogates, code points beyond U+10FFFF and cut sequences are refused (RFC 3629). left: the bytes that are
 * there, at least 1.
 */
static inline size_t text_utf8_sequence(const unsigned char *s, size_t left)
{
	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4 || left < 2 || (s[1] & 0xc0) != 0x80)
		return 0;
	if (s[0] < 0xe0)
		return 2;
	if (left < 3 || (s[2] & 0xc0) != 0x80)
		return 0;
	if (s[0] < 0xf0)
		return (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ? 0 : 3;
	if (left < 4 || (s[3] & 0xc0) != 0x80)
		return 0;
	return (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f) ? 0 : 4;
}

/* -1 for anything but a hexadecimal digit. */
static inline int text_hex_value(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that the percent escape at s stands for (RFC 3986); -1 if there is no escape. left: the
 * bytes that are there. */
static inline int text_percent_byte(const char *s, size_t left)
{
	int high = left >= 3 && s[0] == '%' ? text_hex_value((unsigned char)s[1]) : -1;
	int low = high >= 0 ? text_hex_value((unsigned char)s[2]) : -1;

	return low >= 0 ? high << 4 | low : -1;
}

/* The longest prefix of at most max bytes that does not end within a UTF-8 sequence. */
size_t text_cut(const char *data, size_t len, size_t max);

/*
 * Writes the bytes as a quoted JSON string and returns its length; out == NULL only measures. It escapes what
 * RFC 8259 demands, and also the characters that could break a line or a terminal: DEL, C1, U+2028 and
 * U+2029. A byte that is not UTF-8 becomes U+FFFD.
 */
size_t text_json_quote(char *out, const char *data, size_t len);

/* How many of these bytes are whole lines, each with its end; 0 without a whole line. */
size_t text_whole_lines(const char *data, size_t len);

#endif
