/*
 * Names: the bytes that ids, names of variables and names of channels consist of.
 *
 * Ids are the unreserved characters of RFC 3986 and nothing else. That leaves out, on purpose, every
 * character with a meaning further down: ':' (joins ids to channel names), '/' (joins them to paths), '*',
 * '?' and '[' (globs of Redis), braces (hash tags of its cluster), spaces, CR, LF and NUL.
 *
 * A wide id, on a route with `ids: any`, is any other text; in names its other bytes are written as
 * %XX, in capitals. Each text has exactly one form like this, which for a plain id is the id itself,
 * so names never collide (docs/decisions/0013-wide-ids-are-percent-encoded.md).
 */
#include "route/names.h"

#include <string.h>

#include "core/text.h"

enum {
	/* bytes of a segment that is completely escaped; longer segments are no ids */
	SEGMENT_MAX = 3 * ROUTE_ID_MAX,
	VARIABLE_MAX =
		64, /* bytes of a variable's name: a bound for error texts, far above any sensible name */
};

static const char reserved[] = "tg:"; /* keys and channels of our own in Redis */

static bool is_id_byte(char c)
{
	return text_is_alpha(c) || text_is_digit(c) || c == '.' || c == '_' || c == '~' || c == '-';
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

/* Percent-decodes the text into out, which is as large as the text. Returns the length, or -1
 * for a broken escape. */
static int decode(const char *text, size_t len, char *out)
{
	int n = 0;

	for (size_t i = 0; i < len; i++) {
		int byte = text[i] == '%' ? text_percent_byte(text + i, len - i) : text[i];

		if (text[i] == '%' && byte < 0)
			return -1;
		i += text[i] == '%' ? 2 : 0;
		out[n++] = (char)byte;
	}
	return n;
}

/* UTF-8, and nothing that only machines write. */
static bool is_text(const char *text, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t n = text_utf8_sequence((const unsigned char *)text + i, len - i);

		if (n == 0 || (unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return false;
		i += n;
	}
	return true;
}

/* Writes the form of a text as part of a name. Returns its length, or 0 if it is longer than an id may be. */
static size_t encode(const char *text, size_t len, char out[ROUTE_ID_MAX + 1])
{
	static const char digits[] = "0123456789ABCDEF";
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char byte = (unsigned char)text[i];
		size_t needs = is_id_byte(text[i]) ? 1 : 3;

		if (n + needs > ROUTE_ID_MAX)
			return 0;
		if (needs == 3) {
			out[n++] = '%';
			out[n++] = digits[byte >> 4];
		}
		out[n++] = needs == 3 ? digits[byte & 15] : text[i];
	}
	out[n] = '\0';
	return n;
}

bool name_is_wide(const char *part, size_t len)
{
	return memchr(part, '%', len) != NULL;
}

size_t name_take_id(const char *segment, size_t len, char out[ROUTE_ID_MAX + 1])
{
	char text[SEGMENT_MAX];
	size_t taken;
	int n;

	if (route_id_valid(segment, len)) { /* most are plain, and their own form */
		memcpy(out, segment, len);
		out[len] = '\0';
		return len;
	}
	n = len <= sizeof(text) ? decode(segment, len, text) : -1;
	taken = n > 0 && is_text(text, (size_t)n) ? encode(text, (size_t)n, out) : 0;
	return taken > 0 && (name_is_wide(out, taken) || route_id_valid(out, taken)) ? taken : 0;
}

/* Is it a plain id, or the form of a wide id? */
static bool is_part(const char *part, size_t len)
{
	char taken[ROUTE_ID_MAX + 1];

	if (route_id_valid(part, len))
		return true;
	return len > 0 && len <= ROUTE_ID_MAX && name_is_wide(part, len) &&
	       name_take_id(part, len, taken) == len && memcmp(part, taken, len) == 0;
}

bool name_is_reserved(const char *name, size_t len)
{
	return len >= sizeof(reserved) - 1 && memcmp(name, reserved, sizeof(reserved) - 1) == 0;
}

bool route_channel_valid(const char *name, size_t len)
{
	if (len == 0 || len > ROUTE_CHANNEL_MAX)
		return false;
	if (name_is_reserved(name, len))
		return false;
	for (size_t start = 0;;) {
		const char *colon = memchr(name + start, ':', len - start);
		size_t end = colon ? (size_t)(colon - name) : len;

		if (!is_part(name + start, end - start))
			return false;
		if (end == len)
			return true;
		start = end + 1;
	}
}

bool name_is_variable(const char *text, size_t len)
{
	if (len == 0 || len > VARIABLE_MAX || text_is_digit(text[0]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!text_is_alpha(text[i]) && !text_is_digit(text[i]) && text[i] != '_')
			return false;
	return true;
}

size_t name_split(const char *text, size_t len, char separator, struct slice parts[ROUTE_SEGMENTS_MAX])
{
	size_t n = 0;

	for (size_t start = 0;;) {
		const char *found = memchr(text + start, separator, len - start);
		size_t end = found ? (size_t)(found - text) : len;

		if (n == ROUTE_SEGMENTS_MAX)
			return 0;
		parts[n++] = (struct slice){text + start, end - start};
		if (end == len)
			return n;
		start = end + 1;
	}
}
