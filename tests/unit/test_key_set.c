/* Key set: which keys auth/key_set.h takes, for which algorithms, and what it says of the others. */

#include "auth/key_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/verifier.h"
#include "core/buf.h"
#include "support/token_maker.h"

static const char *const kinds[] = {"RSA", "P-256", "P-384", "P-521", "ED25519", "RSA-1024", "ED448"};

enum {
	RSA,
	P256,
	P384,
	P521,
	ED25519,
	RSA_1024,
	ED448,
	N_KINDS,
};

struct fixture {
	struct evp_pkey_st *keys[N_KINDS];
};

static int make_keys(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(struct fixture));

	assert_non_null(fixture);
	for (int i = 0; i < N_KINDS; i++)
		fixture->keys[i] = token_maker_key(kinds[i]);
	*state = fixture;
	return 0;
}

static int free_keys(void **state)
{
	struct fixture *fixture = *state;

	for (int i = 0; i < N_KINDS; i++)
		token_maker_free(fixture->keys[i]);
	free(fixture);
	return 0;
}

static struct key_set *set_of(struct slice text, bool remote, unsigned int accepted)
{
	struct key_set *set = key_set_new(accepted);
	struct buf error = {0};

	assert_non_null(set);
	if (key_set_add_text(set, "keys", text, remote, &error))
		fail_msg("%s", buf_text(&error));
	assert_int_equal(error.len, 0);
	buf_deinit(&error);
	return set;
}

/* The set of one JWK. */
static struct key_set *set_of_jwk(struct evp_pkey_st *key, const char *members, unsigned int accepted)
{
	struct buf text = {0};
	struct key_set *set;

	token_maker_jwk(key, members, &text);
	set = set_of(buf_slice(&text), true, accepted);
	buf_deinit(&text);
	return set;
}

/* The sentence with which a text of keys is refused; the caller's. */
static char *refusal_of(struct slice text)
{
	struct key_set *set = key_set_new(algorithms_usual());
	struct buf error = {0};

	assert_int_equal(key_set_add_text(set, "keys", text, false, &error), KEY_SET_BAD);
	assert_non_null(buf_text(&error));
	key_set_free(set);
	return error.data;
}

static void assert_refused(const char *text, const char *wanted)
{
	char *sentence = refusal_of(slice_of(text));

	if (!strstr(sentence, wanted))
		fail_msg("%s: %s", text, sentence);
	free(sentence);
}

/* --- kinds and algorithms --------------------------------------------------------------------- */

static void a_key_is_for_the_algorithms_of_its_kind(void **state)
{
	static const char *const algorithms[] = {"RS256", "ES256", "ES384", "", "EdDSA", "", ""};
	static const char *const names[] = {
		"RSA", "EC P-256", "EC P-384", "EC P-521", "Ed25519", "RSA", "OKP"};
	struct fixture *fixture = *state;

	for (int i = 0; i < N_KINDS; i++) {
		struct key_set *set = set_of_jwk(fixture->keys[i], "", algorithms_usual());
		const struct key *key = key_set_at(set, 0);

		assert_string_equal(key->algorithms, algorithms[i]);
		assert_string_equal(key->kind, names[i]);
		assert_true(!key->skipped == !!*algorithms[i]);
		key_set_free(set);
	}
}

static void pem_and_jwk_of_a_key_are_the_same(void **state)
{
	struct fixture *fixture = *state;

	for (int i = 0; i < N_KINDS; i++) {
		struct buf pem = {0};
		struct key_set *jwk_set = set_of_jwk(fixture->keys[i], "", algorithms_usual()), *pem_set;

		token_maker_public_pem(fixture->keys[i], &pem);
		pem_set = set_of(buf_slice(&pem), false, algorithms_usual());
		assert_string_equal(key_set_at(pem_set, 0)->algorithms, key_set_at(jwk_set, 0)->algorithms);
		assert_int_equal(key_set_at(pem_set, 0)->bits, key_set_at(jwk_set, 0)->bits);
		key_set_free(jwk_set);
		key_set_free(pem_set);
		buf_deinit(&pem);
	}
}

static void more_of_a_family_is_what_the_operator_lists(void **state)
{
	struct fixture *fixture = *state;
	unsigned int accepted = 1u << ALGORITHM_RS256 | 1u << ALGORITHM_PS256 | 1u << ALGORITHM_ES512;
	struct key_set *set = set_of_jwk(fixture->keys[RSA], "", accepted);

	assert_string_equal(key_set_at(set, 0)->algorithms, "RS256,PS256");
	key_set_free(set);
	set = set_of_jwk(fixture->keys[P521], "", accepted);
	assert_string_equal(key_set_at(set, 0)->algorithms, "ES512");
	key_set_free(set);
	set = set_of_jwk(fixture->keys[P256], "", accepted);
	assert_string_equal(
		key_set_at(set, 0)->skipped, "token_algorithms has none that it could be used for");
	key_set_free(set);
}

