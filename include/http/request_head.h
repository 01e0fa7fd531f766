#ifndef TIDEGATE_HTTP_REQUEST_HEAD_H
#define TIDEGATE_HTTP_REQUEST_HEAD_H

/*
 * Request head: the request line and the fields of an HTTP/1 request, checked by RFC 9112 and taken apart.
 *
 * It reads bytes, not sockets, and copies no byte: a head consists of slices of the bytes that it was read
 * from. It forgives what RFC 9112 lets a recipient forgive if that cannot mean two things: an empty line
 * before the request, a line that ends with LF alone. It refuses a folded field, a field without a name or a
 * colon, and two lengths.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"

enum {
	/* Bytes, with the empty line that ends it. */
	REQUEST_HEAD_BYTES = 8192, /* the bound where nobody has set another */
	REQUEST_HEAD_MAX = 65536,  /* the largest bound: for buffers of callers */
};

/* Why bytes are not a head. */
enum request_head_outcome {
	REQUEST_HEAD_MORE = 1, /* not complete yet, and nothing is wrong so far */
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
	struct slice path;       /* as it was sent, with its escapes; may be "*" */
	struct slice query;      /* behind the question mark, or empty */
	struct slice host;       /* of the target if it names a host, else of the Host field; may be empty */
	unsigned int version;    /* 11 is HTTP/1.1 */
	uint64_t content_length; /* 0 also if no length was given */
	bool has_content_length;
	bool chunked;
	struct slice lines;             /* the field lines */
	unsigned int n[HTTP_N_HEADERS]; /* how often each header was sent */
	/* of the first header of that name, without white space around it */
	struct slice value[HTTP_N_HEADERS];
};

/*
 * Reads a head of at most `max` bytes, up to REQUEST_HEAD_MAX, from the beginning of the bytes. 0: the first
 * *usedp bytes are the head, which borrows them; else an outcome.
 */
int request_head_parse(struct request_head *head, const char *data, size_t len, size_t max, size_t *usedp);

bool request_head_method_is(const struct request_head *head, const char *method);

/* Is this the header's value, whatever the case? False for a header that was sent twice. */
bool request_head_is(const struct request_head *head, enum http_header header, const char *value);

/* Is this one of the elements of the header's list, whatever the case? The list may be in one
 * line or in several. */
bool request_head_lists(const struct request_head *head, enum http_header header, const char *element);

/* Finds the value of the next line with this field, in what is left of head->lines. False without one. */
bool request_head_next(struct slice *lines, enum http_header header, struct slice *value);

/* The whole list of a header: the line's value, or, if there are several lines, all values joined in scratch.
 * Empty without such a header. */
struct slice request_head_list(
	const struct request_head *head, enum http_header header, char scratch[REQUEST_HEAD_MAX]);

/* The text without the spaces and tabs around it. */
struct slice http_trim(struct slice text);

/* Does a body follow? */
bool request_head_has_body(const struct request_head *head);

#endif
