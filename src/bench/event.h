#ifndef TIDEGATE_BENCH_EVENT_H
#define TIDEGATE_BENCH_EVENT_H

/*
 * Event: the text that the bench publishes, with its number and its time at a fixed place.
 *
 *   {"type":"bench","data":{"run":"k3f0…","seq":"0000000000000123","at":"0000001700000000","pad":"…"}}
 *
 * Digits stand in strings, because a JSON number may not start with zeros. `run` tells the events of this run
 * from those of another one on the same channels. A gateway may add members at the end; nothing here
 * looks there. `at` is clock_monotonic_us() when the event was due; 0 marks one that only asks whether a
 * channel is joined yet ("prime") and has no number.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	EVENT_RUN_LEN = 8,
	EVENT_DIGITS = 16,
	EVENT_MARK_LEN = 31 + EVENT_RUN_LEN + 9, /* all that stands before the number */
	EVENT_AT_OFFSET = EVENT_MARK_LEN + EVENT_DIGITS + 8,
	EVENT_HEAD_LEN = EVENT_AT_OFFSET + EVENT_DIGITS, /* what event_parse() looks at */
	EVENT_LEN_MIN = EVENT_HEAD_LEN + 12,             /* with an empty pad */
};

struct event {
	size_t len;
	char *text;
};

/* len >= EVENT_LEN_MIN; seed makes the run's name. -ENOMEM. */
int event_init(struct event *event, size_t len, uint64_t seed);
void event_deinit(struct event *event);

/* Makes it the event of this number and time. */
void event_stamp(struct event *event, uint64_t number, uint64_t at_us);

/* 16 decimal digits, 8 at a time: all in one register, three multiplications. They are not checked. */
static inline uint64_t event_digits(const char *text)
{
	uint64_t value = 0;

	for (int i = 0; i < 2; i++) {
		uint64_t v;

		__builtin_memcpy(&v, text + 8 * i, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
		v = __builtin_bswap64(v);
#endif
		v -= UINT64_C(0x3030303030303030);
		v = v * 10 + (v >> 8); /* pairs, one in every other byte */
		v = ((v & UINT64_C(0xff000000ff)) * UINT64_C(0xf424000000064) +
			    ((v >> 16) & UINT64_C(0xff000000ff)) * UINT64_C(0x271000000001)) >>
		    32;
		value = value * 100000000 + (v & UINT32_MAX);
	}
	return value;
}

/* Reads what event_stamp() wrote. False if it is no event of this run. */
static inline bool event_parse(
	const struct event *event, const char *text, size_t len, uint64_t *numberp, uint64_t *at_usp)
{
	if (len < EVENT_HEAD_LEN || __builtin_memcmp(text, event->text, EVENT_MARK_LEN))
		return false;
	*numberp = event_digits(text + EVENT_MARK_LEN);
	*at_usp = event_digits(text + EVENT_AT_OFFSET);
	return true;
}

#endif
