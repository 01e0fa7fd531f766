/* Memory log: what channel_log/memory_log.h promises. */

#include "channel_log/memory_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct epoch epoch = {"memory"};

static struct envelope append(struct memory_log *log, const char *payload, uint64_t wall_us)
{
	struct envelope envelope;

	assert_int_equal(memory_log_append(log, slice_of(payload), wall_us, &envelope), 0);
	return envelope;
}

static void chains_its_entries(void **state)
{
	struct memory_log *log = memory_log_new(&epoch, 10);
	struct envelope first, second, third;
	struct position top;

	(void)state;
	memory_log_top(log, &top);
	assert_true(top.offset == 0 && top.tag == 0 && epoch_equal(&top.epoch, &epoch));
	first = append(log, "1", 700);
	second = append(log, "22", 600); /* the clock jumped back: the offset is what orders */
	third = append(log, "", 0);
	assert_true(first.offset == 1 && first.tag == 700 && first.prev == 0);
	assert_true(second.offset == 2 && second.tag == 600 && second.prev == 700);
	assert_true(third.offset == 3 && third.tag > 0 && third.prev == 600);
	assert_memory_equal(second.payload.data, "22", 2);
	assert_true(epoch_equal(&third.epoch, &epoch));
	memory_log_top(log, &top);
	assert_true(top.offset == 3 && top.tag == third.tag);
	memory_log_free(log);
}

static void keeps_the_newest_and_an_anchor(void **state)
{
	struct memory_log *log = memory_log_new(&epoch, 100);
	uint64_t first;

	(void)state;
	assert_int_equal(memory_log_read(log, 0, 10, &first), 0);
	for (uint64_t i = 1; i <= 1000; i++) {
		append(log, "x", i);
		assert_int_equal(memory_log_read(log, 0, UINT32_MAX, &first), i < 101 ? i : 101);
		assert_true(first == (i < 101 ? 1 : i - 100));
	}
	assert_null(memory_log_at(log, 0));
	assert_null(memory_log_at(log, 899));
	assert_null(memory_log_at(log, 1001));
	for (uint64_t i = 900; i <= 1000; i++)
		assert_true(memory_log_at(log, i)->tag == i);
	memory_log_free(log);
}

static void reads_a_range(void **state)
{
	struct memory_log *log = memory_log_new(&epoch, 1);
	uint64_t first;

	(void)state;
	append(log, "a", 1);
	append(log, "b", 2);
	append(log, "c", 3);
	assert_int_equal(memory_log_read(log, 1, 10, &first), 2);
	assert_true(first == 2);
	assert_int_equal(memory_log_read(log, 3, 10, &first), 1);
	assert_memory_equal(memory_log_at(log, 3)->payload.data, "c", 1);
	assert_int_equal(memory_log_read(log, 4, 10, &first), 0);
	assert_int_equal(memory_log_read(log, 2, 1, &first), 1);
	assert_int_equal(memory_log_read(log, 2, 0, &first), 0);
	memory_log_free(log);
	memory_log_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chains_its_entries),
		cmocka_unit_test(keeps_the_newest_and_an_anchor),
		cmocka_unit_test(reads_a_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
