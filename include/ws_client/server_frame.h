#ifndef TIDEGATE_WS_CLIENT_SERVER_FRAME_H
#define TIDEGATE_WS_CLIENT_SERVER_FRAME_H

/*
 * Server frame: a WebSocket frame as a client receives it (RFC 6455 section 5.2), parsed where it lies.
 *
 * A client must refuse masked frames. Fragments are refused too: a gateway that shares one frame among all
 * clients has no reason to send them, and a bench that sees some should say so.
 */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct server_frame {
	const unsigned char *payload; /* within the bytes that were given */
	size_t len;
	unsigned char opcode;
	bool deflated; /* RSV1 */
};

/*
 * Bytes that the frame at data takes; 0 if it is not all there yet; -EPROTO if it is none that a client
 * accepts, -EMSGSIZE if it takes more than size_max bytes. Inline for the same reason as the histogram.
 */
static inline long server_frame_parse(
	const unsigned char *data, size_t n, size_t size_max, struct server_frame *frame)
{
	size_t header = 2;
	uint64_t len;

	if (n < 2)
		return 0;
	if ((data[0] & 0xb0) != 0x80 || data[1] & 0x80 || !(data[0] & 0x0f))
		return -EPROTO;
	len = data[1];
	if (len == 126) {
		header = 4;
		if (n < header)
			return 0;
		len = (uint64_t)data[2] << 8 | data[3];
	} else if (len == 127) {
		header = 10;
		if (n < header)
			return 0;
		len = 0;
		for (int i = 2; i < 10; i++)
			len = len << 8 | data[i];
	}
	if (len > size_max - header)
		return -EMSGSIZE;
	if (n - header < len)
		return 0;
	*frame = (struct server_frame){data + header, (size_t)len, data[0] & 0x0f, data[0] & 0x40};
	return (long)(header + len);
}

#endif
