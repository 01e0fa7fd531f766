/* WS opening: the request, and what is to be found in the answer; see the header. */

#include "ws_client/ws_opening.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HANDSHAKE_KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define HANDSHAKE_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

size_t ws_opening_write(const struct ws_opening *opening, char out[WS_OPENING_MAX])
{
	bool has_token = *opening->token;

	return (size_t)snprintf(out, WS_OPENING_MAX,
		"GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Key: " HANDSHAKE_KEY "\r\nSec-WebSocket-Version: 13\r\n%s%s%s%s\r\n",
		opening->path, opening->host, has_token ? "Authorization: Bearer " : "", opening->token,
		has_token ? "\r\n" : "",
		opening->deflate
			? "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
			  "client_no_context_takeover\r\n"
			: "");
}

long ws_opening_take(const unsigned char *data, size_t len, struct ws_opened *opened)
{
	const unsigned char *end = data ? memmem(data, len, "\r\n\r\n", 4) : NULL;
	const unsigned char *line_end = data ? memchr(data, '\r', len) : NULL;

	*opened = (struct ws_opened){0};
	if (!end)
		return len < WS_OPENING_MAX ? 0 : -EPROTO;
	len = (size_t)(end - data) + 4;
	if (len > 12 && !memcmp(data, "HTTP/1.1 101", 12) &&
		memmem(data, len, HANDSHAKE_ACCEPT, strlen(HANDSHAKE_ACCEPT))) {
		opened->deflated = memmem(data, len, "permessage-deflate", 18);
		return (long)len;
	}
	snprintf(
		opened->refusal, sizeof(opened->refusal), "%.*s", (int)(line_end - data), (const char *)data);
	return -ECONNREFUSED;
}
