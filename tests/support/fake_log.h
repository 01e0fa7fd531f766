#ifndef TIDEGATE_SUPPORT_FAKE_LOG_H
#define TIDEGATE_SUPPORT_FAKE_LOG_H

/*
 * Fake log: entries of one channel's log, as a broker would push them. Entry N has the offset N, the tag
 * fake_log_tag(N), and the payload {"type":"n","data":N}.
 */

#include <stddef.h>
#include <stdint.h>

#include "channel_log/envelope.h"

struct message;

enum {
	FAKE_LOG_PAYLOAD_MAX = 64,
	FAKE_LOG_PUSH_MAX = ENVELOPE_HEAD_MAX + FAKE_LOG_PAYLOAD_MAX,
};

extern const struct epoch fake_log_epoch;

/* 0 for 0: nothing is before the first. */
uint64_t fake_log_tag(uint64_t offset);

/* Both write the text and return its length: the payload alone, or in its envelope. */
size_t fake_log_payload(uint64_t offset, char text[FAKE_LOG_PAYLOAD_MAX]);
size_t fake_log_push(const struct epoch *epoch, uint64_t offset, char text[FAKE_LOG_PUSH_MAX]);

/* The number in an event's `data`; fails the test when there is none. */
long event_number(const struct message *event);

#endif
