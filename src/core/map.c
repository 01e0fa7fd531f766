/*
 * Map: finds structs by a byte string.
 *
 * It has chained buckets, a power of two of them, with at most one entry per bucket on average. When the
 * buckets fill up, twice as many are made, and every insertion from then on empties a few of the old buckets.
 * So no single insertion pays for all of them, and the old buckets are empty before the new ones fill up.
 * Until an old bucket has been emptied, its entries stay there and new ones are added there: every entry has
 * exactly one bucket to look in.
 *
 * A map shrinks in the same way, to a quarter, when its owner tidies it and it is nearly empty. A crowd of
 * clients may come again, and finds its buckets; a flood of names does not keep them for good. Removing an
 * entry never shrinks the map, so that a walk may remove.
 */

#include "core/map.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/prefetch.h"

enum {
	MAP_FIRST = 8, /* buckets; most maps of a client hold a handful */
	/* old buckets that an insertion empties; one would be just enough, two leave a margin */
	MAP_STEP = 2,
	MAP_SPARSE = 8,   /* buckets for each entry are too many; after growing there are two or fewer */
	MAP_SHRINK = 4,   /* times fewer, so that there are two again */
	MAP_SMALL = 1024, /* buckets are not worth the trouble */
	MAP_TIDY = 4096,  /* old buckets that one call empties: some ten microseconds for so few entries */
	MAP_THIN = 4, /* old buckets for an entry are few entries; while the map grows there is one or less */
};

/*
 * The only static variable of the program, on purpose: a name is hashed once and looked up on many threads,
 * so all maps need the same key. It is written once, before threads start, and only read afterwards.
 */
static struct {
	uint64_t k0;
	uint64_t k1;
	bool drawn;
} process_key;

void map_seed(void)
{
	uint64_t key[2];
	ssize_t r;

	if (process_key.drawn)
		return;
	do
		r = getrandom(key, sizeof(key), 0);
	while (r < 0 && errno == EINTR);
	if (r != (ssize_t)sizeof(key))
		abort(); /* a kernel without randomness: better not to run than with a key that all know */
	process_key.k0 = key[0];
	process_key.k1 = key[1];
	process_key.drawn = true;
}

