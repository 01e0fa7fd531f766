/* Top: the few largest of many, whatever the order in which they come. */

#include "core/top.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
	ITEMS = 1000,
	KEPT = 7,
};

static int numbers[ITEMS];

static void assert_is(const struct top_pick *pick, uint64_t rank, uint64_t tie)
{
	assert_int_equal(pick->rank, rank);
	assert_int_equal(pick->tie, tie);
	assert_ptr_equal(pick->item, &numbers[tie]);
}

static void keeps_the_largest_in_order(void **state)
{
	struct top top;

	(void)state;
	assert_int_equal(top_init(&top, KEPT), 0);
	for (unsigned int i = 0; i < ITEMS; i++) {
		unsigned int n = i * 387 % ITEMS; /* each once: 387 and 1000 share no factor */

		top_offer(&top, n, n, &numbers[n]);
	}
	top_sort(&top);
	assert_int_equal(top.n, KEPT);
	for (unsigned int i = 0; i < KEPT; i++)
		assert_is(&top.picks[i], ITEMS - 1 - i, ITEMS - 1 - i);
	top_deinit(&top);
}

static void prefers_the_lower_tie_among_equals(void **state)
{
	struct top top;

	(void)state;
	assert_int_equal(top_init(&top, KEPT), 0);
	for (unsigned int i = ITEMS; i-- > 0;)
		top_offer(&top, 5, i, &numbers[i]);
	top_sort(&top);
	for (unsigned int i = 0; i < KEPT; i++)
		assert_is(&top.picks[i], 5, i);
	top_deinit(&top);
}

static void keeps_all_when_there_are_fewer(void **state)
{
	struct top top;

	(void)state;
	assert_int_equal(top_init(&top, KEPT), 0);
	top_sort(&top);
	assert_int_equal(top.n, 0);
	top_offer(&top, 1, 1, &numbers[1]);
	top_offer(&top, 2, 2, &numbers[2]);
	top_sort(&top);
	assert_int_equal(top.n, 2);
	assert_is(&top.picks[0], 2, 2);
	assert_is(&top.picks[1], 1, 1);
	top_deinit(&top);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_largest_in_order),
		cmocka_unit_test(prefers_the_lower_tie_among_equals),
		cmocka_unit_test(keeps_all_when_there_are_fewer),
	};

	return cmocka_run_group_tests_name("top", tests, NULL, NULL);
}
