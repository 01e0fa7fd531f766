/* Message: what protocol/message.h promises. */

#include "protocol/message.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/map.h"

#define WALL_MS UINT64_C(1767225600123)
#define STAMP   ",\"timestamp\":\"2026-01-01T00:00:00.123Z\""

static const struct slice no_pos;

/* From memory of exactly its size, so that the sanitizer sees a byte too many. */
static int make(
	const char *channel, const char *payload, size_t len, struct slice pos, struct message **messagep)
{
	char *exact = malloc(len ? len : 1);
	int r;

	assert_non_null(exact);
	memcpy(exact, payload, len);
	r = message_from_event(
		message_channel(slice_of(channel)), (struct slice){exact, len}, pos, WALL_MS, 77, messagep);
	free(exact);
	return r;
}

static void assert_event(const char *payload, struct slice pos, const char *expected)
{
	struct message *message = NULL;
	struct slice text;

	assert_int_equal(make("cards", payload, strlen(payload), pos, &message), 0);
	text = message_text(message);
	if (text.len != strlen(expected) || memcmp(text.data, expected, text.len) != 0)
		fail_msg("%s became %.*s, not %s", payload, (int)text.len, text.data, expected);
	message_unref(message);
}

static void keeps_every_byte_of_a_typed_object(void **state)
{
	(void)state;
	assert_event("{\"type\":\"card_updated\",\"data\":{\"id\":1.50,\"x\":\"\\u00e9\"}}", no_pos,
		"{\"type\":\"card_updated\",\"data\":{\"id\":1.50,\"x\":\"\\u00e9\"}" STAMP
		",\"channel\":\"cards\"}");
	assert_event(" { \"data\" : [ ] , \"type\" : \"a\" } ", no_pos,
		"{ \"data\" : [ ] , \"type\" : \"a\" " STAMP ",\"channel\":\"cards\"}");
	assert_event("{\"type\":\"}\"}\r\n", no_pos, "{\"type\":\"}\"" STAMP ",\"channel\":\"cards\"}");
}

static void adds_a_timestamp_only_when_there_is_none(void **state)
{
	(void)state;
	assert_event("{\"type\":\"a\",\"timestamp\":\"theirs\"}", no_pos,
		"{\"type\":\"a\",\"timestamp\":\"theirs\",\"channel\":\"cards\"}");
	assert_event("{\"timestamp\":null,\"type\":\"a\"}", no_pos,
		"{\"timestamp\":null,\"type\":\"a\",\"channel\":\"cards\"}");
	assert_event("{\"type\":\"a\",\"data\":{\"timestamp\":1}}", no_pos,
		"{\"type\":\"a\",\"data\":{\"timestamp\":1}" STAMP ",\"channel\":\"cards\"}");
}

static void adds_the_position_when_there_is_one(void **state)
{
	(void)state;
	assert_event("{\"type\":\"a\"}", slice_of("k3.102.17"),
		"{\"type\":\"a\"" STAMP ",\"channel\":\"cards\",\"pos\":\"k3.102.17\"}");
	assert_event("[1]", slice_of("k3.102.17"),
		"{\"type\":\"update\",\"data\":[1]" STAMP ",\"channel\":\"cards\",\"pos\":\"k3.102.17\"}");
}

/* Whoever reads `channel` or `pos` reads the gateway's word, and finds it once. */
static void gives_another_name_to_members_called_like_its_own(void **state)
{
	(void)state;
	assert_event("{\"channel\":\"forged\",\"pos\":\"forged\",\"type\":\"a\"}", slice_of("p"),
		"{\"payload_channel\":\"forged\",\"payload_pos\":\"forged\",\"type\":\"a\"" STAMP
		",\"channel\":\"cards\",\"pos\":\"p\"}");
	assert_event("{\"type\":\"a\",\"channel\":5}", no_pos,
		"{\"type\":\"a\",\"payload_channel\":5" STAMP ",\"channel\":\"cards\"}");
	assert_event("{\"type\":\"a\",\"channel\":\"cards\",\"channel\":\"x\"}", no_pos,
		"{\"type\":\"a\",\"payload_channel\":\"cards\",\"payload_channel\":\"x\"" STAMP
		",\"channel\":\"cards\"}");
	assert_event("{\"type\":\"a\",\"channel\":\"x\",\"c\\u0068annel\":\"cards\"}", no_pos,
		"{\"type\":\"a\",\"payload_channel\":\"x\",\"payload_channel\":\"cards\"" STAMP
		",\"channel\":\"cards\"}");
	assert_event("{\"p\\u006fs\" : 7 , \"type\":\"a\",\"data\":{\"pos\":[{}, 1],\"channel\":\"}\"}}",
		no_pos,
		"{\"payload_pos\" : 7 , \"type\":\"a\",\"data\":{\"pos\":[{}, 1],\"channel\":\"}\"}" STAMP
		",\"channel\":\"cards\"}");
	assert_event("{\"type\":\"a\",\"channel\":\"cards\",\"pos\":1}", no_pos,
		"{\"type\":\"a\",\"channel\":\"cards\",\"payload_pos\":1" STAMP "}");
}

