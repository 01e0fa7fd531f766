/* Event and server frame: what bench/event.h and ws_client/server_frame.h promise. */

#include "bench/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/json.h"
#include "ws_client/server_frame.h"

static void is_as_long_as_asked_and_json(void **state)
{
	bool is_object;

	(void)state;
	for (size_t len = EVENT_LEN_MIN; len < EVENT_LEN_MIN + 60; len++) {
		struct event event;

		assert_int_equal(event_init(&event, len, len), 0);
		event_stamp(&event, 12345678901234, 99);
		assert_int_equal(strlen(event.text), len);
		assert_int_equal(json_check(event.text, len, 4, NULL, 0, &is_object), 0);
		assert_true(is_object);
		event_deinit(&event);
	}
}

static void reads_what_it_wrote(void **state)
{
	static const uint64_t numbers[] = {
		0, 1, 9, 10, 99999999, 100000000, 123456789012345, 9999999999999999};
	uint64_t number, at;
	struct event event;

	(void)state;
	assert_int_equal(event_init(&event, 150, 7), 0);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		event_stamp(&event, numbers[i], numbers[i] / 3);
		assert_true(event_parse(&event, event.text, event.len, &number, &at));
		assert_int_equal(number, numbers[i]);
		assert_int_equal(at, numbers[i] / 3);
	}
	event_deinit(&event);
}

static void refuses_events_of_another_run(void **state)
{
	struct event event, other;
	uint64_t number, at;

	(void)state;
	assert_int_equal(event_init(&event, 150, 7), 0);
	assert_int_equal(event_init(&other, 150, 8), 0);
	assert_false(event_parse(&event, other.text, other.len, &number, &at));
	assert_false(event_parse(&event, event.text, EVENT_HEAD_LEN - 1, &number, &at));
	assert_false(event_parse(&event, "{}", 2, &number, &at));
	event_deinit(&event);
	event_deinit(&other);
}

static void assert_frame(const void *bytes, size_t n, size_t header, size_t payload)
{
	struct server_frame frame;

	for (size_t i = 0; i < n; i++)
		assert_int_equal(server_frame_parse(bytes, i, 1 << 20, &frame), 0);
	assert_int_equal(server_frame_parse(bytes, n, 1 << 20, &frame), n);
	assert_ptr_equal(frame.payload, (const unsigned char *)bytes + header);
	assert_int_equal(frame.len, payload);
}

static void finds_frames_of_every_form_of_length(void **state)
{
	static unsigned char bytes[70000];

	(void)state;
	memcpy(bytes, "\x81\x00", 2);
	assert_frame(bytes, 2, 2, 0);
	memcpy(bytes, "\x89\x7d", 2);
	assert_frame(bytes, 127, 2, 125);
	memcpy(bytes, "\x81\x7e\x01\x02", 4);
	assert_frame(bytes, 4 + 258, 4, 258);
	memcpy(bytes, "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x01", 10);
	assert_frame(bytes, 10 + 65537, 10, 65537);
}

static void tells_opcode_and_compression(void **state)
{
	struct server_frame frame;

	(void)state;
	assert_int_equal(server_frame_parse((const unsigned char *)"\xc1\x00", 2, 99, &frame), 2);
	assert_int_equal(frame.opcode, 1);
	assert_true(frame.deflated);
	assert_int_equal(server_frame_parse((const unsigned char *)"\x88\x00", 2, 99, &frame), 2);
	assert_int_equal(frame.opcode, 8);
	assert_false(frame.deflated);
}

static void refuses_what_no_client_accepts(void **state)
{
	static const char *const wrong[] = {
		"\x81\x80", /* masked */
		"\x01\x01", /* a fragment */
		"\x80\x01", /* a continuation */
		"\xa1\x01", /* RSV2 */
		"\x91\x01", /* RSV3 */
	};
	struct server_frame frame;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(server_frame_parse((const unsigned char *)wrong[i], 2, 99, &frame), -EPROTO);
	assert_int_equal(
		server_frame_parse((const unsigned char *)"\x81\x7e\x01\x00", 4, 259, &frame), -EMSGSIZE);
	assert_int_equal(server_frame_parse((const unsigned char *)"\x81\x7e\x01\x00", 4, 260, &frame), 0);
	assert_int_equal(server_frame_parse((const unsigned char *)"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
				 10, 1 << 20, &frame),
		-EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_as_long_as_asked_and_json),
		cmocka_unit_test(reads_what_it_wrote),
		cmocka_unit_test(refuses_events_of_another_run),
		cmocka_unit_test(finds_frames_of_every_form_of_length),
		cmocka_unit_test(tells_opcode_and_compression),
		cmocka_unit_test(refuses_what_no_client_accepts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
