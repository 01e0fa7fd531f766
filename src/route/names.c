/*
 * Names: which bytes make an id, a variable's name, a channel's name.
 *
 * Ids are the unreserved characters of RFC 3986 and nothing else. That leaves out, on purpose, everything
 * that means something further down: ':' (joins ids to channel names), '/' (joins them to paths), '*', '?'
 * and '[' (globs of Redis), braces (hash tags of its cluster), spaces, CR, LF and NUL.
 */
#include "route/names.h"

#include <string.h>

#include "core/text.h"

enum {
	VARIABLE_MAX =
		64, /* bytes of a variable's name: a bound for error texts, far above any sensible name */
};

static const char reserved[] = "tg:"; /* keys and channels of our own in Redis */

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_id_byte(char c)
{
	return is_alpha(c) || is_digit(c) || c == '.' || c == '_' || c == '~' || c == '-';
}

bool route_id_valid(const char *id, size_t len)
{
	if (len == 0 || len > ROUTE_ID_MAX)
		return false;
	if (id[0] == '.' && (len == 1 || (len == 2 && id[1] == '.')))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_id_byte(id[i]))
			return false;
	return true;
}

bool route_channel_valid(const char *name, size_t len)
{
	if (len == 0 || len > ROUTE_CHANNEL_MAX)
		return false;
	if (len >= sizeof(reserved) - 1 && memcmp(name, reserved, sizeof(reserved) - 1) == 0)
		return false;
	for (size_t start = 0;;) {
		const char *colon = memchr(name + start, ':', len - start);
		size_t end = colon ? (size_t)(colon - name) : len;

		if (!route_id_valid(name + start, end - start))
			return false;
		if (end == len)
			return true;
		start = end + 1;
	}
}

size_t name_decode_id(const char *segment, size_t len, char out[ROUTE_ID_MAX + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = segment[i];

		if (n == ROUTE_ID_MAX)
			return 0;
		if (c == '%') {
			int byte = text_percent_byte(segment + i, len - i);

			if (byte < 0)
				return 0;
			c = (char)byte;
			i += 2;
		}
		out[n++] = c;
	}
	out[n] = '\0';
	return route_id_valid(out, n) ? n : 0;
}

bool name_is_variable(const char *text, size_t len)
{
	if (len == 0 || len > VARIABLE_MAX || is_digit(text[0]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_alpha(text[i]) && !is_digit(text[i]) && text[i] != '_')
			return false;
	return true;
}