static void says_whether_it_gave_another_name(void **state)
{
	struct message *message = NULL;

	(void)state;
	assert_int_equal(make("cards", "{\"type\":\"a\",\"pos\":1}", 20, no_pos, &message), 0);
	assert_true(message->renames);
	message_unref(message);
	assert_int_equal(make("cards", "{\"type\":\"a\",\"channel\":\"cards\"}", 30, no_pos, &message), 0);
	assert_false(message->renames);
	message_unref(message);
}

static void does_not_repeat_the_channel(void **state)
{
	(void)state;
	assert_event("{\"type\":\"a\",\"channel\":\"cards\"}", no_pos,
		"{\"type\":\"a\",\"channel\":\"cards\"" STAMP "}");
	assert_event("{\"type\":\"a\",\"channel\":\"c\\u0061rds\",\"timestamp\":1}", no_pos,
		"{\"type\":\"a\",\"channel\":\"c\\u0061rds\",\"timestamp\":1}");
}

static void wraps_what_has_no_type(void **state)
{
	const char *payloads[] = {"{}", "{\"a\":1}", "[]", "[1,{}]", "\"type\"", "1", "-0.0", "null", "true",
		"{\"data\":{\"type\":\"a\"}}", "{\"type\":5}", "{\"type\":null}",
		"{\"type\":\"a\",\"type\":1}", "{\"timestamp\":1,\"channel\":\"cards\"}"};
	char expected[256];

	(void)state;
	for (size_t i = 0; i < sizeof(payloads) / sizeof(*payloads); i++) {
		snprintf(expected, sizeof(expected),
			"{\"type\":\"update\",\"data\":%s" STAMP ",\"channel\":\"cards\"}", payloads[i]);
		assert_event(payloads[i], no_pos, expected);
	}
	assert_event(" \n{ }\t", no_pos, "{\"type\":\"update\",\"data\":{ }" STAMP ",\"channel\":\"cards\"}");
}

static void refuses_what_is_not_json(void **state)
{
	const char *payloads[] = {
		"", "hello", "{", "{\"type\":\"a\"", "{\"type\":\"a\",}", "{}{}", "\"\xff\"", "\001"};
	struct message *message = NULL;
	char deep[2 * MESSAGE_DEPTH_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(payloads) / sizeof(*payloads); i++)
		assert_int_equal(
			make("cards", payloads[i], strlen(payloads[i]), no_pos, &message), MESSAGE_NOT_JSON);
	memset(deep, '[', MESSAGE_DEPTH_MAX + 1);
	memset(deep + MESSAGE_DEPTH_MAX + 1, ']', MESSAGE_DEPTH_MAX + 1);
	assert_int_equal(make("cards", deep, sizeof(deep), no_pos, &message), MESSAGE_NOT_JSON);
	assert_null(message);
	assert_int_equal(make("cards", deep + 1, sizeof(deep) - 2, no_pos, &message), 0);
	message_unref(message);
}

static void escapes_a_channel_that_needs_it(void **state)
{
	struct message *message = NULL;
	const char *expected = "{\"type\":\"a\"" STAMP ",\"channel\":\"a\\\"b\\n\"}";

	(void)state;
	assert_int_equal(make("a\"b\n", "{\"type\":\"a\"}", 12, no_pos, &message), 0);
	assert_int_equal(message_text(message).len, strlen(expected));
	assert_memory_equal(message_text(message).data, expected, strlen(expected));
	assert_string_equal(message->channel, "a\"b\n");
	message_unref(message);
}

