#ifndef TIDEGATE_PROTOCOL_JSON_H
#define TIDEGATE_PROTOCOL_JSON_H

/*
 * JSON: checks that bytes are JSON, strictly, and reads values out of checked JSON.
 *
 * json_check() says whether bytes are one RFC 8259 text: exact grammar, valid UTF-8, no control bytes in
 * strings, bounded depth, in one pass without memory. The escape of half a surrogate pair is within the
 * grammar: encoders write it for a text that was cut inside an emoji, and browsers parse it. On the way it
 * can note members of the outermost object. Commands are checked by it before they go to jsmn, which is only
 * a tokenizer and accepts `{,}` and `[1,]`. Events are parsed by it alone, because jsmn's fixed token array
 * would refuse legitimate payloads (docs/decisions/0003-json-is-checked-by-us-and-tokenized-by-jsmn.md).
 */

#include <stdbool.h>
#include <stddef.h>

#include "core/slice.h"

enum {
	JSON_INVALID = 1,  /* not one JSON text */
	JSON_TOO_DEEP = 2, /* deeper than allowed */
};

/* One value as it stands in the text, quotes and brackets included. */
struct json_member {
	const char *name;   /* in: the member's name, plain ASCII */
	struct slice value; /* out: the value of its last occurrence; absent if the member is not there */
	size_t n;           /* out: its occurrences */
};

/*
 * Checks text[0..len). If it is an object, each of members[0..n) is looked for at its top level (names
 * are compared after unescaping). *is_objectp says whether it is an object. Errors: JSON_INVALID,
 * JSON_TOO_DEEP (more than depth_max brackets open); the out-parameters are then unspecified.
 */
int json_check(const char *text, size_t len, unsigned int depth_max, struct json_member *members, size_t n,
	bool *is_objectp);

/* Unescapes a checked string value (quotes included) into out. Returns its length, or -1 if it needs
 * more than cap bytes; out then has the first cap bytes. Half a surrogate pair becomes three bytes
 * that are not UTF-8. */
long json_unescape(struct slice value, char *out, size_t cap);

/* Is a checked string value (quotes included), unescaped, equal to these bytes, or
 * to another string value? */
bool json_string_is(struct slice value, const char *data, size_t len);
bool json_string_equal(struct slice a, struct slice b);

/*
 * Walks the items of a checked array, brackets included, and white space around them: start with *posp 0.
 * False at its end.
 */
bool json_array_next(struct slice array, size_t *posp, struct slice *itemp);

/*
 * Walks the members of a checked object, likewise. *namep is the name with its quotes, as it stands. False at
 * its end.
 */
bool json_object_next(struct slice object, size_t *posp, struct slice *namep, struct slice *valuep);

static inline bool json_is_string(struct slice value)
{
	return value.data && value.data[0] == '"';
}

static inline bool json_is_object(struct slice value)
{
	return value.data && value.data[0] == '{';
}

/*
 * The place where a text that json_check() refused stops being JSON, for error messages: the offset of a
 * wrong byte, or of the beginning of a wrong string, number or word; len if the text ends too early.
 */
size_t json_fault(const char *text, size_t len, unsigned int depth_max);

static inline bool json_is_array(struct slice value)
{
	return value.data && value.data[0] == '[';
}

/* Is a checked value a number without fraction and exponent? */
bool json_is_integer(struct slice value);

static inline bool json_is_true(struct slice value)
{
	return value.len && value.data[0] == 't'; /* no other checked value begins with t */
}

#endif
