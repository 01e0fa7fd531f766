/* Loop lag: what metrics/loop_lag.h promises. */

#include "metrics/loop_lag.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum {
	INTERVAL = 250000,
	START = 5000000,
	WINDOW = LOOP_LAG_WINDOW_MS * 1000,
};

static void a_timer_that_comes_in_time_is_not_late(void **state)
{
	struct loop_lag lag;

	(void)state;
	loop_lag_start(&lag, START, INTERVAL);
	for (uint64_t i = 1; i < 200; i++)
		assert_int_equal(loop_lag_tick(&lag, START + i * INTERVAL, INTERVAL), 0);
}

static void says_the_largest_lateness(void **state)
{
	struct loop_lag lag;

	(void)state;
	loop_lag_start(&lag, START, INTERVAL);
	assert_int_equal(loop_lag_tick(&lag, START + INTERVAL + 3000, INTERVAL), 3000);
	assert_int_equal(loop_lag_tick(&lag, START + 2 * INTERVAL + 1000, INTERVAL), 3000);
	assert_int_equal(loop_lag_tick(&lag, START + 3 * INTERVAL + 4000, INTERVAL), 4000);
}

/* libevent does not make up for calls that were missed. */
static void a_long_stop_counts_once(void **state)
{
	struct loop_lag lag;
	uint64_t back = START + 20 * INTERVAL + 7;

	(void)state;
	loop_lag_start(&lag, START, INTERVAL);
	assert_int_equal(loop_lag_tick(&lag, back, INTERVAL), 19 * INTERVAL + 7);
	loop_lag_tick(&lag, back + 2 * WINDOW, INTERVAL); /* that was another stop */
	back += 2 * WINDOW + INTERVAL;
	for (int i = 0; i < 100; i++, back += INTERVAL)
		loop_lag_tick(&lag, back, INTERVAL);
	assert_int_equal(loop_lag_tick(&lag, back, INTERVAL), 0);
}

/* The timer was set before the loop began. */
static void a_call_that_comes_early_sets_it_right(void **state)
{
	struct loop_lag lag;

	(void)state;
	loop_lag_start(&lag, START, INTERVAL);
	assert_int_equal(loop_lag_tick(&lag, START + INTERVAL - 9000, INTERVAL), 0);
	assert_int_equal(loop_lag_tick(&lag, START + 2 * INTERVAL - 9000 + 500, INTERVAL), 500);
}

static void forgets_after_two_windows_and_not_before_one(void **state)
{
	struct loop_lag lag;
	uint64_t now = START, seen = 0;

	(void)state;
	loop_lag_start(&lag, now, INTERVAL);
	now += INTERVAL;
	loop_lag_tick(&lag, now + 8000, INTERVAL);
	while (loop_lag_tick(&lag, now += INTERVAL, INTERVAL) == 8000)
		seen = now - START;
	assert_in_range(seen, WINDOW, 2 * WINDOW);
	assert_int_equal(loop_lag_tick(&lag, now + INTERVAL, INTERVAL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_timer_that_comes_in_time_is_not_late),
		cmocka_unit_test(says_the_largest_lateness),
		cmocka_unit_test(a_long_stop_counts_once),
		cmocka_unit_test(a_call_that_comes_early_sets_it_right),
		cmocka_unit_test(forgets_after_two_windows_and_not_before_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
