/*
 * Fuzz the way of a token behind its form: a header and a payload, with a newline between them, are signed
 * with a key that the verifier knows, and then changed, or not. The first byte chooses the key, the second
 * the change, the next three where and to what.
 *
 * What was signed for an algorithm and says that algorithm is never refused for its signature. What was
 * changed, cut, or keyed with what is public, is never let in.
 */

#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "auth/identity.h"
#include "auth/token_fault.h"
#include "auth/verifier.h"
#include "core/buf.h"
#include "core/slice.h"
#include "support/token_maker.h"

enum {
	N_KEYS = 4,
	N_CHOICES = 5, /* bytes before the header */
};

#define NOW_MS INT64_C(1800000000000)

enum change {
	CHANGE_NOTHING,
	CHANGE_BYTE,
	CHANGE_CUT,
	CHANGE_KEYED_WITH_PUBLIC,
	N_CHANGES,
};

static const struct signer {
	const char *alg;
	const char *kind; /* NULL: the secret */
} signers[N_KEYS] = {{"HS256", NULL}, {"RS256", "RSA"}, {"ES256", "P-256"}, {"EdDSA", "ED25519"}};

static const char secret[] = "a secret of more than 32 bytes, for tokens of a fuzzer";

/* Made once: keys of this process. */
struct world {
	struct evp_pkey_st *keys[N_KEYS];
	struct buf public[N_KEYS]; /* PEM */
	struct verifier *verifier;
	struct verifier_thread *thread;
};

static void make(struct world *world)
{
	struct verifier_keys texts[N_KEYS];
	struct verifier_rules rules = {.secret = secret, .keys = texts};
	struct buf error = {0};

	for (size_t i = 0; i < N_KEYS; i++) {
		if (!signers[i].kind)
			continue;
		world->keys[i] = token_maker_key(signers[i].kind);
		token_maker_public_pem(world->keys[i], &world->public[i]);
		texts[rules.n_keys++] =
			(struct verifier_keys){.name = signers[i].alg, .text = buf_slice(&world->public[i])};
	}
	PROMISE(verifier_new(&rules, &world->verifier, &error) == 0);
	PROMISE(verifier_n_keys(world->verifier) == N_KEYS);
	world->thread = verifier_thread_new();
	PROMISE(world->thread);
	buf_deinit(&error);
}

static void sign(const struct world *world, size_t key, struct slice header, struct slice payload,
	enum change change, struct buf *token)
{
	struct slice own = {secret, sizeof(secret) - 1}, known = buf_slice(&world->public[key]);

	if (change == CHANGE_KEYED_WITH_PUBLIC)
		token_maker_sign_hs256(header, payload, known.len ? known : slice_of("public"), token);
	else if (!signers[key].kind)
		token_maker_sign_hs256(header, payload, own, token);
	else
		token_maker_sign(header, payload, signers[key].alg, world->keys[key], token);
}

/* False: it is what it was. */
static bool alter(struct buf *token, enum change change, size_t where, char to)
{
	if (change == CHANGE_CUT) {
		token->len -= where % token->len % 64 + 1;
		return true;
	}
	if (change == CHANGE_BYTE) {
		char *byte = &token->data[where % token->len];
		bool other = *byte != to;

		*byte = to;
		return other;
	}
	return change == CHANGE_KEYED_WITH_PUBLIC;
}

/* What a thread remembers of the tokens before decides nothing. */
static void judge_afresh(const struct world *world, struct slice token, int r)
{
	struct verifier_thread *fresh = verifier_thread_new();
	struct verifier_result result;

	PROMISE(fresh && verifier_check(world->verifier, fresh, token, NOW_MS, &result) == r);
	identity_free(result.identity);
	verifier_thread_free(fresh);
}

static void judge(const struct world *world, size_t key, struct slice token, bool altered)
{
	struct verifier_result result;
	int r = verifier_check(world->verifier, world->thread, token, NOW_MS, &result);

	PROMISE(r >= 0 && (r == 0) == (result.identity != NULL));
	if (altered)
		PROMISE(r != 0);
	else if (strcmp(result.alg, signers[key].alg) == 0)
		PROMISE(r != TOKEN_SIGNATURE && r != TOKEN_UNKNOWN_KEY && r != TOKEN_ALGORITHM);
	else
		PROMISE(r != 0);
	identity_free(result.identity);
	judge_afresh(world, token, r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world world;
	struct slice header, payload;
	struct buf token = {0};
	enum change change;
	bool altered;
	const char *newline;
	size_t key;

	if (!world.verifier)
		make(&world);
	if (size < N_CHOICES || size > 4096)
		return 0;
	key = data[0] % N_KEYS;
	change = data[1] % N_CHANGES;
	newline = memchr(data + N_CHOICES, '\n', size - N_CHOICES);
	if (!newline)
		return 0;
	header = (struct slice){
		(const char *)data + N_CHOICES, (size_t)(newline - (const char *)data - N_CHOICES)};
	payload = (struct slice){newline + 1, size - N_CHOICES - header.len - 1};
	sign(&world, key, header, payload, change, &token);
	PROMISE(!token.failed && token.len);
	altered = alter(&token, change, (size_t)data[2] << 8 | data[3], (char)data[4]);
	judge(&world, key, buf_slice(&token), altered);
	buf_deinit(&token);
	return 0;
}
