#ifndef TIDEGATE_SRC_AUTH_TOKEN_H
#define TIDEGATE_SRC_AUTH_TOKEN_H

/*
 * Token: the form of a JSON web token (RFC 7515, compact), and its signature.
 *
 * The form is looked at first and by us, because libraries are kind: three parts that are not empty,
 * canonical base64url, header and payload JSON objects without a member that stands twice, `alg` a string,
 * no `crit`, `kid` a string or absent. What else the header says of keys is not looked at.
 */

#include "auth/algorithm.h"
#include "auth/claims.h"
#include "auth/claims_object.h"
#include "core/slice.h"

struct json_t; /* jansson's */
struct signature_key;
struct token_checker;

enum {
	TOKEN_SIGNATURE_MAX = 2048, /* bytes: of RSA with 16,384 bits */
};

struct token {
	struct json_t *header;
	const char *alg;          /* of the header, as is the next; never NULL after token_parse() */
	const char *kid;          /* NULL without */
	struct slice signed_text; /* borrowed of the token's text */
	size_t signature_len;
	char signature[TOKEN_SIGNATURE_MAX];
	struct claims_object payload; /* of the text below */
	char payload_text[CLAIMS_BYTES_MAX];
};

/*
 * checker: NULL, or who remembers the header. 0; -ENOMEM; or TOKEN_MALFORMED. In any case *token has what was
 * found, borrows the text, and wants token_deinit().
 */
int token_parse(struct token_checker *checker, struct slice text, struct token *token);
void token_deinit(struct token *token);

/* What one thread needs to read and check tokens. NULL when out of memory. */
struct token_checker *token_checker_new(void);
void token_checker_free(struct token_checker *checker); /* accepts NULL */

/* Was a token that token_parse() took signed by this key, with this algorithm? 0, or TOKEN_SIGNATURE. */
int token_check(struct token_checker *checker, const struct token *token, enum algorithm algorithm,
	struct signature_key *key);

#endif
