/* Slice: bytes are compared, NUL among them; absent is no more than empty. */

#include "core/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct slice absent;

static void equal_slices_have_the_same_bytes(void **state)
{
	(void)state;
	assert_true(slice_equal(slice_of("cards"), (struct slice){"cards:1", 5}));
	assert_false(slice_equal(slice_of("cards"), slice_of("card")));
	assert_false(slice_equal((struct slice){"a\0b", 3}, (struct slice){"a\0c", 3}));
	assert_true(slice_equal(absent, slice_of("")));
	assert_true(slice_equal(absent, absent));
}

static void a_slice_is_a_text_or_starts_with_it(void **state)
{
	(void)state;
	assert_true(slice_is((struct slice){"true!", 4}, "true"));
	assert_false(slice_is((struct slice){"true\0", 5}, "true"));
	assert_true(slice_is(absent, ""));
	assert_true(slice_starts(slice_of("NOPERM this user"), "NOPERM"));
	assert_false(slice_starts((struct slice){"NOPERM", 5}, "NOPERM"));
	assert_true(slice_starts(absent, ""));
	assert_false(slice_starts(absent, "a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_slices_have_the_same_bytes),
		cmocka_unit_test(a_slice_is_a_text_or_starts_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
