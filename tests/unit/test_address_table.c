/* Address table: what core/address_table.h promises. */

#include "core/address_table.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/ip.h"
#include "core/map.h"

#define NOW_MS UINT64_C(1000000)

struct fixture {
	struct address_table *table;
	struct address *held[64];
	size_t n_held;
};

static int set_up(void **state)
{
	static struct fixture fixture;

	map_seed();
	fixture = (struct fixture){.table = address_table_new()};
	assert_non_null(fixture.table);
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	while (f->n_held)
		address_table_leave(f->table, f->held[--f->n_held], false, NOW_MS);
	while (address_table_tidy(f->table, NOW_MS + 200000))
		;
	assert_int_equal(address_table_size(f->table), 0);
	address_table_free(f->table);
	return 0;
}

static void bound(struct fixture *f, unsigned int max, bool private_as_well)
{
	const struct address_bound bound = {max, private_as_well};

	address_table_set_bound(f->table, &bound);
}

static int enter_from(
	struct fixture *f, const char *text, bool named, uint64_t now_ms, struct address **addressp)
{
	struct in6_addr from;
	bool ipv4;

	assert_true(ip_parse(slice_of(text), &from, &ipv4));
	return address_table_enter(f->table, &from, named, now_ms, addressp);
}

/* It comes and stays until the end of the test, or is told or not. */
static int comes(struct fixture *f, const char *text)
{
	struct address *address;
	int r = enter_from(f, text, false, NOW_MS, &address);

	if (r == 0 && address)
		f->held[f->n_held++] = address;
	else if (r > 0)
		address_table_leave(f->table, address, true, NOW_MS);
	return r;
}

static void each_address_has_its_own_bound(void **state)
{
	struct fixture *f = *state;

	bound(f, 2, false);
	assert_int_equal(comes(f, "203.0.113.7"), 0);
	assert_int_equal(comes(f, "203.0.113.7"), 0);
	assert_int_equal(comes(f, "203.0.113.7"), ADDRESS_MANY);
	assert_int_equal(comes(f, "203.0.113.8"), 0);
	address_table_leave(f->table, f->held[0], false, NOW_MS);
	f->held[0] = f->held[--f->n_held];
	assert_int_equal(comes(f, "203.0.113.7"), 0);
	assert_int_equal(comes(f, "203.0.113.7"), ADDRESS_MANY);
}

