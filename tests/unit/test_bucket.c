/* Bucket: what core/bucket.h promises. */

#include "core/bucket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct bucket_rate fifty = {20000, 200 * 20000};

static unsigned int taken(struct bucket *bucket, const struct bucket_rate *rate, uint64_t now_ms)
{
	unsigned int n = 0;

	while (n < 100000 && bucket_take(bucket, rate, now_ms))
		n++;
	return n;
}

static void gives_its_burst_at_once_and_then_its_rate(void **state)
{
	const struct bucket_rate rate = bucket_rate(50, 1000, 200);
	struct bucket bucket = {0};

	(void)state;
	assert_memory_equal(&rate, &fifty, sizeof(rate));
	assert_int_equal(taken(&bucket, &rate, 5000), 200);
	assert_int_equal(taken(&bucket, &rate, 5019), 0);
	assert_int_equal(taken(&bucket, &rate, 5020), 1); /* the millisecond before was not lost */
	assert_int_equal(taken(&bucket, &rate, 6020), 50);
	assert_int_equal(taken(&bucket, &rate, 100000), 200);
}

static void is_full_when_nobody_took_anything(void **state)
{
	struct bucket bucket = {0};

	(void)state;
	assert_true(bucket_is_full(&bucket, 0));
	assert_true(bucket_take(&bucket, &fifty, UINT64_C(1) << 40));
	assert_false(bucket_is_full(&bucket, (UINT64_C(1) << 40) + 19));
	assert_true(bucket_is_full(&bucket, (UINT64_C(1) << 40) + 20));
}

static void counts_on_when_the_clock_wraps(void **state)
{
	struct bucket bucket = {0};
	uint64_t before = (UINT64_C(3) << 32) - 10;

	(void)state;
	assert_int_equal(taken(&bucket, &fifty, before), 200);
	assert_int_equal(taken(&bucket, &fifty, before + 20), 1);
	assert_int_equal(taken(&bucket, &fifty, before + 1020), 50);
}

static void gives_nothing_for_a_time_that_is_older(void **state)
{
	struct bucket bucket = {0};

	(void)state;
	assert_int_equal(taken(&bucket, &fifty, 5001), 200);
	assert_int_equal(taken(&bucket, &fifty, 5000), 0);
	assert_false(bucket_is_full(&bucket, 4990));
	assert_int_equal(taken(&bucket, &fifty, 5021), 1);
}

static void does_not_bound_where_there_is_no_rate(void **state)
{
	const struct bucket_rate none = bucket_rate(0, 1000, 5);
	struct bucket bucket = {1, UINT32_MAX}; /* spent at another rate, before a reload */

	(void)state;
	assert_int_equal(taken(&bucket, &none, 1), 100000);
	assert_int_equal(taken(&bucket, &fifty, 1), 0);
}

static void takes_a_deeper_or_shallower_rate_in_between(void **state)
{
	const struct bucket_rate shallow = bucket_rate(50, 1000, 10);
	struct bucket bucket = {0};

	(void)state;
	assert_int_equal(taken(&bucket, &fifty, 1000), 200);
	assert_int_equal(taken(&bucket, &shallow, 1000), 0);
	assert_int_equal(taken(&bucket, &shallow, 5000), 10);
	assert_int_equal(taken(&bucket, &fifty, 5000), 190);
}

static void lets_one_through_whatever_the_numbers(void **state)
{
	static const struct {
		unsigned int n, period_ms, burst, expected;
	} rows[] = {
		{1, 1000, 0, 1},
		{20, 60000, 20, 20},
		{1, 60000, 1, 1},
		{1, 1000, 4000, 4000},
		{1, 1000, UINT32_MAX, 4294}, /* 71 minutes */
		{1, UINT32_MAX, 3, 1},
		{UINT32_MAX, 1, 7, 7},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct bucket_rate rate = bucket_rate(rows[i].n, rows[i].period_ms, rows[i].burst);
		struct bucket bucket = {0};

		assert_int_equal(taken(&bucket, &rate, 12345), rows[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_its_burst_at_once_and_then_its_rate),
		cmocka_unit_test(is_full_when_nobody_took_anything),
		cmocka_unit_test(counts_on_when_the_clock_wraps),
		cmocka_unit_test(gives_nothing_for_a_time_that_is_older),
		cmocka_unit_test(does_not_bound_where_there_is_no_rate),
		cmocka_unit_test(takes_a_deeper_or_shallower_rate_in_between),
		cmocka_unit_test(lets_one_through_whatever_the_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
