#ifndef TIDEGATE_SRC_AUTH_KEY_SET_H
#define TIDEGATE_SRC_AUTH_KEY_SET_H

/*
 * Key set: the keys that tokens may be signed with, each with the algorithms that it may be used for.
 *
 * A JWK that says its `alg` is for that alone; any other key for those of its kind that are accepted at
 * all. No key is ever used because a token asks for it. What cannot be used is kept too, with the reason,
 * so that it can be told.
 */

#include <stdbool.h>
#include <stddef.h>

#include "auth/algorithm.h"
#include "core/slice.h"

struct buf;
struct key_set;
struct signature_key;

enum {
	KEY_SET_BAD = 1, /* a sentence is in the error buffer, without a full stop */

	KEY_TRIES_MAX = 4, /* keys that one token is tried with: each costs a signature */
};

struct key {
	const char *source;
	const char *kind;
	int bits;
	const char *kid;
	const char *algorithms;        /* for people: "RS256,PS256" */
	const char *skipped;           /* NULL, or why no token is checked with it */
	unsigned int set;              /* the algorithms; 0 if skipped */
	struct signature_key *signing; /* NULL if it is none that libjwt takes */
};

/* accepted: the algorithms that may be used at all. NULL when out of memory. */
struct key_set *key_set_new(unsigned int accepted);
void key_set_free(struct key_set *set); /* accepts NULL */

/* A secret as it is configured, "base64:…" for bytes. name: of the option. 0, -ENOMEM, KEY_SET_BAD. */
int key_set_add_secret(struct key_set *set, const char *name, const char *secret, struct buf *error);

/* The keys of a text, PEM or JWKS. remote: secrets in it are skipped. 0, -ENOMEM, KEY_SET_BAD. */
int key_set_add_text(
	struct key_set *set, const char *source, struct slice text, bool remote, struct buf *error);

/* Skipped ones included. */
size_t key_set_count(const struct key_set *set);
bool key_set_has_remote(const struct key_set *set); /* was some text from a URL? */
const struct key *key_set_at(const struct key_set *set, size_t i);

/*
 * Finds the keys that a token of this algorithm may be signed with, and returns how many: those with its kid
 * first, then those without one, such as PEM files and secrets. Without a kid, all.
 */
size_t key_set_find(const struct key_set *set, enum algorithm algorithm, const char *kid,
	const struct key *found[KEY_TRIES_MAX]);

#endif
