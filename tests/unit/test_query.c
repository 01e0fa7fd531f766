/* What a query promises: members by name, decoded once, and a percent sign of its own left alone. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/date.h"
#include "http/query.h"

static void assert_text(const char *query, const char *name, int r, const char *text)
{
	char out[16];

	assert_int_equal(query_text(slice_of(query), name, NULL, out, sizeof(out)), r);
	assert_string_equal(out, text);
}

static void finds_the_first_of_that_name(void **state)
{
	(void)state;
	assert_text("since=now", "since", 3, "now");
	assert_text("a=1&since=now&since=start", "since", 3, "now");
	assert_text("sinces=1&xsince=2&since", "since", -ENOENT, "");
	assert_text("since=&a", "since", 0, "");
	assert_text("", "since", -ENOENT, "");
	assert_text("&&=&since=x&&", "since", 1, "x");
	assert_text("since=a=b", "since", 3, "a=b");
}

static void decodes_once_and_leaves_what_is_no_escape(void **state)
{
	(void)state;
	assert_text("a=%41%2525", "a", 4, "A%25");
	assert_text("a=100%", "a", 4, "100%");
	assert_text("a=%zz%4", "a", 5, "%zz%4");
	assert_text("a=b+c", "a", 3, "b+c");
	assert_text("a=%00b", "a", 2, "");
}

static void says_what_has_no_room(void **state)
{
	(void)state;
	assert_text("a=123456789012345", "a", 15, "123456789012345");
	assert_text("a=1234567890123456", "a", -ENOSPC, "");
	assert_text("a=%41%41%41%41%41%41%41%41", "a", 8, "AAAAAAAA");
}

static void goes_on_from_one_to_the_next(void **state)
{
	struct slice query = {"channel=a&x=1&channel=b", 23};
	char out[16];
	size_t at = 0;

	(void)state;
	assert_int_equal(query_text(query, "channel", &at, out, sizeof(out)), 1);
	assert_string_equal(out, "a");
	assert_int_equal(query_text(query, "channel", &at, out, sizeof(out)), 1);
	assert_string_equal(out, "b");
	assert_int_equal(query_text(query, "channel", &at, out, sizeof(out)), -ENOENT);
}

static void writes_the_date_of_rfc_9110(void **state)
{
	char out[HTTP_DATE_SIZE];

	(void)state;
	http_date(784111777000, out);
	assert_string_equal(out, "Sun, 06 Nov 1994 08:49:37 GMT");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_first_of_that_name),
		cmocka_unit_test(decodes_once_and_leaves_what_is_no_escape),
		cmocka_unit_test(says_what_has_no_room),
		cmocka_unit_test(goes_on_from_one_to_the_next),
		cmocka_unit_test(writes_the_date_of_rfc_9110),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
