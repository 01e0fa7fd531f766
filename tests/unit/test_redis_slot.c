/* Redis slot: what src/broker/redis/slot.h promises. */

#include "broker/redis/slot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* The answers of CLUSTER KEYSLOT, Redis 7.0.15. */
static void knows_the_slots_that_redis_says(void **state)
{
	static const struct {
		const char *name;
		unsigned int slot;
	} rows[] = {
		{"123456789", 12739},
		{"cards", 10010},
		{"p{x}:cards", 16287},
		{"tg:s:{p{x}:cards}", 13108},
		{"{}:cards", 1628},
		{"a{}{b}", 15033},
		{"a{b", 13340},
		{"}{x}", 16287},
		{"{{x}}", 11068},
		{"", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		print_message("%s\n", rows[i].name);
		assert_int_equal(redis_slot(slice_of(rows[i].name)), rows[i].slot);
	}
}

static void a_channel_and_the_keys_of_its_log_share_a_slot(void **state)
{
	static const char *const names[] = {
		"items:42", "tg:s:{items:42}", "tg:m:{items:42}", "tg:i:{items:42}:key"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		assert_int_equal(redis_slot(slice_of(names[i])), 12580);
}

/* What publishers in other languages have to compute, too. */
static void knows_the_servers_of_slots(void **state)
{
	static const unsigned int counts[] = {1, 2, 3, 4, 5, 10, 64};
	static const struct {
		unsigned int slot;
		unsigned int servers[7];
	} rows[] = {
		{0, {0, 0, 0, 0, 0, 0, 0}},
		{1, {0, 0, 0, 0, 0, 6, 55}},
		{2, {0, 0, 0, 3, 3, 6, 62}},
		{100, {0, 1, 1, 1, 4, 4, 44}},
		{5000, {0, 1, 1, 3, 4, 4, 58}},
		{12739, {0, 0, 0, 0, 0, 0, 31}},
		{16383, {0, 1, 1, 3, 4, 9, 43}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		for (size_t j = 0; j < 7; j++)
			assert_int_equal(redis_slot_server(rows[i].slot, counts[j]), rows[i].servers[j]);
}

static void servers_have_equal_shares_and_a_new_one_takes_only_its_own(void **state)
{
	(void)state;
	for (unsigned int n = 1; n < 20; n++) {
		unsigned int shares[20] = {0}, n_moved = 0;

		for (unsigned int slot = 0; slot < REDIS_SLOTS; slot++) {
			unsigned int before = redis_slot_server(slot, n);
			unsigned int after = redis_slot_server(slot, n + 1);

			assert_in_range(before, 0, n - 1);
			if (after != before) {
				assert_int_equal(after, n);
				n_moved++;
			}
			shares[before]++;
		}
		for (unsigned int i = 0; i < n; i++)
			assert_in_range(shares[i], REDIS_SLOTS / n * 85 / 100, REDIS_SLOTS / n * 115 / 100);
		assert_in_range(n_moved, REDIS_SLOTS / (n + 1) * 85 / 100, REDIS_SLOTS / (n + 1) * 115 / 100);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_the_slots_that_redis_says),
		cmocka_unit_test(a_channel_and_the_keys_of_its_log_share_a_slot),
		cmocka_unit_test(knows_the_servers_of_slots),
		cmocka_unit_test(servers_have_equal_shares_and_a_new_one_takes_only_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
