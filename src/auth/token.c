/* Token: the form of a JSON web token, and its signature; see the header. */

#include "auth/token.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <jwt.h>
#include <openssl/err.h>

#include "auth/base64.h"
#include "auth/claims_object.h"
#include "auth/token_fault.h"
#include "auth/verifier.h"

enum {
	N_TOKEN_PARTS = 3,
};

struct token_checker {
	jwt_checker_t *jwt;
	char text[TOKEN_BYTES_MAX + 1]; /* libjwt wants its end marked */
};

/* Three parts that are not empty, of the alphabet; the last is the signature. */
static int split(struct slice text, struct slice parts[N_TOKEN_PARTS])
{
	if (text.len > TOKEN_BYTES_MAX)
		return TOKEN_MALFORMED;
	for (int i = 0; i < N_TOKEN_PARTS; i++) {
		const char *dot = text.len ? memchr(text.data, '.', text.len) : NULL;

		if (!dot != (i == N_TOKEN_PARTS - 1))
			return TOKEN_MALFORMED;
		parts[i] = (struct slice){text.data, dot ? (size_t)(dot - text.data) : text.len};
		if (parts[i].len == 0)
			return TOKEN_MALFORMED;
		text.data += parts[i].len + 1;
		text.len -= dot ? parts[i].len + 1 : text.len;
	}
	return 0;
}

static int parse_part(struct slice part, json_t **objectp)
{
	char bytes[TOKEN_BYTES_MAX];
	size_t len;

	if (!base64url_decode(part, bytes, &len))
		return TOKEN_MALFORMED;
	return claims_parse((struct slice){bytes, len}, objectp);
}

static int read_header(struct token *token)
{
	const json_t *kid = json_object_get(token->header, "kid");

	token->alg = json_string_value(json_object_get(token->header, "alg"));
	token->kid = json_string_value(kid);
	if (!token->alg || (kid && !token->kid) || json_object_get(token->header, "crit"))
		return TOKEN_MALFORMED;
	return 0;
}

int token_parse(struct slice text, struct token *token)
{
	struct slice parts[N_TOKEN_PARTS];
	char signature[TOKEN_BYTES_MAX];
	size_t len;
	int r = split(text, parts);

	*token = (struct token){0};
	if (r == 0)
		r = parse_part(parts[0], &token->header);
	if (r == 0)
		r = read_header(token);
	if (r == 0)
		r = parse_part(parts[1], &token->payload);
	if (r == 0 && !base64url_decode(parts[2], signature, &len))
		r = TOKEN_MALFORMED;
	return r;
}

void token_deinit(struct token *token)
{
	json_decref(token->header);
	json_decref(token->payload);
	*token = (struct token){0};
}

struct token_checker *token_checker_new(void)
{
	struct token_checker *checker = malloc(sizeof(*checker));

	if (!checker)
		return NULL;
	checker->jwt = jwt_checker_new();
	if (!checker->jwt) {
		free(checker);
		return NULL;
	}
	/* These are ours: libjwt lets in what has no exp, and knows no fraction. */
	jwt_checker_time_leeway(checker->jwt, JWT_CLAIM_EXP, -1);
	jwt_checker_time_leeway(checker->jwt, JWT_CLAIM_NBF, -1);
	return checker;
}

void token_checker_free(struct token_checker *checker)
{
	if (!checker)
		return;
	jwt_checker_free(checker->jwt);
	free(checker);
}

int token_check(
	struct token_checker *checker, struct slice text, const char *algorithm, const jwk_item_t *key)
{
	bool good;

	memcpy(checker->text, text.data, text.len);
	checker->text[text.len] = '\0';
	jwt_checker_error_clear(checker->jwt);
	/* Without the algorithm libjwt would take the one that the token names. */
	good = jwt_checker_setkey(checker->jwt, jwt_str_alg(algorithm), key) == 0 &&
	       jwt_checker_verify(checker->jwt, checker->text) == 0;
	if (!good)
		ERR_clear_error(); /* or the next call of TLS on this thread would take it for its own */
	return good ? 0 : TOKEN_SIGNATURE;
}
