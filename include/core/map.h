#ifndef TIDEGATE_CORE_MAP_H
#define TIDEGATE_CORE_MAP_H

/*
 * Map: finds structs by a byte string. The entry lives inside the struct.
 *
 * Clients choose many of the keys, so the hash is SipHash-1-3 under a random key of the process, drawn once
 * before any thread starts: nobody outside can make names collide. A map grows and shrinks by a few buckets
 * at a time, never all at once, so it stalls no loop. It is not locked: one thread owns a map.
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
	struct map_entry **old_buckets; /* being emptied step by step while it grows or shrinks */
	size_t n_buckets;
	size_t n_old_buckets;
	size_t moved; /* old buckets already emptied */
	size_t n_entries;
};

/* Draws the process' hash key from getrandom(2). Call once in main; later calls do nothing. */
void map_seed(void);

/* The hash that every map of this process uses; carry it along to look a name up on several threads. */
uint64_t map_hash(const char *key, size_t len);

/* SipHash-1-3 under a given key, of which map_hash() is made; a test compares it with published vectors. */
uint64_t map_sip13(uint64_t k0, uint64_t k1, const char *key, size_t len);

void map_deinit(struct map *map); /* forgets the entries and frees no struct */

/* Likewise, but frees all structs, in which the entry stands at this offset. */
void map_free_all(struct map *map, size_t offset);

/* The key must not be there yet. entry->key, key_len and hash are set by the caller. 0 or -ENOMEM. */
int map_insert(struct map *map, struct map_entry *entry);

void map_remove(struct map *map, struct map_entry *entry);

/* Gives back memory that the map no longer needs. The owner calls this now and then, outside of a walk; a
 * call takes some ten microseconds, but for the few that return a large piece to the system. */
void map_tidy(struct map *map);

/* NULL when the key is not there. */
struct map_entry *map_find(const struct map *map, uint64_t hash, const char *key, size_t len);

/*
 * For a caller who looks many names up in a row, and has other work to do between these steps and before
 * the look-up. First the bucket is brought into the cache. Then its first entry can be told without touching
 * it, so that the caller brings in what it needs of the struct around; NULL if there is none.
 */
void map_prefetch_bucket(const struct map *map, uint64_t hash);
const struct map_entry *map_peek(const struct map *map, uint64_t hash);

/*
 * Walks all entries, in no order: start with NULL, end with NULL. The map may not change meanwhile, with one
 * exception: the entry that was handed out last may be removed if its successor was fetched before.
 */
struct map_entry *map_next(const struct map *map, const struct map_entry *entry);

#define map_value(entry, type, member) ((type *)((char *)(entry)-offsetof(type, member)))

#endif
