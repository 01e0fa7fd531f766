#ifndef TIDEGATE_PROTOCOL_FRAME_H
#define TIDEGATE_PROTOCOL_FRAME_H

/* Frame: the header of an unmasked server frame, RFC 6455 section 5.2. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FRAME_HEADER_MAX = 10,   /* server frames carry no mask */
	FRAME_CONTROL_MAX = 125, /* payload of ping, pong, close */
	FRAME_CONTROL_SIZE = 2 + FRAME_CONTROL_MAX,
};

enum frame_opcode {
	FRAME_TEXT = 0x1,
	FRAME_CLOSE = 0x8,
	FRAME_PING = 0x9,
	FRAME_PONG = 0xa,
};

/* The length of the header for a payload of this length: 2, 4 or 10 bytes. */
size_t frame_header_len(uint64_t payload_len);

/* Writes the header of a final frame; `deflated` sets RSV1 (RFC 7692). Returns its length. */
size_t frame_header_write(
	unsigned char out[FRAME_HEADER_MAX], enum frame_opcode opcode, bool deflated, uint64_t payload_len);

/* Writes a whole ping, pong or close with a payload of at most FRAME_CONTROL_MAX bytes.
 * Returns its length. */
size_t frame_control_write(
	unsigned char out[FRAME_CONTROL_SIZE], enum frame_opcode opcode, const void *payload, size_t len);

/* Writes a close that says a code, and why. The sentence may have FRAME_CONTROL_MAX - 2 bytes. */
size_t frame_close_write(unsigned char out[FRAME_CONTROL_SIZE], uint16_t code, const char *sentence);

#endif
