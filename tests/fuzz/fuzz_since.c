/*
 * Fuzz what a stream's Last-Event-ID says: positions of several channels are what they are one by one, and a
 * text that was read is written the same. The same bytes as a message's text: on one line it is as long, and
 * has no line end.
 */

#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel_log/position.h"
#include "core/buf.h"
#include "protocol/event_stream.h"

enum {
	OTHERS = 15,
};

/* The next element, taken from the front. */
static struct slice take(struct slice *text)
{
	const char *end = text->len ? memchr(text->data, ',', text->len) : NULL;
	struct slice element = {text->data, end ? (size_t)(end - text->data) : text->len};

	text->data += element.len + (end ? 1 : 0);
	text->len -= element.len + (end ? 1 : 0);
	return element;
}

static void check_element(struct slice element, const struct position *position)
{
	char text[POSITION_TEXT_MAX];
	size_t len = position_format(position, text);

	PROMISE(element.len > len + 1 && element.data[element.len - len - 1] == '=');
	PROMISE(memcmp(element.data + element.len - len, text, len) == 0);
}

static void check_list(struct slice text)
{
	struct position others[OTHERS];
	struct since since = since_parse_list(text, others, OTHERS);

	PROMISE(since.n_others <= OTHERS);
	if (!text.len || !memchr(text.data, '=', text.len)) {
		PROMISE(since.kind == since_parse(text).kind && since.n_others == 0);
		return;
	}
	PROMISE(since.kind == SINCE_POSITION || since.kind == SINCE_MALFORMED);
	if (since.kind == SINCE_MALFORMED)
		return;
	check_element(take(&text), &since.position);
	for (uint32_t i = 0; i < since.n_others; i++)
		check_element(take(&text), &since.others[i]);
	PROMISE(text.len == 0);
}

static void check_line(struct slice text)
{
	struct buf scratch = {0};
	struct slice line = event_stream_line(text, &scratch);

	PROMISE(line.len == text.len);
	for (size_t i = 0; i < text.len; i++)
		PROMISE(line.data[i] == (text.data[i] == '\n' || text.data[i] == '\r' ? ' ' : text.data[i]));
	buf_deinit(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct slice text = {(const char *)data, size};

	check_list(text);
	check_line(text);
	return 0;
}
