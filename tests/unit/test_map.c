/* Map: what core/map.h promises. */

#include "core/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct thing {
	struct map_entry entry;
	char name[24];
	unsigned int n_seen;
};

static struct thing *things_new(unsigned int n)
{
	struct thing *things = calloc(n, sizeof(*things));

	assert_non_null(things);
	for (unsigned int i = 0; i < n; i++) {
		snprintf(things[i].name, sizeof(things[i].name), "execution:%u", i);
		things[i].entry.key = things[i].name;
		things[i].entry.key_len = strlen(things[i].name);
		things[i].entry.hash = map_hash(things[i].entry.key, things[i].entry.key_len);
	}
	return things;
}

static struct map_entry *find(const struct map *map, const struct thing *thing)
{
	return map_find(map, thing->entry.hash, thing->name, strlen(thing->name));
}

/*
 * Key 00 01 … 0f, input 00 01 …: the published vectors of SipHash-1-3 (the Rust core library tests against
 * them), recomputed with an independent implementation that agrees with CPython's hash().
 */
static void hashes_as_siphash_1_3_does(void **state)
{
	const uint64_t k0 = UINT64_C(0x0706050403020100);
	const uint64_t k1 = UINT64_C(0x0f0e0d0c0b0a0908);
	char input[64];

	(void)state;
	for (unsigned int i = 0; i < sizeof(input); i++)
		input[i] = (char)i;
	assert_true(map_sip13(k0, k1, input, 0) == UINT64_C(0xabac0158050fc4dc));
	assert_true(map_sip13(k0, k1, input, 1) == UINT64_C(0xc9f49bf37d57ca93));
	assert_true(map_sip13(k0, k1, input, 7) == UINT64_C(0xd3927d989bb11140));
	assert_true(map_sip13(k0, k1, input, 8) == UINT64_C(0x369095118d299a8e));
	assert_true(map_sip13(k0, k1, input, 15) == UINT64_C(0xd320d86d2a519956));
	assert_true(map_sip13(k0, k1, input, 63) == UINT64_C(0x9d199062b7bbb3a8));
	assert_true(map_sip13(0, 0, "abcdefghijk", 11) == UINT64_C(0x14215fc65e2c3bd4));
}

static void finds_nothing_in_an_empty_map(void **state)
{
	struct map map = {0};

	(void)state;
	assert_null(map_find(&map, map_hash("x", 1), "x", 1));
	assert_null(map_next(&map, NULL));
	map_deinit(&map);
}

static void finds_each_of_many_at_every_step_of_growing(void **state)
{
	enum {
		N = 3000
	};
	struct thing *things = things_new(N);
	struct map map = {0};

	(void)state;
	for (unsigned int i = 0; i < N; i++) {
		assert_null(find(&map, &things[i]));
		assert_int_equal(map_insert(&map, &things[i].entry), 0);
		assert_int_equal(map.n_entries, i + 1);
		for (unsigned int j = 0; j <= i; j += 1 + i / 64)
			assert_ptr_equal(find(&map, &things[j]), &things[j].entry);
	}
	map_deinit(&map);
	free(things);
}

static void forgets_what_was_removed_and_nothing_else(void **state)
{
	enum {
		N = 1000
	};
	struct thing *things = things_new(N);
	struct map map = {0};

	(void)state;
	for (unsigned int i = 0; i < N; i++) {
		map_insert(&map, &things[i].entry);
		if (i % 3 == 0) /* while it grows, too */
			map_remove(&map, &things[i].entry);
	}
	for (unsigned int i = 0; i < N; i++)
		assert_ptr_equal(find(&map, &things[i]), i % 3 ? &things[i].entry : NULL);
	assert_int_equal(map.n_entries, N - (N + 2) / 3);
	map_deinit(&map);
	free(things);
}

static void tells_names_of_one_hash_apart(void **state)
{
	struct thing *things = things_new(3);
	struct map map = {0};

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		things[i].entry.hash = 7;
		map_insert(&map, &things[i].entry);
	}
	for (unsigned int i = 0; i < 3; i++)
		assert_ptr_equal(find(&map, &things[i]), &things[i].entry);
	assert_null(map_find(&map, 7, "execution:", 10));
	map_deinit(&map);
	free(things);
}

