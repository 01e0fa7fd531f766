/* Drain: what client/drain.h promises. Whom it sends away is in test_clients.c. */

#include "client/drain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define START UINT64_C(5000000000) /* more than 32 bits: nothing is cut on the way */

enum {
	CLIENTS = 1000,
	TIME = 30000,
	STEP = 50,
	SECOND = 1000,
};

/* All go as they are told: how many went in the busiest second, and that none is left. */
static size_t busiest_second(size_t n, uint64_t time_ms)
{
	size_t left = n, gone = 0, most = 0;
	struct drain drain;

	drain_begin(&drain, n, time_ms, 1, START);
	for (uint64_t ms = 0; ms <= time_ms; ms += STEP) {
		size_t due = drain_n_due(&drain, left, START + ms);

		assert_true(due <= left);
		left -= due;
		gone += due;
		if (ms % SECOND == 0) {
			most = gone > most ? gone : most;
			gone = 0;
		}
	}
	assert_int_equal(left, 0);
	return most;
}

static void spreads_evenly(void **state)
{
	size_t fair = CLIENTS * SECOND / TIME;

	(void)state;
	assert_in_range(busiest_second(CLIENTS, TIME), fair, fair + 2);
	assert_int_equal(busiest_second(3, TIME), 1);
}

static void the_last_goes_at_the_end_and_not_before(void **state)
{
	struct drain drain;

	(void)state;
	drain_begin(&drain, CLIENTS, TIME, 1, START);
	assert_int_equal(drain_n_due(&drain, 1, START + TIME - 1), 0);
	assert_int_equal(drain_n_due(&drain, 1, START + TIME), 1);
	assert_int_equal(
		drain_n_due(&drain, 7, START + 100 * (uint64_t)TIME), 7); /* a clock that went late */
}

static void none_goes_at_the_begin(void **state)
{
	struct drain drain;

	(void)state;
	drain_begin(&drain, CLIENTS, TIME, 1, START);
	assert_int_equal(drain_n_due(&drain, CLIENTS, START), 0);
}

static void who_leaves_by_itself_counts(void **state)
{
	struct drain drain;

	(void)state;
	drain_begin(&drain, CLIENTS, TIME, 1, START);
	assert_int_equal(drain_n_due(&drain, CLIENTS / 2, START + TIME / 2), 0);
	assert_int_equal(drain_n_due(&drain, CLIENTS / 2 + 1, START + TIME / 2), 1);
}

/* Their handshakes were under way when it began. */
static void who_comes_late_goes_too(void **state)
{
	struct drain drain;

	(void)state;
	drain_begin(&drain, 0, TIME, 1, START);
	assert_int_equal(drain_n_due(&drain, 3, START), 3);
}

static void without_a_time_all_go_at_once(void **state)
{
	struct drain drain;

	(void)state;
	drain_begin(&drain, CLIENTS, 0, 1, START);
	assert_int_equal(drain_n_due(&drain, CLIENTS, START), CLIENTS);
	assert_int_equal(drain_after_ms(&drain), 0);
}

static void nobody_goes_before_it_has_begun(void **state)
{
	struct drain drain = {0};

	(void)state;
	assert_int_equal(drain_n_due(&drain, CLIENTS, START), 0);
}

/* In each tenth of what is allowed there are about as many as in the others. */
static void tells_each_another_wait_within_a_quarter(void **state)
{
	unsigned int tenths[10] = {0};
	struct drain drain;

	(void)state;
	drain_begin(&drain, CLIENTS, TIME, 7, START);
	for (int i = 0; i < CLIENTS; i++) {
		uint64_t after_ms = drain_after_ms(&drain);

		assert_true(after_ms <= TIME / 4);
		tenths[after_ms * 10 / (TIME / 4 + 1)]++;
	}
	for (int i = 0; i < 10; i++)
		assert_in_range(tenths[i], CLIENTS / 20, CLIENTS / 5);
}

static void two_workers_tell_other_waits(void **state)
{
	struct drain one, other;
	int same = 0;

	(void)state;
	drain_begin(&one, CLIENTS, TIME, 1, START);
	drain_begin(&other, CLIENTS, TIME, 2, START);
	for (int i = 0; i < 100; i++)
		same += drain_after_ms(&one) == drain_after_ms(&other);
	assert_true(same < 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spreads_evenly),
		cmocka_unit_test(the_last_goes_at_the_end_and_not_before),
		cmocka_unit_test(none_goes_at_the_begin),
		cmocka_unit_test(who_leaves_by_itself_counts),
		cmocka_unit_test(who_comes_late_goes_too),
		cmocka_unit_test(without_a_time_all_go_at_once),
		cmocka_unit_test(nobody_goes_before_it_has_begun),
		cmocka_unit_test(tells_each_another_wait_within_a_quarter),
		cmocka_unit_test(two_workers_tell_other_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
