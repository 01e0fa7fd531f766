/* Tally: what core/tally.h promises. */

#include "core/tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>

#include <cmocka.h>

#include "core/map.h"

static void counts_each_name_up_to_the_bound(void **state)
{
	struct tally *tally = tally_new();
	struct tally_name *first, *second, *other, *none;

	(void)state;
	tally_set_max(tally, 2);
	assert_int_equal(tally_enter(tally, slice_of("anna"), &first), 0);
	assert_int_equal(tally_enter(tally, slice_of("anna"), &second), 0);
	assert_int_equal(tally_enter(tally, slice_of("anna"), &none), TALLY_FULL);
	assert_null(none);
	assert_int_equal(tally_enter(tally, slice_of("ann"), &other), 0);
	assert_int_equal(tally_size(tally), 2);
	tally_leave(tally, first);
	assert_int_equal(tally_enter(tally, slice_of("anna"), &first), 0);
	tally_leave(tally, first);
	tally_leave(tally, second);
	tally_leave(tally, other);
	tally_leave(tally, NULL);
	assert_int_equal(tally_size(tally), 0);
	tally_free(tally);
}

static void without_a_bound_nothing_is_counted(void **state)
{
	struct tally *tally = tally_new();
	struct tally_name *before, *counted, *none;

	(void)state;
	assert_int_equal(tally_enter(tally, slice_of("anna"), &before), 0);
	assert_null(before);
	tally_set_max(tally, 1);
	assert_int_equal(tally_enter(tally, slice_of("anna"), &counted), 0);
	assert_int_equal(tally_enter(tally, slice_of("anna"), &none), TALLY_FULL);
	tally_set_max(tally, 0);
	assert_int_equal(tally_enter(tally, slice_of("anna"), &none), 0);
	tally_leave(tally, before);
	tally_leave(tally, counted);
	assert_int_equal(tally_size(tally), 0);
	tally_free(tally);
	tally_free(NULL);
}

static void *come_and_go(void *arg)
{
	struct tally *tally = arg;
	struct tally_name *name;

	for (int i = 0; i < 10000; i++)
		if (tally_enter(tally, slice_of("anna"), &name) == 0)
			tally_leave(tally, name);
	return NULL;
}

static void threads_share_it(void **state)
{
	struct tally *tally = tally_new();
	pthread_t threads[4];

	(void)state;
	tally_set_max(tally, 2);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, tally), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(tally_size(tally), 0);
	tally_free(tally);
}

static int setup(void **state)
{
	(void)state;
	map_seed();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_each_name_up_to_the_bound),
		cmocka_unit_test(without_a_bound_nothing_is_counted),
		cmocka_unit_test(threads_share_it),
	};

	return cmocka_run_group_tests_name("tally", tests, setup, NULL);
}
