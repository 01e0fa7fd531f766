#ifndef TIDEGATE_SRC_AUTH_TOKEN_H
#define TIDEGATE_SRC_AUTH_TOKEN_H

/*
 * Token: the form of a JSON web token (RFC 7515, compact), and its signature.
 *
 * The form is looked at first and by us, because libraries are kind: three parts that are not empty,
 * canonical base64url, header and payload JSON objects without a member that stands twice, `alg` a string,
 * no `crit`, `kid` a string or absent. What else the header says of keys is not looked at.
 */

#include "core/slice.h"

struct jwk_item; /* libjwt's */
struct json_t;   /* jansson's */
struct token_checker;

struct token {
	struct json_t *header;
	struct json_t *payload;
	const char *alg; /* of the header, as is the next; never NULL after token_parse() */
	const char *kid; /* NULL without */
};

/* 0; -ENOMEM; or TOKEN_MALFORMED. In any case *token has what was found, and wants token_deinit(). */
int token_parse(struct slice text, struct token *token);
void token_deinit(struct token *token);

/* Room to check signatures in, of one thread. NULL when out of memory. */
struct token_checker *token_checker_new(void);
void token_checker_free(struct token_checker *checker); /* accepts NULL */

/* Was a token that token_parse() took signed by this key, with this algorithm? 0, or TOKEN_SIGNATURE. */
int token_check(
	struct token_checker *checker, struct slice text, const char *algorithm, const struct jwk_item *key);

#endif