static void walks_every_entry_once_while_growing_or_not(void **state)
{
	enum {
		N = 600
	};
	struct thing *things = things_new(N);
	struct map map = {0};

	(void)state;
	for (unsigned int i = 0; i < N; i++) {
		map_insert(&map, &things[i].entry);
		for (struct map_entry *entry = map_next(&map, NULL); entry; entry = map_next(&map, entry))
			map_value(entry, struct thing, entry)->n_seen++;
		/* Walked once after each insertion since its own. */
		for (unsigned int j = 0; j < N; j++)
			assert_int_equal(things[j].n_seen, j <= i ? i - j + 1 : 0);
	}
	map_deinit(&map);
	free(things);
}

static void lets_a_walk_remove_what_it_left_behind(void **state)
{
	enum {
		N = 37
	};
	struct thing *things = things_new(N);
	struct map map = {0};
	struct map_entry *entry, *next;

	(void)state;
	for (unsigned int i = 0; i < N; i++)
		map_insert(&map, &things[i].entry);
	for (entry = map_next(&map, NULL); entry; entry = next) {
		next = map_next(&map, entry);
		map_remove(&map, entry);
	}
	assert_int_equal(map.n_entries, 0);
	assert_null(map_next(&map, NULL));
	map_deinit(&map);
	free(things);
}

/* What one insertion may do is bounded: a few old buckets, however large the map is. */
static void never_moves_everything_at_once(void **state)
{
	enum {
		N = 20000
	};
	struct thing *things = things_new(N);
	struct map map = {0};
	size_t old_before, moved_before;

	(void)state;
	for (unsigned int i = 0; i < N; i++) {
		old_before = map.n_old_buckets;
		moved_before = map.moved;
		map_insert(&map, &things[i].entry);
		if (map.n_old_buckets == old_before)
			assert_true(map.moved - moved_before <= 2);
		else if (map.n_old_buckets == 0)
			assert_true(old_before - moved_before <= 2);
		else
			assert_true(old_before == 0 && map.moved == 0);
		assert_true(map.n_entries <= map.n_buckets);
	}
	map_deinit(&map);
	free(things);
}

/* All of them, and each once in a walk. */
static void has(const struct map *map, struct thing *things, unsigned int n)
{
	unsigned int n_walked = 0;

	for (unsigned int i = 0; i < n; i++)
		assert_ptr_equal(find(map, &things[i]), &things[i].entry);
	for (struct map_entry *entry = map_next(map, NULL); entry; entry = map_next(map, entry))
		n_walked++;
	assert_int_equal(n_walked, n);
}

static void fill(struct map *map, struct thing *things, unsigned int from, unsigned int to)
{
	for (unsigned int i = from; i < to; i++)
		assert_int_equal(map_insert(map, &things[i].entry), 0);
}

static void empty(struct map *map, struct thing *things, unsigned int from, unsigned int to)
{
	for (unsigned int i = from; i < to; i++)
		map_remove(map, &things[i].entry);
}

static void gives_back_what_a_flood_of_names_took_a_little_at_a_time(void **state)
{
	enum {
		N = 300000,
		STAY = 100,
		AT_ONCE = 4096,
	};
	struct thing *things = things_new(N);
	struct map map = {0};

	(void)state;
	fill(&map, things, 0, N);
	empty(&map, things, STAY, N);
	for (unsigned int i = 0; i < 1000; i++) {
		size_t old_before = map.n_old_buckets, moved_before = map.moved;

		map_tidy(&map);
		if (map.n_old_buckets == old_before)
			assert_true(map.moved - moved_before <= AT_ONCE);
		if (i % 8 == 0)
			has(&map, things, STAY);
	}
	has(&map, things, STAY);
	assert_true(map.n_buckets <= 1024 && !map.n_old_buckets);
	map_deinit(&map);
	free(things);
}

