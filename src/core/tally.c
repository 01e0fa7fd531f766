/* Tally: a map of names under a mutex; see the header. */

#include "core/tally.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/map.h"

struct tally_name {
	struct map_entry entry;
	unsigned int n;
	char text[];
};

struct tally {
	pthread_mutex_t mutex;
	struct map map;
	unsigned int max;
};

struct tally *tally_new(void)
{
	struct tally *tally = calloc(1, sizeof(*tally));

	if (tally)
		pthread_mutex_init(&tally->mutex, NULL);
	return tally;
}

void tally_free(struct tally *tally)
{
	if (!tally)
		return;
	map_deinit(&tally->map);
	pthread_mutex_destroy(&tally->mutex);
	free(tally);
}

void tally_set_max(struct tally *tally, unsigned int max)
{
	pthread_mutex_lock(&tally->mutex);
	tally->max = max;
	pthread_mutex_unlock(&tally->mutex);
}

static int add(struct tally *tally, struct slice text, uint64_t hash, struct tally_name **namep)
{
	struct tally_name *name = calloc(1, sizeof(*name) + text.len);

	if (!name)
		return -ENOMEM;
	memcpy(name->text, text.data, text.len);
	name->entry = (struct map_entry){.hash = hash, .key = name->text, .key_len = text.len};
	if (map_insert(&tally->map, &name->entry) < 0) {
		free(name);
		return -ENOMEM;
	}
	*namep = name;
	return 0;
}

static int enter(struct tally *tally, struct slice text, struct tally_name **namep)
{
	uint64_t hash = map_hash(text.data, text.len);
	struct map_entry *entry = map_find(&tally->map, hash, text.data, text.len);
	struct tally_name *name = entry ? map_value(entry, struct tally_name, entry) : NULL;
	int r = 0;

	if (!tally->max)
		return 0;
	if (name && name->n >= tally->max)
		return TALLY_FULL;
	if (!name)
		r = add(tally, text, hash, &name);
	if (r == 0) {
		name->n++;
		*namep = name;
	}
	return r;
}

int tally_enter(struct tally *tally, struct slice name, struct tally_name **namep)
{
	int r;

	*namep = NULL;
	pthread_mutex_lock(&tally->mutex);
	r = enter(tally, name, namep);
	pthread_mutex_unlock(&tally->mutex);
	return r;
}

void tally_leave(struct tally *tally, struct tally_name *name)
{
	if (!name)
		return;
	pthread_mutex_lock(&tally->mutex);
	if (--name->n == 0) {
		map_remove(&tally->map, &name->entry);
		free(name);
	}
	pthread_mutex_unlock(&tally->mutex);
}

size_t tally_size(struct tally *tally)
{
	size_t n;

	pthread_mutex_lock(&tally->mutex);
	n = tally->map.n_entries;
	pthread_mutex_unlock(&tally->mutex);
	return n;
}
