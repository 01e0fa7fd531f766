#ifndef TIDEGATE_PROTOCOL_JSON_H
#define TIDEGATE_PROTOCOL_JSON_H

/*
 * JSON: strict where the world is not.
 *
 * json_check() says whether bytes are one RFC 8259 text: exact grammar, valid UTF-8, no
 * control bytes in strings, bounded depth, in one pass without memory. The escape of half a surrogate pair is
 * within the grammar: encoders write it for a text that was cut inside an emoji, and browsers parse it. On
 * the way it can note the members of the outermost object. It is the validator under jsmn, which is a
 * tokenizer only (it takes
 * `{,}` and `[1,]`), and the only parser on the events' path, where jsmn's fixed token array would
 * refuse a legitimate payload. See docs/decisions/.
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
	const char *name;   /* in: which member, plain ASCII */
	struct slice value; /* out: its last occurrence; absent if it is not there */
	size_t n;           /* out: its occurrences */
};

/*
 * Checks text[0..len). If it is an object, each of members[0..n) is looked for at its top level (names
 * are compared after unescaping). *is_objectp says whether it is an object. Errors: JSON_INVALID,
 * JSON_TOO_DEEP (more than depth_max brackets open); the out-parameters are then unspecified.
 */
int json_check(const char *text, size_t len, unsigned int depth_max, struct json_member *members, size_t n,
	bool *is_objectp);

/* A checked string value (quotes included) unescaped into out: its length, or -1 if it needs more than cap
 * bytes; out then has the first cap of them. Half a surrogate pair becomes three bytes that are no UTF-8. */
long json_unescape(struct slice value, char *out, size_t cap);

/* Whether a checked string value (quotes included), unescaped, is these bytes; or the same as another one. */
bool json_string_is(struct slice value, const char *data, size_t len);
bool json_string_equal(struct slice a, struct slice b);

/*
 * Walks the items of a checked array, brackets included: start with *posp 0. False at its end.
 */
bool json_array_next(struct slice array, size_t *posp, struct slice *itemp);

/*
 * Walks the members of a checked object, brackets included: start with *posp 0. *namep is the name with its
 * quotes, as it stands. False at its end.
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
 * Where a text that json_check() refused stops being JSON, for people: the byte, or the beginning of the
 * string, number or word that is wrong in itself. len: it ends too early.
 */
size_t json_fault(const char *text, size_t len, unsigned int depth_max);

static inline bool json_is_array(struct slice value)
{
	return value.data && value.data[0] == '[';
}

/* A checked value that is a number without fraction and exponent. */
bool json_is_integer(struct slice value);

static inline bool json_is_true(struct slice value)
{
	return value.len &&
	       value.data[0] == 't'; /* of what json_check() found good, nothing else begins so */
}

#endif
