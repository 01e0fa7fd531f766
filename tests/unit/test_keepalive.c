/* Keepalive: what client/keepalive.h promises. */

#include "client/keepalive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define START UINT64_C(5000000000) /* more than 32 bits: nothing is cut on the way */

enum {
	INTERVAL = 1000,
	TIMEOUT = 300,
};

/* Its heads link to themselves, so it is set up where it stays. */
static struct keepalive *set_up(struct keepalive *keepalive)
{
	keepalive_init(keepalive, INTERVAL, TIMEOUT);
	return keepalive;
}

static void pings_after_one_interval_of_silence(void **state)
{
	struct keepalive_link link = {0};
	struct keepalive memory, *keepalive = set_up(&memory);

	(void)state;
	keepalive_add(keepalive, &link, START);
	assert_null(keepalive_next_ping(keepalive, START));
	assert_null(keepalive_next_ping(keepalive, START + INTERVAL - 1));
	assert_ptr_equal(keepalive_next_ping(keepalive, START + INTERVAL), &link);
	assert_null(keepalive_next_ping(keepalive, START + INTERVAL)); /* once */
	assert_null(keepalive_next_ping(keepalive, START + 100 * INTERVAL));
}

static void counts_the_pong_from_the_ping_that_went_late(void **state)
{
	struct keepalive_link link = {0};
	struct keepalive memory, *keepalive = set_up(&memory);
	const uint64_t pinged = START + INTERVAL + 170;

	(void)state;
	keepalive_add(keepalive, &link, START);
	assert_ptr_equal(keepalive_next_ping(keepalive, pinged), &link);
	assert_null(keepalive_next_dead(keepalive, pinged + TIMEOUT - 1));
	assert_ptr_equal(keepalive_next_dead(keepalive, pinged + TIMEOUT), &link);
	assert_null(keepalive_next_dead(keepalive, pinged + TIMEOUT)); /* taken out */
	assert_null(keepalive_next_ping(keepalive, pinged + 100 * INTERVAL));
}

static void nobody_is_dead_who_was_not_pinged(void **state)
{
	struct keepalive_link link = {0};
	struct keepalive memory, *keepalive = set_up(&memory);

	(void)state;
	assert_null(keepalive_next_dead(keepalive, START));
	assert_null(keepalive_next_ping(keepalive, START));
	keepalive_add(keepalive, &link, START);
	assert_null(keepalive_next_dead(keepalive, START + 100 * INTERVAL));
}

static void forgives_a_pong_when_it_hears_anything(void **state)
{
	struct keepalive_link link = {0};
	struct keepalive memory, *keepalive = set_up(&memory);
	const uint64_t heard = START + INTERVAL + TIMEOUT - 1;

	(void)state;
	keepalive_add(keepalive, &link, START);
	assert_ptr_equal(keepalive_next_ping(keepalive, START + INTERVAL), &link);
	keepalive_heard(keepalive, &link, heard);
	assert_null(keepalive_next_dead(keepalive, heard + 100 * INTERVAL));
	assert_null(keepalive_next_ping(keepalive, heard + INTERVAL - 1));
	assert_ptr_equal(keepalive_next_ping(keepalive, heard + INTERVAL), &link);
	assert_ptr_equal(keepalive_next_dead(keepalive, heard + INTERVAL + TIMEOUT), &link);
}

static void pings_one_that_speaks_all_the_same(void **state)
{
	struct keepalive_link link = {0};
	struct keepalive memory, *keepalive = set_up(&memory);

	(void)state;
	keepalive_add(keepalive, &link, START);
	keepalive_heard(keepalive, &link, START + 600);
	assert_null(keepalive_next_ping(keepalive, START + INTERVAL - 1));
	assert_ptr_equal(keepalive_next_ping(keepalive, START + INTERVAL), &link);
}

static void hands_out_only_who_is_due_in_order(void **state)
{
	struct keepalive_link links[4] = {0};
	struct keepalive memory, *keepalive = set_up(&memory);

	(void)state;
	for (uint64_t i = 0; i < 4; i++)
		keepalive_add(keepalive, &links[i], START + 10 * i);
	assert_ptr_equal(keepalive_next_ping(keepalive, START + INTERVAL + 15), &links[0]);
	assert_ptr_equal(keepalive_next_ping(keepalive, START + INTERVAL + 15), &links[1]);
	assert_null(keepalive_next_ping(keepalive, START + INTERVAL + 15));
	assert_ptr_equal(keepalive_next_ping(keepalive, START + INTERVAL + 20), &links[2]);
	keepalive_heard(keepalive, &links[1], START + INTERVAL + 30);
	assert_ptr_equal(keepalive_next_dead(keepalive, START + INTERVAL + 20 + TIMEOUT), &links[0]);
	assert_ptr_equal(keepalive_next_dead(keepalive, START + INTERVAL + 20 + TIMEOUT), &links[2]);
	assert_null(keepalive_next_dead(keepalive, START + INTERVAL + 20 + TIMEOUT));
}

static void leaves_from_either_queue(void **state)
{
	struct keepalive_link quiet = {0}, owing = {0}, last = {0};
	struct keepalive memory, *keepalive = set_up(&memory);

	(void)state;
	keepalive_add(keepalive, &owing, START);
	assert_ptr_equal(keepalive_next_ping(keepalive, START + INTERVAL), &owing);
	keepalive_add(keepalive, &quiet, START + INTERVAL);
	keepalive_add(keepalive, &last, START + INTERVAL);
	keepalive_remove(&owing);
	keepalive_remove(&quiet);
	assert_null(keepalive_next_dead(keepalive, START + 100 * INTERVAL));
	assert_ptr_equal(keepalive_next_ping(keepalive, START + 100 * INTERVAL), &last);
	assert_null(keepalive_next_ping(keepalive, START + 100 * INTERVAL));
}

