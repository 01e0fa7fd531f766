#ifndef TIDEGATE_WS_CLIENT_CLIENT_FRAME_H
#define TIDEGATE_WS_CLIENT_CLIENT_FRAME_H

/*
 * Client frame: the head of a WebSocket frame as a client sends it (RFC 6455 section 5.2).
 *
 * Frames are masked with zeros, so that the payload goes out as it stands. A mask that nobody can foresee
 * guards proxies against what a page makes a browser say; what is sent from here is the user's own.
 */

#include <stddef.h>
#include <string.h>

enum {
	CLIENT_FRAME_HEAD_MAX = 14,

	OPCODE_TEXT = 0x1,
	OPCODE_CLOSE = 0x8,
	OPCODE_PING = 0x9,
	OPCODE_PONG = 0xa,
	CONTROL_MAX = 125, /* bytes of a control frame */
};

/* How many bytes it is; the payload of this length follows. */
static inline size_t client_frame_head(
	unsigned char opcode, size_t len, unsigned char out[CLIENT_FRAME_HEAD_MAX])
{
	size_t n = 2;

	memset(out, 0, CLIENT_FRAME_HEAD_MAX);
	out[0] = (unsigned char)(0x80 | opcode);
	if (len < 126) {
		out[1] = (unsigned char)(0x80 | len);
	} else if (len < 65536) {
		out[1] = 0x80 | 126;
		n = 4;
	} else {
		out[1] = 0x80 | 127;
		n = 10;
	}
	for (size_t i = n; i-- > 2; len >>= 8)
		out[i] = (unsigned char)len;
	return n + 4;
}

#endif
