/* Revocations: tokens that count no more; see the header. */

#include "auth/revocations.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "auth/identity.h"
#include "core/buf.h"
#include "core/text.h"

enum {
	KEY_MAX = 1 + REVOCATION_NAME_MAX,
	DIGITS_MAX = 16, /* of milliseconds: no time that is meant has more */
};

/* Of a book, and of a copy. */
struct entry {
	struct map_entry entry; /* the key is 'u' or 't' and the name */
	int64_t issued_before_ms;
	int64_t until_ms;
	uint64_t era;
	char key[];
};

struct revocations {
	atomic_uint n_refs;
	struct map map; /* of its own entries; looked at by all, changed by nobody */
};

static struct entry *entry_of(struct map_entry *entry)
{
	return map_value(entry, struct entry, entry);
}

static struct slice key_of(bool is_token, struct slice name, char key[KEY_MAX])
{
	key[0] = is_token ? 't' : 'u';
	memcpy(key + 1, name.data, name.len);
	return (struct slice){key, 1 + name.len};
}

static bool is_name(struct slice name)
{
	return name.len > 0 && name.len <= REVOCATION_NAME_MAX;
}

static struct entry *find(const struct map *map, bool is_token, struct slice name)
{
	char bytes[KEY_MAX];
	struct slice key;
	struct map_entry *entry;

	if (!is_name(name))
		return NULL;
	key = key_of(is_token, name, bytes);
	entry = map_find(map, map_hash(key.data, key.len), key.data, key.len);
	return entry ? entry_of(entry) : NULL;
}

static struct revocation revocation_of(const struct entry *entry)
{
	return (struct revocation){entry->key[0] == 't', {entry->key + 1, entry->entry.key_len - 1},
		entry->issued_before_ms, entry->until_ms};
}

/* NULL when out of memory. */
static struct entry *add(struct map *map, struct slice key)
{
	struct entry *entry = calloc(1, sizeof(*entry) + key.len);

	if (!entry)
		return NULL;
	memcpy(entry->key, key.data, key.len);
	entry->entry = (struct map_entry){
		.hash = map_hash(key.data, key.len), .key = entry->key, .key_len = key.len};
	if (map_insert(map, &entry->entry) < 0) {
		free(entry);
		return NULL;
	}
	return entry;
}

static void clear(struct map *map)
{
	struct map_entry *next;

	for (struct map_entry *entry = map_next(map, NULL); entry; entry = next) {
		next = map_next(map, entry);
		free(entry_of(entry));
	}
	map_deinit(map);
}

/* --- the text --- */

void revocation_write(const struct revocation *revocation, struct buf *out)
{
	if (revocation->is_token)
		buf_append_str(out, "t ");
	else
		buf_printf(out, "u %" PRId64 " ", revocation->issued_before_ms);
	buf_append(out, revocation->name.data, revocation->name.len);
}

bool revocation_read(struct slice text, struct revocation *revocation)
{
	size_t at = 2;

	*revocation = (struct revocation){.is_token = slice_starts(text, "t ")};
	if (!revocation->is_token && !slice_starts(text, "u "))
		return false;
	for (; !revocation->is_token && at < text.len && text_is_digit(text.data[at]); at++) {
		if (at == 2 + DIGITS_MAX)
			return false;
		revocation->issued_before_ms = revocation->issued_before_ms * 10 + (text.data[at] - '0');
	}
	if (!revocation->is_token && (at == 2 || at == text.len || text.data[at++] != ' '))
		return false;
	revocation->name = (struct slice){text.data + at, text.len - at};
	return is_name(revocation->name);
}

/* --- the book --- */

void revocation_book_deinit(struct revocation_book *book)
{
	clear(&book->map);
}

/* False: that is known already. */
static bool widen(struct entry *entry, const struct revocation *revocation)
{
	bool later = revocation->issued_before_ms > entry->issued_before_ms;
	bool longer = revocation->until_ms > entry->until_ms;

	if (later)
		entry->issued_before_ms = revocation->issued_before_ms;
	if (longer)
		entry->until_ms = revocation->until_ms;
	return later || longer;
}

