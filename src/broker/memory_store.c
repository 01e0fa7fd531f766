/* Memory store: the logs of all channels and the idempotency keys; see the header. */

#include "broker/memory_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/epoch_draw.h"
#include "core/list.h"
#include "core/map.h"

enum {
	/* of a log without entries: anybody may read names to which nothing is published */
	TTL_EMPTY_MS = 60000,
	/* of a log that was begun a moment ago: anybody may name a channel, and leave */
	NEW_LIVES_MS = 20000,
	/* how long a log counts as new; a log with listeners is read every eight seconds */
	NEW_FOR_MS = 5000,
	TICK_SWEEP = 20000, /* some milliseconds */
	SWEEP = 2, /* items that each call looks at; more than it can add, so expired items go in the end */
};

/* A log or a key: found by its name until its time is over. */
struct item {
	struct map_entry entry; /* key is name */
	struct list link;
	uint64_t begun_ms; /* of a log */
	uint64_t until_ms;
	struct epoch epoch;     /* of a log, before it has entries too */
	struct memory_log *log; /* of a log with entries */
	struct position id;     /* of a key: the id of its entry */
	char name[];
};

struct items {
	struct map by_name;
	struct list turn; /* the item that was looked at longest ago comes first */
};

struct memory_store {
	struct items logs;
	struct items keys; /* by the channel's name, a NUL, the key */
};

static void item_drop(struct items *items, struct item *item)
{
	map_remove(&items->by_name, &item->entry);
	list_remove(&item->link);
	memory_log_free(item->log);
	free(item);
}

static void items_sweep(struct items *items, uint64_t now_ms, int n)
{
	for (int i = 0; i < n && !list_empty(&items->turn); i++) {
		struct item *item = list_entry(items->turn.next, struct item, link);

		if (item->until_ms <= now_ms) {
			item_drop(items, item);
			continue;
		}
		list_remove(&item->link);
		list_push_back(&items->turn, &item->link);
	}
}

/* NULL when it is not there, or no longer. */
static struct item *items_find(struct items *items, struct slice name, uint64_t now_ms)
{
	struct map_entry *entry =
		map_find(&items->by_name, map_hash(name.data, name.len), name.data, name.len);
	struct item *item = entry ? map_value(entry, struct item, entry) : NULL;

	if (!item || item->until_ms > now_ms)
		return item;
	item_drop(items, item);
	return NULL;
}

static struct item *items_add(struct items *items, struct slice name)
{
	struct item *item = calloc(1, sizeof(*item) + name.len);

	if (!item)
		return NULL;
	if (name.len)
		memcpy(item->name, name.data, name.len);
	item->entry.key = item->name;
	item->entry.key_len = name.len;
	item->entry.hash = map_hash(item->name, name.len);
	if (map_insert(&items->by_name, &item->entry) < 0) {
		free(item);
		return NULL;
	}
	list_push_back(&items->turn, &item->link);
	return item;
}

static void items_deinit(struct items *items)
{
	while (!list_empty(&items->turn))
		item_drop(items, list_entry(items->turn.next, struct item, link));
	map_deinit(&items->by_name);
}

int memory_store_new(struct memory_store **storep)
{
	struct memory_store *store = calloc(1, sizeof(*store));

	if (!store)
		return -ENOMEM;
	list_init(&store->logs.turn);
	list_init(&store->keys.turn);
	*storep = store;
	return 0;
}

void memory_store_free(struct memory_store *store)
{
	if (!store)
		return;
	items_deinit(&store->logs);
	items_deinit(&store->keys);
	free(store);
}

/* An end of time that does not come before its beginning. */
static uint64_t later(uint64_t now_ms, uint64_t ttl_ms)
{
	return ttl_ms < UINT64_MAX - now_ms ? now_ms + ttl_ms : UINT64_MAX;
}

/* The log, begun if it is not there. NULL: out of memory. */
static struct item *store_log(struct memory_store *store, struct slice channel, uint64_t now_ms)
{
	struct item *item;

	items_sweep(&store->logs, now_ms, SWEEP);
	item = items_find(&store->logs, channel, now_ms);
	if (!item) {
		item = items_add(&store->logs, channel);
		if (!item)
			return NULL;
		epoch_draw(&item->epoch);
		item->begun_ms = now_ms;
		item->until_ms = later(now_ms, NEW_LIVES_MS);
	}
	return item;
}

