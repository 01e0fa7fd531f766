/*
 * Claims object: the members of a payload, where they lie; see the header.
 *
 * One pass over a text that json_check() found good, so each string, number and bracket ends where it should.
 * The members are a stack while it lasts: an object that ends takes its own off again, and only those of the
 * outermost remain.
 */

#include "auth/claims_object.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "auth/claims.h"
#include "core/map.h"
#include "core/text.h"
#include "protocol/json.h"

enum {
	SAFE_DIGITS = 18, /* each integer of so many fits an int64 */
};

struct walk {
	const char *at;
	const char *end;
	struct claims_object *object;
	unsigned int depth;
	size_t begins[CLAIMS_DEPTH_MAX];  /* of each open bracket: how many members there were before */
	uint8_t hashes[CLAIMS_NAMES_MAX]; /* of the members' names, unescaped */
};

/* A value ended here: if it is a claim's, that is how long it is. */
static void note_end(struct walk *walk)
{
	struct claims_member *member;

	if (walk->depth != 1)
		return;
	member = &walk->object->members[walk->object->n_members - 1];
	member->value.len = (size_t)(walk->at - member->value.data);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static const char *pass_space(const char *at, const char *end)
{
	while (at < end && is_space(*at))
		at++;
	return at;
}

/* --- strings ----------------------------------------------------------------------------------- */

static unsigned int unit_of(const char *digits)
{
	unsigned int unit = 0;

	for (int i = 0; i < 4; i++)
		unit = unit << 4 | (unsigned int)text_hex_value((unsigned char)digits[i]);
	return unit;
}

/* at: behind a backslash. Returns how many bytes the escape has behind it; 0 for one that is refused. */
static size_t escape_length(const char *at)
{
	unsigned int unit = *at == 'u' ? unit_of(at + 1) : ' ';
	bool is_high = unit >= 0xd800 && unit <= 0xdbff, is_low = unit >= 0xdc00 && unit <= 0xdfff;

	if (*at != 'u')
		return 1;
	if (unit == 0 || is_low)
		return 0;
	if (!is_high)
		return 5;
	if (at[5] != '\\' || at[6] != 'u')
		return 0;
	unit = unit_of(at + 7);
	return unit >= 0xdc00 && unit <= 0xdfff ? 11 : 0;
}

/* Returns the quote that closes the string, which at is in; NULL: it has an escape that is refused. */
static const char *close_string(const char *at, bool *escapedp)
{
	*escapedp = false;
	for (; *at != '"'; at++)
		if (*at == '\\') {
			size_t n = escape_length(at + 1);

			if (n == 0)
				return NULL;
			*escapedp = true;
			at += n;
		}
	return at;
}

static uint8_t hash_of(const struct claims_member *member)
{
	char text[CLAIMS_BYTES_MAX];

	if (!member->escaped)
		return (uint8_t)map_hash(member->name.data + 1, member->name.len - 2);
	return (uint8_t)map_hash(text, (size_t)json_unescape(member->name, text, sizeof(text)));
}

static bool same_name(const struct claims_member *a, const struct claims_member *b)
{
	return a->escaped || b->escaped ? json_string_equal(a->name, b->name) : slice_equal(a->name, b->name);
}

/* Does the object of the last member have another member of this name? Names are compared only where their
 * hashes are equal: nobody outside knows the key, so a token cannot be made that costs more. */
static bool stands_twice(const struct walk *walk)
{
	const struct claims_member *members = walk->object->members;
	const uint8_t *last = walk->hashes + walk->object->n_members - 1;
	const uint8_t *at = walk->hashes + walk->begins[walk->depth - 1];

	for (; (at = memchr(at, *last, (size_t)(last - at))); at++)
		if (same_name(&members[at - walk->hashes], &members[last - walk->hashes]))
			return true;
	return false;
}

static int read_name(struct walk *walk, struct slice name, bool escaped)
{
	struct claims_object *object = walk->object;
	struct claims_member *member;

	if (object->n_members == CLAIMS_NAMES_MAX)
		return TOKEN_MALFORMED;
	member = &object->members[object->n_members];
	*member = (struct claims_member){name, {walk->at, 0}, escaped};
	walk->hashes[object->n_members++] = hash_of(member);
	return stands_twice(walk) ? TOKEN_MALFORMED : 0;
}

/* What stands in front of a colon is a name. */
static int read_string(struct walk *walk)
{
	const char *text = walk->at, *colon;
	bool escaped;

	walk->at = close_string(text + 1, &escaped);
	if (!walk->at)
		return TOKEN_MALFORMED;
	walk->at++;
	colon = pass_space(walk->at, walk->end);
	if (*colon == ':') {
		struct slice name = {text, (size_t)(walk->at - text)};

		walk->at = pass_space(colon + 1, walk->end);
		return read_name(walk, name, escaped);
	}
	note_end(walk);
	return 0;
}

/* --- the rest ---------------------------------------------------------------------------------- */

static int read_number(struct walk *walk)
{
	const char *begin = walk->at;
	bool fits, is_real = false;
	double real;

	for (; *walk->at == '-' || *walk->at == '+' || *walk->at == '.' || *walk->at == 'e' ||
		*walk->at == 'E' || text_is_digit(*walk->at);
		walk->at++)
		is_real |= *walk->at == '.' || *walk->at == 'e' || *walk->at == 'E';
	note_end(walk);
	if (!is_real && walk->at - begin <= SAFE_DIGITS)
		return 0;
	errno = 0;
	real = is_real ? strtod(begin, NULL) : (double)strtoll(begin, NULL, 10);
	fits = is_real ? isfinite(real) : errno != ERANGE;
	return fits ? 0 : TOKEN_MALFORMED;
}

/* The text was checked, so it has no more brackets open than there is room for. */
static int read_open(struct walk *walk)
{
	walk->begins[walk->depth++] = walk->object->n_members;
	walk->at++;
	return 0;
}

static int read_close(struct walk *walk)
{
	size_t begin = walk->begins[--walk->depth];

	if (walk->depth)
		walk->object->n_members = begin;
	walk->at++;
	note_end(walk);
	return 0;
}

static int read_next(struct walk *walk)
{
	switch (*walk->at) {
	case '"':
		return read_string(walk);
	case '{':
	case '[':
		return read_open(walk);
	case '}':
	case ']':
		return read_close(walk);
	case 't':
	case 'f':
	case 'n':
		while (text_is_alpha(*walk->at))
			walk->at++;
		note_end(walk);
		return 0;
	case ',':
	case ' ':
	case '\t':
	case '\r':
	case '\n':
		walk->at++;
		return 0;
	default:
		return read_number(walk);
	}
}

int claims_parse(const char *text, size_t len, struct claims_object *object)
{
	struct walk walk = {.at = text, .end = text + len, .object = object};
	bool is_object;
	int r = 0;

	object->n_members = 0;
	if (len > CLAIMS_BYTES_MAX || json_check(text, len, CLAIMS_DEPTH_MAX, NULL, 0, &is_object) ||
		!is_object)
		return TOKEN_MALFORMED;
	while (r == 0 && walk.at < walk.end)
		r = read_next(&walk);
	return r;
}

struct slice claims_value(const struct claims_object *object, const char *name)
{
	for (size_t i = 0; i < object->n_members; i++)
		if (json_string_is(object->members[i].name, name, strlen(name)))
			return object->members[i].value;
	return (struct slice){0};
}
