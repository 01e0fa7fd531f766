/* Frame: what protocol/frame.h promises. */

#include "protocol/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void assert_header(uint64_t payload_len, const void *expected, size_t len)
{
	unsigned char out[FRAME_HEADER_MAX + 1];

	memset(out, '#', sizeof(out));
	assert_int_equal(frame_header_len(payload_len), len);
	assert_int_equal(frame_header_write(out, FRAME_TEXT, false, payload_len), len);
	assert_memory_equal(out, expected, len);
	assert_int_equal(out[len], '#');
}

static void takes_the_shortest_form_of_a_length(void **state)
{
	(void)state;
	assert_header(0, "\x81\x00", 2);
	assert_header(125, "\x81\x7d", 2);
	assert_header(126, "\x81\x7e\x00\x7e", 4);
	assert_header(65535, "\x81\x7e\xff\xff", 4);
	assert_header(65536, "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10);
	assert_header(UINT64_C(0x0102030405060708), "\x81\x7f\x01\x02\x03\x04\x05\x06\x07\x08", 10);
}

static void marks_what_is_deflated(void **state)
{
	unsigned char out[FRAME_HEADER_MAX];

	(void)state;
	assert_int_equal(frame_header_write(out, FRAME_TEXT, true, 3), 2);
	assert_memory_equal(out, "\xc1\x03", 2);
}

static void writes_control_frames(void **state)
{
	unsigned char out[FRAME_HEADER_MAX];

	(void)state;
	assert_int_equal(frame_header_write(out, FRAME_CLOSE, false, 2), 2);
	assert_memory_equal(out, "\x88\x02", 2);
	assert_int_equal(frame_header_write(out, FRAME_PING, false, FRAME_CONTROL_MAX), 2);
	assert_memory_equal(out, "\x89\x7d", 2);
	assert_int_equal(frame_header_write(out, FRAME_PONG, false, 0), 2);
	assert_memory_equal(out, "\x8a\x00", 2);
}

static void says_whole_control_frames(void **state)
{
	unsigned char out[FRAME_CONTROL_SIZE];
	char longest[FRAME_CONTROL_MAX - 1];

	(void)state;
	assert_int_equal(frame_control_write(out, FRAME_PING, NULL, 0), 2);
	assert_memory_equal(out, "\x89\x00", 2);
	assert_int_equal(frame_control_write(out, FRAME_PING, "xyz", 3), 5);
	assert_memory_equal(out, "\x89\x03xyz", 5);
	assert_int_equal(frame_close_write(out, 1000, ""), 4);
	assert_memory_equal(out, "\x88\x02\x03\xe8", 4);
	assert_int_equal(frame_close_write(out, 1000, " bye"), 8);
	assert_memory_equal(out, "\x88\x06\x03\xe8 bye", 8);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(frame_close_write(out, 4999, longest), FRAME_CONTROL_SIZE);
	assert_memory_equal(out + 4, longest, sizeof(longest) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_the_shortest_form_of_a_length),
		cmocka_unit_test(marks_what_is_deflated),
		cmocka_unit_test(writes_control_frames),
		cmocka_unit_test(says_whole_control_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
