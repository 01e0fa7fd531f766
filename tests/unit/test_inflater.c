/* Inflater: what bench/inflater.h promises. */

#include "bench/inflater.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include <cmocka.h>

/* As a gateway does that compresses once: a fresh state, flushed, its last four bytes taken off. */
static size_t deflate_text(const char *text, size_t len, unsigned char *out, size_t room)
{
	z_stream z = {0};
	size_t n;

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (unsigned char *)text;
	z.avail_in = (uInt)len;
	z.next_out = out;
	z.avail_out = (uInt)room;
	assert_int_equal(deflate(&z, Z_SYNC_FLUSH), Z_OK);
	n = room - z.avail_out - 4;
	deflateEnd(&z);
	return n;
}

static int make(void **state)
{
	*state = inflater_new();
	return *state ? 0 : -1;
}

static int drop(void **state)
{
	inflater_free(*state);
	return 0;
}

static void gives_the_head_of_a_text(void **state)
{
	unsigned char frame[1000];
	char text[300];
	const char *head;
	size_t n;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i * i % 26);
	n = deflate_text(text, sizeof(text), frame, sizeof(frame));
	for (int twice = 0; twice < 2; twice++) {
		assert_int_equal(inflater_head(*state, frame, n, &head), INFLATER_HEAD_MAX);
		assert_memory_equal(head, text, INFLATER_HEAD_MAX);
	}
	n = deflate_text("short", 5, frame, sizeof(frame));
	assert_int_equal(inflater_head(*state, frame, n, &head), 5);
	assert_memory_equal(head, "short", 5);
}

static void tells_many_frames_apart(void **state)
{
	unsigned char frame[200];
	char text[40];
	const char *head;

	for (int i = 0; i < 5000; i++) {
		int len = snprintf(text, sizeof(text), "event %08d", i / 2); /* each comes twice */
		size_t n = deflate_text(text, (size_t)len, frame, sizeof(frame));

		assert_int_equal(inflater_head(*state, frame, n, &head), len);
		assert_memory_equal(head, text, len);
	}
}

static void inflates_what_is_too_large_to_keep(void **state)
{
	enum {
		LEN = 100000
	};
	unsigned char *frame = malloc(LEN);
	char *text = malloc(LEN);
	uint32_t random = 1;
	const char *head;
	size_t n;

	assert_non_null(frame);
	assert_non_null(text);
	for (size_t i = 0; i < LEN; i++) {
		random = random * 1664525 + 1013904223;
		text[i] = (char)('A' + (random >> 24) % 32);
	}
	n = deflate_text(text, LEN, frame, LEN);
	assert_true(n > 4096);
	assert_int_equal(inflater_head(*state, frame, n, &head), INFLATER_HEAD_MAX);
	assert_memory_equal(head, text, INFLATER_HEAD_MAX);
	free(frame);
	free(text);
}

static void refuses_what_is_no_deflate_stream(void **state)
{
	unsigned char frame[200];
	const char *head;
	size_t n = deflate_text("a good one", 10, frame, sizeof(frame));

	assert_int_equal(inflater_head(*state, (const unsigned char *)"\xff\xff\xff", 3, &head), -EPROTO);
	assert_int_equal(inflater_head(*state, frame, n, &head), 10);
	frame[0] ^= 0x06; /* its block's type */
	assert_int_equal(inflater_head(*state, frame, n, &head), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(gives_the_head_of_a_text, make, drop),
		cmocka_unit_test_setup_teardown(tells_many_frames_apart, make, drop),
		cmocka_unit_test_setup_teardown(inflates_what_is_too_large_to_keep, make, drop),
		cmocka_unit_test_setup_teardown(refuses_what_is_no_deflate_stream, make, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
