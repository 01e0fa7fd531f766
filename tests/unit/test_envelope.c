/* Envelope: what channel_log/envelope.h promises. */

#include "channel_log/envelope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void takes_an_envelope_apart(void **state)
{
	struct envelope envelope;

	(void)state;
	assert_int_equal(envelope_parse(slice_of("\1"
						 "102-1795394760620802 99 k3JdQaXw\n{\"a\":\n1}"),
				 &envelope),
		0);
	assert_true(envelope.offset == 102 && envelope.tag == 1795394760620802 && envelope.prev == 99);
	assert_memory_equal(envelope.epoch.text, "k3JdQaXw\0\0\0\0\0\0\0\0", EPOCH_MAX);
	assert_int_equal(envelope.payload.len, 8);
	assert_memory_equal(envelope.payload.data, "{\"a\":\n1}", 8);
}

static void tells_a_plain_payload_by_its_first_byte(void **state)
{
	struct envelope envelope;

	(void)state;
	assert_int_equal(envelope_parse(slice_of("{\"type\":\"x\"}"), &envelope), ENVELOPE_NONE);
	assert_int_equal(envelope_parse(slice_of("1-1 0 e\n1"), &envelope), ENVELOPE_NONE);
	assert_int_equal(envelope_parse((struct slice){NULL, 0}, &envelope), ENVELOPE_NONE);
	assert_int_equal(envelope_parse((struct slice){"\0", 1}, &envelope), ENVELOPE_NONE);
}

static void refuses_what_only_begins_like_one(void **state)
{
	static const char *const texts[] = {
		"\1",
		"\1\n",
		"\1{}",
		"\1"
		"1-1 0 e",
		"\1"
		"1-1 0\n{}",
		"\1"
		"1-1\n{}",
		"\1"
		"1-1 0 \n{}",
		"\1"
		"1-1  e\n{}",
		"\1"
		"0-1 0 e\n{}",
		"\1"
		"1-0 0 e\n{}",
		"\1"
		"01-1 0 e\n{}",
		"\1"
		"1-1 00 e\n{}",
		"\1"
		"1-1 0 e \n{}",
		"\1 1-1 0 e\n{}",
		"\1"
		"1-1 0 e.\n{}",
		"\1"
		"1-1 0 abcdefgh012345678\n{}",
		"\1"
		"1-1 x e\n{}",
		"\1"
		"9007199254740993-1 0 e\n{}",
		"\1"
		"1-1 0 e\r\n{}",
		"\1"
		"1-1 0 eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\n{}",
	};
	struct envelope envelope;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (envelope_parse(slice_of(texts[i]), &envelope) != ENVELOPE_MALFORMED)
			fail_msg("took number %zu", i);
}

static void reads_the_longest_head_that_it_writes(void **state)
{
	struct envelope envelope = {.offset = POSITION_NUMBER_MAX,
		.tag = POSITION_NUMBER_MAX,
		.prev = POSITION_NUMBER_MAX,
		.epoch = {"abcdefgh01234567"}};
	char head[ENVELOPE_HEAD_MAX];
	struct envelope read;

	(void)state;
	assert_int_equal(envelope_head_format(&envelope, head), ENVELOPE_HEAD_MAX - 1);
	assert_int_equal(envelope_parse(slice_of(head), &read), 0);
	assert_int_equal(read.payload.len, 0);
	assert_true(read.offset == envelope.offset && read.tag == envelope.tag && read.prev == envelope.prev);
	assert_true(epoch_equal(&read.epoch, &envelope.epoch));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_an_envelope_apart),
		cmocka_unit_test(tells_a_plain_payload_by_its_first_byte),
		cmocka_unit_test(refuses_what_only_begins_like_one),
		cmocka_unit_test(reads_the_longest_head_that_it_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
