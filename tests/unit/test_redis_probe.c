/* Redis probe: what src/broker/redis/probe.h promises. Time is handed in. */

#include "broker/redis/probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum {
	IDLE = 4000,
	TIMEOUT = 2000,
	START = 1000000,
};

static void start(struct redis_probe *probe)
{
	*probe = (struct redis_probe){.idle_ms = IDLE, .timeout_ms = TIMEOUT};
	redis_probe_start(probe);
}

static void step_is(struct redis_probe *probe, uint64_t now, uint64_t subscriber, uint64_t commander,
	enum redis_probe_step step, uint32_t wait)
{
	uint32_t wait_ms = 0;

	assert_int_equal(
		redis_probe_step(probe, START + now, START + subscriber, START + commander, &wait_ms), step);
	assert_int_equal(wait_ms, wait);
}

static bool echo(struct redis_probe *probe, const char *token, uint64_t now)
{
	return redis_probe_echo(probe, slice_of(token), START + now);
}

static void asks_at_once_and_then_only_after_silence_on_either_link(void **state)
{
	struct redis_probe probe;
	char token[REDIS_PROBE_TOKEN_MAX];

	(void)state;
	start(&probe);
	step_is(&probe, 0, 0, 0, REDIS_PROBE_SEND, TIMEOUT);
	assert_int_equal(redis_probe_token(&probe, token), 1);
	assert_string_equal(token, "1");
	step_is(&probe, 500, 0, 0, REDIS_PROBE_WAIT, 1500);
	assert_true(echo(&probe, "1", 600));
	step_is(&probe, 600, 600, 600, REDIS_PROBE_WAIT, IDLE);
	step_is(&probe, 4600, 4000, 3000, REDIS_PROBE_WAIT, 2400);
	step_is(&probe, 7000, 7000, 3000, REDIS_PROBE_SEND, TIMEOUT);
}

static void is_lost_after_two_silent_tries(void **state)
{
	struct redis_probe probe;

	(void)state;
	start(&probe);
	step_is(&probe, 0, 0, 0, REDIS_PROBE_SEND, TIMEOUT);
	assert_true(echo(&probe, "1", 1));
	step_is(&probe, 4001, 1, 1, REDIS_PROBE_SEND, TIMEOUT);
	step_is(&probe, 6001, 1, 1, REDIS_PROBE_SEND, TIMEOUT);
	step_is(&probe, 8001, 1, 1, REDIS_PROBE_LOST, 0);
}

static void is_lost_when_only_one_link_is_dead(void **state)
{
	struct redis_probe probe;

	(void)state;
	start(&probe);
	step_is(&probe, 0, 0, 0, REDIS_PROBE_SEND, TIMEOUT);
	step_is(&probe, 2000, 1999, 0, REDIS_PROBE_SEND, TIMEOUT);
	step_is(&probe, 4000, 3999, 0, REDIS_PROBE_LOST, 0);
}

static void forgives_an_echo_late_behind_traffic_but_not_for_ever(void **state)
{
	struct redis_probe probe;

	(void)state;
	start(&probe);
	for (unsigned int i = 0; i < 10; i++)
		step_is(&probe, i * 2000u, i * 2000u, i * 2000u, REDIS_PROBE_SEND, TIMEOUT);
	step_is(&probe, 20000, 20000, 20000, REDIS_PROBE_LOST, 0);
}

static void takes_the_echo_of_any_try_and_no_other(void **state)
{
	struct redis_probe probe;

	(void)state;
	start(&probe);
	step_is(&probe, 0, 0, 0, REDIS_PROBE_SEND, TIMEOUT);
	step_is(&probe, 2000, 0, 0, REDIS_PROBE_SEND, TIMEOUT);
	assert_false(echo(&probe, "", 2001));
	assert_false(echo(&probe, "x", 2001));
	assert_false(echo(&probe, "0", 2001));
	assert_false(echo(&probe, "3", 2001));
	assert_false(echo(&probe, "18446744073709551617", 2001)); /* 1, had it wrapped */
	assert_true(echo(&probe, "1", 2001));
	assert_false(echo(&probe, "1", 2002));
	step_is(&probe, 2100, 2001, 2001, REDIS_PROBE_WAIT, 3901);
	redis_probe_start(&probe);
	assert_false(echo(&probe, "2", 2200)); /* of the links before these */
	step_is(&probe, 2200, 2001, 2001, REDIS_PROBE_SEND, TIMEOUT);
	assert_true(echo(&probe, "3", 2201));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asks_at_once_and_then_only_after_silence_on_either_link),
		cmocka_unit_test(is_lost_after_two_silent_tries),
		cmocka_unit_test(is_lost_when_only_one_link_is_dead),
		cmocka_unit_test(forgives_an_echo_late_behind_traffic_but_not_for_ever),
		cmocka_unit_test(takes_the_echo_of_any_try_and_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
