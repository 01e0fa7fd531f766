/* Memory stage: what app/memory_stage.h promises. How much is in use and what time it is are handed in. */

#include "app/memory_stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static enum memory_stage next(enum memory_stage stage, uint64_t percent)
{
	return memory_stage_next(stage, percent, 100);
}

static void rises_as_far_as_it_must_at_once(void **state)
{
	(void)state;
	assert_int_equal(next(MEMORY_PLENTY, 79), MEMORY_PLENTY);
	assert_int_equal(next(MEMORY_PLENTY, 80), MEMORY_TIGHT);
	assert_int_equal(next(MEMORY_PLENTY, 90), MEMORY_SHORT);
	assert_int_equal(next(MEMORY_PLENTY, 95), MEMORY_OUT);
	assert_int_equal(next(MEMORY_PLENTY, 300), MEMORY_OUT);
	assert_int_equal(memory_stage_next(MEMORY_PLENTY, UINT64_MAX, UINT64_MAX), MEMORY_OUT);
	assert_int_equal(memory_stage_next(MEMORY_PLENTY, UINT64_MAX / 2, UINT64_MAX), MEMORY_PLENTY);
}

static void falls_with_a_distance(void **state)
{
	(void)state;
	assert_int_equal(next(MEMORY_TIGHT, 79), MEMORY_TIGHT);
	assert_int_equal(next(MEMORY_TIGHT, 75), MEMORY_TIGHT);
	assert_int_equal(next(MEMORY_TIGHT, 74), MEMORY_PLENTY);
	assert_int_equal(next(MEMORY_SHORT, 85), MEMORY_SHORT);
	assert_int_equal(next(MEMORY_SHORT, 84), MEMORY_TIGHT);
	assert_int_equal(next(MEMORY_OUT, 90), MEMORY_OUT);
	assert_int_equal(next(MEMORY_OUT, 89), MEMORY_SHORT);
	assert_int_equal(next(MEMORY_OUT, 10), MEMORY_PLENTY);
}

static void does_not_flutter_around_a_threshold(void **state)
{
	struct memory_stages stages = {.bytes_max = 1000};

	(void)state;
	assert_true(memory_stages_look(&stages, 801));
	for (int i = 0; i < 100; i++)
		assert_false(memory_stages_look(&stages, i % 2 ? 760 : 840));
	assert_int_equal(stages.stage, MEMORY_TIGHT);
}

/* Page by page malloc may have enough, and that costs milliseconds: not at each look. */
static void asks_malloc_before_a_stage_rises_and_once_a_second(void **state)
{
	struct memory_stages stages = {.bytes_max = 1000};

	(void)state;
	assert_false(memory_stages_trim(&stages, 799, 5000));
	assert_true(memory_stages_trim(&stages, 800, 5250));
	assert_false(memory_stages_look(&stages, 500)); /* it had enough */
	assert_false(memory_stages_trim(&stages, 800, 5500));
	assert_true(memory_stages_look(&stages, 800));
	assert_false(memory_stages_trim(&stages, 850, 9000)); /* the stage stays */
	assert_true(memory_stages_trim(&stages, 900, 9250));
	assert_true(memory_stages_look(&stages, 900));
	assert_true(memory_stages_trim(&stages, 860, 10250)); /* clients were closed: what they had is free */
}

static void has_clients_closed_down_to_what_is_kept_and_gives_them_time(void **state)
{
	struct memory_stages stages = {.bytes_max = 1000};

	(void)state;
	memory_stages_look(&stages, 899);
	assert_int_equal(memory_stages_shed(&stages, 899, 5000), 0);
	memory_stages_look(&stages, 900);
	assert_int_equal(memory_stages_shed(&stages, 900, 5000), 50);
	assert_int_equal(memory_stages_shed(&stages, 900, 5250), 0);
	assert_int_equal(memory_stages_shed(&stages, 880, 6000), 30);
	memory_stages_look(&stages, 849);
	assert_int_equal(memory_stages_shed(&stages, 849, 8000), 0);
}

static void has_less_time_when_memory_is_out(void **state)
{
	struct memory_stages stages = {.bytes_max = 1000};

	(void)state;
	memory_stages_look(&stages, 960);
	assert_int_equal(memory_stages_shed(&stages, 960, 5000), 110);
	assert_int_equal(memory_stages_shed(&stages, 960, 5250), 0);
	assert_int_equal(memory_stages_shed(&stages, 960, 5500), 110);
}

static void notices_that_a_crowd_has_left(void **state)
{
	struct memory_crowd crowd = {0};

	(void)state;
	assert_false(memory_crowd_left(&crowd, 4000, 0, 20000));
	assert_false(memory_crowd_left(&crowd, 2000, 0, 20250)); /* it is leaving */
	assert_false(memory_crowd_left(&crowd, 10, 0, 20500));
	assert_false(memory_crowd_left(&crowd, 10, 0, 25250)); /* some of it is not free yet */
	assert_true(memory_crowd_left(&crowd, 10, 0, 25500));
	assert_false(memory_crowd_left(&crowd, 10, 0, 25750)); /* once */
	assert_false(memory_crowd_left(&crowd, 4000, 0, 26000));
	assert_false(memory_crowd_left(&crowd, 0, 0, 26250));
	assert_true(memory_crowd_left(&crowd, 0, 0, 31250));
}

static void a_few_that_come_and_go_are_no_crowd(void **state)
{
	struct memory_crowd crowd = {0};

	(void)state;
	for (uint64_t i = 0; i < 100; i++)
		assert_false(memory_crowd_left(&crowd, 5000 - i % 2 * 900, 0, 20000 + 250 * i));
}

static void what_waited_for_slow_clients_is_a_crowd_too(void **state)
{
	struct memory_crowd crowd = {0};

	(void)state;
	assert_false(memory_crowd_left(&crowd, 5, MEMORY_CROWD_BYTES, 20000));
	assert_false(memory_crowd_left(&crowd, 5, 0, 20250));
	assert_true(memory_crowd_left(&crowd, 5, 0, 25250));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rises_as_far_as_it_must_at_once),
		cmocka_unit_test(falls_with_a_distance),
		cmocka_unit_test(does_not_flutter_around_a_threshold),
		cmocka_unit_test(asks_malloc_before_a_stage_rises_and_once_a_second),
		cmocka_unit_test(has_clients_closed_down_to_what_is_kept_and_gives_them_time),
		cmocka_unit_test(has_less_time_when_memory_is_out),
		cmocka_unit_test(notices_that_a_crowd_has_left),
		cmocka_unit_test(a_few_that_come_and_go_are_no_crowd),
		cmocka_unit_test(what_waited_for_slow_clients_is_a_crowd_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
