#ifndef TIDEGATE_SRC_AUTH_PEM_KEY_H
#define TIDEGATE_SRC_AUTH_PEM_KEY_H

/* PEM key: public keys and certificates in PEM, as the JSON web keys that libjwt takes. */

#include <stdbool.h>

#include "core/slice.h"

struct buf;
struct json_t; /* jansson's */

enum {
	PEM_END = 1, /* no further block */
	PEM_BAD = 2, /* a sentence is in the error buffer: what the block is, and what it should be */
};

/* Is it PEM, by its look? */
bool pem_looks(struct slice text);

/*
 * Takes the next block out of the text: 0 and *jwkp, which is the caller's; -ENOMEM; PEM_END; PEM_BAD.
 * A public key of a kind that no algorithm uses is a JWK whose `kty` says what it is.
 */
int pem_next(struct slice *text, struct json_t **jwkp, struct buf *error);

#endif
