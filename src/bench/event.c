/* Event: building the text that the bench publishes; see the header for what it looks like. */

#include "bench/event.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A step of SplitMix64: names and padding need to differ, not to be secret. */
static uint64_t mix(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void fill(char *out, size_t n, uint64_t *state)
{
	/* Sixteen letters by how often English has them: deflate finds in them about what
	 * it finds in prose. */
	static const char letters[] = "etaoinshrdlucmfw";

	for (size_t i = 0; i < n; i++)
		out[i] = letters[mix(state) & 15];
}

static void put_digits(char *out, uint64_t value)
{
	for (int i = EVENT_DIGITS; i-- > 0; value /= 10)
		out[i] = (char)('0' + value % 10);
}

int event_init(struct event *event, size_t len, uint64_t seed)
{
	char run[EVENT_RUN_LEN + 1] = "";

	event->len = len;
	event->text = malloc(len + 1);
	if (!event->text)
		return -ENOMEM;
	fill(run, EVENT_RUN_LEN, &seed);
	snprintf(event->text, len + 1,
		"{\"type\":\"bench\",\"data\":{\"run\":\"%s\",\"seq\":\"%016d\",\"at\":\"%016d\",\"pad\":\"",
		run, 0, 0);
	fill(event->text + EVENT_HEAD_LEN + 9, len - EVENT_LEN_MIN, &seed);
	memcpy(event->text + len - 3, "\"}}", 4);
	return 0;
}

void event_deinit(struct event *event)
{
	free(event->text);
	*event = (struct event){0};
}

void event_stamp(struct event *event, uint64_t number, uint64_t at_us)
{
	put_digits(event->text + EVENT_MARK_LEN, number);
	put_digits(event->text + EVENT_AT_OFFSET, at_us);
}
