#ifndef TIDEGATE_AUTH_VERIFIER_H
#define TIDEGATE_AUTH_VERIFIER_H

/*
 * Verifier: keys and rules, by which tokens are judged.
 *
 * Built on the bus thread, from what is configured and the texts of key files, where all that can fail does
 * so. Then it does not change, is shared by count between threads, and is replaced as a whole: at a reload,
 * and when keys were rotated. Each thread that checks tokens has a verifier_thread of its own.
 *
 * A token is asked for its form first, for its time next, and for its signature only then, by keys that
 * have exactly its algorithm and its `kid`. What a token says of keys itself (`jku`, `jwk`, `x5u`) is not
 * looked at.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/claims.h"
#include "auth/token_fault.h"
#include "core/slice.h"

struct buf;
struct identity;

enum {
	VERIFIER_BAD = 1, /* a sentence is in the error buffer */

	TOKEN_BYTES_MAX = 8000, /* of a token; a head has 8 KiB */
	TOKEN_KID_MAX = 64,     /* bytes of a kid that the log tells */
	TOKEN_ALG_MAX = 16,     /* likewise of an alg */
	KEYS_MAX = 256,         /* of one verifier; the rest is skipped */
};

/* A file of keys, or what a URL answered: PEM or a JWKS (or a single JWK). */
struct verifier_keys {
	const char *name; /* for people: the file, or the URL */
	struct slice text;
	bool remote; /* from a URL: secrets in it are skipped */
};

/* Borrowed for the length of verifier_new(), which copies. Strings may be NULL or empty: not configured. */
struct verifier_rules {
	const char *secret;            /* of HS256; "base64:…" for bytes */
	const char *secret_previous;   /* the one before: its tokens are good still */
	const char *const *algorithms; /* names that may be used at all; NULL-terminated; NULL: the default */
	const struct verifier_keys *keys;
	size_t n_keys;
	struct claims_rules claims; /* exp_optional is not looked at */
};

struct verifier;

/*
 * 0 and *verifierp, with one reference; -ENOMEM; or VERIFIER_BAD with one sentence, without a full stop,
 * about the secret, the algorithm or the file that is wrong. Keys that cannot be used are no error:
 * verifier_key() says which, and why. A verifier without a key refuses every token.
 */
int verifier_new(const struct verifier_rules *rules, struct verifier **verifierp, struct buf *error);
struct verifier *verifier_ref(struct verifier *verifier);
void verifier_unref(struct verifier *verifier); /* accepts NULL; from any thread */

/* One key, for `tidegate check` and the log: all of it may be shown. Strings live as long as the verifier. */
struct verifier_key {
	const char *source; /* "token_secret", "token_secret_previous", or verifier_keys.name */
	const char
		*kind; /* "secret", "RSA", "EC P-256", "Ed25519"; what a skipped one says of itself, or "" */
	int bits;      /* 0 if it is not known */
	const char *kid;        /* as it was given; NULL without */
	const char *algorithms; /* "RS256", or several behind commas; "" if it is skipped */
	const char *skipped;    /* why it is not used, without a full stop; NULL if it is */
};

/* Is it the name of an algorithm that token_algorithms may have? */
bool verifier_knows_algorithm(const char *name);

size_t verifier_n_keys(const struct verifier *verifier); /* skipped ones included */
struct verifier_key verifier_key(const struct verifier *verifier, size_t i);

/* What a thread needs of its own: room to work in. NULL when out of memory. */
struct verifier_thread *verifier_thread_new(void);
void verifier_thread_free(struct verifier_thread *thread); /* accepts NULL */

/* Who the token says, and what of its header the log may tell: escaped by the log, cut here. */
struct verifier_result {
	struct identity *identity;   /* the caller's; NULL if the token was refused */
	char kid[TOKEN_KID_MAX + 1]; /* "" without */
	char alg[TOKEN_ALG_MAX + 1];
};

/* 0 and result->identity; -ENOMEM; or an enum token_fault. now_ms: the wall clock. */
int verifier_check(const struct verifier *verifier, struct verifier_thread *thread, struct slice token,
	int64_t now_ms, struct verifier_result *result);

/* The same of a ticket's text, which Redis gave: claims without a signature, and `exp` as it likes. */
int verifier_ticket(
	const struct verifier *verifier, struct slice json, int64_t now_ms, struct identity **identityp);

#endif
