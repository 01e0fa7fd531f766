/* Expiry: what client/expiry.h promises. */

#include "client/expiry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
	BEGIN_MS = 1234567,
	N_LINKS = 2000,
};

static struct expiry expiry;
static struct expiry_link links[N_LINKS];

static int setup(void **state)
{
	(void)state;
	for (int i = 0; i < N_LINKS; i++)
		links[i] = (struct expiry_link){0};
	expiry_init(&expiry, BEGIN_MS);
	return 0;
}

static int n_due(uint64_t now_ms)
{
	int n = 0;

	while (expiry_next(&expiry, now_ms))
		n++;
	return n;
}

static void nothing_is_due_before_its_time(void **state)
{
	(void)state;
	expiry_set(&expiry, &links[0], BEGIN_MS + 5000);
	for (uint64_t ms = BEGIN_MS; ms < BEGIN_MS + 5000; ms += 50)
		assert_null(expiry_next(&expiry, ms));
	assert_ptr_equal(expiry_next(&expiry, BEGIN_MS + 6000), &links[0]);
	assert_null(expiry_next(&expiry, BEGIN_MS + 7000));
}

static void what_is_due_comes_within_a_second(void **state)
{
	(void)state;
	srand(1);
	for (int i = 0; i < N_LINKS; i++)
		expiry_set(&expiry, &links[i], BEGIN_MS + (uint64_t)(rand() % 300000));
	for (uint64_t ms = BEGIN_MS; ms < BEGIN_MS + 301000; ms += 250) {
		struct expiry_link *link;

		while ((link = expiry_next(&expiry, ms))) {
			assert_true(link->due_ms <= ms && ms < link->due_ms + 1250);
			link->due_ms = 0;
		}
	}
	for (int i = 0; i < N_LINKS; i++)
		assert_int_equal(links[i].due_ms, 0);
}

static void a_later_round_is_not_this_one(void **state)
{
	(void)state;
	expiry_set(&expiry, &links[0], BEGIN_MS + 2000);
	expiry_set(&expiry, &links[1], BEGIN_MS + 2000 + EXPIRY_SLOTS * 1000);
	expiry_set(&expiry, &links[2], BEGIN_MS + 2000 + 1000 * EXPIRY_SLOTS * 1000);
	assert_ptr_equal(expiry_next(&expiry, BEGIN_MS + 3000), &links[0]);
	assert_int_equal(n_due(BEGIN_MS + EXPIRY_SLOTS * 1000), 0);
	assert_ptr_equal(expiry_next(&expiry, BEGIN_MS + 3000 + EXPIRY_SLOTS * 1000), &links[1]);
	assert_int_equal(n_due(BEGIN_MS + 4000 + EXPIRY_SLOTS * 1000), 0);
}

static void who_was_renewed_or_left_is_not_due(void **state)
{
	(void)state;
	expiry_set(&expiry, &links[0], BEGIN_MS + 2000);
	expiry_set(&expiry, &links[1], BEGIN_MS + 2000);
	expiry_set(&expiry, &links[0], BEGIN_MS + 90000);
	expiry_remove(&links[1]);
	expiry_remove(&links[1]);
	expiry_remove(&links[2]);
	assert_int_equal(n_due(BEGIN_MS + 60000), 0);
	assert_int_equal(n_due(BEGIN_MS + 91000), 1);
}

static void what_is_overdue_already_comes_with_the_next_second(void **state)
{
	(void)state;
	assert_int_equal(n_due(BEGIN_MS + 10000), 0);
	expiry_set(&expiry, &links[0], BEGIN_MS);
	expiry_set(&expiry, &links[1], 0);
	assert_int_equal(n_due(BEGIN_MS + 11000), 2);
}

static void nobody_is_forgotten_by_a_worker_that_slept(void **state)
{
	(void)state;
	for (int i = 0; i < 500; i++)
		expiry_set(&expiry, &links[i], BEGIN_MS + (uint64_t)i * 1000);
	assert_int_equal(n_due(BEGIN_MS + UINT64_C(10000000000)), 500);
	expiry_set(&expiry, &links[0], BEGIN_MS + UINT64_C(10000000500));
	assert_int_equal(n_due(BEGIN_MS + UINT64_C(10000002000)), 1);
}

/* A link may be set anew from inside the walk that took it out. */
static void may_be_set_again_while_the_others_are_taken(void **state)
{
	struct expiry_link *link;
	int n = 0;

	(void)state;
	for (int i = 0; i < 10; i++)
		expiry_set(&expiry, &links[i], BEGIN_MS + 1000);
	while ((link = expiry_next(&expiry, BEGIN_MS + 2000)) && n++ < 100)
		expiry_set(&expiry, link, BEGIN_MS + 3000);
	assert_int_equal(n, 10);
	assert_int_equal(n_due(BEGIN_MS + 4000), 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_is_due_before_its_time, setup),
		cmocka_unit_test_setup(what_is_due_comes_within_a_second, setup),
		cmocka_unit_test_setup(a_later_round_is_not_this_one, setup),
		cmocka_unit_test_setup(who_was_renewed_or_left_is_not_due, setup),
		cmocka_unit_test_setup(what_is_overdue_already_comes_with_the_next_second, setup),
		cmocka_unit_test_setup(nobody_is_forgotten_by_a_worker_that_slept, setup),
		cmocka_unit_test_setup(may_be_set_again_while_the_others_are_taken, setup),
	};

	return cmocka_run_group_tests_name("expiry", tests, NULL, NULL);
}
