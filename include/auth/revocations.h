#ifndef TIDEGATE_AUTH_REVOCATIONS_H
#define TIDEGATE_AUTH_REVOCATIONS_H

/*
 * Revocations: tokens that count no more, though their signature and their time are good.
 *
  * A user's tokens that were made before some moment, or one token by its name, until some moment. A token
  * that does not say when it was made counts as made before. They are noted in a book, which belongs to one
  * thread, is bounded, and forgets what is over. What others ask is a copy of the book that does not change
  * and is shared by count. Pure: time is handed in, in milliseconds of the wall clock.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/map.h"
#include "core/slice.h"

struct buf;
struct identity;

enum {
	REVOCATIONS_MAX = 100000, /* in a book: some 10 MB in it and in its copies */
	REVOCATION_NAME_MAX = 255,

	REVOCATION_KNOWN = 1, /* the book says so already */
	REVOCATION_FULL = 2,  /* it was not noted */
};

struct revocation {
	bool is_token; /* name is a token's; else a user's */
	struct slice name;
	int64_t issued_before_ms; /* of a user's tokens */
	int64_t until_ms;
};

/* Its text in Redis, beside which `until` stands: "u MILLISECONDS USER", "t TOKEN". */
void revocation_write(const struct revocation *revocation, struct buf *out);

/* Without `until`. False: it is none. The name is borrowed from the text. */
bool revocation_read(struct slice text, struct revocation *revocation);

/* Zeroed memory is an empty book. */
struct revocation_book {
	struct map map;
	uint64_t era; /* see revocation_book_again() */
};

void revocation_book_deinit(struct revocation_book *book);

/*
 * Notes it. One about the same name is widened, never narrowed: *widened is what the book says then, with the
 * name of the argument. 0, REVOCATION_KNOWN, REVOCATION_FULL, or -ENOMEM.
 */
int revocation_book_note(
	struct revocation_book *book, const struct revocation *revocation, struct revocation *widened);

/* What the book says of the same name. False: nothing. The name is borrowed for the life of the entry. */
bool revocation_book_find(
	const struct revocation_book *book, const struct revocation *about, struct revocation *found);

/* Forgets what it says of that name. */
void revocation_book_forget(struct revocation_book *book, const struct revocation *about);

/* Forgets all that is over. How many. */
size_t revocation_book_expire(struct revocation_book *book, int64_t now_ms);

static inline size_t revocation_book_count(const struct revocation_book *book)
{
	return book->map.n_entries;
}

/* From now on the book notes which of its entries are noted again. */
void revocation_book_again(struct revocation_book *book);

/* Walks those that were not noted since: start with NULL. The book may not change meanwhile. NULL: the
 * end. */
const struct map_entry *revocation_book_missed(
	const struct revocation_book *book, const struct map_entry *entry, struct revocation *missed);

struct revocations;

/* A copy of the book as it is, with one reference. NULL when out of memory. */
struct revocations *revocation_book_share(const struct revocation_book *book);
struct revocations *revocations_ref(struct revocations *revocations);
void revocations_unref(struct revocations *revocations); /* accepts NULL; from any thread */

/* Is the identity's token revoked now? revocations: NULL revokes nothing. */
bool revocations_have(const struct revocations *revocations, const struct identity *identity, int64_t now_ms);

/* Was the identity's token made before this moment, for all that it says? */
bool revocation_is_older(const struct identity *identity, int64_t issued_before_ms);

#endif
