/* Backoff: what src/broker/backoff.h promises. */

#include "broker/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void doubles_its_ceiling_up_to_the_cap(void **state)
{
	static const uint32_t ceilings[] = {50, 100, 200, 400, 800, 1000, 1000, 1000};
	uint32_t longest[8] = {0};

	(void)state;
	for (uint64_t seed = 0; seed < 2000; seed++) {
		struct backoff backoff;

		backoff_init(&backoff, 50, 1000, seed);
		for (unsigned int i = 0; i < 8; i++) {
			uint32_t wait = backoff_next(&backoff);

			assert_in_range(wait, ceilings[i] / 2, ceilings[i]);
			if (wait > longest[i])
				longest[i] = wait;
		}
	}
	/* Of 2,000 draws the longest comes near its ceiling, or the ceiling is not the one that we think. */
	for (unsigned int i = 0; i < 8; i++)
		assert_in_range(longest[i], ceilings[i] * 9 / 10, ceilings[i]);
}

static void spreads_many_nodes_over_half_of_the_time(void **state)
{
	unsigned int tenths[10] = {0};

	(void)state;
	for (uint64_t seed = 0; seed < 10000; seed++) {
		struct backoff backoff;
		uint32_t wait = 0;

		backoff_init(&backoff, 50, 1000, seed);
		for (unsigned int i = 0; i < 10; i++)
			wait = backoff_next(&backoff);
		tenths[wait == 1000 ? 9 : (wait - 500) / 50]++;
	}
	for (unsigned int i = 0; i < 10; i++)
		assert_in_range(tenths[i], 800, 1300);
}

/* The first attempt follows the first wait, and fails at once like all that follow. */
static void lets_five_attempts_into_any_second(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 2000; seed++) {
		struct backoff backoff;
		uint32_t at[50];

		backoff_init(&backoff, 50, 1000, seed);
		at[0] = backoff_next(&backoff);
		for (unsigned int i = 1; i < 50; i++)
			at[i] = at[i - 1] + backoff_next(&backoff);
		for (unsigned int i = 5; i < 50; i++)
			assert_true(at[i] - at[i - 5] >= 1000);
	}
}

static void never_becomes_a_busy_loop_nor_stops(void **state)
{
	struct backoff backoff;
	uint64_t sum = 0;

	(void)state;
	backoff_init(&backoff, 50, 1000, 7);
	for (unsigned int i = 0; i < 100000; i++) {
		uint32_t wait = backoff_next(&backoff);

		assert_in_range(wait, 25, 1000);
		sum += wait;
	}
	assert_in_range(sum / 100000, 700, 800);
}

static void starts_over_when_it_worked(void **state)
{
	struct backoff backoff;

	(void)state;
	backoff_init(&backoff, 50, 1000, 7);
	for (unsigned int i = 0; i < 20; i++)
		backoff_next(&backoff);
	backoff_reset(&backoff);
	assert_in_range(backoff_next(&backoff), 25, 50);
}

static void waits_long_for_what_people_must_mend(void **state)
{
	struct backoff backoff;

	(void)state;
	backoff_init(&backoff, 50, 1000, 7);
	for (unsigned int i = 0; i < 1000; i++)
		assert_in_range(backoff_slow(&backoff, 5000), 2500, 5000);
}

static void takes_tiny_settings(void **state)
{
	struct backoff backoff;

	(void)state;
	backoff_init(&backoff, 1, 1, 0);
	for (unsigned int i = 0; i < 100; i++)
		assert_int_equal(backoff_next(&backoff), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(doubles_its_ceiling_up_to_the_cap),
		cmocka_unit_test(spreads_many_nodes_over_half_of_the_time),
		cmocka_unit_test(lets_five_attempts_into_any_second),
		cmocka_unit_test(never_becomes_a_busy_loop_nor_stops),
		cmocka_unit_test(starts_over_when_it_worked),
		cmocka_unit_test(waits_long_for_what_people_must_mend),
		cmocka_unit_test(takes_tiny_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
