#ifndef TIDEGATE_CORE_SLICE_H
#define TIDEGATE_CORE_SLICE_H

/*
 * Slice: a stretch of somebody else's bytes, passed by value. A function that hands a slice out says
 * how long it is valid.
 *
 * data == NULL means absent, which is not the same as empty. The bytes need not end with NUL.
 */

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
	const char *data;
	size_t len;
};

/* The bytes of a C string, which stays the caller's. */
static inline struct slice slice_of(const char *text)
{
	return (struct slice){text, strlen(text)};
}

/* Do both have the same bytes? Absent and empty are the same here. */
static inline bool slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Are its bytes those of this C string? */
static inline bool slice_is(struct slice slice, const char *text)
{
	return slice_equal(slice, slice_of(text));
}

/* Are its first bytes those of this C string? */
static inline bool slice_starts(struct slice slice, const char *text)
{
	size_t len = strlen(text);

	return slice.len >= len && (len == 0 || memcmp(slice.data, text, len) == 0);
}

/* Copies the bytes behind *atp, which has room for them, and moves *atp on. */
static inline struct slice slice_keep(struct slice from, char **atp)
{
	struct slice copy = {*atp, from.len};

	if (from.len)
		memcpy(*atp, from.data, from.len);
	*atp += from.len;
	return copy;
}

#endif
