#ifndef TIDEGATE_SRC_AUTH_SIGNATURE_H
#define TIDEGATE_SRC_AUTH_SIGNATURE_H

/*
 * Signature: was this signed with that key?
 *
 * OpenSSL is asked directly. libjwt, which has imported the key, would read the whole token once more before
 * it asks, and prepare OpenSSL anew for each: more than what a token with RS256 costs beyond the arithmetic.
 * The algorithm is the caller's, never the token's.
 */

#include "auth/algorithm.h"
#include "core/slice.h"

struct jwk_item; /* libjwt's */
struct signature_key;
struct signature_room;

/* A copy of the key, which libjwt has found sound, with one reference. NULL when out of memory. */
struct signature_key *signature_key_new(const struct jwk_item *item);
void signature_key_unref(struct signature_key *key); /* accepts NULL; from any thread */

/* What a thread needs to check signatures. NULL when out of memory. */
struct signature_room *signature_room_new(void);
void signature_room_free(struct signature_room *room); /* accepts NULL */

/* The key is one of those that algorithms_of() gives the algorithm; the room keeps a reference of the last
 * secret. False also when out of memory. */
bool signature_is_good(struct signature_room *room, enum algorithm algorithm, struct signature_key *key,
	struct slice text, struct slice signature);

/* Reads the key, a PEM text or a secret, and checks the signature with it, which is a good one. 0, 1 if that
 * cannot be done, or -ENOMEM. */
int signature_rehearse(struct signature_room *room, enum algorithm algorithm, struct slice key_text,
	struct slice text, struct slice signature);

#endif
