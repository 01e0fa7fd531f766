/* The promises of auth/unknown_keys. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/key_refresh.h"
#include "auth/unknown_keys.h"
#include "core/map.h"

enum {
	NOW_MS = 1000000,
};

static const struct slice key = {"key-2", 5}, other = {"key-3", 5};

static void fetch(struct unknown_keys *keys, uint64_t now_ms)
{
	unknown_keys_begin(keys);
	unknown_keys_fetched(keys, now_ms);
}

static void waits_for_the_next_fetch_and_is_refused_after_it(void **state)
{
	struct unknown_keys keys = {0};

	(void)state;
	assert_true(unknown_keys_ask(&keys, key, NOW_MS));
	assert_true(unknown_keys_ask(&keys, key, NOW_MS));
	fetch(&keys, NOW_MS);
	assert_false(unknown_keys_ask(&keys, key, NOW_MS));
	assert_false(unknown_keys_ask(&keys, key, NOW_MS + KEY_REFRESH_APART_MS - 1));
}

static void a_key_that_was_not_asked_for_before_the_fetch_is_not_refused(void **state)
{
	struct unknown_keys keys = {0};

	(void)state;
	unknown_keys_ask(&keys, key, NOW_MS);
	fetch(&keys, NOW_MS);
	assert_true(unknown_keys_ask(&keys, other, NOW_MS + 1));
}

static void a_key_that_came_up_during_the_fetch_waits_for_the_one_after(void **state)
{
	struct unknown_keys keys = {0};

	(void)state;
	unknown_keys_begin(&keys);
	assert_true(unknown_keys_ask(&keys, key, NOW_MS));
	unknown_keys_fetched(&keys, NOW_MS);
	assert_true(unknown_keys_ask(&keys, key, NOW_MS));
	fetch(&keys, NOW_MS + KEY_REFRESH_APART_MS);
	assert_false(unknown_keys_ask(&keys, key, NOW_MS + KEY_REFRESH_APART_MS));
}

static void a_fetch_is_wished_for_once_and_again_if_none_comes_of_it(void **state)
{
	struct unknown_keys keys = {0};

	(void)state;
	assert_true(unknown_keys_wish_is_due(&keys, NOW_MS));
	assert_true(unknown_keys_wish_is_due(&keys, NOW_MS)); /* the wish could not be sent */
	unknown_keys_wished(&keys, NOW_MS);
	assert_false(unknown_keys_wish_is_due(&keys, NOW_MS + UNKNOWN_KEYS_AGAIN_MS - 1));
	assert_true(unknown_keys_wish_is_due(&keys, NOW_MS + UNKNOWN_KEYS_AGAIN_MS));
	unknown_keys_begin(&keys);
	assert_true(unknown_keys_wish_is_due(&keys, NOW_MS));
}

static void a_fetch_that_failed_refuses_nobody(void **state)
{
	struct unknown_keys keys = {0};

	(void)state;
	unknown_keys_ask(&keys, key, NOW_MS);
	unknown_keys_begin(&keys);
	unknown_keys_begin(&keys);
	assert_true(unknown_keys_ask(&keys, key, NOW_MS));
	unknown_keys_fetched(&keys, NOW_MS);
	assert_false(unknown_keys_ask(&keys, key, NOW_MS));
}

static void may_ask_again_when_the_next_fetch_may_come(void **state)
{
	struct unknown_keys keys = {0};

	(void)state;
	unknown_keys_ask(&keys, key, NOW_MS);
	fetch(&keys, NOW_MS);
	assert_true(unknown_keys_ask(&keys, key, NOW_MS + KEY_REFRESH_APART_MS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_for_the_next_fetch_and_is_refused_after_it),
		cmocka_unit_test(a_key_that_was_not_asked_for_before_the_fetch_is_not_refused),
		cmocka_unit_test(a_key_that_came_up_during_the_fetch_waits_for_the_one_after),
		cmocka_unit_test(a_fetch_is_wished_for_once_and_again_if_none_comes_of_it),
		cmocka_unit_test(a_fetch_that_failed_refuses_nobody),
		cmocka_unit_test(may_ask_again_when_the_next_fetch_may_come),
	};

	map_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