static void leaving_is_harmless_without_taking_part(void **state)
{
	struct keepalive_link never = {0}, twice = {0};
	struct keepalive memory, *keepalive = set_up(&memory);

	(void)state;
	keepalive_remove(&never);
	keepalive_add(keepalive, &twice, START);
	keepalive_remove(&twice);
	keepalive_remove(&twice);
	assert_null(keepalive_next_ping(keepalive, START + 100 * INTERVAL));
	keepalive_add(keepalive, &twice, START + INTERVAL); /* and may come back, with a clean slate */
	assert_null(keepalive_next_ping(keepalive, START + 2 * INTERVAL - 1));
	assert_ptr_equal(keepalive_next_ping(keepalive, START + 2 * INTERVAL), &twice);
}

/* One that is cut off for its silence took no part any more: it must not be brought back by what it says
 * then. */
static void the_dead_owe_nothing(void **state)
{
	struct keepalive_link link = {0};
	struct keepalive memory, *keepalive = set_up(&memory);

	(void)state;
	keepalive_add(keepalive, &link, START);
	assert_ptr_equal(keepalive_next_ping(keepalive, START + INTERVAL), &link);
	assert_ptr_equal(keepalive_next_dead(keepalive, START + 2 * INTERVAL), &link);
	assert_false(link.owes_pong);
	keepalive_remove(&link);
	assert_null(keepalive_next_dead(keepalive, START + 100 * INTERVAL));
}

static void other_times_hold_at_once(void **state)
{
	struct keepalive_link old = {0}, young = {0};
	struct keepalive memory, *keepalive = set_up(&memory);

	(void)state;
	keepalive_add(keepalive, &old, START);
	keepalive_add(keepalive, &young, START + 200);
	keepalive_set(keepalive, INTERVAL / 2, TIMEOUT, START + 300);
	assert_null(keepalive_next_ping(keepalive, START + INTERVAL / 2 - 1));
	assert_ptr_equal(keepalive_next_ping(keepalive, START + INTERVAL / 2), &old);
	assert_null(keepalive_next_ping(keepalive, START + INTERVAL / 2 + 199));
	assert_ptr_equal(keepalive_next_ping(keepalive, START + INTERVAL / 2 + 200), &young);
}

static void a_longer_interval_is_waited_for(void **state)
{
	struct keepalive_link link = {0}, newer = {0};
	struct keepalive memory, *keepalive = set_up(&memory);

	(void)state;
	keepalive_add(keepalive, &link, START);
	keepalive_set(keepalive, 3 * INTERVAL, TIMEOUT, START + 1);
	keepalive_add(keepalive, &newer, START + 2);
	assert_null(keepalive_next_ping(keepalive, START + 3 * INTERVAL - 1));
	assert_ptr_equal(keepalive_next_ping(keepalive, START + 3 * INTERVAL), &link);
	assert_null(keepalive_next_ping(keepalive, START + 3 * INTERVAL + 1));
	assert_ptr_equal(keepalive_next_ping(keepalive, START + 3 * INTERVAL + 2), &newer);
}

static void nobody_dies_of_a_shorter_timeout(void **state)
{
	struct keepalive_link link = {0};
	struct keepalive memory, *keepalive = set_up(&memory);
	const uint64_t changed = START + INTERVAL + TIMEOUT - 1;

	(void)state;
	keepalive_add(keepalive, &link, START);
	assert_ptr_equal(keepalive_next_ping(keepalive, START + INTERVAL), &link);
	keepalive_set(keepalive, INTERVAL, TIMEOUT / 3, changed);
	assert_null(keepalive_next_dead(keepalive, changed + TIMEOUT / 3 - 1));
	assert_ptr_equal(keepalive_next_dead(keepalive, changed + TIMEOUT / 3), &link);
}

static void the_same_times_forgive_nobody(void **state)
{
	struct keepalive_link link = {0};
	struct keepalive memory, *keepalive = set_up(&memory);

	(void)state;
	keepalive_add(keepalive, &link, START);
	assert_ptr_equal(keepalive_next_ping(keepalive, START + INTERVAL), &link);
	keepalive_set(keepalive, INTERVAL, TIMEOUT, START + INTERVAL + TIMEOUT - 1);
	assert_ptr_equal(keepalive_next_dead(keepalive, START + INTERVAL + TIMEOUT), &link);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pings_after_one_interval_of_silence),
		cmocka_unit_test(counts_the_pong_from_the_ping_that_went_late),
		cmocka_unit_test(nobody_is_dead_who_was_not_pinged),
		cmocka_unit_test(forgives_a_pong_when_it_hears_anything),
		cmocka_unit_test(pings_one_that_speaks_all_the_same),
		cmocka_unit_test(hands_out_only_who_is_due_in_order),
		cmocka_unit_test(leaves_from_either_queue),
		cmocka_unit_test(leaving_is_harmless_without_taking_part),
		cmocka_unit_test(the_dead_owe_nothing),
		cmocka_unit_test(other_times_hold_at_once),
		cmocka_unit_test(a_longer_interval_is_waited_for),
		cmocka_unit_test(nobody_dies_of_a_shorter_timeout),
		cmocka_unit_test(the_same_times_forgive_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
