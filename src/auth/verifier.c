/* Verifier: keys and rules, by which tokens are judged; see the header. */

#include "auth/verifier.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "auth/algorithm.h"
#include "auth/claims_object.h"
#include "auth/key_set.h"
#include "auth/token.h"
#include "core/buf.h"
#include "core/text.h"

struct verifier {
	atomic_uint n_refs;
	unsigned int accepted; /* algorithms */
	struct key_set *keys;
	struct claims_rules claims; /* its strings are ours */
	struct claims_rules ticket_claims;
	char **claim_names; /* those of claims.identity.claims; NULL-terminated */
};

struct verifier_thread {
	struct token_checker *checker;
};

/* --- building ------------------------------------------------------------------------------- */

static bool is_set(const char *text)
{
	return text && *text;
}

static int read_algorithms(const char *const *names, unsigned int *setp, struct buf *error)
{
	unsigned int set = names ? 0 : algorithms_usual();

	for (; names && *names; names++) {
		enum algorithm algorithm = algorithm_find(*names);

		if (algorithm == N_ALGORITHMS) {
			buf_printf(error, "token_algorithms: '%s' is not known (known: ", *names);
			algorithms_write((1u << N_ALGORITHMS) - 1, error);
			buf_append_char(error, ')');
			return VERIFIER_BAD;
		}
		set |= 1u << algorithm;
	}
	*setp = set;
	return 0;
}

static int read_keys(struct verifier *verifier, const struct verifier_rules *rules, struct buf *error)
{
	int r = 0;

	if (is_set(rules->secret))
		r = key_set_add_secret(verifier->keys, "token_secret", rules->secret, error);
	if (r == 0 && is_set(rules->secret_previous))
		r = key_set_add_secret(
			verifier->keys, "token_secret_previous", rules->secret_previous, error);
	for (size_t i = 0; r == 0 && i < rules->n_keys; i++)
		r = key_set_add_text(verifier->keys, rules->keys[i].name, rules->keys[i].text,
			rules->keys[i].remote, error);
	return r < 0 ? r : r ? VERIFIER_BAD : 0;
}

/* Copies the text into *copyp; NULL if it is empty. */
static int copy_text(const char *text, const char **copyp)
{
	*copyp = is_set(text) ? strdup(text) : NULL;
	return *copyp || !is_set(text) ? 0 : -ENOMEM;
}

static int copy_names(const char *const *names, char ***copyp)
{
	size_t n = 0;

	while (names && names[n])
		n++;
	*copyp = calloc(n + 1, sizeof(**copyp));
	if (!*copyp)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		(*copyp)[i] = strdup(names[i]);
		if (!(*copyp)[i])
			return -ENOMEM;
	}
	return 0;
}

static int copy_claims(struct verifier *verifier, const struct claims_rules *from)
{
	struct claims_rules *to = &verifier->claims;
	int r;

	to->leeway_ms = from->leeway_ms;
	r = copy_text(is_set(from->identity.user) ? from->identity.user : "sub", &to->identity.user);
	if (r == 0)
		r = copy_text(is_set(from->identity.channels) ? from->identity.channels : "channels",
			&to->identity.channels);
	if (r == 0)
		r = copy_text(from->issuer, &to->issuer);
	if (r == 0)
		r = copy_text(from->audience, &to->audience);
	if (r == 0)
		r = copy_names(from->identity.claims, &verifier->claim_names);
	to->identity.claims = (const char *const *)verifier->claim_names;
	verifier->ticket_claims = *to;
	verifier->ticket_claims.exp_optional = true;
	/* A ticket is not signed, it was put into our Redis: nobody else can be meant by it. */
	verifier->ticket_claims.issuer = verifier->ticket_claims.audience = NULL;
	return r;
}

int verifier_new(const struct verifier_rules *rules, struct verifier **verifierp, struct buf *error)
{
	struct verifier *verifier = calloc(1, sizeof(*verifier));
	int r = -ENOMEM;

	if (!verifier)
		return -ENOMEM;
	atomic_init(&verifier->n_refs, 1);
	r = read_algorithms(rules->algorithms, &verifier->accepted, error);
	if (r)
		goto fail;
	verifier->keys = key_set_new(verifier->accepted);
	r = verifier->keys ? read_keys(verifier, rules, error) : -ENOMEM;
	if (r == 0)
		r = copy_claims(verifier, &rules->claims);
	if (r)
		goto fail;
	*verifierp = verifier;
	return 0;

fail:
	verifier_unref(verifier);
	return r;
}

