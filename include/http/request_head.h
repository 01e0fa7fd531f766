#ifndef TIDEGATE_HTTP_REQUEST_HEAD_H
#define TIDEGATE_HTTP_REQUEST_HEAD_H

/*
 * Request head: the request line and the fields of an HTTP/1 request, checked by RFC 9112 and taken apart.
 *
 * It reads bytes, not sockets, and keeps none: a head is slices of the bytes that it was read from. What RFC
 * 9112 lets a recipient forgive is forgiven where it cannot mean two things (an empty line before the
 * request, a line that ends with LF alone); a folded field, a field without a name or a colon, two lengths
 * are not.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"

enum {
	REQUEST_HEAD_MAX = 8192, /* bytes, with the empty line that ends it */
};

/* Why bytes are no head. */
enum request_head_outcome {
	REQUEST_HEAD_MORE = 1, /* not yet: so far nothing is wrong */
	REQUEST_HEAD_BAD,
	REQUEST_HEAD_LONG_TARGET, /* the request line alone is longer than a head may be */
	REQUEST_HEAD_LARGE,
};

enum http_header {
#define HEADER(id, name) HTTP_##id,
#include "http/header.def"
#undef HEADER
	HTTP_N_HEADERS,
};

struct request_head {
	struct slice method;
	struct slice path;       /* as it was sent, escapes and all; "*" is one */
	struct slice query;      /* behind the question mark, or empty */
	struct slice host;       /* of the target if that names one, else of the Host field; may be empty */
	unsigned int version;    /* 11 is HTTP/1.1 */
	uint64_t content_length; /* 0: none was given, or 0 was */
	bool has_content_length;
	bool is_chunked;
	struct slice lines;                 /* the field lines */
	unsigned int n[HTTP_N_HEADERS];     /* how often each was sent */
	struct slice value[HTTP_N_HEADERS]; /* of the first of them, without white space around it */
};

/*
 * Reads a head from the start of the bytes. 0: *usedp of them are the head, which borrows them; else an
 * outcome.
 */
int request_head_parse(struct request_head *head, const char *data, size_t len, size_t *usedp);

bool request_head_method_is(const struct request_head *head, const char *method);

/* The value is this one, whatever the case; a field that was sent twice has no value. */
bool request_head_is(const struct request_head *head, enum http_header header, const char *value);

/* The field is a list, in one line or several, and this is one of its elements, whatever the case. */
bool request_head_lists(const struct request_head *head, enum http_header header, const char *element);

/* The whole list: the line's value, or, where there are several, all of them in scratch. Empty if there is
 * none. */
struct slice request_head_list(
	const struct request_head *head, enum http_header header, char scratch[REQUEST_HEAD_MAX]);

/* Without the spaces and tabs around it. */
struct slice http_trim(struct slice text);

/* A body follows. */
bool request_head_has_body(const struct request_head *head);

#endif
