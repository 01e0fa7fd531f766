/* Window: what bench/window.h promises. */

#include "bench/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void holds_as_many_as_it_is_wide(void **state)
{
	struct window w;

	(void)state;
	assert_int_equal(window_init(&w, 3), 0);
	for (uint64_t i = 0; i < 3; i++) {
		assert_false(window_is_full(&w));
		assert_int_equal(window_open(&w, 1), i);
	}
	assert_true(window_is_full(&w));
	assert_false(window_advance(&w));
	window_deinit(&w);
}

static void moves_when_all_have_the_oldest(void **state)
{
	struct window_share *shares;
	struct window w;

	(void)state;
	assert_int_equal(window_init(&w, 2), 0);
	shares = window_shares_new(&w);
	window_open(&w, 1);
	window_open(&w, 1);
	assert_false(window_arrived(&w, shares, 1, 2));
	assert_true(window_arrived(&w, shares, 1, 2));
	assert_false(window_advance(&w)); /* 1 is complete, but 0 is older */
	assert_false(window_arrived(&w, shares, 0, 2));
	assert_false(window_advance(&w));
	assert_true(window_arrived(&w, shares, 0, 2));
	assert_true(window_advance(&w));
	assert_int_equal(w.oldest, 2);
	free(shares);
	window_deinit(&w);
}

static void waits_for_every_crowd(void **state)
{
	struct window_share *first, *second;
	struct window w;

	(void)state;
	assert_int_equal(window_init(&w, 1), 0);
	first = window_shares_new(&w);
	second = window_shares_new(&w);
	for (uint64_t i = 0; i < 5; i++) {
		window_open(&w, 2);
		assert_true(window_arrived(&w, first, i, 1));
		assert_false(window_advance(&w));
		assert_true(window_arrived(&w, second, i, 1));
		assert_true(window_advance(&w));
	}
	free(first);
	free(second);
	window_deinit(&w);
}

/* One of three leaves when two have the number: its share is the one that it had when the number came. */
static void does_not_wait_for_who_left(void **state)
{
	struct window_share *shares;
	struct window w;

	(void)state;
	assert_int_equal(window_init(&w, 2), 0);
	shares = window_shares_new(&w);
	window_open(&w, 1);
	assert_false(window_arrived(&w, shares, 0, 3));
	assert_false(window_arrived(&w, shares, 0, 3)); /* for the one that leaves */
	assert_false(window_advance(&w));
	assert_true(window_arrived(&w, shares, 0, 2));
	assert_true(window_advance(&w));
	window_open(&w, 1);
	assert_false(window_arrived(&w, shares, 1, 2));
	assert_true(window_arrived(&w, shares, 1, 2));
	free(shares);
	window_deinit(&w);
}

static void heals_after_a_number_was_given_up(void **state)
{
	struct window_share *shares;
	struct window w;

	(void)state;
	assert_int_equal(window_init(&w, 2), 0);
	shares = window_shares_new(&w);
	window_open(&w, 1);
	window_open(&w, 1);
	assert_false(window_arrived(&w, shares, 0, 2)); /* the other one never comes */
	assert_int_equal(window_skip(&w), 2);
	assert_false(window_is_full(&w));
	assert_int_equal(window_open(&w, 1), 2); /* in the place of 0 */
	assert_false(window_arrived(&w, shares, 2, 2));
	assert_false(window_arrived(&w, shares, 0, 2)); /* and here it is: too late to count for 2 */
	assert_false(window_advance(&w));
	assert_true(window_arrived(&w, shares, 2, 2));
	assert_true(window_advance(&w));
	free(shares);
	window_deinit(&w);
}

static void passes_what_nobody_listens_to(void **state)
{
	struct window w;

	(void)state;
	assert_int_equal(window_init(&w, 1), 0);
	window_open(&w, 0);
	assert_true(window_advance(&w));
	assert_false(window_is_full(&w));
	window_deinit(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_as_many_as_it_is_wide),
		cmocka_unit_test(moves_when_all_have_the_oldest),
		cmocka_unit_test(waits_for_every_crowd),
		cmocka_unit_test(does_not_wait_for_who_left),
		cmocka_unit_test(heals_after_a_number_was_given_up),
		cmocka_unit_test(passes_what_nobody_listens_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
