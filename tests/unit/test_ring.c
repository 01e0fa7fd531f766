/* Ring: what channel_log/ring.h promises. */

#include "channel_log/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct channel_log_entry entry(uint64_t offset)
{
	return (struct channel_log_entry){offset, offset * 10, NULL, 3};
}

static void push(struct ring *ring, uint64_t offset)
{
	struct channel_log_entry e = entry(offset);

	assert_int_equal(ring_push(ring, &e), 0);
}

static void empty(struct ring *ring)
{
	struct channel_log_entry e;

	while (ring_take_oldest(ring, &e))
		;
	ring_reset(ring, 0, 0);
}

static void finds_entries_by_offset_however_it_turned(void **state)
{
	struct ring ring = {0};
	struct channel_log_entry e;

	(void)state;
	for (uint64_t i = 1; i <= 1000; i++) {
		push(&ring, i);
		if (i > 20)
			assert_true(ring_take_oldest(&ring, &e) && e.offset == i - 20);
	}
	assert_int_equal(ring.n, 20);
	assert_int_equal(ring.bytes, 60);
	assert_null(ring_at(&ring, 980));
	assert_null(ring_at(&ring, 1001));
	for (uint64_t i = 981; i <= 1000; i++)
		assert_true(ring_at(&ring, i)->tag == i * 10);
	empty(&ring);
	assert_int_equal(ring.bytes, 0);
}

static void knows_its_entries_and_the_one_before(void **state)
{
	struct ring ring = {0};
	struct channel_log_entry e;

	(void)state;
	assert_true(ring_knows(&ring, 0, 0));
	for (uint64_t i = 1; i <= 3; i++)
		push(&ring, i);
	ring_take_oldest(&ring, &e);
	assert_int_equal(ring_oldest_known(&ring), 1);
	assert_true(ring_knows(&ring, 1, 10));
	assert_false(ring_knows(&ring, 1, 11));
	assert_true(ring_knows(&ring, 3, 30));
	assert_false(ring_knows(&ring, 3, 31));
	assert_false(ring_knows(&ring, 0, 0));
	assert_false(ring_knows(&ring, 4, 40));
	empty(&ring);
}

static void grows_downwards_over_an_unknown_floor(void **state)
{
	struct ring ring = {0};
	struct channel_log_entry e;

	(void)state;
	ring_reset(&ring, 20, 200);
	push(&ring, 21);
	for (uint64_t i = 20; i > 2; i--) {
		e = entry(i);
		assert_int_equal(ring_push_front(&ring, &e), 0);
	}
	assert_int_equal(ring_oldest_known(&ring), 3);
	assert_false(ring_knows(&ring, 2, 0)); /* unknown is not 0 */
	for (uint64_t i = 3; i <= 21; i++)
		assert_true(ring_knows(&ring, i, i * 10));
	e = entry(2);
	assert_int_equal(ring_push_front(&ring, &e), 0);
	e = entry(1);
	assert_int_equal(ring_push_front(&ring, &e), 0);
	assert_true(ring_knows(&ring, 0, 0)); /* but before the first entry nothing is unknown */
	assert_true(ring_take_newest(&ring, &e) && e.offset == 21);
	push(&ring, 21);
	empty(&ring);
}

static void gives_memory_back(void **state)
{
	struct ring ring = {0};
	struct channel_log_entry e;

	(void)state;
	for (uint64_t i = 1; i <= 1000; i++)
		push(&ring, i);
	while (ring.n > 10)
		ring_take_oldest(&ring, &e);
	ring_tighten(&ring);
	assert_int_equal(ring.capacity, 16);
	for (uint64_t i = 991; i <= 1000; i++)
		assert_true(ring_at(&ring, i)->tag == i * 10);
	empty(&ring);
	assert_null(ring.slots);
	assert_false(ring_take_oldest(&ring, &e));
	assert_false(ring_take_newest(&ring, &e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_entries_by_offset_however_it_turned),
		cmocka_unit_test(knows_its_entries_and_the_one_before),
		cmocka_unit_test(grows_downwards_over_an_unknown_floor),
		cmocka_unit_test(gives_memory_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
