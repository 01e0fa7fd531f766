#ifndef TIDEGATE_TESTS_SUPPORT_TOKEN_MAKER_H
#define TIDEGATE_TESTS_SUPPORT_TOKEN_MAKER_H

/*
 * Token maker: keys that live as long as a test, and tokens signed with them, right ones and any other kind.
 *
 * It signs with OpenSSL and not with what is tested. Whatever cannot be made ends the test.
 */

#include "core/buf.h"
#include "core/slice.h"

struct evp_pkey_st; /* OpenSSL's */

/* kind: "RSA" of 2,048 bits, "RSA-1024", "P-256", "P-384", "P-521", "ED25519", "ED448". */
struct evp_pkey_st *token_maker_key(const char *kind);
void token_maker_free(struct evp_pkey_st *key);

/* Appends the public key in PEM; the private one. */
void token_maker_public_pem(struct evp_pkey_st *key, struct buf *out);
void token_maker_private_pem(struct evp_pkey_st *key, struct buf *out);

/* Appends a certificate that the key has signed itself, and that ended in 1970. */
void token_maker_certificate(struct evp_pkey_st *key, struct buf *out);

/* Appends the public key as a JWK with these further members: "\"kid\":\"a\"", or "" for none. */
void token_maker_jwk(struct evp_pkey_st *key, const char *members, struct buf *out);

/* Appends a token: these texts as they are, signed as alg says, whatever the header says. */
void token_maker_sign(
	struct slice header, struct slice payload, const char *alg, struct evp_pkey_st *key, struct buf *out);

/* The same with HS256. */
void token_maker_sign_hs256(struct slice header, struct slice payload, struct slice secret, struct buf *out);

#endif