static void one_household_counts_as_one(void **state)
{
	static const struct {
		const char *first, *second;
		bool same;
	} rows[] = {
		{"2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true},
		{"2001:db8:1:2::1", "2001:db8:1:3::1", false},
		{"192.0.2.7", "::ffff:192.0.2.7", true},
		{"192.0.2.7", "192.0.2.8", false},
		{"::ffff:192.0.2.7", "::ffff:192.0.2.8", false}, /* and not the /64 in which all of IPv4 is */
		{"64:ff9b::192.0.2.7", "192.0.2.7", true},
		{"64:ff9b::192.0.2.7", "64:ff9b::192.0.2.8", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct fixture *f;

		tear_down(state);
		set_up(state);
		f = *state;
		bound(f, 1, false);
		assert_int_equal(comes(f, rows[i].first), 0);
		assert_int_equal(comes(f, rows[i].second), rows[i].same ? ADDRESS_MANY : 0);
	}
}

static void private_peers_are_load_balancers_unless_a_number_is_set(void **state)
{
	struct fixture *f = *state;
	struct address *address;

	bound(f, 1, false);
	for (int i = 0; i < 3; i++)
		assert_int_equal(comes(f, "10.0.0.1"), 0);
	assert_int_equal(f->n_held, 0);
	assert_int_equal(address_table_size(f->table), 0);
	assert_int_equal(enter_from(f, "10.0.0.1", true, NOW_MS, &address), 0); /* a proxy names a client */
	f->held[f->n_held++] = address;
	assert_int_equal(enter_from(f, "10.0.0.1", true, NOW_MS, &address), ADDRESS_MANY);
	address_table_leave(f->table, address, true, NOW_MS);
	bound(f, 1, true);
	assert_int_equal(comes(f, "10.0.0.1"), ADDRESS_MANY);
	assert_int_equal(comes(f, "10.0.0.2"), 0);
}

static void no_bound_counts_nobody(void **state)
{
	struct fixture *f = *state;

	bound(f, 0, false);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(comes(f, "203.0.113.7"), 0);
	assert_int_equal(address_table_size(f->table), 0);
}

/* Opens and closes as many as it may. */
static unsigned int opens(struct fixture *f, uint64_t now_ms, int *rp)
{
	struct address *address;
	unsigned int n = 0;

	while ((*rp = enter_from(f, "203.0.113.7", false, now_ms, &address)) == 0) {
		address_table_leave(f->table, address, false, now_ms);
		n++;
	}
	address_table_leave(f->table, address, true, now_ms);
	return n;
}

static void bounds_how_fast_they_come(void **state)
{
	struct fixture *f = *state;
	int r;

	bound(f, 1000, false);
	assert_int_equal(opens(f, NOW_MS, &r), 100);
	assert_int_equal(r, ADDRESS_FAST);
	assert_int_equal(opens(f, NOW_MS + 500, &r), 50); /* closing one gives nothing back */
	bound(f, 5, false);
	assert_int_equal(opens(f, NOW_MS + 1500, &r), 100);
	bound(f, 50000, false);
	assert_int_equal(opens(f, NOW_MS + 10000, &r), 5000);
}

static void few_are_told_and_the_others_are_not_worth_an_answer(void **state)
{
	struct fixture *f = *state;
	struct address *told[ADDRESS_TOLD_MAX], *address;

	bound(f, 1, false);
	assert_int_equal(comes(f, "203.0.113.7"), 0);
	for (int i = 0; i < ADDRESS_TOLD_MAX; i++) {
		assert_int_equal(enter_from(f, "203.0.113.7", false, NOW_MS, &told[i]), ADDRESS_MANY);
		assert_non_null(told[i]);
	}
	assert_int_equal(enter_from(f, "203.0.113.7", false, NOW_MS, &address), ADDRESS_MANY);
	assert_null(address);
	address_table_leave(f->table, told[0], true, NOW_MS);
	assert_int_equal(enter_from(f, "203.0.113.7", false, NOW_MS, &told[0]), ADDRESS_MANY);
	assert_non_null(told[0]);
	for (int i = 0; i < ADDRESS_TOLD_MAX; i++)
		address_table_leave(f->table, told[i], true, NOW_MS);
}

/* A flood of addresses that come once: nothing of them is left a moment later, and little meanwhile. */
static void addresses_leave_the_table(void **state)
{
	struct fixture *f = *state;
	uint64_t now_ms = NOW_MS;
	struct address *address;
	char text[INET6_ADDRSTRLEN];

	bound(f, 10, false);
	for (unsigned int i = 0; i < 200000; i++) {
		now_ms += i % 20 == 0; /* 20,000 a second */
		snprintf(text, sizeof(text), "2001:db8:%x:%x::1", i >> 8, i & 0xff);
		assert_int_equal(enter_from(f, text, false, now_ms, &address), 0);
		address_table_leave(f->table, address, false, now_ms);
		assert_in_range(address_table_size(f->table), 0, 500);
	}
	while (address_table_tidy(f->table, now_ms + 1000))
		;
	assert_int_equal(address_table_size(f->table), 0);
}

static void a_crowd_that_leaves_at_once_is_forgotten_bit_by_bit(void **state)
{
	enum {
		CROWD = 2000
	};
	struct fixture *f = *state;
	struct address *crowd[CROWD];
	char text[INET6_ADDRSTRLEN];

	bound(f, 10, false);
	for (unsigned int i = 0; i < CROWD; i++) {
		snprintf(text, sizeof(text), "2001:db8:0:%x::1", i);
		assert_int_equal(enter_from(f, text, false, NOW_MS, &crowd[i]), 0);
	}
	for (unsigned int i = 0; i < CROWD; i++)
		address_table_leave(f->table, crowd[i], false, NOW_MS);
	assert_int_equal(address_table_size(f->table), CROWD);
	assert_true(address_table_tidy(f->table, NOW_MS + 1000));
	assert_int_equal(address_table_size(f->table), CROWD - ADDRESS_TIDY_MAX);
}

static void *come_and_go(void *arg)
{
	struct fixture *f = arg;
	struct address *address;
	char text[INET6_ADDRSTRLEN];

	for (unsigned int i = 0; i < 20000; i++) {
		snprintf(text, sizeof(text), "203.0.113.%u", i % 50);
		if (enter_from(f, text, false, NOW_MS + i, &address) >= 0)
			address_table_leave(f->table, address, false, NOW_MS + i);
	}
	return NULL;
}

static void threads_share_it(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[4];

	bound(f, 1000000, false);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, f), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_in_range(address_table_size(f->table), 0, 50);
	while (address_table_tidy(f->table, NOW_MS + 100000))
		;
}

#define with_table(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_table(each_address_has_its_own_bound),
		with_table(one_household_counts_as_one),
		with_table(private_peers_are_load_balancers_unless_a_number_is_set),
		with_table(no_bound_counts_nobody),
		with_table(bounds_how_fast_they_come),
		with_table(few_are_told_and_the_others_are_not_worth_an_answer),
		with_table(addresses_leave_the_table),
		with_table(a_crowd_that_leaves_at_once_is_forgotten_bit_by_bit),
		with_table(threads_share_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