static void the_alg_of_a_jwk_narrows_it_to_one(void **state)
{
	struct fixture *fixture = *state;
	unsigned int all = (1u << N_ALGORITHMS) - 1;
	struct key_set *set = set_of_jwk(fixture->keys[RSA], "\"alg\":\"RS256\"", all);

	assert_string_equal(key_set_at(set, 0)->algorithms, "RS256");
	key_set_free(set);
	set = set_of_jwk(fixture->keys[RSA], "\"alg\":\"PS256\"", all);
	assert_string_equal(key_set_at(set, 0)->algorithms, "PS256");
	key_set_free(set);
	set = set_of_jwk(fixture->keys[RSA], "\"alg\":\"ES256\"", all);
	assert_string_equal(key_set_at(set, 0)->algorithms, "");
	key_set_free(set);
	set = set_of_jwk(fixture->keys[RSA], "\"alg\":\"HS256\"", all);
	assert_string_equal(key_set_at(set, 0)->algorithms, "");
	key_set_free(set);
}

/* --- what is skipped ---------------------------------------------------------------------------- */

static void a_jwk_for_something_else_is_skipped_and_told(void **state)
{
	static const struct {
		const char *members;
		const char *skipped;
	} rows[] = {
		{"\"use\":\"sig\"", NULL},
		{"\"use\":\"sig\",\"key_ops\":[\"verify\"]", NULL},
		{"\"key_ops\":[\"sign\",\"verify\"]", NULL},
		{"\"use\":\"enc\"", "use"},
		{"\"use\":\"enc\",\"alg\":\"RSA-OAEP\"", "use"},
		{"\"use\":7", "use"},
		{"\"key_ops\":[\"encrypt\"]", "key_ops"},
		{"\"key_ops\":[]", "key_ops"},
		{"\"key_ops\":\"verify\"", "key_ops"},
		{"\"alg\":\"RSA-OAEP\"", "alg"},
		{"\"alg\":\"none\"", "alg"},
		{"\"alg\":\"rs256\"", "alg"},
		{"\"alg\":256", "alg"},
		{"\"kid\":1", "kid"},
		{"\"kid\":\"a\"", NULL},
		{"\"x5c\":[\"?\"],\"x5t\":\"?\",\"issuer\":\"x\"", NULL},
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct key_set *set = set_of_jwk(fixture->keys[RSA], rows[i].members, algorithms_usual());
		const struct key *key = key_set_at(set, 0);

		if (!key->skipped != !rows[i].skipped ||
			(key->skipped && !strstr(key->skipped, rows[i].skipped)))
			fail_msg("%s: %s", rows[i].members, key->skipped ? key->skipped : "taken");
		assert_true(!key->skipped == !!key->set);
		key_set_free(set);
	}
}

static void what_is_broken_or_weak_is_skipped(void **state)
{
	static const char *const rows[] = {
		"{\"kty\":\"RSA\"}",
		"{\"kty\":\"RSA\",\"n\":\"\",\"e\":\"AQAB\"}",
		"{\"kty\":\"RSA\",\"n\":\"!!\",\"e\":\"AQAB\"}",
		"{\"kty\":\"RSA\",\"n\":[1],\"e\":{}}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AQ\",\"y\":\"AQ\"}", /* not on the curve */
		"{\"kty\":\"EC\",\"crv\":\"P-256\"}",
		"{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"AQ\",\"y\":\"AQ\"}",
		"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AQ\"}",
		"{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"AQ\"}",
		"{\"kty\":\"oct\"}",
		"{\"kty\":\"oct\",\"k\":\"\"}",
		"{\"kty\":\"oct\",\"k\":\"AQAB\"}",
		"{\"kty\":\"new\"}",
		"{\"kty\":1}",
		"{}",
		"[]",
		"null",
		"7",
	};
	struct buf text = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct key_set *set;

		buf_reset(&text);
		buf_printf(&text, "{\"keys\":[%s]}", rows[i]);
		set = set_of(buf_slice(&text), false, algorithms_usual());
		assert_int_equal(key_set_count(set), 1);
		if (!key_set_at(set, 0)->skipped || key_set_at(set, 0)->set)
			fail_msg("%s was taken", rows[i]);
		key_set_free(set);
	}
	buf_deinit(&text);
}

