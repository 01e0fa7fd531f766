/* Shutdown plan: what src/app/shutdown_plan.h promises. */

#include "app/shutdown_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define START UINT64_C(5000000000) /* more than 32 bits: nothing is cut on the way */

enum {
	DELAY = 5000,
	SPREAD = 30000,
	TIMEOUT = 10000,
};

static const struct shutdown_times times = {DELAY, SPREAD, TIMEOUT};
static const struct shutdown_times hurried = {0, 0, TIMEOUT};

static void serves_through_the_delay(void **state)
{
	struct shutdown_plan plan = {0};

	(void)state;
	assert_int_equal(shutdown_plan_ask(&plan, &times, START), SHUTDOWN_WAIT);
	/* Nobody there is no reason to close early: load balancers still send clients. */
	assert_int_equal(shutdown_plan_poll(&plan, true, START + DELAY), SHUTDOWN_WAIT);
	assert_int_equal(shutdown_plan_poll(&plan, false, START + DELAY + 1), SHUTDOWN_CLOSE);
	assert_int_equal(shutdown_plan_poll(&plan, false, START + DELAY + 1), SHUTDOWN_WAIT); /* once */
}

static void closes_at_once_without_a_delay(void **state)
{
	struct shutdown_plan plan = {0};

	(void)state;
	assert_int_equal(shutdown_plan_ask(&plan, &hurried, START), SHUTDOWN_CLOSE);
}

static void ends_with_the_last_client(void **state)
{
	struct shutdown_plan plan = {0};

	(void)state;
	shutdown_plan_ask(&plan, &hurried, START);
	assert_int_equal(shutdown_plan_poll(&plan, false, START + 1), SHUTDOWN_WAIT);
	assert_int_equal(shutdown_plan_poll(&plan, true, START + 2), SHUTDOWN_END);
	assert_int_equal(shutdown_plan_poll(&plan, true, START + 3), SHUTDOWN_WAIT); /* said once */
}

static void ends_a_timeout_after_the_last_was_asked_to_go(void **state)
{
	struct shutdown_plan plan = {0};
	uint64_t end = START + DELAY + 1 + SPREAD + TIMEOUT;

	(void)state;
	shutdown_plan_ask(&plan, &times, START);
	assert_int_equal(shutdown_plan_poll(&plan, false, START + DELAY + 1), SHUTDOWN_CLOSE);
	assert_int_equal(shutdown_plan_poll(&plan, false, end - 1), SHUTDOWN_WAIT);
	assert_int_equal(shutdown_plan_poll(&plan, false, end), SHUTDOWN_LATE);
}

static void asked_twice_ends_at_once(void **state)
{
	struct shutdown_plan delayed = {0}, closing = {0};

	(void)state;
	shutdown_plan_ask(&delayed, &times, START);
	assert_int_equal(shutdown_plan_ask(&delayed, &times, START + SHUTDOWN_REPEAT_MS), SHUTDOWN_ABORT);
	shutdown_plan_ask(&closing, &hurried, START);
	assert_int_equal(shutdown_plan_ask(&closing, &hurried, START + SHUTDOWN_REPEAT_MS), SHUTDOWN_ABORT);
}

static void takes_what_is_said_again_at_once_for_one_wish(void **state)
{
	struct shutdown_plan plan = {0};

	(void)state;
	shutdown_plan_ask(&plan, &times, START);
	assert_int_equal(shutdown_plan_ask(&plan, &hurried, START), SHUTDOWN_SAME);
	assert_int_equal(shutdown_plan_ask(&plan, &times, START + 1), SHUTDOWN_SAME);
	assert_int_equal(shutdown_plan_ask(&plan, &times, START + SHUTDOWN_REPEAT_MS - 1), SHUTDOWN_SAME);
	assert_int_equal(shutdown_plan_poll(&plan, false, START + DELAY), SHUTDOWN_WAIT); /* as first asked */
	assert_int_equal(shutdown_plan_poll(&plan, false, START + DELAY + 1), SHUTDOWN_CLOSE);
}

static void does_nothing_unasked(void **state)
{
	struct shutdown_plan plan = {0};

	(void)state;
	assert_int_equal(shutdown_plan_poll(&plan, true, START), SHUTDOWN_WAIT);
	assert_int_equal(plan.phase, SHUTDOWN_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(serves_through_the_delay),
		cmocka_unit_test(closes_at_once_without_a_delay),
		cmocka_unit_test(ends_with_the_last_client),
		cmocka_unit_test(ends_a_timeout_after_the_last_was_asked_to_go),
		cmocka_unit_test(asked_twice_ends_at_once),
		cmocka_unit_test(takes_what_is_said_again_at_once_for_one_wish),
		cmocka_unit_test(does_nothing_unasked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
