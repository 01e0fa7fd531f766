/* Address table: a map of addresses under a mutex; see the header. */

#include "core/address_table.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/bucket.h"
#include "core/ip.h"
#include "core/list.h"
#include "core/map.h"

enum {
	PREFIX_BYTES = 8, /* of an IPv6 address: /64 */
	MS_PER_SECOND = 1000,
	FORGET_AT_ONCE = 2, /* by each that comes or goes: more than it can leave behind */
};

struct address {
	struct map_entry entry;
	struct in6_addr key;
	struct list idle; /* in the table's, in the order in which they left, while nobody is connected */
	struct bucket opened;
	unsigned int n;
	unsigned int n_told;
};

struct address_table {
	pthread_mutex_t mutex;
	struct map map;
	struct list idle;
	struct address_bound bound;
	struct bucket_rate rate;
};

struct address_table *address_table_new(void)
{
	struct address_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	pthread_mutex_init(&table->mutex, NULL);
	list_init(&table->idle);
	return table;
}

static void forget(struct address_table *table, struct address *address)
{
	map_remove(&table->map, &address->entry);
	list_remove(&address->idle);
	free(address);
}

void address_table_free(struct address_table *table)
{
	if (!table)
		return;
	while (!list_empty(&table->idle))
		forget(table, list_entry(table->idle.next, struct address, idle));
	map_deinit(&table->map);
	pthread_mutex_destroy(&table->mutex);
	free(table);
}

void address_table_set_bound(struct address_table *table, const struct address_bound *bound)
{
	unsigned int in_a_second = bound->max / ADDRESS_NEW_PART;

	if (in_a_second < ADDRESS_NEW_MIN)
		in_a_second = ADDRESS_NEW_MIN;
	pthread_mutex_lock(&table->mutex);
	table->bound = *bound;
	table->rate = bucket_rate(in_a_second, MS_PER_SECOND, in_a_second);
	pthread_mutex_unlock(&table->mutex);
}

static struct in6_addr key_of(const struct in6_addr *from)
{
	struct in6_addr key = ip_embedded(from);

	if (!IN6_IS_ADDR_V4MAPPED(&key))
		memset(&key.s6_addr[PREFIX_BYTES], 0, sizeof(key) - PREFIX_BYTES);
	return key;
}

/* Forgets up to `max` addresses that nobody is connected from, and that may open as many as ever. */
static size_t forget_idle(struct address_table *table, uint64_t now_ms, size_t max)
{
	size_t n = 0;

	while (n < max && !list_empty(&table->idle)) {
		struct address *oldest = list_entry(table->idle.next, struct address, idle);

		if (!bucket_is_full(&oldest->opened, now_ms))
			break;
		forget(table, oldest);
		n++;
	}
	return n;
}

/* The address, which is made if it is not there. NULL when out of memory. */
static struct address *look_up(struct address_table *table, const struct in6_addr *key)
{
	const char *bytes = (const char *)key->s6_addr;
	uint64_t hash = map_hash(bytes, sizeof(*key));
	struct map_entry *entry = map_find(&table->map, hash, bytes, sizeof(*key));
	struct address *address;

	if (entry)
		return map_value(entry, struct address, entry);
	address = calloc(1, sizeof(*address));
	if (!address)
		return NULL;
	address->key = *key;
	address->entry = (struct map_entry){
		.hash = hash, .key = (char *)address->key.s6_addr, .key_len = sizeof(*key)};
	list_init(&address->idle);
	if (map_insert(&table->map, &address->entry) < 0) {
		free(address);
		return NULL;
	}
	list_push_back(&table->idle, &address->idle);
	return address;
}

static int judge(const struct address_table *table, struct address *address, uint64_t now_ms)
{
	if (address->n >= table->bound.max)
		return ADDRESS_MANY;
	return bucket_take(&address->opened, &table->rate, now_ms) ? 0 : ADDRESS_FAST;
}

static int enter(
	struct address_table *table, const struct in6_addr *from, uint64_t now_ms, struct address **addressp)
{
	struct in6_addr key = key_of(from);
	struct address *address = look_up(table, &key);
	int r;

	if (!address)
		return -ENOMEM;
	r = judge(table, address, now_ms);
	if (r == 0)
		address->n++;
	else if (address->n_told < ADDRESS_TOLD_MAX)
		address->n_told++;
	else
		return r;
	list_remove(&address->idle);
	*addressp = address;
	return r;
}

int address_table_enter(struct address_table *table, const struct in6_addr *from, bool named, uint64_t now_ms,
	struct address **addressp)
{
	int r = 0;

	*addressp = NULL;
	pthread_mutex_lock(&table->mutex);
	forget_idle(table, now_ms, FORGET_AT_ONCE);
	if (table->bound.max && (named || table->bound.private_as_well || !ip_is_private(from)))
		r = enter(table, from, now_ms, addressp);
	pthread_mutex_unlock(&table->mutex);
	return r;
}

void address_table_leave(struct address_table *table, struct address *address, bool told, uint64_t now_ms)
{
	if (!address)
		return;
	pthread_mutex_lock(&table->mutex);
	if (told)
		address->n_told--;
	else
		address->n--;
	if (address->n == 0 && address->n_told == 0)
		list_push_back(&table->idle, &address->idle);
	forget_idle(table, now_ms, FORGET_AT_ONCE);
	pthread_mutex_unlock(&table->mutex);
}

bool address_table_tidy(struct address_table *table, uint64_t now_ms)
{
	bool more;

	pthread_mutex_lock(&table->mutex);
	more = forget_idle(table, now_ms, ADDRESS_TIDY_MAX) == ADDRESS_TIDY_MAX;
	map_tidy(&table->map);
	pthread_mutex_unlock(&table->mutex);
	return more;
}

size_t address_table_size(struct address_table *table)
{
	size_t n;

	pthread_mutex_lock(&table->mutex);
	n = table->map.n_entries;
	pthread_mutex_unlock(&table->mutex);
	return n;
}