/* Identity providers list keys for encryption too: one that cannot be used takes nothing from the others. */
static void the_others_of_a_set_are_taken(void **state)
{
	struct fixture *fixture = *state;
	struct buf text = {0};
	struct key_set *set;

	buf_append_str(&text, "{\"keys\":[");
	token_maker_jwk(fixture->keys[RSA], "\"use\":\"enc\",\"alg\":\"RSA-OAEP\",\"kid\":\"e\"", &text);
	buf_append_str(&text, ",{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AQ\",\"y\":\"AQ\"},");
	token_maker_jwk(fixture->keys[RSA_1024], "", &text);
	buf_append_char(&text, ',');
	token_maker_jwk(fixture->keys[P384], "\"kid\":\"s\"", &text);
	buf_append_str(&text, "]}");
	set = set_of(buf_slice(&text), true, algorithms_usual());
	assert_int_equal(key_set_count(set), 4);
	assert_string_equal(key_set_at(set, 0)->kid, "e");
	assert_non_null(strstr(key_set_at(set, 1)->skipped, "broken"));
	assert_non_null(strstr(key_set_at(set, 2)->skipped, "2,048"));
	assert_null(key_set_at(set, 3)->skipped);
	key_set_free(set);
	buf_deinit(&text);
}

static void a_secret_comes_from_no_url(void **state)
{
	static const char text[] =
		"{\"kty\":\"oct\",\"k\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"}"; /* 32 bytes: 0 to 31 */
	struct key_set *set = set_of(slice_of(text), true, algorithms_usual());

	(void)state;
	assert_non_null(strstr(key_set_at(set, 0)->skipped, "secret"));
	key_set_free(set);
	set = set_of(slice_of(text), false, algorithms_usual());
	assert_string_equal(key_set_at(set, 0)->algorithms, "HS256");
	assert_int_equal(key_set_at(set, 0)->bits, 256);
	key_set_free(set);
}

static void more_keys_than_the_bound_are_left_out(void **state)
{
	struct fixture *fixture = *state;
	struct buf text = {0};
	struct key_set *set;

	buf_append_str(&text, "{\"keys\":[");
	for (int i = 0; i <= KEYS_MAX; i++) {
		token_maker_jwk(fixture->keys[ED25519], "", &text);
		buf_append_char(&text, i < KEYS_MAX ? ',' : ']');
	}
	buf_append_char(&text, '}');
	set = set_of(buf_slice(&text), true, algorithms_usual());
	assert_int_equal(key_set_count(set), KEYS_MAX);
	key_set_free(set);
	buf_deinit(&text);
}

/* --- texts -------------------------------------------------------------------------------------- */

static void a_text_that_is_no_key_is_refused_with_a_sentence(void **state)
{
	(void)state;
	assert_refused("", "keys is neither PEM nor a JWKS");
	assert_refused("ssh-ed25519 AAAA me", "neither PEM nor a JWKS");
	assert_refused("<html>", "neither PEM nor a JWKS");
	assert_refused("{\"keys\":[],\"keys\":[]}", "neither PEM nor a JWKS: line 1: duplicate");
	assert_refused("{}", "keys has no keys");
	assert_refused("[]", "has no keys");
	assert_refused("{\"keys\":{}}", "has no keys");
	assert_refused("{\"error\":\"not found\"}", "has no keys");
	assert_refused("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no public key");
	assert_refused("-----BEGIN PUBLIC KEY-----\nAAAA\n", "broken or cut off");
	assert_refused("-----BEGIN SOMETHING-----\nAAAA\n-----END SOMETHING-----\n", "SOMETHING");
}

static void a_private_key_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct buf pem = {0};
	char *sentence;

	token_maker_private_pem(fixture->keys[P256], &pem);
	sentence = refusal_of(buf_slice(&pem));
	assert_non_null(strstr(sentence, "keys has a private key"));
	assert_non_null(strstr(sentence, "-pubout"));
	free(sentence);
	buf_deinit(&pem);
}

static void a_file_may_hold_several_blocks_and_text_between(void **state)
{
	struct fixture *fixture = *state;
	struct buf pem = {0};
	struct key_set *set;

	buf_append_str(&pem, "the old one\n");
	token_maker_public_pem(fixture->keys[RSA], &pem);
	buf_append_str(&pem, "\nthe new one\r\n");
	token_maker_public_pem(fixture->keys[ED25519], &pem);
	buf_append_str(&pem, "end\n");
	set = set_of(buf_slice(&pem), false, algorithms_usual());
	assert_int_equal(key_set_count(set), 2);
	assert_string_equal(key_set_at(set, 0)->algorithms, "RS256");
	assert_string_equal(key_set_at(set, 1)->algorithms, "EdDSA");
	key_set_free(set);
	buf_deinit(&pem);
}

