#ifndef TIDEGATE_BROKER_MEMORY_STORE_H
#define TIDEGATE_BROKER_MEMORY_STORE_H

/*
 * Memory store: the logs of all channels and the idempotency keys, for a node that has no Redis.
 *
 * It does what our library does in Redis: a log begins with the first call that names it, keeps its newest
 * entries, and goes when it was neither published to nor read for its ttl; a log that begins again has a new
 * epoch. The first publication decides how many entries a log keeps as long as it lives.
 *
 * An expired item is dropped at the latest when its turn comes: each call looks at a few items, a tick at
 * more. A log without entries, which anybody may begin by reading it, stays for 20 s, or for a minute where
 * it is read on. Pure: time is handed in, monotonic for expiry, the wall's for tags.
 */

#include <stddef.h>
#include <stdint.h>

#include "broker/broker.h"
#include "channel_log/envelope.h"
#include "channel_log/memory_log.h"
#include "core/slice.h"

struct memory_store;

struct memory_time {
	uint64_t now_ms;
	uint64_t wall_us;
};

enum {
	MEMORY_STORE_DUPLICATE = 1, /* the key is known: nothing was appended */
};

/* The result of a read; borrowed until the next call. log NULL: nothing but the top, 0-0. */
struct memory_range {
	struct position top;
	const struct memory_log *log;
	uint64_t first;
	uint32_t n;
};

int memory_store_new(struct memory_store **storep); /* 0 or -ENOMEM */
void memory_store_free(struct memory_store *store); /* accepts NULL */

/*
 * 0: the entry was appended; *id is its id, and envelope is to be pushed, borrowed until the next call.
 * MEMORY_STORE_DUPLICATE: *id is that of the entry with this key. -ENOMEM: the store is as it was.
 */
int memory_store_publish(struct memory_store *store, struct slice channel, struct slice payload,
	const struct broker_log_options *options, struct memory_time time, struct position *id,
	struct envelope *envelope);

/* 0 or -ENOMEM. */
int memory_store_read(struct memory_store *store, struct slice channel, uint64_t from, uint32_t count,
	uint64_t ttl_ms, uint64_t now_ms, struct memory_range *range);

/* To be called about once a second. Returns how many logs and keys were dropped. */
size_t memory_store_tick(struct memory_store *store, uint64_t now_ms);

/* The number of logs and of keys, with the expired ones whose turn has not come yet. */
size_t memory_store_n_logs(const struct memory_store *store);
size_t memory_store_n_keys(const struct memory_store *store);

#endif
