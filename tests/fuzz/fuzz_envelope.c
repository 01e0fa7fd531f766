/* Fuzz envelopes and positions: each has one spelling, so what was read is written again as it stood. */

#include "fuzz.h"

#include <inttypes.h>
#include <string.h>

#include "channel_log/envelope.h"
#include "channel_log/position.h"

static void check_envelope(struct slice bytes)
{
	char head[ENVELOPE_HEAD_MAX];
	struct envelope envelope;
	int r = envelope_parse(bytes, &envelope);
	size_t n;

	PROMISE(r == 0 || r == ENVELOPE_NONE || r == ENVELOPE_MALFORMED);
	PROMISE((r == ENVELOPE_NONE) == (bytes.len == 0 || bytes.data[0] != '\1'));
	PROMISE(envelope_payload_bytes(bytes) == (r ? bytes.len : envelope.payload.len));
	if (r)
		return;
	PROMISE(envelope.offset && envelope.tag);
	n = envelope_head_format(&envelope, head);
	PROMISE(n + envelope.payload.len == bytes.len && n < ENVELOPE_HEAD_MAX);
	PROMISE(!memcmp(head, bytes.data, n) && envelope.payload.data == bytes.data + n);
}

static void check_number(struct slice text)
{
	char out[32];
	uint64_t number;

	if (position_number_parse(text, &number) != 0)
		return;
	PROMISE(number <= POSITION_NUMBER_MAX);
	PROMISE((size_t)snprintf(out, sizeof(out), "%" PRIu64, number) == text.len);
	PROMISE(!memcmp(out, text.data, text.len));
}

static void check_id(struct slice text)
{
	char out[64];
	uint64_t offset, tag;

	if (position_id_parse(text, &offset, &tag) != 0)
		return;
	PROMISE(offset && tag);
	PROMISE((size_t)snprintf(out, sizeof(out), "%" PRIu64 "-%" PRIu64, offset, tag) == text.len);
	PROMISE(!memcmp(out, text.data, text.len));
}

static void check_position(struct slice text)
{
	char out[POSITION_TEXT_MAX];
	struct position position, again;
	struct since since = since_parse(text);
	struct epoch epoch;
	int r = position_parse(text, &position);

	PROMISE(r == 0 || r == POSITION_MALFORMED);
	PROMISE((since.kind == SINCE_POSITION) == (r == 0));
	PROMISE((since.kind == SINCE_NOW) == slice_is(text, "now"));
	PROMISE((since.kind == SINCE_START) == slice_is(text, "start"));
	if (epoch_parse(text, &epoch) == 0)
		PROMISE(text.len && text.len <= EPOCH_MAX && !memcmp(epoch.text, text.data, text.len));
	if (r)
		return;
	PROMISE((position.offset == 0) == (position.tag == 0));
	PROMISE(position_format(&position, out) == text.len && !memcmp(out, text.data, text.len));
	PROMISE(position_parse(slice_of(out), &again) == 0 && position_equal(&position, &again));
	PROMISE(position_equal(&position, &since.position));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = {(const char *)data, size};

	check_envelope(bytes);
	check_position(bytes);
	check_number(bytes);
	check_id(bytes);
	return 0;
}
