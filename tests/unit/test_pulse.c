/* Pulse: rates and delivery times from beat to beat, with counts and time handed in. */

#include "app/pulse.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_near(double value, double wanted)
{
	if (fabs(value - wanted) > 1e-9)
		fail_msg("%.12f is not %.12f", value, wanted);
}

static void knows_nothing_after_the_first_beat(void **state)
{
	struct pulse_counts counts = {.events = 1000, .messages = 5000, .bytes = 9};
	struct pulse pulse = {0};

	(void)state;
	pulse_beat(&pulse, &counts, 70000);
	assert_near(pulse.events, 0);
	assert_near(pulse.messages, 0);
	assert_true(pulse.p50_seconds < 0 && pulse.p99_seconds < 0);
}

static void tells_what_grew_per_second(void **state)
{
	struct pulse_counts counts = {.events = 1000, .messages = 5000, .bytes = 100};
	struct pulse pulse = {0};

	(void)state;
	pulse_beat(&pulse, &counts, 70000);
	counts.events += 10;
	counts.messages += 200;
	counts.bytes += 5000;
	pulse_beat(&pulse, &counts, 72500);
	assert_near(pulse.events, 4);
	assert_near(pulse.messages, 80);
	assert_near(pulse.bytes, 2000);
	pulse_beat(&pulse, &counts, 77500);
	assert_near(pulse.events, 0);
}

static void tells_delivery_times_of_the_last_beat_alone(void **state)
{
	struct pulse_counts counts = {.deliveries = {[0] = 1000000}}; /* before: all fast */
	struct pulse pulse = {0};

	(void)state;
	pulse_beat(&pulse, &counts, 1000);
	counts.deliveries[3] += 100; /* between 0.5 and 1 ms */
	pulse_beat(&pulse, &counts, 6000);
	assert_near(pulse.p50_seconds, 0.00075);
	assert_near(pulse.p99_seconds, 0.000995);
	pulse_beat(&pulse, &counts, 11000);
	assert_true(pulse.p50_seconds < 0);
}

static void interpolates_across_buckets_and_stops_at_the_last_bound(void **state)
{
	uint64_t buckets[METRICS_N_BUCKETS + 1] = {0};

	(void)state;
	assert_true(pulse_quantile(buckets, 0.5) < 0);
	buckets[0] = 90;
	buckets[1] = 10;
	assert_near(pulse_quantile(buckets, 0.9), 0.0001);
	assert_near(pulse_quantile(buckets, 0.95), 0.000175);
	memset(buckets, 0, sizeof(buckets));
	buckets[METRICS_N_BUCKETS] = 1;
	assert_near(pulse_quantile(buckets, 0.5), (double)metrics_bucket_us(METRICS_N_BUCKETS - 1) / 1e6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_nothing_after_the_first_beat),
		cmocka_unit_test(tells_what_grew_per_second),
		cmocka_unit_test(tells_delivery_times_of_the_last_beat_alone),
		cmocka_unit_test(interpolates_across_buckets_and_stops_at_the_last_bound),
	};

	return cmocka_run_group_tests_name("pulse", tests, NULL, NULL);
}