/* A log that has no entry yet was read. */
static void keep_empty(struct item *item, uint64_t ttl_ms, uint64_t now_ms)
{
	uint64_t empty_ms = now_ms - item->begun_ms < NEW_FOR_MS ? NEW_LIVES_MS : TTL_EMPTY_MS;
	uint64_t from_ms = empty_ms == NEW_LIVES_MS ? item->begun_ms : now_ms;

	item->until_ms = later(from_ms, ttl_ms < empty_ms ? ttl_ms : empty_ms);
}

static int log_append(
	struct item *item, struct slice payload, uint32_t size, uint64_t wall_us, struct envelope *envelope)
{
	if (!item->log)
		item->log = memory_log_new(&item->epoch, size);
	return item->log ? memory_log_append(item->log, payload, wall_us, envelope) : -ENOMEM;
}

/* Finds or makes the key's item, which is new if it has no id yet. NULL when out of memory. */
static struct item *store_key(
	struct memory_store *store, struct slice channel, struct slice key, uint64_t now_ms)
{
	struct slice name = {NULL, channel.len + 1 + key.len};
	char *text = malloc(name.len);
	struct item *item;

	if (!text)
		return NULL;
	memcpy(text, channel.data, channel.len);
	text[channel.len] = '\0';
	memcpy(text + channel.len + 1, key.data, key.len);
	name.data = text;
	items_sweep(&store->keys, now_ms, SWEEP);
	item = items_find(&store->keys, name, now_ms);
	if (!item)
		item = items_add(&store->keys, name);
	free(text);
	return item;
}

int memory_store_publish(struct memory_store *store, struct slice channel, struct slice payload,
	const struct broker_log_options *options, struct memory_time time, struct position *id,
	struct envelope *envelope)
{
	struct item *key = NULL;
	struct item *log;
	int r = -ENOMEM;

	if (options->key.data) {
		key = store_key(store, channel, options->key, time.now_ms);
		if (!key)
			return -ENOMEM;
		*id = key->id;
		log = items_find(&store->logs, channel, time.now_ms);
		/* A key may outlive the log: then the entry that it stands for is gone. */
		if (id->offset && log && epoch_equal(&log->epoch, &id->epoch))
			return MEMORY_STORE_DUPLICATE;
	}
	log = store_log(store, channel, time.now_ms);
	if (log)
		log->until_ms = later(time.now_ms, options->ttl_ms);
	if (log)
		r = log_append(log, payload, options->size, time.wall_us, envelope);
	if (r < 0) {
		if (key)
			item_drop(&store->keys, key);
		return r;
	}
	*id = (struct position){envelope->epoch, envelope->offset, envelope->tag};
	if (key) {
		key->id = *id;
		key->until_ms = later(time.now_ms, options->key_ttl_ms);
	}
	return 0;
}

int memory_store_read(struct memory_store *store, struct slice channel, uint64_t from, uint32_t count,
	uint64_t ttl_ms, uint64_t now_ms, struct memory_range *range)
{
	struct item *item = store_log(store, channel, now_ms);

	if (!item)
		return -ENOMEM;
	*range = (struct memory_range){.top.epoch = item->epoch, .log = item->log};
	if (!item->log) {
		keep_empty(item, ttl_ms, now_ms);
		return 0;
	}
	item->until_ms = later(now_ms, ttl_ms);
	memory_log_top(item->log, &range->top);
	range->n = count ? memory_log_read(item->log, from, count, &range->first) : 0;
	return 0;
}

static int all_up_to(const struct items *items, int n)
{
	return items->by_name.n_entries < (size_t)n ? (int)items->by_name.n_entries : n;
}

size_t memory_store_tick(struct memory_store *store, uint64_t now_ms)
{
	size_t n = memory_store_n_logs(store) + memory_store_n_keys(store);

	items_sweep(&store->logs, now_ms, all_up_to(&store->logs, TICK_SWEEP));
	items_sweep(&store->keys, now_ms, all_up_to(&store->keys, TICK_SWEEP));
	map_tidy(&store->logs.by_name);
	map_tidy(&store->keys.by_name);
	return n - memory_store_n_logs(store) - memory_store_n_keys(store);
}

size_t memory_store_n_logs(const struct memory_store *store)
{
	return store->logs.by_name.n_entries;
}

size_t memory_store_n_keys(const struct memory_store *store)
{
	return store->keys.by_name.n_entries;
}
