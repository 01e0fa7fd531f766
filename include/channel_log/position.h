#ifndef TIDEGATE_CHANNEL_LOG_POSITION_H
#define TIDEGATE_CHANNEL_LOG_POSITION_H

/*
 * Position: one place in one channel's log, and what a client may say instead of one.
 *
 * An entry is known by its offset (a counter without holes) and its tag (what tells two branches that used
 * one offset apart), within an epoch (what tells a log that was lost and begun again apart). A position is
 * where a reader stands: behind that entry. Offset 0 with tag 0 is the place before the first.
 *
 * The text form "epoch.offset.tag" is opaque to clients, so it has exactly one spelling: no sign, no space,
 * no leading zero. Anything else is refused.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/slice.h"

/* 2^53: what JavaScript and Lua count exactly. In microseconds it lasts until the year 2255. */
#define POSITION_NUMBER_MAX ((uint64_t)1 << 53)

enum {
	POSITION_MALFORMED = 1, /* not the text of a position */

	EPOCH_MAX = 16,                                     /* letters and digits; ours have 8 */
	POSITION_NUMBER_DIGITS = 16,                        /* of POSITION_NUMBER_MAX */
	POSITION_TEXT_MAX = EPOCH_MAX + 1 + 16 + 1 + 16 + 1 /* with the NUL */
};

/* The name of a log's life. Padded with NULs, none behind the sixteenth byte. Zeroed: none. */
struct epoch {
	char text[EPOCH_MAX];
};

struct position {
	struct epoch epoch;
	uint64_t offset;
	uint64_t tag;
};

/* Where a client wants to begin. */
enum since_kind {
	SINCE_NOW,       /* with what comes next */
	SINCE_START,     /* with the oldest that is kept */
	SINCE_POSITION,  /* behind this one */
	SINCE_MALFORMED, /* said something that is none of these: answered, but not served */
};

struct since {
	enum since_kind kind;
	struct position position; /* of SINCE_POSITION */
	/* It named several, of the logs of several channels: this counts where the epoch is not the log's.
	 * Borrowed. */
	const struct position *others;
	uint32_t n_others;
};

static inline bool epoch_equal(const struct epoch *a, const struct epoch *b)
{
	return memcmp(a->text, b->text, EPOCH_MAX) == 0;
}

static inline bool position_equal(const struct position *a, const struct position *b)
{
	return a->offset == b->offset && a->tag == b->tag && epoch_equal(&a->epoch, &b->epoch);
}

/* 1 to 16 of A–Z a–z 0–9. 0 or POSITION_MALFORMED, the result then unspecified; so below too. */
int epoch_parse(struct slice text, struct epoch *epoch);

/* A decimal number up to POSITION_NUMBER_MAX in its one spelling. */
int position_number_parse(struct slice text, uint64_t *numberp);

/* "102-1795394760620802", the id of an entry in a Redis stream. Never 0-0, and no part of it 0. */
int position_id_parse(struct slice text, uint64_t *offsetp, uint64_t *tagp);

/* "epoch.offset.tag". Offset and tag are both 0 or both not. */
int position_parse(struct slice text, struct position *position);

/* Writes the text and a NUL; returns its length. */
size_t position_format(const struct position *position, char out[POSITION_TEXT_MAX]);

/* What a client said: "now", "start", a position, or SINCE_MALFORMED. */
struct since since_parse(struct slice text);

#endif
