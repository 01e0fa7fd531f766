/* Histogram: what bench/histogram.h promises. */

#include "bench/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Too large for a stack that a sanitizer has widened. */
static int make(void **state)
{
	*state = test_calloc(2, sizeof(struct histogram));
	return *state ? 0 : -1;
}

static int drop(void **state)
{
	test_free(*state);
	return 0;
}

static void is_zero_when_empty(void **state)
{
	assert_int_equal(histogram_quantile(*state, 0.5), 0);
	assert_int_equal(histogram_quantile(*state, 1), 0);
}

static void tells_small_values_exactly(void **state)
{
	struct histogram *h = *state;

	for (uint64_t v = 0; v < 256; v++)
		histogram_record(h, v);
	for (uint64_t v = 1; v <= 256; v++)
		assert_int_equal(histogram_quantile(h, (double)v / 256), v - 1);
}

/* Every value counts in a bucket of its own neighbourhood, and buckets follow each other without holes. */
static void stays_within_one_percent(void **state)
{
	struct histogram *h = *state;

	for (unsigned int bit = 8; bit < HISTOGRAM_BITS; bit++) {
		for (uint64_t part = 0; part < 1024; part++) {
			uint64_t value = (UINT64_C(1) << bit) + (part << bit >> 10);
			uint64_t told;

			memset(h, 0, sizeof(*h));
			histogram_record(h, value);
			histogram_record(
				h, (UINT64_C(1) << HISTOGRAM_BITS) - 1); /* so that max does not help */
			told = histogram_quantile(h, 0.5);
			assert_true(told >= value);
			assert_true(told - value <= value / 128);
		}
	}
}

static void numbers_buckets_in_the_order_of_values(void **state)
{
	unsigned int last = histogram_bucket(0);

	(void)state;
	assert_int_equal(last, 0);
	for (uint64_t value = 1; value < 1 << 16; value++) {
		unsigned int bucket = histogram_bucket(value);

		assert_true(bucket == last || bucket == last + 1);
		last = bucket;
	}
	assert_int_equal(histogram_bucket((UINT64_C(1) << HISTOGRAM_BITS) - 1), HISTOGRAM_BUCKETS - 1);
}

static void counts_what_is_past_its_range_in_the_last_bucket(void **state)
{
	struct histogram *h = *state;

	histogram_record(h, 1);
	histogram_record(h, UINT64_MAX);
	assert_int_equal(h->n, 2);
	assert_int_equal(histogram_quantile(h, 0.5), 1);
	assert_true(histogram_quantile(h, 1) == UINT64_MAX);
}

static void never_tells_more_than_the_largest_value(void **state)
{
	struct histogram *h = *state;

	histogram_record(h, 1000003);
	assert_int_equal(histogram_quantile(h, 0.5), 1000003);
	assert_int_equal(histogram_quantile(h, 1), 1000003);
	assert_int_equal(h->max, 1000003);
}

static void finds_the_share_that_was_asked_for(void **state)
{
	struct histogram *h = *state;

	for (int i = 0; i < 990; i++)
		histogram_record(h, 10);
	for (int i = 0; i < 9; i++)
		histogram_record(h, 100);
	histogram_record(h, 200);
	assert_int_equal(histogram_quantile(h, 0), 10);
	assert_int_equal(histogram_quantile(h, 0.99), 10);
	assert_int_equal(histogram_quantile(h, 0.991), 100);
	assert_int_equal(histogram_quantile(h, 0.999), 100);
	assert_int_equal(histogram_quantile(h, 0.9991), 200);
}

static void merges_as_if_one_had_seen_all(void **state)
{
	struct histogram *into = *state, *from = into + 1;

	histogram_record(into, 5);
	histogram_record(from, 7);
	histogram_record(from, 9000);
	histogram_merge(into, from);
	assert_int_equal(into->n, 3);
	assert_int_equal(into->max, 9000);
	assert_int_equal(histogram_quantile(into, 0.3), 5);
	assert_int_equal(histogram_quantile(into, 0.6), 7);
	assert_int_equal(histogram_quantile(into, 1), 9000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(is_zero_when_empty, make, drop),
		cmocka_unit_test_setup_teardown(tells_small_values_exactly, make, drop),
		cmocka_unit_test_setup_teardown(stays_within_one_percent, make, drop),
		cmocka_unit_test(numbers_buckets_in_the_order_of_values),
		cmocka_unit_test_setup_teardown(counts_what_is_past_its_range_in_the_last_bucket, make, drop),
		cmocka_unit_test_setup_teardown(never_tells_more_than_the_largest_value, make, drop),
		cmocka_unit_test_setup_teardown(finds_the_share_that_was_asked_for, make, drop),
		cmocka_unit_test_setup_teardown(merges_as_if_one_had_seen_all, make, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
