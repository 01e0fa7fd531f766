/* Roll: what admin/roll.h promises: who is to answer, who has, and no nonsense. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "admin/roll.h"
#include "core/buf.h"

static struct roll roll;

static int setup(void **state)
{
	(void)state;
	memset(&roll, 0, sizeof(roll));
	return 0;
}

static void note(const char *answer)
{
	char json[400];
	size_t len = strlen(answer);

	for (size_t i = 0; i <= len; i++)
		json[i] = answer[i] == '\'' ? '"' : answer[i];
	roll_note(&roll, (struct slice){json, len});
}

static void says(const char *expected)
{
	struct buf out = {0};

	roll_write(&roll, &out);
	assert_string_equal(buf_text(&out), expected);
	buf_deinit(&out);
}

static void is_complete_when_all_have_answered(void **state)
{
	(void)state;
	assert_true(roll_expect(&roll, slice_of("a")));
	assert_true(roll_expect(&roll, slice_of("b")));
	assert_true(roll_expect(&roll, slice_of("a")));
	assert_false(roll_is_complete(&roll));
	note("{'node':'a','n':2}");
	assert_false(roll_is_complete(&roll));
	says(",\"n\":2,\"nodes\":[{\"node\":\"a\",\"n\":2}],\"silent\":[\"b\"]");
	note("{'node':'b','n':0,'error':'it cannot'}");
	note("{'node':'c','n':1}"); /* nobody knew of it */
	assert_true(roll_is_complete(&roll));
	assert_int_equal(roll_sum(&roll), 3);
	says(",\"n\":3,\"nodes\":[{\"node\":\"a\",\"n\":2},{\"node\":\"b\",\"n\":0,\"error\":\"it cannot\"},"
	     "{\"node\":\"c\",\"n\":1}],\"silent\":[]");
}

static void takes_no_nonsense(void **state)
{
	static const char *const bad[] = {"", "[]", "{}", "{'node':7,'n':1}", "{'n':1}", "{'node':'','n':1}",
		"{'node':'a\\u0000b','n':1}",
		"{'node':'12345678901234567890123456789012345678901234567890123456789012345','n':1}"};

	(void)state;
	assert_true(roll_expect(&roll, slice_of("a")));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		note(bad[i]);
	assert_int_equal(roll.n, 1);
	assert_false(roll_is_complete(&roll));
	note("{'node':'a','n':-7}");
	note("{'node':'a','n':1e9}");
	note("{'node':'a','n':99999999999999999999999}");
	note("{'node':'a','n':'7'}");
	assert_int_equal(roll_sum(&roll), 0);
	assert_true(roll_is_complete(&roll));
}

static void is_bounded(void **state)
{
	char id[16], long_error[ROLL_ERROR_MAX * 2], answer[400];

	(void)state;
	for (int i = 0; i < ROLL_MAX; i++) {
		snprintf(id, sizeof(id), "%d", i);
		assert_true(roll_expect(&roll, slice_of(id)));
	}
	assert_false(roll_expect(&roll, slice_of("one more")));
	assert_true(roll_expect(&roll, slice_of("7")));
	memset(long_error, 'x', sizeof(long_error));
	long_error[sizeof(long_error) - 1] = '\0';
	snprintf(answer, sizeof(answer), "{'node':'0','n':0,'error':'%s'}", long_error);
	note(answer);
	assert_int_equal(strlen(roll.nodes[0].error), ROLL_ERROR_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(is_complete_when_all_have_answered, setup),
		cmocka_unit_test_setup(takes_no_nonsense, setup),
		cmocka_unit_test_setup(is_bounded, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
