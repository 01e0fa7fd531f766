#ifndef TIDEGATE_CORE_MAP_H
#define TIDEGATE_CORE_MAP_H

/*
 * Map: structs found by a byte string, the entry lives inside the struct.
 *
 * Keyed by what clients send, so the hash is SipHash-1-3 under a random key of the process (drawn once,
 * before any thread starts): nobody outside can make names collide. It grows a few buckets
 * per insertion, never all at once, so no insertion stalls the loop. Not locked: one thread owns a map.
 */

#include <stddef.h>
#include <stdint.h>

struct map_entry {
	struct map_entry *next;
	uint64_t hash;
	const char *key; /* borrowed from the struct around it, for as long as it is in the map */
	size_t key_len;
};

struct map {
	struct map_entry **buckets;     /* NULL until the first insertion */
	struct map_entry **old_buckets; /* being emptied step by step while it grows */
	size_t n_buckets;
	size_t n_old_buckets;
	size_t moved; /* old buckets already emptied */
	size_t n_entries;
};

/* Draws the process' hash key from getrandom(2). Call once in main; later calls do nothing. */
void map_seed(void);

/* The hash that every map of this process uses; carry it along to look a name up on several threads. */
uint64_t map_hash(const char *key, size_t len);

/* SipHash-1-3 under a given key: what map_hash() is made of, to be held against published vectors. */
uint64_t map_sip13(uint64_t k0, uint64_t k1, const char *key, size_t len);

void map_deinit(struct map *map); /* forgets the entries, frees none of them */

/* The key must not be there yet. entry->key, key_len and hash are set by the caller. 0 or -ENOMEM. */
int map_insert(struct map *map, struct map_entry *entry);

void map_remove(struct map *map, struct map_entry *entry);

/* NULL when there is none. */
struct map_entry *map_find(const struct map *map, uint64_t hash, const char *key, size_t len);

/*
 * Brings what a look-up of this hash will touch nearer, in two steps: the bucket, and what stands in it. For
 * who looks up many in a row; between the two steps, and before the look-up, do something else.
 */
void map_prefetch_bucket(const struct map *map, uint64_t hash);
void map_prefetch_entry(const struct map *map, uint64_t hash);

/*
 * Walks all entries in no order: start with NULL, end with NULL. The map may not change meanwhile, except
 * that the entry handed out last may be removed when its successor was fetched before.
 */
struct map_entry *map_next(const struct map *map, const struct map_entry *entry);

#define map_value(entry, type, member) ((type *)((char *)(entry)-offsetof(type, member)))

#endif
