/* Stream: requests, answers and blocks of lines; see the header. */

#include "bench/stream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ws_client/client_frame.h"
#include "ws_client/server_frame.h"

size_t stream_request_write(const struct ws_opening *opening, char out[WS_OPENING_MAX])
{
	bool has_token = *opening->token;

	return (size_t)snprintf(out, WS_OPENING_MAX,
		"GET %s HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n%s%s%s\r\n", opening->path,
		opening->host, has_token ? "Authorization: Bearer " : "", opening->token,
		has_token ? "\r\n" : "");
}

long stream_answer_take(const unsigned char *data, size_t len, struct ws_opened *opened)
{
	static const char good[] = "HTTP/1.1 200";
	const unsigned char *end = data ? memmem(data, len, "\r\n\r\n", 4) : NULL;
	const unsigned char *line_end = data ? memchr(data, '\r', len) : NULL;

	*opened = (struct ws_opened){0};
	if (!end)
		return len < WS_OPENING_MAX ? 0 : -EPROTO;
	if (len >= sizeof(good) && !memcmp(data, good, sizeof(good) - 1))
		return end - data + 4;
	snprintf(
		opened->refusal, sizeof(opened->refusal), "%.*s", (int)(line_end - data), (const char *)data);
	return -ECONNREFUSED;
}

/* The line's data, or an empty slice of another line. */
static size_t data_of(const unsigned char *line, size_t len, const unsigned char **datap)
{
	static const char name[] = "data: ";

	if (len < sizeof(name) - 1 || memcmp(line, name, sizeof(name) - 1) != 0)
		return 0;
	*datap = line + sizeof(name) - 1;
	return len - (sizeof(name) - 1);
}

long stream_parse(const unsigned char *data, size_t n, size_t size_max, struct server_frame *frame)
{
	const unsigned char *at = data, *end = data + n, *line_end;

	*frame = (struct server_frame){.opcode = OPCODE_PONG};
	while (at < end && (line_end = memchr(at, '\n', (size_t)(end - at)))) {
		if (line_end == at)
			return at - data + 1;
		frame->len += data_of(at, (size_t)(line_end - at), &frame->payload);
		if (frame->payload)
			frame->opcode = OPCODE_TEXT;
		at = line_end + 1;
	}
	return n > size_max ? -EMSGSIZE : 0;
}
