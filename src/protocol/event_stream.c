/* Event stream: messages as server-sent events; see the header. */

#include "protocol/event_stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/buf.h"
#include "core/clock.h"

static size_t put(unsigned char *out, const char *data, size_t len)
{
	memcpy(out, data, len);
	return len;
}

size_t event_stream_head_write(unsigned char out[EVENT_STREAM_HEAD_MAX], struct slice pos, uint32_t retry_ms)
{
	char retry[24];
	size_t n = 0;

	if (pos.len && pos.len <= EVENT_STREAM_POS_MAX) {
		n += put(out + n, "id: ", 4);
		n += put(out + n, pos.data, pos.len);
		n += put(out + n, "\n", 1);
	}
	if (retry_ms)
		n += put(out + n, retry, (size_t)snprintf(retry, sizeof(retry), "retry: %u\n", retry_ms));
	return n + put(out + n, "data: ", 6);
}

/* Where the next CR or LF is, or the end. */
static size_t line_end(struct slice text, size_t at)
{
	const char *lf = memchr(text.data + at, '\n', text.len - at);
	size_t end = lf ? (size_t)(lf - text.data) : text.len;
	const char *cr = memchr(text.data + at, '\r', end - at);

	return cr ? (size_t)(cr - text.data) : end;
}

struct slice event_stream_line(struct slice text, struct buf *scratch)
{
	size_t at = text.len ? line_end(text, 0) : 0;

	if (at == text.len)
		return text;
	buf_reset(scratch);
	buf_append(scratch, text.data, text.len);
	if (scratch->failed)
		return (struct slice){0};
	for (; at < text.len; at = line_end(text, at + 1))
		scratch->data[at] = ' ';
	return buf_slice(scratch);
}

void event_stream_open(struct buf *out, uint32_t retry_ms, uint64_t ping_interval_ms)
{
	buf_printf(out, ":every %" PRIu64 "\nretry: %u\n", ping_interval_ms, retry_ms);
}

/* How long a peer stays away, by the table of close codes in docs/protocol.md. 0: as it was told before. */
static uint32_t away_ms(uint16_t code)
{
	switch (code) {
	case 1013: /* overload */
		return 5000;
	case 4010: /* sent away for good: a browser cannot be told that, and comes back */
	case 4101: /* it says or asks too much */
		return 30000;
	default:
		return 0;
	}
}

void event_stream_close(struct buf *out, uint16_t code, const char *sentence, uint64_t wall_ms)
{
	char timestamp[CLOCK_TIMESTAMP_LEN];

	clock_format(wall_ms, timestamp);
	if (away_ms(code))
		buf_printf(out, "retry: %u\n", away_ms(code));
	buf_printf(out, "data: {\"type\":\"close\",\"data\":{\"code\":%u,\"reason\":", code);
	buf_append_json_string(out, sentence, strlen(sentence));
	buf_printf(out, "},\"timestamp\":\"%.*s\"}" EVENT_STREAM_TAIL, CLOCK_TIMESTAMP_LEN, timestamp);
}
