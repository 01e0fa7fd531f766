/*
 * Fuzz a request's head, and the same bytes as a body in chunks: what is taken is within the bytes, ends
 * where a blank line does, and means the same when it is written again without anything that was forgiven.
 * What is not taken whole is not taken in part either.
 */

#include "fuzz.h"

#include <string.h>

#include "core/buf.h"
#include "http/chunked.h"
#include "http/query.h"
#include "http/request_head.h"

static void check_within(struct slice slice, const char *data, size_t used)
{
	if (slice.len && slice.data != NULL && strncmp(slice.data, "/", 1) != 0)
		PROMISE(slice.data >= data && slice.data + slice.len <= data + used);
}

static void check_lists(const struct request_head *head)
{
	char scratch[REQUEST_HEAD_MAX], element[REQUEST_HEAD_MAX + 1];

	for (int i = 0; i < HTTP_N_HEADERS; i++) {
		struct slice list = request_head_list(head, (enum http_header)i, scratch);

		PROMISE(list.len <= REQUEST_HEAD_MAX && (head->n[i] || !list.len));
		PROMISE(!request_head_lists(head, (enum http_header)i, "no, word")); /* a word has no comma */
		if (head->n[i] && !memchr(head->value[i].data, ',', head->value[i].len)) {
			memcpy(element, head->value[i].data, head->value[i].len);
			element[head->value[i].len] = '\0';
			PROMISE(strlen(element) != head->value[i].len ||
				request_head_lists(head, (enum http_header)i, element));
		}
	}
}

static void check_query(struct slice query)
{
	char out[64];
	size_t at = 0;
	int r = 0;

	while (r >= 0) {
		r = query_text(query, "a", &at, out, sizeof(out));
		PROMISE(r < (int)sizeof(out) && (r < 0 || out[r] == '\0'));
	}
}

/* Whole or byte by byte: the same outcome, and the same body. */
static void check_chunked(const char *text, size_t size)
{
	struct chunked whole = {0}, pieces = {0};
	struct buf a = {0}, b = {0};
	int r = chunked_read(&whole, text, size, &a, 1000), s = 0;

	for (size_t i = 0; i < size && s == 0; i++)
		s = chunked_read(&pieces, text + i, 1, &b, 1000);
	PROMISE(r == s && a.len <= 1000 &&
		(r || (a.len == b.len && !memcmp(a.data ? a.data : "", b.data ? b.data : "", a.len))));
	buf_deinit(&a);
	buf_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct request_head head, again;
	size_t used = 0, used_again = 0;
	int r = request_head_parse(&head, text, size, REQUEST_HEAD_BYTES, &used);

	check_chunked(text, size);
	PROMISE(r >= 0 && r <= REQUEST_HEAD_LARGE);
	if (r)
		return 0;
	PROMISE(used && used <= size && text[used - 1] == '\n');
	PROMISE(head.method.len && head.path.len && head.version < 100);
	check_within(head.method, text, used);
	check_within(head.path, text, used);
	check_within(head.query, text, used);
	check_within(head.host, text, used);
	check_lists(&head);
	PROMISE(request_head_has_body(&head) == (head.chunked || head.content_length > 0));
	check_query(head.query);
	/* Without what follows it is the same, and without its last byte it is none. */
	PROMISE(request_head_parse(&again, text, used, REQUEST_HEAD_BYTES, &used_again) == 0 &&
		used_again == used);
	PROMISE(request_head_parse(&again, text, used - 1, REQUEST_HEAD_BYTES, &used_again) != 0);
	return 0;
}
