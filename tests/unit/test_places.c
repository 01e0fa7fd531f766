/* Places: who has a seat, who stands, who gets none. */

#include "ws/places.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void seats_first_then_standing_then_none(void **state)
{
	struct places places;

	(void)state;
	places_init(&places, 2, NULL, NULL);
	assert_int_equal(places_take(&places), PLACE_SEAT);
	assert_int_equal(places_take(&places), PLACE_SEAT);
	for (int i = 0; i < PLACES_STANDING_MAX; i++) {
		assert_int_equal(places_have_room(&places), i < PLACES_STANDING_REST);
		assert_int_equal(places_take(&places), PLACE_STANDING);
	}
	assert_int_equal(places_take(&places), PLACE_NONE);
}

static void who_stands_sits_down_when_somebody_leaves(void **state)
{
	struct places places;

	(void)state;
	places_init(&places, 1, NULL, NULL);
	assert_int_equal(places_take(&places), PLACE_SEAT);
	assert_int_equal(places_take(&places), PLACE_STANDING);
	assert_false(places_sit(&places));
	places_leave(&places, PLACE_SEAT);
	assert_true(places_sit(&places));
	assert_int_equal(places_take(&places), PLACE_STANDING);
}

static void a_smaller_bound_sends_nobody_away_and_a_larger_one_holds_at_once(void **state)
{
	struct places places;

	(void)state;
	places_init(&places, 2, NULL, NULL);
	assert_int_equal(places_take(&places), PLACE_SEAT);
	assert_int_equal(places_take(&places), PLACE_SEAT);
	places_set_max(&places, 1);
	places_leave(&places, PLACE_SEAT);
	assert_int_equal(places_take(&places), PLACE_STANDING);
	places_set_max(&places, 2);
	assert_true(places_sit(&places));
}

static void one_worker_speaks_for_all(void **state)
{
	struct places places;

	(void)state;
	places_init(&places, 1, NULL, NULL);
	assert_false(places_go_on(&places));
	assert_true(places_rest(&places));
	assert_false(places_rest(&places));
	assert_true(places_go_on(&places));
	assert_false(places_go_on(&places));
}

static void while_memory_is_short_newcomers_stand(void **state)
{
	struct places places;

	(void)state;
	places_init(&places, 10, NULL, NULL);
	assert_int_equal(places_take(&places), PLACE_SEAT);
	places_set_short(&places, true);
	assert_int_equal(places_take(&places), PLACE_STANDING);
	assert_false(places_sit(&places));
	places_set_short(&places, false);
	assert_true(places_sit(&places));
	assert_int_equal(places_take(&places), PLACE_SEAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(seats_first_then_standing_then_none),
		cmocka_unit_test(who_stands_sits_down_when_somebody_leaves),
		cmocka_unit_test(a_smaller_bound_sends_nobody_away_and_a_larger_one_holds_at_once),
		cmocka_unit_test(one_worker_speaks_for_all),
		cmocka_unit_test(while_memory_is_short_newcomers_stand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
