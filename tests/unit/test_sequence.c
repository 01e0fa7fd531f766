/* Sequence: what bench/sequence.h promises. */

#include "bench/sequence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

static void is_silent_while_all_is_well(void **state)
{
	struct sequence s;

	(void)state;
	sequence_init(&s, 3);
	for (uint64_t n = 3; n < 1000; n += 7)
		assert_int_equal(sequence_take(&s, n, 7), SEQUENCE_NEXT);
	assert_null(s.holes);
	assert_int_equal(sequence_missing(&s, 1000, 7), 0);
	sequence_deinit(&s);
}

static void counts_what_never_came_at_the_end(void **state)
{
	struct sequence s;

	(void)state;
	sequence_init(&s, 3);
	assert_int_equal(sequence_missing(&s, 3, 7), 0);
	assert_int_equal(sequence_missing(&s, 4, 7), 1);  /* 3 */
	assert_int_equal(sequence_missing(&s, 10, 7), 1); /* 3 */
	assert_int_equal(sequence_missing(&s, 11, 7), 2); /* 3 and 10 */
	sequence_deinit(&s);
}

static void tells_late_from_twice_from_never(void **state)
{
	struct sequence s;

	(void)state;
	sequence_init(&s, 0);
	assert_int_equal(sequence_take(&s, 0, 1), SEQUENCE_NEXT);
	assert_int_equal(sequence_take(&s, 5, 1), SEQUENCE_AHEAD); /* 1 to 4 are missing */
	assert_int_equal(sequence_missing(&s, 6, 1), 4);
	assert_int_equal(sequence_take(&s, 3, 1), SEQUENCE_LATE); /* from the middle: two holes */
	assert_int_equal(sequence_take(&s, 3, 1), SEQUENCE_DOUBLE);
	assert_int_equal(sequence_take(&s, 5, 1), SEQUENCE_DOUBLE);
	assert_int_equal(sequence_take(&s, 0, 1), SEQUENCE_DOUBLE);
	assert_int_equal(sequence_take(&s, 1, 1), SEQUENCE_LATE); /* from the front */
	assert_int_equal(sequence_take(&s, 4, 1), SEQUENCE_LATE); /* a hole of one */
	assert_int_equal(sequence_missing(&s, 6, 1), 1);          /* 2 */
	assert_int_equal(sequence_take(&s, 6, 1), SEQUENCE_NEXT);
	assert_int_equal(sequence_missing(&s, 7, 1), 1);
	sequence_deinit(&s);
}

static void refuses_the_numbers_of_other_channels(void **state)
{
	struct sequence s;

	(void)state;
	sequence_init(&s, 3);
	assert_int_equal(sequence_take(&s, 4, 7), SEQUENCE_FOREIGN);
	assert_int_equal(sequence_take(&s, 2, 7), SEQUENCE_FOREIGN);
	assert_int_equal(sequence_take(&s, 3, 7), SEQUENCE_NEXT);
	assert_int_equal(sequence_missing(&s, 4, 7), 0);
	sequence_deinit(&s);
}

/* Against the plainest way to keep account, in an order that a seed decides. */
static void agrees_with_a_list_of_all_numbers(void **state)
{
	enum {
		N = 200,
		STRIDE = 3,
		FIRST = 2
	};
	uint64_t random = 1;

	(void)state;
	for (int round = 0; round < 300; round++) {
		bool had[N] = {false};
		uint64_t highest = 0, missing = 0;
		struct sequence s;

		sequence_init(&s, FIRST);
		for (int i = 0; i < N; i++) {
			uint64_t k, due = highest;
			int expected;

			random = random * 6364136223846793005u + 1442695040888963407u;
			k = (random >> 33) % 4 ? due : (random >> 40) % N;
			k = k < N ? k : N - 1;
			expected = had[k]     ? SEQUENCE_DOUBLE
				   : k == due ? SEQUENCE_NEXT
				   : k > due  ? SEQUENCE_AHEAD
					      : SEQUENCE_LATE;
			assert_int_equal(sequence_take(&s, FIRST + k * STRIDE, STRIDE), expected);
			had[k] = true;
			highest = k >= highest ? k + 1 : highest;
		}
		for (int i = 0; i < N; i++)
			missing += !had[i];
		assert_int_equal(sequence_missing(&s, FIRST + N * STRIDE, STRIDE), missing);
		sequence_deinit(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_silent_while_all_is_well),
		cmocka_unit_test(counts_what_never_came_at_the_end),
		cmocka_unit_test(tells_late_from_twice_from_never),
		cmocka_unit_test(refuses_the_numbers_of_other_channels),
		cmocka_unit_test(agrees_with_a_list_of_all_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
