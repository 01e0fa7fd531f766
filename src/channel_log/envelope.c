/* Envelope: its head, read and written; see the header. */

#include "channel_log/envelope.h"

#include <stdio.h>
#include <string.h>

int envelope_parse(struct slice bytes, struct envelope *envelope)
{
	const char *line, *end, *prev, *epoch;
	size_t head_max;

	if (!bytes.len || bytes.data[0] != '\1')
		return ENVELOPE_NONE;
	line = bytes.data + 1;
	head_max = bytes.len < ENVELOPE_HEAD_MAX ? bytes.len : ENVELOPE_HEAD_MAX;
	end = memchr(line, '\n', head_max - 1);
	prev = end ? memchr(line, ' ', (size_t)(end - line)) : NULL;
	epoch = prev ? memchr(prev + 1, ' ', (size_t)(end - prev - 1)) : NULL;
	if (!epoch)
		return ENVELOPE_MALFORMED;
	if (position_id_parse(
		    (struct slice){line, (size_t)(prev - line)}, &envelope->offset, &envelope->tag) ||
		position_number_parse(
			(struct slice){prev + 1, (size_t)(epoch - prev - 1)}, &envelope->prev) ||
		epoch_parse((struct slice){epoch + 1, (size_t)(end - epoch - 1)}, &envelope->epoch))
		return ENVELOPE_MALFORMED;
	envelope->payload = (struct slice){end + 1, bytes.len - (size_t)(end + 1 - bytes.data)};
	return 0;
}

size_t envelope_payload_bytes(struct slice bytes)
{
	struct envelope envelope;

	return envelope_parse(bytes, &envelope) == 0 ? envelope.payload.len : bytes.len;
}

size_t envelope_head_format(const struct envelope *envelope, char out[ENVELOPE_HEAD_MAX])
{
	return (size_t)snprintf(out, ENVELOPE_HEAD_MAX, "\1%llu-%llu %llu %.*s\n",
		(unsigned long long)envelope->offset, (unsigned long long)envelope->tag,
		(unsigned long long)envelope->prev, EPOCH_MAX, envelope->epoch.text);
}
