/* Memory store: what src/broker/memory_store.h promises. */

#include "broker/memory_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
	DAY_MS = 24 * 3600 * 1000,
};

static const struct broker_log_options day = {.size = 3, .ttl_ms = DAY_MS};

static int setup(void **state)
{
	struct memory_store *store;

	assert_int_equal(memory_store_new(&store), 0);
	*state = store;
	return 0;
}

static int teardown(void **state)
{
	memory_store_free(*state);
	return 0;
}

/* A key of "" is none. */
static int publish_key(struct memory_store *store, const char *channel, const char *payload, const char *key,
	uint64_t now_ms, struct position *id)
{
	const struct memory_time time = {now_ms, 1000 * now_ms + 7};
	struct broker_log_options options = day;
	struct envelope envelope;
	int r;

	if (*key) {
		options.key = slice_of(key);
		options.key_ttl_ms = 100;
	}
	r = memory_store_publish(store, slice_of(channel), slice_of(payload), &options, time, id, &envelope);
	if (r == 0) {
		assert_int_equal(envelope.offset, id->offset);
		assert_int_equal(envelope.tag, id->tag);
		assert_int_equal(envelope.payload.len, strlen(payload));
	}
	return r;
}

static struct position publish(struct memory_store *store, const char *channel, uint64_t now_ms)
{
	struct position id;

	assert_int_equal(publish_key(store, channel, "{}", "", now_ms, &id), 0);
	return id;
}

static struct memory_range read_range(
	struct memory_store *store, const char *channel, uint64_t from, uint32_t count, uint64_t now_ms)
{
	struct memory_range range;

	assert_int_equal(memory_store_read(store, slice_of(channel), from, count, DAY_MS, now_ms, &range), 0);
	return range;
}

static void counts_each_channel_by_itself_without_holes(void **state)
{
	struct position first = publish(*state, "a", 5);
	struct position other = publish(*state, "b", 6);

	assert_int_equal(first.offset, 1);
	assert_int_equal(first.tag, 5007);
	assert_int_equal(other.offset, 1);
	assert_false(epoch_equal(&first.epoch, &other.epoch));
	for (uint64_t i = 2; i < 100; i++) {
		struct position next = publish(*state, "a", 5);

		assert_int_equal(next.offset, i);
		assert_true(epoch_equal(&first.epoch, &next.epoch));
	}
}

static void reads_what_is_kept_from_an_offset_on(void **state)
{
	struct memory_range range;

	for (int i = 0; i < 10; i++)
		publish(*state, "a", 5);
	range = read_range(*state, "a", 9, 100, 5);
	assert_int_equal(range.top.offset, 10);
	assert_int_equal(range.n, 2);
	assert_int_equal(range.first, 9);
	range = read_range(*state, "a", 1, 100, 5);
	assert_int_equal(range.n, 4); /* three, and what stands before them */
	assert_int_equal(range.first, 7);
	assert_int_equal(read_range(*state, "a", 7, 2, 5).n, 2);
	range = read_range(*state, "a", 7, 0, 5);
	assert_int_equal(range.n, 0);
	assert_int_equal(range.top.offset, 10);
	assert_int_equal(read_range(*state, "a", 11, 100, 5).n, 0);
}

static void a_read_begins_the_log_whose_epoch_stays(void **state)
{
	struct memory_range range = read_range(*state, "a", 0, 100, 5);
	struct position id;

	assert_null(range.log);
	assert_int_equal(range.top.offset, 0);
	assert_int_equal(range.top.tag, 0);
	assert_int_not_equal(range.top.epoch.text[7], '\0');
	assert_int_equal(range.top.epoch.text[8], '\0');
	id = publish(*state, "a", 6);
	assert_true(epoch_equal(&id.epoch, &range.top.epoch));
	assert_int_equal(id.offset, 1);
}

static void begins_again_with_another_epoch_when_nobody_came_for_its_ttl(void **state)
{
	struct position first = publish(*state, "a", 0);
	struct position again;

	assert_int_equal(read_range(*state, "a", 0, 100, DAY_MS - 1).n, 1); /* which counts as coming */
	assert_int_equal(read_range(*state, "a", 0, 100, 2 * DAY_MS - 2).n, 1);
	again = publish(*state, "a", 3 * DAY_MS - 2);
	assert_int_equal(again.offset, 1);
	assert_false(epoch_equal(&first.epoch, &again.epoch));
	assert_int_equal(memory_store_n_logs(*state), 1);
}

