/* Fake log: see the header. */

#include "support/fake_log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/message.h"

const struct epoch fake_log_epoch = {"abcdefgh"};

uint64_t fake_log_tag(uint64_t offset)
{
	return offset ? 1000 + offset : 0;
}

size_t fake_log_payload(uint64_t offset, char text[FAKE_LOG_PAYLOAD_MAX])
{
	return (size_t)snprintf(
		text, FAKE_LOG_PAYLOAD_MAX, "{\"type\":\"n\",\"data\":%llu}", (unsigned long long)offset);
}

size_t fake_log_push(const struct epoch *epoch, uint64_t offset, char text[FAKE_LOG_PUSH_MAX])
{
	struct envelope envelope = {.epoch = *epoch,
		.offset = offset,
		.tag = fake_log_tag(offset),
		.prev = fake_log_tag(offset - 1)};
	size_t len = envelope_head_format(&envelope, text);

	return len + fake_log_payload(offset, text + len);
}

long event_number(const struct message *event)
{
	struct slice text = message_text(event);
	const char *data = memmem(text.data, text.len, "\"data\":", 7);

	assert(data);
	return strtol(data + 7, NULL, 10);
}