struct verifier *verifier_ref(struct verifier *verifier)
{
	atomic_fetch_add_explicit(&verifier->n_refs, 1, memory_order_relaxed);
	return verifier;
}

void verifier_unref(struct verifier *verifier)
{
	if (!verifier || atomic_fetch_sub_explicit(&verifier->n_refs, 1, memory_order_acq_rel) != 1)
		return;
	for (char **name = verifier->claim_names; name && *name; name++)
		free(*name);
	free(verifier->claim_names);
	free((char *)verifier->claims.identity.user);
	free((char *)verifier->claims.identity.channels);
	free((char *)verifier->claims.issuer);
	free((char *)verifier->claims.audience);
	key_set_free(verifier->keys);
	free(verifier);
}

bool verifier_knows_algorithm(const char *name)
{
	return algorithm_find(name) != N_ALGORITHMS;
}

size_t verifier_n_keys(const struct verifier *verifier)
{
	return key_set_count(verifier->keys);
}

struct verifier_key verifier_key(const struct verifier *verifier, size_t i)
{
	const struct key *key = key_set_at(verifier->keys, i);

	return (struct verifier_key){
		.source = key->source,
		.kind = key->kind,
		.bits = key->bits,
		.kid = key->kid,
		.algorithms = key->algorithms,
		.skipped = key->skipped,
	};
}

/* --- checking -------------------------------------------------------------------------------- */

struct verifier_thread *verifier_thread_new(void)
{
	struct verifier_thread *thread = calloc(1, sizeof(*thread));

	if (!thread)
		return NULL;
	thread->checker = token_checker_new();
	if (!thread->checker) {
		free(thread);
		return NULL;
	}
	return thread;
}

void verifier_thread_free(struct verifier_thread *thread)
{
	if (!thread)
		return;
	token_checker_free(thread->checker);
	free(thread);
}

/* What the log tells of a name that a stranger chose. */
static void copy_cut(char *out, size_t max, const char *text)
{
	size_t len = text ? text_cut(text, strlen(text), max) : 0;

	memcpy(out, text ? text : "", len);
	out[len] = '\0';
}

static int check_signature(
	const struct verifier *verifier, struct verifier_thread *thread, const struct token *token)
{
	const struct key *keys[KEY_TRIES_MAX];
	enum algorithm algorithm = algorithm_find(token->alg);
	bool is_named = false;
	size_t n_keys;
	int r = TOKEN_UNKNOWN_KEY;

	if (algorithm == N_ALGORITHMS || !(verifier->accepted & 1u << algorithm))
		return TOKEN_ALGORITHM;
	n_keys = key_set_find(verifier->keys, algorithm, token->kid, keys);
	for (size_t i = 0; i < n_keys; i++) {
		r = token_check(thread->checker, token, algorithm, keys[i]->signing);
		if (r == 0)
			return 0;
		is_named |= token->kid && keys[i]->kid && strcmp(token->kid, keys[i]->kid) == 0;
	}
	/* Where no name decides, an issuer who has other keys by now looks like a forger. */
	return r == TOKEN_SIGNATURE && !is_named && key_set_has_remote(verifier->keys) ? TOKEN_UNKNOWN_KEY
										       : r;
}

static int check(const struct verifier *verifier, struct verifier_thread *thread, const struct token *token,
	int64_t now_ms, struct identity **identityp)
{
	int r = claims_time(&token->payload, &verifier->claims, now_ms);

	if (r == 0)
		r = check_signature(verifier, thread, token);
	if (r == 0)
		r = claims_identity(&token->payload, &verifier->claims, identityp);
	return r;
}

int verifier_check(const struct verifier *verifier, struct verifier_thread *thread, struct slice text,
	int64_t now_ms, struct verifier_result *result)
{
	struct token token;
	int r = token_parse(thread->checker, text, &token);

	result->identity = NULL;
	copy_cut(result->kid, TOKEN_KID_MAX, token.kid);
	copy_cut(result->alg, TOKEN_ALG_MAX, token.alg);
	if (r == 0)
		r = check(verifier, thread, &token, now_ms, &result->identity);
	token_deinit(&token);
	return r;
}

int verifier_ticket(
	const struct verifier *verifier, struct slice json, int64_t now_ms, struct identity **identityp)
{
	return claims_read(json, &verifier->ticket_claims, now_ms, identityp);
}
