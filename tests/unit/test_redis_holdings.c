/* Redis holdings: what src/broker/redis/holdings.h promises. Servers are made up. */

#include "broker/redis/holdings.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker/redis/lease.h"

enum {
	N = 3,
};

static struct {
	struct redis_leases servers[N];
	int refuses[N]; /* the errno of its answers */
	bool is_broken; /* the second does not even take calls */
	struct {
		broker_done_fn done; /* NULL: it is not asked */
		void *arg;
	} asked[N];
	unsigned int n_answers;
	int r;
} world;

int __wrap_redis_lease_hold(struct redis_leases *leases, struct slice node, bool hold,
	const struct slice *names, size_t n, broker_done_fn done, void *arg);
int __wrap_redis_lease_hold(struct redis_leases *leases, struct slice node, bool hold,
	const struct slice *names, size_t n, broker_done_fn done, void *arg)
{
	int number = (int)(leases - world.servers);

	(void)node;
	(void)hold;
	(void)names;
	(void)n;
	if (world.is_broken && number == 1)
		return -EAGAIN;
	world.asked[number].done = done;
	world.asked[number].arg = arg;
	return 0;
}

int __wrap_redis_lease_hold_there(struct redis_leases *leases, struct slice node, const struct slice *names,
	size_t n, broker_done_fn done, void *arg);
int __wrap_redis_lease_hold_there(struct redis_leases *leases, struct slice node, const struct slice *names,
	size_t n, broker_done_fn done, void *arg)
{
	return __wrap_redis_lease_hold(leases, node, true, names, n, done, arg);
}

static void on_done(void *arg, int r)
{
	(void)arg;
	world.n_answers++;
	world.r = r;
}

/* Holds, or lets go, a name on each server. */
static int ask(bool hold)
{
	const struct slice names[N] = {slice_of("pa"), slice_of("pb"), slice_of("pc")};
	const unsigned char places[N] = {0, 1, 2};
	struct redis_holdings holdings = {.n = N};

	for (int i = 0; i < N; i++)
		holdings.servers[i] = &world.servers[i];
	memset(world.asked, 0, sizeof(world.asked));
	world.n_answers = 0;
	assert_int_equal(
		redis_holdings_hold(&holdings, slice_of("node"), hold, names, places, N, on_done, NULL), 0);
	for (int i = 0; i < N; i++) {
		assert_int_equal(world.n_answers, 0);
		if (world.asked[i].done)
			world.asked[i].done(world.asked[i].arg, world.refuses[i]);
		else
			assert_true(world.is_broken && i == 1);
	}
	assert_int_equal(world.n_answers, 1);
	return world.r;
}

static int set_up(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	return 0;
}

/* Of which the first has all names. */
static void a_server_that_cannot_write_fails_nothing_on_the_others(void **state)
{
	static const int refusals[] = {-ENOSPC, -EROFS, -EACCES, -EIO, -ETIMEDOUT};

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
		world.refuses[1] = refusals[i];
		assert_int_equal(ask(true), 0);
		assert_int_equal(ask(false), 0);
	}
	world.is_broken = true;
	assert_int_equal(ask(true), 0);
	assert_int_equal(ask(false), 0);
}

static void the_first_one_counts(void **state)
{
	(void)state;
	world.refuses[0] = -ENOSPC;
	assert_int_equal(ask(true), -ENOSPC);
	assert_int_equal(ask(false), -ENOSPC);
}

static void an_end_of_ours_is_told(void **state)
{
	(void)state;
	world.refuses[2] = -ECANCELED;
	assert_int_equal(ask(true), -ECANCELED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_server_that_cannot_write_fails_nothing_on_the_others, set_up),
		cmocka_unit_test_setup(the_first_one_counts, set_up),
		cmocka_unit_test_setup(an_end_of_ours_is_told, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