static void leaves_growing_to_insertions(void **state)
{
	enum {
		N = 70000, /* just grown */
	};
	struct thing *things = things_new(N);
	struct map map = {0};
	size_t moved;

	(void)state;
	fill(&map, things, 0, N);
	assert_true(map.n_old_buckets);
	moved = map.moved;
	map_tidy(&map);
	assert_true(map.n_old_buckets && map.moved == moved);
	empty(&map, things, 10, N);
	for (unsigned int i = 0; i < 100; i++)
		map_tidy(&map); /* but is not left half done */
	assert_true(map.n_buckets <= 1024 && !map.n_old_buckets);
	has(&map, things, 10);
	map_deinit(&map);
	free(things);
}

static void grows_again_while_it_shrinks(void **state)
{
	enum {
		N = 40000,
		STAY = 3000,
	};
	struct thing *things = things_new(N);
	struct map map = {0};

	(void)state;
	fill(&map, things, 0, N);
	empty(&map, things, STAY, N);
	for (unsigned int i = 0; i < 20 && map.n_old_buckets <= map.n_buckets; i++)
		map_tidy(&map); /* it may not have grown to the end */
	assert_true(map.n_old_buckets > map.n_buckets);
	for (unsigned int n = STAY; n < N; n++) {
		fill(&map, things, n, n + 1);
		assert_true(map.n_entries <= map.n_buckets);
		if (n % 1000 == 0)
			has(&map, things, n + 1);
	}
	has(&map, things, N);
	map_deinit(&map);
	free(things);
}

static void does_not_change_its_size_with_every_wave(void **state)
{
	enum {
		N = 5000,
		WAVES = 100,
	};
	struct thing *things = things_new(N);
	struct map map = {0};
	size_t n_buckets;

	(void)state;
	fill(&map, things, 0, N);
	map_tidy(&map);
	n_buckets = map.n_buckets;
	for (unsigned int wave = 0; wave < WAVES; wave++) {
		empty(&map, things, N / 3, N); /* a crowd leaves, and comes again */
		map_tidy(&map);
		fill(&map, things, N / 3, N);
		map_tidy(&map);
		assert_int_equal(map.n_buckets, n_buckets);
	}
	has(&map, things, N);
	map_deinit(&map);
	free(things);
}

static void draws_its_key_once(void **state)
{
	uint64_t before = map_hash("cards", 5);
	uint64_t drawn;

	(void)state;
	map_seed();
	drawn = map_hash("cards", 5);
	assert_true(drawn != before);
	map_seed();
	assert_true(map_hash("cards", 5) == drawn);
}

/* What is not freed, or twice, is a sanitizer's to find. */
static void frees_all_that_are_in_it(void **state)
{
	struct map map = {0};

	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		struct thing *thing = things_new(1);

		thing->entry.hash += i;
		assert_int_equal(map_insert(&map, &thing->entry), 0);
	}
	map_free_all(&map, offsetof(struct thing, entry));
	assert_int_equal(map.n_entries, 0);
	map_free_all(&map, offsetof(struct thing, entry));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes_as_siphash_1_3_does),
		cmocka_unit_test(finds_nothing_in_an_empty_map),
		cmocka_unit_test(finds_each_of_many_at_every_step_of_growing),
		cmocka_unit_test(forgets_what_was_removed_and_nothing_else),
		cmocka_unit_test(tells_names_of_one_hash_apart),
		cmocka_unit_test(walks_every_entry_once_while_growing_or_not),
		cmocka_unit_test(lets_a_walk_remove_what_it_left_behind),
		cmocka_unit_test(never_moves_everything_at_once),
		cmocka_unit_test(gives_back_what_a_flood_of_names_took_a_little_at_a_time),
		cmocka_unit_test(leaves_growing_to_insertions),
		cmocka_unit_test(grows_again_while_it_shrinks),
		cmocka_unit_test(does_not_change_its_size_with_every_wave),
		cmocka_unit_test(frees_all_that_are_in_it),
		cmocka_unit_test(draws_its_key_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
