#ifndef TIDEGATE_CHANNEL_LOG_ENVELOPE_H
#define TIDEGATE_CHANNEL_LOG_ENVELOPE_H

/*
 * Envelope: how an entry of a log travels over pub/sub.
 *
 *     \1<offset>-<tag> <previous tag> <epoch>\n<payload>
 *
 * The first byte cannot begin a JSON text, so envelopes and plain payloads can share one channel. All bytes
 * behind the first newline are the payload, untouched. The head has exactly one spelling; a message that
 * begins with \1 and is not an envelope is refused and never delivered.
 */

#include <stddef.h>
#include <stdint.h>

#include "channel_log/position.h"
#include "core/slice.h"

enum {
	ENVELOPE_NONE = 1,      /* a plain payload */
	ENVELOPE_MALFORMED = 2, /* begins like an envelope, and is not one */

	ENVELOPE_HEAD_MAX = 1 + 16 + 1 + 16 + 1 + 16 + 1 + EPOCH_MAX + 1 + 1 /* with a NUL */
};

struct envelope {
	struct epoch epoch;
	uint64_t offset; /* at least 1 */
	uint64_t tag;    /* at least 1 */
	uint64_t prev;   /* tag of the entry before it; 0 for the first */
	struct slice payload;
};

/* 0, ENVELOPE_NONE or ENVELOPE_MALFORMED. The payload points into bytes. */
int envelope_parse(struct slice bytes, struct envelope *envelope);

/* The bytes of a pub/sub message that count against the bound on events: all but the head of an envelope. */
size_t envelope_payload_bytes(struct slice bytes);

/* Writes the head that goes before the payload, and a NUL. Returns its length. */
size_t envelope_head_format(const struct envelope *envelope, char out[ENVELOPE_HEAD_MAX]);

#endif
