/* The promises of auth/key_refresh. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/key_refresh.h"

enum {
	NOW_MS = 5000000,
};

static struct key_refresh fetched(bool good)
{
	struct key_refresh refresh = {0};

	key_refresh_begin(&refresh, NOW_MS);
	key_refresh_end(&refresh, good, NOW_MS);
	return refresh;
}

static void fetches_at_the_start_and_every_ten_minutes(void **state)
{
	struct key_refresh refresh = {0};

	(void)state;
	assert_true(key_refresh_is_due(&refresh, NOW_MS));
	refresh = fetched(true);
	assert_false(key_refresh_is_due(&refresh, NOW_MS + 600000 - 1));
	assert_int_equal(key_refresh_wait_ms(&refresh, NOW_MS + 600000 - 1), 1);
	assert_true(key_refresh_is_due(&refresh, NOW_MS + 600000));
}

static void there_is_one_fetch_at_a_time(void **state)
{
	struct key_refresh refresh = {0};

	(void)state;
	key_refresh_begin(&refresh, NOW_MS);
	key_refresh_want(&refresh);
	assert_false(key_refresh_is_due(&refresh, NOW_MS + 3600000));
}

static void an_unknown_key_is_fetched_at_once_but_never_twice_in_half_a_minute(void **state)
{
	struct key_refresh refresh = fetched(true);

	(void)state;
	key_refresh_want(&refresh);
	assert_false(key_refresh_is_due(&refresh, NOW_MS + 30000 - 1));
	assert_true(key_refresh_is_due(&refresh, NOW_MS + 30000));
	key_refresh_begin(&refresh, NOW_MS + 30000);
	key_refresh_end(&refresh, true, NOW_MS + 30000);
	assert_false(key_refresh_is_due(&refresh, NOW_MS + 60000));
}

static void a_key_that_was_wanted_during_a_fetch_is_fetched_again(void **state)
{
	struct key_refresh refresh = {0};

	(void)state;
	key_refresh_begin(&refresh, NOW_MS);
	key_refresh_want(&refresh);
	key_refresh_end(&refresh, true, NOW_MS + 10);
	assert_true(key_refresh_is_due(&refresh, NOW_MS + 30000));
}

static void without_keys_it_tries_again_soon_and_then_less_often(void **state)
{
	struct key_refresh refresh = fetched(false);
	uint64_t now_ms = NOW_MS;

	(void)state;
	for (uint64_t wait = 1000; wait < 64000; wait *= 2) {
		assert_int_equal(key_refresh_wait_ms(&refresh, now_ms), wait);
		now_ms += wait;
		key_refresh_begin(&refresh, now_ms);
		key_refresh_end(&refresh, false, now_ms);
	}
	assert_int_equal(key_refresh_wait_ms(&refresh, now_ms), 60000);
}

static void with_keys_a_failure_is_tried_again_in_half_a_minute(void **state)
{
	struct key_refresh refresh = fetched(true);

	(void)state;
	key_refresh_begin(&refresh, NOW_MS + 600000);
	key_refresh_end(&refresh, false, NOW_MS + 605000);
	assert_int_equal(key_refresh_wait_ms(&refresh, NOW_MS + 605000), 25000);
	assert_int_equal(refresh.fetched_ms, NOW_MS);
}

static void who_may_ask_for_it_gets_a_fetch_at_once(void **state)
{
	struct key_refresh refresh = fetched(true);

	(void)state;
	key_refresh_hurry(&refresh);
	assert_true(key_refresh_is_due(&refresh, NOW_MS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fetches_at_the_start_and_every_ten_minutes),
		cmocka_unit_test(there_is_one_fetch_at_a_time),
		cmocka_unit_test(an_unknown_key_is_fetched_at_once_but_never_twice_in_half_a_minute),
		cmocka_unit_test(a_key_that_was_wanted_during_a_fetch_is_fetched_again),
		cmocka_unit_test(without_keys_it_tries_again_soon_and_then_less_often),
		cmocka_unit_test(who_may_ask_for_it_gets_a_fetch_at_once),
		cmocka_unit_test(with_keys_a_failure_is_tried_again_in_half_a_minute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
