#ifndef TIDEGATE_BROKER_REDIS_REPLY_H
#define TIDEGATE_BROKER_REDIS_REPLY_H

/*
 * Redis reply: bytes in, replies out. hiredis' reader with a function table of our own.
 *
 * Its stock table allocates an object a value, which on the path of events would be six allocations to throw
 * away. Ours lays the values of one reply flat, in preorder, into an array and a text that are used again for
 * the next: a run of events allocates nothing.
 *
 * Redis is not trusted either (docs/limits.md, Redis): a bulk string past the bound is skipped, not stored,
 * and stands in the reply as REDIS_TOO_LARGE, so that one monstrous payload does not cost the connection.
 * Nesting, elements and the size of a whole reply are bounded too; past these bounds, or outside of the
 * protocol, there is nothing to do but to close. It takes bytes, not sockets.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/slice.h"

enum redis_kind {
	REDIS_NIL,
	REDIS_INTEGER,
	REDIS_STRING, /* bulk, verbatim, double, big number */
	REDIS_STATUS,
	REDIS_ERROR,
	REDIS_ARRAY,     /* also set, map (names and values in turn) and push */
	REDIS_TOO_LARGE, /* was a string past the bound */
};

struct redis_value {
	enum redis_kind kind;
	long long integer; /* REDIS_ARRAY: how many elements; REDIS_TOO_LARGE: how many bytes it had */
	size_t at;         /* where its text starts, see redis_reply_text() */
	size_t len;
};

/* One whole reply. values[0] is the root; the elements of an array follow it, each with all its own. */
struct redis_reply {
	struct redis_value *values;
	size_t n_values;
	size_t cap;
	struct buf text;
};

struct redis_parser;

/* Hears each reply, borrowed for the length of the call. Not 0 stops the parser for good. */
typedef int (*redis_reply_fn)(void *arg, const struct redis_reply *reply);

/* A number that counts something. False: the i-th value is none. */
static inline bool redis_reply_count(const struct redis_reply *reply, size_t i, uint64_t *countp)
{
	if (i >= reply->n_values || reply->values[i].kind != REDIS_INTEGER || reply->values[i].integer < 0)
		return false;
	*countp = (uint64_t)reply->values[i].integer;
	return true;
}

/* The text of a string, a status or an error; empty for others. Borrowed like the reply. */
static inline struct slice redis_reply_text(const struct redis_reply *reply, size_t i)
{
	const struct redis_value *value = &reply->values[i];

	return value->len ? (struct slice){reply->text.data + value->at, value->len} : (struct slice){"", 0};
}

/* The value behind this one and all that it contains. */
static inline size_t redis_reply_skip(const struct redis_reply *reply, size_t i)
{
	size_t n_left = 1;

	for (; n_left && i < reply->n_values; i++) {
		n_left--;
		if (reply->values[i].kind == REDIS_ARRAY && reply->values[i].integer > 0)
			n_left += (size_t)reply->values[i].integer;
	}
	return i;
}

int redis_parser_new(size_t bulk_bytes_max, struct redis_parser **parserp); /* 0 or -ENOMEM */
void redis_parser_free(struct redis_parser *parser);                        /* accepts NULL */
void redis_parser_set_bulk_max(struct redis_parser *parser, size_t bulk_bytes_max);

/*
 * Takes bytes in any portions and calls fn for each reply that they complete. 0, -EPROTO
 * (redis_parser_error() says why; the parser is of no further use), -ENOMEM (the parser is of no further
 * use either), or the result of fn.
 */
int redis_parser_feed(
	struct redis_parser *parser, const char *data, size_t len, redis_reply_fn fn, void *arg);

/* The fault, as one sentence. Borrowed. */
const char *redis_parser_error(const struct redis_parser *parser);

#endif
