/* Token: the form of a JSON web token, and its signature; see the header. */

#include "auth/token.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "auth/base64.h"
#include "auth/json_object.h"
#include "auth/signature.h"
#include "auth/token_fault.h"
#include "auth/verifier.h"

enum {
	N_TOKEN_PARTS = 3,
	KNOWN_HEADER_MAX = 512, /* bytes in base64; a longer one is read each time */
};

/* An issuer gives all its tokens one header, byte by byte: the last one that was read is not read again. */
struct token_checker {
	struct signature_room *room;
	json_t *known; /* NULL: none yet */
	size_t known_len;
	char known_text[KNOWN_HEADER_MAX];
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

static int read_header(struct token *token)
{
	const json_t *kid = json_object_get(token->header, "kid");

	token->alg = json_string_value(json_object_get(token->header, "alg"));
	token->kid = json_string_value(kid);
	if (!token->alg || (kid && !token->kid) || json_object_get(token->header, "crit"))
		return TOKEN_MALFORMED;
	return 0;
}

static bool is_known(const struct token_checker *checker, struct slice part)
{
	return checker && checker->known &&
	       slice_equal(part, (struct slice){checker->known_text, checker->known_len});
}

static void know(struct token_checker *checker, struct slice part, json_t *header)
{
	if (!checker || part.len > KNOWN_HEADER_MAX)
		return;
	json_decref(checker->known);
	checker->known = json_incref(header);
	checker->known_len = part.len;
	memcpy(checker->known_text, part.data, part.len);
}

static int parse_header(struct token_checker *checker, struct slice part, struct token *token)
{
	char bytes[TOKEN_BYTES_MAX];
	size_t len;
	int r;

	if (is_known(checker, part)) {
		token->header = json_incref(checker->known);
		return read_header(token);
	}
	if (!base64url_decode(part, bytes, &len))
		return TOKEN_MALFORMED;
	r = json_object_read((struct slice){bytes, len}, &token->header);
	if (r)
		return r < 0 ? r : TOKEN_MALFORMED;
	r = read_header(token);
	if (r == 0)
		know(checker, part, token->header);
	return r;
}

static int parse_payload(struct slice part, struct token *token)
{
	size_t len;

	_Static_assert((int)CLAIMS_BYTES_MAX >= (int)TOKEN_BYTES_MAX, "room for the longest payload");
	if (!base64url_decode(part, token->payload_text, &len))
		return TOKEN_MALFORMED;
	return claims_parse(token->payload_text, len, &token->payload);
}

static int parse_signature(struct slice part, struct token *token)
{
	char bytes[TOKEN_BYTES_MAX];
	size_t len;

	if (!base64url_decode(part, bytes, &len))
		return TOKEN_MALFORMED;
	token->signature_len = len < TOKEN_SIGNATURE_MAX ? len : TOKEN_SIGNATURE_MAX;
	memcpy(token->signature, bytes, token->signature_len);
	return 0;
}

int token_parse(struct token_checker *checker, struct slice text, struct token *token)
{
	struct slice parts[N_TOKEN_PARTS];
	int r = split(text, parts);

	token->header = NULL;
	token->alg = token->kid = NULL;
	if (r == 0)
		r = parse_header(checker, parts[0], token);
	if (r == 0)
		r = parse_payload(parts[1], token);
	if (r == 0)
		r = parse_signature(parts[2], token);
	if (r == 0)
		token->signed_text = (struct slice){text.data, parts[0].len + 1 + parts[1].len};
	return r;
}

void token_deinit(struct token *token)
{
	json_decref(token->header);
	token->header = NULL;
}

struct token_checker *token_checker_new(void)
{
	struct token_checker *checker = calloc(1, sizeof(*checker));

	if (!checker)
		return NULL;
	checker->room = signature_room_new();
	if (!checker->room) {
		free(checker);
		return NULL;
	}
	return checker;
}

void token_checker_free(struct token_checker *checker)
{
	if (!checker)
		return;
	signature_room_free(checker->room);
	json_decref(checker->known);
	free(checker);
}

int token_check(struct token_checker *checker, const struct token *token, enum algorithm algorithm,
	struct signature_key *key)
{
	const struct slice signature = {token->signature, token->signature_len};

	return signature_is_good(checker->room, algorithm, key, token->signed_text, signature)
		       ? 0
		       : TOKEN_SIGNATURE;
}
