/* JSON at: one value of an answer, and texts that are fit for a terminal. */

#include "cli/json_at.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void finds_values_by_their_path(void **state)
{
	struct slice text = slice_of("{\"a\":{\"b\":{\"c\":7.5}},\"d\":\"x\"}");
	char out[8];

	(void)state;
	assert_true(json_number_at(text, "a.b.c") == 7.5);
	assert_string_equal(json_text_at(text, "d", out, sizeof(out)), "x");
}

static void has_nothing_where_nothing_is(void **state)
{
	static const char *const paths[] = {"b", "a.x", "d.e", "a.b.c.d"};
	struct slice text = slice_of("{\"a\":{\"b\":{\"c\":null}},\"d\":7}");
	char out[8] = "before";

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		assert_true(json_number_at(text, paths[i]) == 0);
		assert_string_equal(json_text_at(text, paths[i], out, sizeof(out)), "");
	}
	assert_null(json_at(slice_of("not JSON"), "a").data);
}

static void cuts_what_is_too_long_between_two_letters(void **state)
{
	char out[8];

	(void)state;
	assert_string_equal(json_text_at(slice_of("{\"a\":\"1234567\"}"), "a", out, sizeof(out)), "1234567");
	assert_string_equal(json_text_at(slice_of("{\"a\":\"12345678\"}"), "a", out, sizeof(out)), "123456");
	assert_string_equal(
		json_text_at(slice_of("{\"a\":\"12345\xc3\xbc\xc3\xbc\"}"), "a", out, sizeof(out)), "12345");
}

static void replaces_what_a_terminal_might_obey(void **state)
{
	char out[16];

	(void)state;
	assert_string_equal(
		json_text_at(slice_of("{\"a\":\"x\\u001b[2J\\n\\u007f\"}"), "a", out, sizeof(out)),
		"x?[2J??");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_values_by_their_path),
		cmocka_unit_test(has_nothing_where_nothing_is),
		cmocka_unit_test(cuts_what_is_too_long_between_two_letters),
		cmocka_unit_test(replaces_what_a_terminal_might_obey),
	};

	return cmocka_run_group_tests_name("json_at", tests, NULL, NULL);
}