int revocation_book_note(
	struct revocation_book *book, const struct revocation *revocation, struct revocation *widened)
{
	struct entry *entry = find(&book->map, revocation->is_token, revocation->name);
	char key[KEY_MAX];
	int r = 0;

	*widened = *revocation;
	if (!entry && revocation_book_count(book) >= REVOCATIONS_MAX)
		return REVOCATION_FULL;
	if (entry)
		r = widen(entry, revocation) ? 0 : REVOCATION_KNOWN;
	else
		entry = add(&book->map, key_of(revocation->is_token, revocation->name, key));
	if (!entry)
		return -ENOMEM;
	if (r == 0)
		(void)widen(entry, revocation);
	entry->era = book->era;
	widened->issued_before_ms = entry->issued_before_ms;
	widened->until_ms = entry->until_ms;
	return r;
}

bool revocation_book_find(
	const struct revocation_book *book, const struct revocation *about, struct revocation *found)
{
	const struct entry *entry = find(&book->map, about->is_token, about->name);

	if (entry)
		*found = revocation_of(entry);
	return entry;
}

static void forget(struct revocation_book *book, struct entry *entry)
{
	map_remove(&book->map, &entry->entry);
	free(entry);
}

void revocation_book_forget(struct revocation_book *book, const struct revocation *about)
{
	struct entry *entry = find(&book->map, about->is_token, about->name);

	if (entry)
		forget(book, entry);
}

size_t revocation_book_expire(struct revocation_book *book, int64_t now_ms)
{
	struct map_entry *next;
	size_t n = 0;

	for (struct map_entry *entry = map_next(&book->map, NULL); entry; entry = next) {
		next = map_next(&book->map, entry);
		if (entry_of(entry)->until_ms > now_ms)
			continue;
		forget(book, entry_of(entry));
		n++;
	}
	map_tidy(&book->map);
	return n;
}

void revocation_book_again(struct revocation_book *book)
{
	book->era++;
}

const struct map_entry *revocation_book_missed(
	const struct revocation_book *book, const struct map_entry *entry, struct revocation *missed)
{
	struct map_entry *next = map_next(&book->map, entry);

	while (next && entry_of(next)->era == book->era)
		next = map_next(&book->map, next);
	if (next)
		*missed = revocation_of(entry_of(next));
	return next;
}

/* --- the copy --- */

struct revocations *revocation_book_share(const struct revocation_book *book)
{
	struct revocations *copy = calloc(1, sizeof(*copy));

	if (!copy)
		return NULL;
	atomic_init(&copy->n_refs, 1);
	for (struct map_entry *e = map_next(&book->map, NULL); e; e = map_next(&book->map, e)) {
		struct entry *made = add(&copy->map, (struct slice){e->key, e->key_len});

		if (!made) {
			revocations_unref(copy);
			return NULL;
		}
		made->issued_before_ms = entry_of(e)->issued_before_ms;
		made->until_ms = entry_of(e)->until_ms;
	}
	return copy;
}

struct revocations *revocations_ref(struct revocations *revocations)
{
	atomic_fetch_add_explicit(&revocations->n_refs, 1, memory_order_relaxed);
	return revocations;
}

void revocations_unref(struct revocations *revocations)
{
	if (!revocations || atomic_fetch_sub_explicit(&revocations->n_refs, 1, memory_order_acq_rel) != 1)
		return;
	clear(&revocations->map);
	free(revocations);
}

bool revocation_is_older(const struct identity *identity, int64_t issued_before_ms)
{
	int64_t issued_ms = identity_issued_ms(identity);

	return issued_ms == IDENTITY_UNDATED || issued_ms < issued_before_ms;
}

bool revocations_have(const struct revocations *revocations, const struct identity *identity, int64_t now_ms)
{
	const struct entry *entry;

	if (!revocations || !revocations->map.n_entries)
		return false;
	entry = find(&revocations->map, false, slice_of(identity_user(identity)));
	if (entry && now_ms < entry->until_ms && revocation_is_older(identity, entry->issued_before_ms))
		return true;
	entry = find(&revocations->map, true, slice_of(identity_token(identity)));
	return entry && now_ms < entry->until_ms;
}