/* What a channel has ready saves work, and changes nothing. */
static void is_the_same_with_what_its_channel_has_ready(void **state)
{
	static const char name[] = "a\"\xff", quoted[] = "\"a\\\"\xef\xbf\xbd\"",
			  payload[] = "{\"type\":\"x\"}";
	struct clock_text clock = {0};
	struct message_channel channel = message_channel((struct slice){name, 3});
	struct message *made[2];

	(void)state;
	for (uint64_t ms = WALL_MS; ms < WALL_MS + 2; ms++) {
		struct message_channel ready = channel;

		ready.quoted = slice_of(quoted);
		ready.clock = &clock;
		assert_int_equal(message_from_event(channel, slice_of(payload), no_pos, ms, 1, &made[0]), 0);
		assert_int_equal(message_from_event(ready, slice_of(payload), no_pos, ms, 1, &made[1]), 0);
		assert_int_equal(made[0]->frame_len, made[1]->frame_len);
		assert_memory_equal(made[0]->frame, made[1]->frame, made[0]->frame_len);
		message_unref(made[0]);
		message_unref(made[1]);
	}
}

static void carries_its_channel_and_its_frame(void **state)
{
	struct message *message = NULL;

	(void)state;
	assert_int_equal(make("execution:7", "{\"type\":\"a\"}", 12, no_pos, &message), 0);
	assert_string_equal(message->channel, "execution:7");
	assert_int_equal(message->channel_len, 11);
	assert_true(message->channel_hash == map_hash("execution:7", 11));
	assert_int_equal(message->arrived_us, 77);
	assert_int_equal(message->header_len, 2);
	assert_int_equal(message->frame[0], 0x81);
	assert_int_equal(message->frame[1], message->frame_len - 2);
	message_unref(message);
}

/* The header grows with the text, and the text is what counts, with what we add to it. */
static void frames_texts_of_every_length(void **state)
{
	static char text[70000];
	const size_t lens[] = {0, 125, 126, 65535, 65536, 70000};
	const uint32_t headers[] = {2, 2, 4, 4, 10, 10};

	(void)state;
	memset(text, 'x', sizeof(text));
	for (unsigned int i = 0; i < 6; i++) {
		struct message *message = message_from_text(text, lens[i]);

		assert_non_null(message);
		assert_int_equal(message->header_len, headers[i]);
		assert_int_equal(message->frame_len, headers[i] + lens[i]);
		assert_int_equal(message_text(message).len, lens[i]);
		assert_memory_equal(message_text(message).data, text, lens[i]);
		message_unref(message);
	}
}

static void is_for_one_client_when_it_is_a_reply(void **state)
{
	struct message *message = message_from_text("{}", 2);

	(void)state;
	assert_int_equal(message->channel_len, 0);
	assert_string_equal(message->channel, "");
	assert_int_equal(message->arrived_us, 0);
	message_unref(message);
}

static void *share(void *userdata)
{
	for (unsigned int i = 0; i < 10000; i++)
		message_unref(message_ref(userdata));
	message_unref(userdata);
	return NULL;
}

/* Freed once, by the last: the sanitizers see too early, too late, and unordered. */
static void lives_as_long_as_anybody_holds_it(void **state)
{
	struct message *message = message_from_text("{}", 2);
	pthread_t threads[3];

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, share, message_ref(message)), 0);
	assert_memory_equal(message_text(message).data, "{}", 2);
	message_unref(message);
	for (unsigned int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	message_unref(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_every_byte_of_a_typed_object),
		cmocka_unit_test(adds_a_timestamp_only_when_there_is_none),
		cmocka_unit_test(adds_the_position_when_there_is_one),
		cmocka_unit_test(gives_another_name_to_members_called_like_its_own),
		cmocka_unit_test(says_whether_it_gave_another_name),
		cmocka_unit_test(does_not_repeat_the_channel),
		cmocka_unit_test(wraps_what_has_no_type),
		cmocka_unit_test(refuses_what_is_not_json),
		cmocka_unit_test(escapes_a_channel_that_needs_it),
		cmocka_unit_test(is_the_same_with_what_its_channel_has_ready),
		cmocka_unit_test(carries_its_channel_and_its_frame),
		cmocka_unit_test(frames_texts_of_every_length),
		cmocka_unit_test(is_for_one_client_when_it_is_a_reply),
		cmocka_unit_test(lives_as_long_as_anybody_holds_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
