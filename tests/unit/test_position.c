/* Position: what channel_log/position.h promises. */

#include "channel_log/position.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void reads_what_it_writes(void **state)
{
	static const char *const texts[] = {
		"k3JdQaXw.102.1795394760620802",
		"A.0.0",
		"0.1.1",
		"abcdefgh01234567.9007199254740992.9007199254740992",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char out[POSITION_TEXT_MAX];
		struct position position;

		assert_int_equal(position_parse(slice_of(texts[i]), &position), 0);
		assert_int_equal(position_format(&position, out), strlen(texts[i]));
		assert_string_equal(out, texts[i]);
	}
}

static void takes_its_parts(void **state)
{
	struct position position, other;

	(void)state;
	assert_int_equal(position_parse(slice_of("Ep.7.99"), &position), 0);
	assert_memory_equal(position.epoch.text, "Ep\0\0\0\0\0\0\0\0\0\0\0\0\0\0", EPOCH_MAX);
	assert_true(position.offset == 7 && position.tag == 99);
	assert_int_equal(position_parse(slice_of("Ep.7.98"), &other), 0);
	assert_false(position_equal(&position, &other));
	other.tag = 99;
	assert_true(position_equal(&position, &other));
	other.epoch.text[1] = 'q';
	assert_false(position_equal(&position, &other));
}

static void refuses_every_other_spelling(void **state)
{
	static const char *const texts[] = {
		"",
		".",
		"..",
		"e",
		"e.1",
		"e.1.",
		"e..1",
		".1.1",
		"e.1.1.",
		"e.1.1.1",
		"e.1.1 ",
		" e.1.1",
		"e.01.1",
		"e.1.01",
		"e.+1.1",
		"e.-1.1",
		"e.1.0",
		"e.0.1",
		"e.00.0",
		"e.1e3.1",
		"e.0x1.1",
		"e_.1.1",
		"e-.1.1",
		"\xc3\xa9.1.1",
		"abcdefgh012345678.1.1",
		"e.9007199254740993.1",
		"e.1.9007199254740993",
		"e.10000000000000000.1",
		"e.99999999999999999999.1",
		"e,1,1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct position position;

		if (position_parse(slice_of(texts[i]), &position) != POSITION_MALFORMED)
			fail_msg("took \"%s\"", texts[i]);
	}
}

static void looks_at_no_byte_past_the_end(void **state)
{
	const char text[] = {'e', '.', '1', '.', '1', '2'};
	struct position position;

	(void)state;
	assert_int_equal(position_parse((struct slice){text, 5}, &position), 0);
	assert_true(position.tag == 1);
	assert_int_equal(position_parse((struct slice){text, 4}, &position), POSITION_MALFORMED);
	assert_int_equal(position_parse((struct slice){"e\0.1.1", 6}, &position), POSITION_MALFORMED);
	assert_int_equal(position_parse((struct slice){NULL, 0}, &position), POSITION_MALFORMED);
}

static void reads_the_id_of_a_stream_entry(void **state)
{
	static const char *const wrong[] = {
		"", "-", "1-", "-1", "0-1", "1-0", "0-0", "1-1-1", "01-1", "1.1", "1"};
	uint64_t offset, tag;

	(void)state;
	assert_int_equal(position_id_parse(slice_of("102-1795394760620802"), &offset, &tag), 0);
	assert_true(offset == 102 && tag == 1795394760620802);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(position_id_parse(slice_of(wrong[i]), &offset, &tag), POSITION_MALFORMED);
}

static void knows_the_words_for_a_beginning(void **state)
{
	(void)state;
	assert_int_equal(since_parse(slice_of("now")).kind, SINCE_NOW);
	assert_int_equal(since_parse(slice_of("start")).kind, SINCE_START);
	assert_int_equal(since_parse(slice_of("e.1.2")).kind, SINCE_POSITION);
	assert_true(since_parse(slice_of("e.1.2")).position.tag == 2);
	assert_int_equal(since_parse(slice_of("Now")).kind, SINCE_MALFORMED);
	assert_int_equal(since_parse(slice_of("")).kind, SINCE_MALFORMED);
	assert_int_equal(since_parse(slice_of("starts")).kind, SINCE_MALFORMED);
}

static void reads_the_positions_of_several_channels(void **state)
{
	static const char *const wrong[] = {"", ",", "=", "a=", "=e.1.1", "a=e.1.1,", ",a=e.1.1",
		"a=e.1.1,,b=e.1.1", "a=e.1.1,b", "a=e.1.1,e.1.1", "a=b=e.1.1", "a=now", "a=e.1.1 ,b=e.1.1",
		"a=e.1.1,b=e.1.1,c=e.1.1,d=e.1.1"};
	struct position others[2];
	struct since since = since_parse_list(slice_of("cards=e.1.2,user:7=f.3.4,x=g.0.0"), others, 2);

	(void)state;
	assert_int_equal(since.kind, SINCE_POSITION);
	assert_true(since.position.offset == 1 && since.n_others == 2);
	assert_true(since.others[0].offset == 3 && since.others[1].epoch.text[0] == 'g');
	since = since_parse_list(slice_of("cards=e.1.2"), others, 2);
	assert_true(since.kind == SINCE_POSITION && since.n_others == 0);
	assert_int_equal(since_parse_list(slice_of("e.1.2"), others, 0).kind, SINCE_POSITION);
	assert_int_equal(since_parse_list(slice_of("now"), others, 2).kind, SINCE_NOW);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(since_parse_list(slice_of(wrong[i]), others, 2).kind, SINCE_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_it_writes),
		cmocka_unit_test(takes_its_parts),
		cmocka_unit_test(refuses_every_other_spelling),
		cmocka_unit_test(looks_at_no_byte_past_the_end),
		cmocka_unit_test(reads_the_id_of_a_stream_entry),
		cmocka_unit_test(knows_the_words_for_a_beginning),
		cmocka_unit_test(reads_the_positions_of_several_channels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
