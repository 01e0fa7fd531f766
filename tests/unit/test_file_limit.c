/* The limit of open files: enough where it may be, never more than libwebsockets takes. */

#include "app/file_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

static void raises_what_a_shell_gives(void **state)
{
	(void)state;
	assert_int_equal(file_limit_choose(1024, 524288), FILE_LIMIT_ENOUGH);
	assert_int_equal(file_limit_choose(1024, RLIM_INFINITY), FILE_LIMIT_ENOUGH);
}

static void stays_below_the_hard_limit(void **state)
{
	(void)state;
	assert_int_equal(file_limit_choose(1024, 4096), 4096);
	assert_int_equal(file_limit_choose(4096, 4096), 4096);
}

static void leaves_what_somebody_chose(void **state)
{
	(void)state;
	assert_int_equal(file_limit_choose(500000, 1048576), 500000);
	assert_int_equal(file_limit_choose(FILE_LIMIT_ENOUGH, FILE_LIMIT_ENOUGH), FILE_LIMIT_ENOUGH);
}

/* Above 10,000,000 libwebsockets serves 2,560 files and hangs up on the rest. */
static void lowers_what_container_engines_call_infinity(void **state)
{
	(void)state;
	assert_int_equal(file_limit_choose(1073741816, 1073741816), FILE_LIMIT_MAX);
	assert_int_equal(file_limit_choose(RLIM_INFINITY, RLIM_INFINITY), FILE_LIMIT_MAX);
	assert_true(FILE_LIMIT_MAX < 10000000);
}

static void what_it_returns_holds(void **state)
{
	struct rlimit files;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	assert_int_equal(file_limit_set(), file_limit_choose(64, files.rlim_max));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	assert_int_equal(files.rlim_cur, file_limit_choose(64, files.rlim_max));
}

static void keeps_a_reserve_from_clients(void **state)
{
	(void)state;
	assert_int_equal(file_limit_connections(1024, 2, 0), 1024 - FILE_LIMIT_RESERVE);
	assert_int_equal(
		file_limit_connections(1024, 4, 0), 1024 - FILE_LIMIT_RESERVE - 2 * FILE_LIMIT_WORKER);
	assert_int_equal(file_limit_connections(1024, 2, 500), 500);
	assert_int_equal(file_limit_connections(1024, 2, 5000), 1024 - FILE_LIMIT_RESERVE);
	assert_int_equal(file_limit_connections(64, 2, 0), 32);
	assert_int_equal(file_limit_admin(256), 32);
	assert_int_equal(file_limit_admin(3200), 100);
	assert_int_equal(file_limit_admin(FILE_LIMIT_ENOUGH), 1024);
	assert_int_equal(file_limit_connections(3200, 2, 0), 3200 - FILE_LIMIT_RESERVE - (100 - 32));
	assert_true(file_limit_connections(0, 2, 0) > FILE_LIMIT_ENOUGH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(raises_what_a_shell_gives),
		cmocka_unit_test(stays_below_the_hard_limit),
		cmocka_unit_test(leaves_what_somebody_chose),
		cmocka_unit_test(lowers_what_container_engines_call_infinity),
		cmocka_unit_test(keeps_a_reserve_from_clients),
		cmocka_unit_test(what_it_returns_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