static void a_log_that_was_only_read_goes_after_a_minute(void **state)
{
	struct position before, kept, again, id;

	before = read_range(*state, "nobody publishes here", 0, 100, 0).top;
	read_range(*state, "nor here", 0, 100, 0);
	read_range(*state, "nobody publishes here", 0, 100, 8000);
	kept = read_range(*state, "nor here", 0, 100, 8000).top;
	memory_store_tick(*state, 67999);
	assert_int_equal(memory_store_n_logs(*state), 2);
	again = read_range(*state, "nor here", 0, 100, 67999).top;
	assert_true(epoch_equal(&kept.epoch, &again.epoch)); /* while somebody reads it it stays */
	memory_store_tick(*state, 100000);
	assert_int_equal(memory_store_n_logs(*state), 1);
	id = publish(*state, "nobody publishes here", 100001);
	assert_false(epoch_equal(&id.epoch, &before.epoch)); /* who stood there is told */
	assert_int_equal(
		memory_store_tick(*state, 100000 + DAY_MS), 1); /* the other, that nobody reads any more */
	assert_int_equal(memory_store_n_logs(*state), 1);
}

static void a_log_that_was_only_named_goes_soon(void **state)
{
	struct position before, again;

	before = read_range(*state, "a", 0, 100, 0).top;
	again = read_range(*state, "a", 0, 100, 4999).top; /* asking again at once makes it no older */
	assert_true(epoch_equal(&before.epoch, &again.epoch));
	memory_store_tick(*state, 19999);
	assert_int_equal(memory_store_n_logs(*state), 1);
	memory_store_tick(*state, 20000);
	assert_int_equal(memory_store_n_logs(*state), 0);
	again = read_range(*state, "a", 0, 100, 20001).top;
	assert_false(epoch_equal(&before.epoch, &again.epoch));
}

static void publishes_once_under_one_key(void **state)
{
	struct position first, second;

	assert_int_equal(publish_key(*state, "a", "1", "key", 0, &first), 0);
	assert_int_equal(publish_key(*state, "a", "2", "key", 99, &second), MEMORY_STORE_DUPLICATE);
	assert_true(position_equal(&first, &second));
	assert_int_equal(read_range(*state, "a", 0, 100, 99).n, 1);
	assert_int_equal(publish_key(*state, "a", "2", "other", 99, &second), 0);
	assert_int_equal(publish_key(*state, "b", "2", "key", 99, &second), 0); /* keys are a channel's */
	assert_int_equal(second.offset, 1);
	assert_int_equal(publish_key(*state, "a", "2", "key", 100, &second), 0); /* its time is over */
	assert_int_equal(second.offset, 3);
}

static void a_key_that_outlives_its_log_does_not_stand_for_an_entry(void **state)
{
	const struct broker_log_options options = {
		.size = 10, .ttl_ms = 50, .key = slice_of("key"), .key_ttl_ms = 1000};
	struct envelope envelope;
	struct position ids[3];
	int r[3];

	for (int i = 0; i < 3; i++)
		r[i] = memory_store_publish(*state, slice_of("a"), slice_of("{}"), &options,
			(struct memory_time){(uint64_t[]){0, 50, 60}[i], 1}, &ids[i], &envelope);
	assert_int_equal(r[0], 0);
	assert_int_equal(r[1], 0); /* the log has expired */
	assert_false(epoch_equal(&ids[0].epoch, &ids[1].epoch));
	assert_int_equal(r[2], MEMORY_STORE_DUPLICATE);
	assert_true(position_equal(&ids[1], &ids[2]));
}

static void drops_what_has_expired_without_being_asked_for_it(void **state)
{
	char name[16];
	struct position id;

	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "%d", i);
		assert_int_equal(publish_key(*state, name, "{}", name, 0, &id), 0);
	}
	assert_int_equal(memory_store_n_logs(*state), 1000);
	assert_int_equal(memory_store_n_keys(*state), 1000);
	for (int i = 0; i < 501; i++)
		publish_key(*state, "still here", "{}", "k", DAY_MS, &id);
	assert_int_equal(memory_store_n_keys(*state), 1);
	for (int i = 0; i < 501; i++)
		publish(*state, "still here", DAY_MS);
	assert_int_equal(memory_store_n_logs(*state), 1);
}

static void lives_with_a_ttl_without_end(void **state)
{
	const struct broker_log_options options = {.size = 1, .ttl_ms = UINT64_MAX};
	struct envelope envelope;
	struct position id;

	for (uint64_t offset = 1; offset < 3; offset++) {
		assert_int_equal(memory_store_publish(*state, slice_of("a"), slice_of("{}"), &options,
					 (struct memory_time){DAY_MS, 1}, &id, &envelope),
			0);
		assert_int_equal(id.offset, offset);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define PROMISE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		PROMISE(counts_each_channel_by_itself_without_holes),
		PROMISE(reads_what_is_kept_from_an_offset_on),
		PROMISE(a_read_begins_the_log_whose_epoch_stays),
		PROMISE(a_log_that_was_only_read_goes_after_a_minute),
		PROMISE(a_log_that_was_only_named_goes_soon),
		PROMISE(begins_again_with_another_epoch_when_nobody_came_for_its_ttl),
		PROMISE(publishes_once_under_one_key),
		PROMISE(a_key_that_outlives_its_log_does_not_stand_for_an_entry),
		PROMISE(drops_what_has_expired_without_being_asked_for_it),
		PROMISE(lives_with_a_ttl_without_end),
#undef PROMISE
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