static void of_a_certificate_only_the_key_counts(void **state)
{
	struct fixture *fixture = *state;
	struct buf pem = {0};
	struct key_set *set;

	token_maker_certificate(fixture->keys[RSA], &pem);
	set = set_of(buf_slice(&pem), false, algorithms_usual());
	assert_string_equal(key_set_at(set, 0)->algorithms, "RS256");
	key_set_free(set);
	buf_deinit(&pem);
}

/* --- secrets -------------------------------------------------------------------------------------- */

static void look_at_secret(const char *secret, const char *refused)
{
	struct key_set *set = key_set_new(algorithms_usual());
	struct buf error = {0};
	int r = key_set_add_secret(set, "token_secret", secret, &error);

	if (r != (refused ? KEY_SET_BAD : 0) || (refused && !strstr(buf_text(&error), refused)))
		fail_msg("%s: %s", secret, error.len ? buf_text(&error) : "taken");
	if (!refused)
		assert_string_equal(key_set_at(set, 0)->algorithms, "HS256");
	buf_deinit(&error);
	key_set_free(set);
}

static void a_short_secret_is_refused_with_what_to_do(void **state)
{
	(void)state;
	look_at_secret("0123456789abcdef0123456789abcdef", NULL);
	look_at_secret("0123456789abcdef0123456789abcde", "token_secret is shorter than 32 bytes");
	look_at_secret("0123456789abcdef0123456789abcde", "openssl rand -base64 32");
	look_at_secret("secret", "shorter");
	look_at_secret("base64:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", NULL);
	look_at_secret("base64:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY", NULL);
	look_at_secret("base64:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", NULL);
	look_at_secret("base64:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZQ==", "shorter");
	look_at_secret("base64:", "shorter");
	look_at_secret("base64:0123456789abcdef0123456789abcdef!", "is not base64");
	look_at_secret("-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n", "token_keys");
}

/* --- asking -------------------------------------------------------------------------------------- */

static size_t found(const struct key_set *set, const char *kid, const char *kids)
{
	const struct key *keys[KEY_TRIES_MAX];
	size_t n = key_set_find(set, ALGORITHM_EDDSA, kid, keys);

	for (size_t i = 0; i < n; i++)
		assert_int_equal(keys[i]->kid ? keys[i]->kid[0] : '-', kids[i]);
	assert_int_equal(n, strlen(kids));
	return n;
}

static void keys_of_the_same_kid_come_first_and_four_are_tried(void **state)
{
	static const char *const members[] = {
		"", "\"kid\":\"a\"", "\"kid\":\"b\"", "\"kid\":\"a\"", "", "\"kid\":\"c\"", "\"kid\":\"d\""};
	struct fixture *fixture = *state;
	struct buf text = {0};
	struct key_set *set;

	buf_append_str(&text, "{\"keys\":[");
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		token_maker_jwk(fixture->keys[ED25519], members[i], &text);
		buf_append_char(&text, ',');
	}
	token_maker_jwk(fixture->keys[P256], "\"kid\":\"p\"", &text);
	buf_append_str(&text, "]}");
	set = set_of(buf_slice(&text), true, algorithms_usual());
	found(set, "a", "aa--");
	found(set, "b", "b--");
	found(set, "x", "--");
	found(set, "p", "--"); /* of another algorithm: not even looked at */
	found(set, "", "--");
	found(set, NULL, "abac");
	key_set_free(set);
	buf_deinit(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_is_for_the_algorithms_of_its_kind),
		cmocka_unit_test(pem_and_jwk_of_a_key_are_the_same),
		cmocka_unit_test(more_of_a_family_is_what_the_operator_lists),
		cmocka_unit_test(the_alg_of_a_jwk_narrows_it_to_one),
		cmocka_unit_test(a_jwk_for_something_else_is_skipped_and_told),
		cmocka_unit_test(what_is_broken_or_weak_is_skipped),
		cmocka_unit_test(the_others_of_a_set_are_taken),
		cmocka_unit_test(a_secret_comes_from_no_url),
		cmocka_unit_test(more_keys_than_the_bound_are_left_out),
		cmocka_unit_test(a_text_that_is_no_key_is_refused_with_a_sentence),
		cmocka_unit_test(a_private_key_is_refused),
		cmocka_unit_test(a_file_may_hold_several_blocks_and_text_between),
		cmocka_unit_test(of_a_certificate_only_the_key_counts),
		cmocka_unit_test(a_short_secret_is_refused_with_what_to_do),
		cmocka_unit_test(keys_of_the_same_kid_come_first_and_four_are_tried),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
