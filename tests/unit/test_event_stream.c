/* Event stream: what protocol/event_stream.h promises, and protocol/form.h of the forms for event streams. */

#include "protocol/event_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/buf.h"
#include "protocol/message.h"
#include "protocol/reply.h"

static struct form_maker maker_of(void)
{
	struct form_maker maker;

	assert_int_equal(form_maker_init(&maker, 0), 0);
	return maker;
}

static struct message *event_of(const char *payload, const char *pos)
{
	struct message *event;

	assert_int_equal(message_from_event(message_channel(slice_of("cards")), slice_of(payload),
				 (struct slice){pos, pos ? strlen(pos) : 0}, 0, 1, &event),
		0);
	return event;
}

static void assert_frame(const struct message *message, const char *expected)
{
	char *text = strndup((const char *)message->frame, message->frame_len);

	assert_string_equal(text, expected);
	free(text);
}

#define STAMP "\"timestamp\":\"1970-01-01T00:00:00.000Z\",\"channel\":\"cards\""

static void an_event_is_an_id_and_one_line(void **state)
{
	struct form_maker maker = maker_of();
	struct message *event = event_of("{\"type\":\"n\"}", "E.7.9");
	struct message *made = message_as(event, FORM_SSE, &maker);

	(void)state;
	assert_frame(made, "id: E.7.9\ndata: {\"type\":\"n\"," STAMP ",\"pos\":\"E.7.9\"}\n\n");
	assert_ptr_equal(message_as(event, FORM_SSE, &maker), made);
	assert_ptr_equal(message_as(made, FORM_SSE, &maker), made);
	assert_true(slice_is(message_pos(made), "E.7.9"));
	assert_int_equal(made->channel_len, 5);
	assert_true(made->is_entry);
	message_unref(event);
	form_maker_deinit(&maker);
}

static void without_a_position_there_is_no_id(void **state)
{
	struct form_maker maker = maker_of();
	struct message *event = event_of("{\"type\":\"n\"}", NULL);
	struct message *entry = event_of("{\"type\":\"n\"}", "E.7.9");

	(void)state;
	assert_frame(message_as(event, FORM_SSE, &maker), "data: {\"type\":\"n\"," STAMP "}\n\n");
	assert_frame(message_as(entry, FORM_SSE_BARE, &maker),
		"data: {\"type\":\"n\"," STAMP ",\"pos\":\"E.7.9\"}\n\n");
	assert_true(slice_is(message_pos(message_as(entry, FORM_SSE_BARE, &maker)), "E.7.9"));
	message_unref(event);
	message_unref(entry);
	form_maker_deinit(&maker);
}

static void line_ends_between_tokens_become_spaces(void **state)
{
	static const char *const rows[][2] = {
		{"a", "a"}, {"", ""}, {"\n", " "}, {"{\r\n\"a\":\n1}", "{  \"a\": 1}"}, {"\r\r[\n", "  [ "},
		{"[1]\r", "[1] "}, {"\"\xe2\x80\xa8\"", "\"\xe2\x80\xa8\""}, /* U+2028 ends no line here */
	};
	struct buf scratch = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct slice text = slice_of(rows[i][0]), line = event_stream_line(text, &scratch);

		assert_true(slice_is(line, rows[i][1]));
		assert_int_equal(line.data == text.data, strcmp(rows[i][0], rows[i][1]) == 0);
	}
	buf_deinit(&scratch);
}

static void grows_by_no_more_than_is_said(void **state)
{
	char pos[EVENT_STREAM_POS_MAX + 2];
	struct form_maker maker = maker_of();

	(void)state;
	for (size_t len = 1; len <= EVENT_STREAM_POS_MAX + 1; len++) {
		struct message *event, *made;

		memset(pos, '9', len);
		pos[len] = '\0';
		event = event_of("{\"type\":\"n\"}", pos);
		event->retry_ms = UINT32_MAX;
		made = message_as(event, FORM_SSE, &maker);
		assert_true(made->frame_len <= event->frame_len + form_growth(FORM_SSE));
		assert_int_equal(strncmp((char *)made->frame, "id: ", 4) == 0, len <= EVENT_STREAM_POS_MAX);
		message_unref(event);
	}
	form_maker_deinit(&maker);
}

static void an_answer_tells_its_position(void **state)
{
	struct form_maker maker = maker_of();
	const struct reply_recovery recovery = {
		.recoverable = true, .recovered = true, .pos = "E.1.2", .count = 3};
	const struct reply_recovery none = {0};
	struct message *messages[] = {
		reply_recovered((struct slice){0}, slice_of("cards"), &recovery, 0),
		reply_resync(slice_of("cards"), "epoch", false, 0, "E.1.2", 0),
		reply_recovered((struct slice){0}, slice_of("cards"), &none, 0),
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct message *made = message_as(messages[i], FORM_SSE, &maker);

		assert_int_equal(strncmp((char *)made->frame, "id: E.1.2\ndata: {", 17) == 0, i < 2);
		assert_true(slice_is(message_pos(made), i < 2 ? "E.1.2" : ""));
		message_unref(messages[i]);
	}
	form_maker_deinit(&maker);
}

static void a_farewell_says_when_to_come_back(void **state)
{
	struct form_maker maker = maker_of();
	struct message *farewell = reply_reconnect("drain", 4200, 0);

	(void)state;
	assert_memory_equal(message_as(farewell, FORM_SSE, &maker)->frame,
		"retry: 4200\ndata: {\"type\":\"reconnect\"", 37);
	message_unref(farewell);
	form_maker_deinit(&maker);
}

static void the_last_word_is_a_message(void **state)
{
	struct buf out = {0};

	(void)state;
	event_stream_close(&out, 4100, "too \"slow\"", 0);
	assert_string_equal(buf_text(&out),
		"data: {\"type\":\"close\",\"data\":{\"code\":4100,\"reason\":\"too \\\"slow\\\"\"},"
		"\"timestamp\":\"1970-01-01T00:00:00.000Z\"}\n\n");
	buf_reset(&out);
	event_stream_close(&out, 4101, "", 0);
	assert_memory_equal(buf_text(&out), "retry: 30000\ndata: {", 20);
	buf_deinit(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_is_an_id_and_one_line),
		cmocka_unit_test(without_a_position_there_is_no_id),
		cmocka_unit_test(line_ends_between_tokens_become_spaces),
		cmocka_unit_test(grows_by_no_more_than_is_said),
		cmocka_unit_test(an_answer_tells_its_position),
		cmocka_unit_test(a_farewell_says_when_to_come_back),
		cmocka_unit_test(the_last_word_is_a_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
