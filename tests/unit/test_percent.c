/* Percent: text of a URL as it was meant, decoded once. */

#include "admin/percent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void decodes_each_escape_once(void **state)
{
	static const char *const pairs[][2] = {{"", ""}, {"cards", "cards"}, {"items%3A7", "items:7"},
		{"%3a%3A", "::"}, {"%2541", "%41"}, {"%c3%bc", "\xc3\xbc"}, {"a+b", "a+b"}};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		char text[32];

		snprintf(text, sizeof(text), "%s", pairs[i][0]);
		assert_true(percent_decode(text));
		assert_string_equal(text, pairs[i][1]);
	}
}

static void refuses_broken_escapes_and_nul(void **state)
{
	static const char *const wrong[] = {"%", "a%", "%4", "%4g", "%g4", "%%41", "%00", "a%00b", "% 41"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char text[32];

		snprintf(text, sizeof(text), "%s", wrong[i]);
		assert_false(percent_decode(text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_each_escape_once),
		cmocka_unit_test(refuses_broken_escapes_and_nul),
	};

	return cmocka_run_group_tests_name("percent", tests, NULL, NULL);
}
