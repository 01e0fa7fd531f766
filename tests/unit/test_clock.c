/* Clock: what core/clock.h promises. */

#include "core/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void assert_formatted(uint64_t wall_ms, const char *expected)
{
	char out[CLOCK_TIMESTAMP_LEN + 1] = {0};

	out[CLOCK_TIMESTAMP_LEN] = '#';
	clock_format(wall_ms, out);
	assert_int_equal(out[CLOCK_TIMESTAMP_LEN], '#');
	assert_memory_equal(out, expected, CLOCK_TIMESTAMP_LEN);
}

static void formats_known_instants(void **state)
{
	(void)state;
	assert_formatted(0, "1970-01-01T00:00:00.000Z");
	assert_formatted(1767225600000, "2026-01-01T00:00:00.000Z");
	assert_formatted(951782399999, "2000-02-28T23:59:59.999Z");
	assert_formatted(951782400000, "2000-02-29T00:00:00.000Z");
	assert_formatted(4107542400000, "2100-03-01T00:00:00.000Z");
}

static void agrees_with_the_c_library_on_every_day(void **state)
{
	char expected[64];
	struct tm tm;

	(void)state;
	for (time_t day = 0; day < 200 * 366; day++) {
		time_t at = day * 86400 + day % 86400;

		gmtime_r(&at, &tm);
		snprintf(expected, sizeof(expected), "%04d-%02d-%02dT%02d:%02d:%02d.007Z", tm.tm_year + 1900,
			tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
		assert_formatted((uint64_t)at * 1000 + 7, expected);
	}
}

static void never_writes_a_fifth_digit_of_a_year(void **state)
{
	(void)state;
	assert_formatted(253402300799999, "9999-12-31T23:59:59.999Z");
	assert_formatted(253402300800000, "9999-12-31T23:59:59.999Z");
	assert_formatted(UINT64_MAX, "9999-12-31T23:59:59.999Z");
}

static void counts_in_the_unit_of_its_name(void **state)
{
	uint64_t ms = clock_monotonic_ms();
	uint64_t us = clock_monotonic_us();

	(void)state;
	assert_true(us / 1000 >= ms);
	assert_true(us / 1000 - ms < 60000);
	assert_true(clock_wall_ms() / 1000 - (uint64_t)time(NULL) + 60 < 120);
}

static void tells_the_time_that_it_is_asked_for_whatever_it_told_last(void **state)
{
	static const uint64_t times[] = {
		0, 0, UINT64_C(1767225600000), UINT64_C(1767225600000), UINT64_C(1767225600001), 0};
	struct clock_text last = {0};
	char expected[CLOCK_TIMESTAMP_LEN];

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
		clock_format(times[i], expected);
		assert_memory_equal(clock_text_at(&last, times[i]), expected, CLOCK_TIMESTAMP_LEN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats_known_instants),
		cmocka_unit_test(agrees_with_the_c_library_on_every_day),
		cmocka_unit_test(never_writes_a_fifth_digit_of_a_year),
		cmocka_unit_test(counts_in_the_unit_of_its_name),
		cmocka_unit_test(tells_the_time_that_it_is_asked_for_whatever_it_told_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