static uint64_t rotate(uint64_t x, unsigned int bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

/* SipHash-1-3 (Aumasson and Bernstein, public domain): one round per 8 bytes, three at the end. */
uint64_t map_sip13(uint64_t k0, uint64_t k1, const char *key, size_t len)
{
	uint64_t v[4] = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
		k1 ^ 0x7465646279746573};
	uint64_t word;
	size_t left = len;

	for (; left >= 8; left -= 8, key += 8) {
		memcpy(&word, key, 8);
		v[3] ^= le64toh(word);
		sip_round(v);
		v[0] ^= le64toh(word);
	}
	word = (uint64_t)len << 56;
	for (size_t i = 0; i < left; i++)
		word |= (uint64_t)(unsigned char)key[i] << 8 * i;
	v[3] ^= word;
	sip_round(v);
	v[0] ^= word;
	v[2] ^= 0xff;
	for (unsigned int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t map_hash(const char *key, size_t len)
{
	return map_sip13(process_key.k0, process_key.k1, key, len);
}

void map_deinit(struct map *map)
{
	free(map->buckets);
	free(map->old_buckets);
	*map = (struct map){0};
}

void map_free_all(struct map *map, size_t offset)
{
	struct map_entry *entry, *next;

	for (entry = map_next(map, NULL); entry; entry = next) {
		next = map_next(map, entry);
		free((char *)entry - offset);
	}
	map_deinit(map);
}

/* The only bucket in which an entry of this hash can be. */
static struct map_entry **map_bucket(const struct map *map, uint64_t hash)
{
	if (map->old_buckets && (hash & (map->n_old_buckets - 1)) >= map->moved)
		return &map->old_buckets[hash & (map->n_old_buckets - 1)];
	return &map->buckets[hash & (map->n_buckets - 1)];
}

static void map_link(struct map_entry **bucket, struct map_entry *entry)
{
	entry->next = *bucket;
	*bucket = entry;
}

static void map_move(struct map *map, size_t n)
{
	struct map_entry *entry, *next;

	for (size_t i = 0; i < n && map->old_buckets; i++) {
		entry = map->old_buckets[map->moved++];
		for (; entry; entry = next) {
			next = entry->next;
			map_link(&map->buckets[entry->hash & (map->n_buckets - 1)], entry);
		}
		if (map->moved == map->n_old_buckets) {
			free(map->old_buckets);
			map->old_buckets = NULL;
			map->n_old_buckets = map->moved = 0;
		}
	}
}

/* Nothing may be left to move. */
static int map_resize(struct map *map, size_t n)
{
	struct map_entry **buckets = calloc(n, sizeof(*buckets));

	if (!buckets)
		return -ENOMEM;
	map->old_buckets = map->buckets;
	map->n_old_buckets = map->n_buckets;
	map->moved = 0;
	map->buckets = buckets;
	map->n_buckets = n;
	return 0;
}

int map_insert(struct map *map, struct map_entry *entry)
{
	int r = 0;

	if (map->old_buckets) /* a shrinking map has more of them: they must be empty before the new ones are full */
		map_move(map, MAP_STEP + MAP_STEP * (map->n_old_buckets / map->n_buckets));
	if (map->n_entries >= map->n_buckets && !map->old_buckets)
		r = map_resize(map, map->n_buckets ? map->n_buckets * 2 : MAP_FIRST);
	if (r < 0 && !map->buckets)
		return r; /* else: chains get longer, nothing is wrong, and the next insertion tries again */
	map_link(map_bucket(map, entry->hash), entry);
	map->n_entries++;
	return 0;
}

void map_remove(struct map *map, struct map_entry *entry)
{
	struct map_entry **linkp;

	assert(map->n_entries > 0);
	for (linkp = map_bucket(map, entry->hash); *linkp != entry; linkp = &(*linkp)->next)
		assert(*linkp); /* an entry that is not in the map */
	*linkp = entry->next;
	entry->next = NULL;
	map->n_entries--;
}

void map_tidy(struct map *map)
{
	/* Growing is the business of insertions: full buckets would take a hundred times as long. */
	if (map->n_entries < map->n_old_buckets / MAP_THIN)
		map_move(map, MAP_TIDY);
	if (!map->old_buckets && map->n_buckets > MAP_SMALL && map->n_entries < map->n_buckets / MAP_SPARSE)
		(void)map_resize(map, map->n_buckets / MAP_SHRINK); /* without memory it stays large */
}

struct map_entry *map_find(const struct map *map, uint64_t hash, const char *key, size_t len)
{
	struct map_entry *entry;

	if (!map->buckets)
		return NULL;
	for (entry = *map_bucket(map, hash); entry; entry = entry->next)
		if (entry->hash == hash && entry->key_len == len && memcmp(entry->key, key, len) == 0)
			return entry;
	return NULL;
}

void map_prefetch_bucket(const struct map *map, uint64_t hash)
{
	if (map->buckets)
		prefetch(map_bucket(map, hash), sizeof(struct map_entry *));
}

const struct map_entry *map_peek(const struct map *map, uint64_t hash)
{
	return map->buckets ? *map_bucket(map, hash) : NULL;
}

/* The first entry in this bucket or a later one; the old buckets are counted before the new ones. */
static struct map_entry *map_first_from(const struct map *map, size_t slot)
{
	struct map_entry *entry;

	for (; slot < map->n_old_buckets + map->n_buckets; slot++) {
		if (slot < map->n_old_buckets)
			entry = slot < map->moved ? NULL : map->old_buckets[slot];
		else
			entry = map->buckets[slot - map->n_old_buckets];
		if (entry)
			return entry;
	}
	return NULL;
}

struct map_entry *map_next(const struct map *map, const struct map_entry *entry)
{
	size_t slot;

	if (!entry)
		return map_first_from(map, map->moved);
	if (entry->next)
		return entry->next;
	slot = entry->hash & (map->n_old_buckets - 1);
	if (!map->old_buckets || slot < map->moved)
		slot = map->n_old_buckets + (entry->hash & (map->n_buckets - 1));
	return map_first_from(map, slot + 1);
}
