/* Frame: the header of an unmasked server frame, RFC 6455 section 5.2. Always final: nothing of ours is
 * fragmented. */

#include "protocol/frame.h"

#include <assert.h>
#include <string.h>

enum {
	FRAME_FIN = 0x80,
	FRAME_RSV1 = 0x40,
	FRAME_LEN_16 = 126, /* the length follows in two bytes */
	FRAME_LEN_64 = 127, /* in eight */
};

size_t frame_header_len(uint64_t payload_len)
{
	if (payload_len < FRAME_LEN_16)
		return 2;
	return payload_len <= UINT16_MAX ? 4 : 10;
}

size_t frame_header_write(
	unsigned char out[FRAME_HEADER_MAX], enum frame_opcode opcode, bool deflated, uint64_t payload_len)
{
	size_t len = frame_header_len(payload_len);

	out[0] = (unsigned char)(FRAME_FIN | (deflated ? FRAME_RSV1 : 0) | opcode);
	if (len == 2) {
		out[1] = (unsigned char)payload_len;
		return len;
	}
	out[1] = len == 4 ? FRAME_LEN_16 : FRAME_LEN_64;
	for (size_t i = len - 1; i >= 2; i--, payload_len >>= 8)
		out[i] = (unsigned char)payload_len;
	return len;
}

size_t frame_control_write(
	unsigned char out[FRAME_CONTROL_SIZE], enum frame_opcode opcode, const void *payload, size_t len)
{
	size_t header_len;

	assert(len <= FRAME_CONTROL_MAX);
	header_len = frame_header_write(out, opcode, false, len);
	if (len)
		memcpy(out + header_len, payload, len);
	return header_len + len;
}

size_t frame_close_write(unsigned char out[FRAME_CONTROL_SIZE], uint16_t code, const char *sentence)
{
	char payload[FRAME_CONTROL_MAX];
	size_t len = strlen(sentence);

	assert(len <= FRAME_CONTROL_MAX - 2);
	payload[0] = (char)(code >> 8);
	payload[1] = (char)(code & 0xff);
	memcpy(payload + 2, sentence, len);
	return frame_control_write(out, FRAME_CLOSE, payload, len + 2);
}
