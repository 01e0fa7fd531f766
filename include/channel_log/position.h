#ifndef TIDEGATE_CHANNEL_LOG_POSITION_H
#define TIDEGATE_CHANNEL_LOG_POSITION_H

/*
 * Position: a place in a channel's log, and the words that a client may say instead of one.
 *
 * An entry is known by its offset (a counter without holes), its tag (which tells two branches apart that
 * used the same offset) and its epoch (which tells a log apart from one that was lost before it). A position
 * says where a reader stands: behind this entry. Offset 0 with tag 0 is the place before the first entry.
 *
 * The text form "epoch.offset.tag" is opaque to clients, so it has exactly one spelling: no sign, no space,
 * no leading zero. Anything else is refused.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/slice.h"

/* 2^53: JavaScript and Lua count exactly up to here. In microseconds it lasts until the year 2255. */
#define POSITION_NUMBER_MAX ((uint64_t)1 << 53)

enum {
	POSITION_MALFORMED = 1, /* not the text of a position */

	EPOCH_MAX = 16,                                     /* letters and digits; ours have 8 */
	POSITION_NUMBER_DIGITS = 16,                        /* of POSITION_NUMBER_MAX */
	POSITION_TEXT_MAX = EPOCH_MAX + 1 + 16 + 1 + 16 + 1 /* with the NUL */
};

/* The name of a log's life, padded with NULs; with 16 letters there is no NUL. Zeroed: no epoch. */
struct epoch {
	char text[EPOCH_MAX];
};

struct position {
	struct epoch epoch;
	uint64_t offset;
	uint64_t tag;
};

/* Where a client wants to begin to hear. */
enum since_kind {
	SINCE_NOW,       /* with the next entry */
	SINCE_START,     /* with the oldest entry that is kept */
	SINCE_POSITION,  /* behind this position */
	SINCE_MALFORMED, /* the client said something else: it gets an answer, but no entries */
};

struct since {
	enum since_kind kind;
	struct position position; /* of SINCE_POSITION */
	/* Further positions, if the client named those of several channels: the one with the epoch of
	 * the log counts. Borrowed. */
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

/* 1 to 16 of A–Z a–z 0–9. Returns 0 or POSITION_MALFORMED, like all functions below; with the latter the
 * result is unspecified. */
int epoch_parse(struct slice text, struct epoch *epoch);

/* A decimal number up to POSITION_NUMBER_MAX in its one spelling. */
int position_number_parse(struct slice text, uint64_t *numberp);

/* "102-1795394760620802", the id of an entry in a Redis stream. Never 0-0, and no part of it 0. */
int position_id_parse(struct slice text, uint64_t *offsetp, uint64_t *tagp);

/* "epoch.offset.tag". Offset and tag are both 0 or both not. */
int position_parse(struct slice text, struct position *position);

/* Writes the text and a NUL; returns its length. */
size_t position_format(const struct position *position, char out[POSITION_TEXT_MAX]);

/*
 * Reads the positions of several channels, joined by commas, each behind its channel's name: what an event
 * stream of several channels has told its peer ("cards=E.102.T,user:7=E.9.T"). One position alone, or a word,
 * is read as since_parse() does. others: room for n_max positions behind the first, which the result borrows.
 */
struct since since_parse_list(struct slice text, struct position *others, uint32_t n_max);

/* Reads what a client said: "now", "start" or a position; anything else is SINCE_MALFORMED. */
struct since since_parse(struct slice text);

#endif
