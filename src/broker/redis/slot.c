/*
 * Redis slot: from a name in Redis to the server that has it. See slot.h.
 */

#include "broker/redis/slot.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

/* CRC-16/XMODEM, bit by bit: a name is looked up where a call to Redis follows. */
static unsigned int crc16(struct slice text)
{
	unsigned int crc = 0;

	for (size_t i = 0; i < text.len; i++) {
		crc ^= (unsigned int)(unsigned char)text.data[i] << 8;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
		crc &= 0xffff;
	}
	return crc;
}

static struct slice tag_of(struct slice name)
{
	const char *end = name.data + name.len;
	const char *open = name.len ? memchr(name.data, '{', name.len) : NULL;
	const char *close = open ? memchr(open, '}', (size_t)(end - open)) : NULL;

	if (!close || close == open + 1)
		return name;
	return (struct slice){open + 1, (size_t)(close - open - 1)};
}

unsigned int redis_slot(struct slice name)
{
	return crc16(tag_of(name)) % REDIS_SLOTS;
}

unsigned int redis_slot_server(unsigned int slot, unsigned int n)
{
	uint64_t key = slot;
	int64_t at = -1, next = 0;

	assert(n > 0);
	while (next < (int64_t)n) {
		at = next;
		key = key * 2862933555777941757u + 1;
		next = (int64_t)((double)(at + 1) * (2147483648.0 / (double)((key >> 33) + 1)));
	}
	return (unsigned int)at;
}
