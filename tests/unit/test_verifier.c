/* Verifier: which tokens auth/verifier.h lets in, and with which keys. */

#include "auth/verifier.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/base64.h"
#include "auth/identity.h"
#include "core/buf.h"
#include "support/token_maker.h"

/* The examples of RFC 7515, appendices A.1 to A.3: these keys are public. The tokens have no `sub`. */
#define RFC_PAYLOAD                                                                                          \
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
#define RFC_SECRET                                                                                           \
	"base64:AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
#define RFC_HS256                                                                                            \
	"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." RFC_PAYLOAD ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_"           \
	"wW1gFWFOEjXk"
#define RFC_JWKS                                                                                             \
	"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_"                             \
	"wWJcyQoTbji9k0l8W26mPddxHmfHQp-"                                                                    \
	"Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_"         \
	"7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5Z"   \
	"wKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\","     \
	"\"e\":\"AQAB\"},{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"                                           \
	"\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","                                                   \
	"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}"
#define RFC_RS256                                                                                            \
	"eyJhbGciOiJSUzI1NiJ9." RFC_PAYLOAD ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZ" \
	"mh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75v"  \
	"RK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPq"  \
	"vhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
#define RFC_ES256                                                                                            \
	"eyJhbGciOiJFUzI1NiJ9." RFC_PAYLOAD ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8I"  \
	"SlSApmWQxfKTUJqPP3-Kg6NU1Q"
#define RFC_NOW_MS INT64_C(1300819000000)

#define SECRET     "a secret of this test, which nobody else has"
#define OLD_SECRET "the secret of this test before that one was drawn"
#define PAYLOAD    "{\"sub\":\"u\",\"exp\":2000}"
#define NOW_MS     INT64_C(1000000) /* second 1000 */

enum {
	RSA,
	P256,
	P384,
	ED25519,
	OTHER_P256, /* nobody has it configured */
	N_KEYS,
};

/* Keys of each kind, and a verifier that has them all: the first four by kid, "rsa" and so on. */
struct fixture {
	struct evp_pkey_st *keys[N_KEYS];
	struct buf jwks;
	struct buf rsa_pem;
	struct verifier *verifier;
	struct verifier_thread *thread;
	struct buf token; /* that is looked at */
};

static struct verifier *built(const struct verifier_rules *rules)
{
	struct verifier *verifier = NULL;
	struct buf error = {0};

	if (verifier_new(rules, &verifier, &error))
		fail_msg("%s", buf_text(&error));
	assert_int_equal(error.len, 0);
	buf_deinit(&error);
	return verifier;
}

static int make(void **state)
{
	static const char *const kinds[N_KEYS] = {"RSA", "P-256", "P-384", "ED25519", "P-256"};
	static const char *const kids[] = {
		"\"kid\":\"rsa\"", "\"kid\":\"p256\"", "\"kid\":\"p384\"", "\"kid\":\"ed\""};
	struct fixture *fixture = calloc(1, sizeof(struct fixture));
	struct verifier_keys keys = {.name = "jwks"};

	assert_non_null(fixture);
	buf_append_str(&fixture->jwks, "{\"keys\":[");
	for (int i = 0; i < N_KEYS; i++) {
		fixture->keys[i] = token_maker_key(kinds[i]);
		if (i < OTHER_P256) {
			token_maker_jwk(fixture->keys[i], kids[i], &fixture->jwks);
			buf_append_str(&fixture->jwks, i < ED25519 ? "," : "]}");
		}
	}
	token_maker_public_pem(fixture->keys[RSA], &fixture->rsa_pem);
	keys.text = buf_slice(&fixture->jwks);
	fixture->verifier = built(&(struct verifier_rules){
		.secret = SECRET, .secret_previous = OLD_SECRET, .keys = &keys, .n_keys = 1});
	fixture->thread = verifier_thread_new();
	assert_non_null(fixture->thread);
	*state = fixture;
	return 0;
}

static int unmake(void **state)
{
	struct fixture *fixture = *state;

	for (int i = 0; i < N_KEYS; i++)
		token_maker_free(fixture->keys[i]);
	verifier_unref(fixture->verifier);
	verifier_thread_free(fixture->thread);
	buf_deinit(&fixture->jwks);
	buf_deinit(&fixture->rsa_pem);
	buf_deinit(&fixture->token);
	free(fixture);
	return 0;
}

/* In memory of its own length, so that a byte too far is seen. */
static int outcome(struct fixture *fixture, const struct verifier *verifier, struct slice token,
	int64_t now_ms, struct verifier_result *result)
{
	char *exact = malloc(token.len ? token.len : 1);
	int r;

	assert_non_null(exact);
	if (token.len)
		memcpy(exact, token.data, token.len);
	memset(result, 1, sizeof(*result));
	r = verifier_check(verifier, fixture->thread, (struct slice){exact, token.len}, now_ms, result);
	free(exact);
	assert_true(r == 0 ? result->identity != NULL : result->identity == NULL);
	return r;
}

static void look(struct fixture *fixture, const struct verifier *verifier, struct slice token, int wanted)
{
	struct verifier_result result;
	int r = outcome(fixture, verifier, token, NOW_MS, &result);

	identity_free(result.identity);
	if (r != wanted)
		fail_msg("%.*s: %s, not %s", (int)token.len, token.data,
			token_fault_name((enum token_fault)r), token_fault_name((enum token_fault)wanted));
}

/* A token of these texts, signed with HS256 by the secret, whatever its header says. */
static void look_hs256(struct fixture *fixture, const char *header, const char *payload, int wanted)
{
	buf_reset(&fixture->token);
	token_maker_sign_hs256(slice_of(header), slice_of(payload), slice_of(SECRET), &fixture->token);
	look(fixture, fixture->verifier, buf_slice(&fixture->token), wanted);
}

/* A token of this header, signed as alg says with that key. */
static void look_signed(struct fixture *fixture, const char *header, const char *alg, int key, int wanted)
{
	buf_reset(&fixture->token);
	token_maker_sign(slice_of(header), slice_of(PAYLOAD), alg, fixture->keys[key], &fixture->token);
	look(fixture, fixture->verifier, buf_slice(&fixture->token), wanted);
}

/* The token that all is right with; the fixture's. */
static const char *good(struct fixture *fixture)
{
	buf_reset(&fixture->token);
	token_maker_sign_hs256(
		slice_of("{\"alg\":\"HS256\"}"), slice_of(PAYLOAD), slice_of(SECRET), &fixture->token);
	return buf_text(&fixture->token);
}

static void the_examples_of_the_standard_are_let_in(void **state)
{
	const struct verifier_keys keys = {.name = "rfc7515.json", .text = slice_of(RFC_JWKS)};
	struct verifier_rules rules = {
		.secret = RFC_SECRET, .keys = &keys, .n_keys = 1, .claims = {.identity = {.user = "iss"}}};
	struct verifier *verifier = built(&rules);

	static const char *const tokens[] = {RFC_HS256, RFC_RS256, RFC_ES256};

	for (size_t i = 0; i < 3; i++) {
		struct verifier_result result;

		assert_int_equal(outcome(*state, verifier, slice_of(tokens[i]), RFC_NOW_MS, &result), 0);
		assert_string_equal(identity_user(result.identity), "joe");
		identity_free(result.identity);
		assert_int_equal(outcome(*state, verifier, slice_of(tokens[i]), RFC_NOW_MS + 380000, &result),
			TOKEN_EXPIRED);
	}
	verifier_unref(verifier);
}

static void keys_tell_what_they_are_and_not_their_secret(void **state)
{
	const struct verifier_keys keys = {.name = "rfc7515.json", .text = slice_of(RFC_JWKS)};
	struct verifier_rules rules = {.secret = RFC_SECRET, .keys = &keys, .n_keys = 1};
	struct verifier *verifier = built(&rules);
	static const struct verifier_key rows[] = {
		{"token_secret", "secret", 512, NULL, "HS256", NULL},
		{"rfc7515.json", "RSA", 2048, NULL, "RS256", NULL},
		{"rfc7515.json", "EC P-256", 256, NULL, "ES256", NULL},
	};

	(void)state;
	assert_int_equal(verifier_n_keys(verifier), 3);
	for (size_t i = 0; i < 3; i++) {
		struct verifier_key key = verifier_key(verifier, i);

		assert_string_equal(key.source, rows[i].source);
		assert_string_equal(key.kind, rows[i].kind);
		assert_int_equal(key.bits, rows[i].bits);
		assert_string_equal(key.algorithms, rows[i].algorithms);
		assert_null(key.kid);
		assert_null(key.skipped);
	}
	verifier_unref(verifier);
}

static void a_ticket_wants_no_key_and_no_end(void **state)
{
	struct verifier_rules rules = {.claims = {.issuer = "https://id", .audience = "live"}};
	struct verifier *verifier = built(&rules), *same = verifier_ref(verifier);
	struct identity *identity = NULL;

	(void)state;
	verifier_unref(verifier);
	assert_int_equal(verifier_ticket(same, slice_of("{\"sub\":\"42\",\"channels\":[\"execution:7\"]}"),
				 RFC_NOW_MS, &identity),
		0);
	assert_string_equal(identity_user(identity), "42");
	assert_true(identity_lists(identity, slice_of("execution:7")));
	identity_free(identity);
	assert_int_equal(verifier_ticket(same, slice_of("{}"), RFC_NOW_MS, &identity), TOKEN_USER);
	assert_string_equal(token_fault_sentence(TOKEN_EXPIRED), "its exp has passed");
	verifier_unref(same);
}

/* --- algorithms and keys -------------------------------------------------------------------------- */

static void tokens_of_five_algorithms_are_let_in(void **state)
{
	look_hs256(*state, "{\"alg\":\"HS256\"}", PAYLOAD, 0);
	look_signed(*state, "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", "RS256", RSA, 0);
	look_signed(*state, "{\"alg\":\"ES256\",\"kid\":\"p256\"}", "ES256", P256, 0);
	look_signed(*state, "{\"alg\":\"ES384\",\"kid\":\"p384\"}", "ES384", P384, 0);
	look_signed(*state, "{\"alg\":\"EdDSA\",\"kid\":\"ed\",\"typ\":\"at+jwt\"}", "EdDSA", ED25519, 0);
}

static void a_secret_that_was_replaced_is_good_for_a_while(void **state)
{
	struct fixture *fixture = *state;

	buf_reset(&fixture->token);
	token_maker_sign_hs256(
		slice_of("{\"alg\":\"HS256\"}"), slice_of(PAYLOAD), slice_of(OLD_SECRET), &fixture->token);
	look(fixture, fixture->verifier, buf_slice(&fixture->token), 0);
}

/* What a thread has prepared for a secret may outlive its verifier, and the next may lie where it lay. */
static void a_secret_that_is_gone_is_good_for_nothing(void **state)
{
	static const char *const secrets[] = {SECRET, OLD_SECRET};
	struct fixture *fixture = *state;

	for (int i = 0; i < 8; i++) {
		const char *secret = secrets[i % 2], *other = secrets[1 - i % 2];
		struct verifier *verifier = built(&(struct verifier_rules){.secret = secret});

		for (int j = 0; j < 3; j++) {
			buf_reset(&fixture->token);
			token_maker_sign_hs256(slice_of("{\"alg\":\"HS256\"}"), slice_of(PAYLOAD),
				slice_of(j == 1 ? other : secret), &fixture->token);
			look(fixture, verifier, buf_slice(&fixture->token),
				j == 1 ? TOKEN_SIGNATURE : TOKEN_GOOD);
		}
		verifier_unref(verifier);
	}
}

static void only_algorithms_that_are_accepted_count(void **state)
{
	static const char *const algs[] = {"none", "nOnE", "NONE", "None", "hs256", "HS256 ", "HS512",
		"HS384", "ES256K", "RS1", "dir", ""};
	char header[64];

	for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
		snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", algs[i]);
		look_hs256(*state, header, PAYLOAD, TOKEN_ALGORITHM);
	}
	look_signed(*state, "{\"alg\":\"RS512\",\"kid\":\"rsa\"}", "RS512", RSA, TOKEN_ALGORITHM);
	look_signed(*state, "{\"alg\":\"PS256\",\"kid\":\"rsa\"}", "PS256", RSA, TOKEN_ALGORITHM);
}

/* The header says what is accepted, the signature is another one of the same key. */
static void a_signature_of_another_kind_is_none(void **state)
{
	look_signed(*state, "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", "RS512", RSA, TOKEN_SIGNATURE);
	look_signed(*state, "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", "PS256", RSA, TOKEN_SIGNATURE);
	look_signed(*state, "{\"alg\":\"ES256\",\"kid\":\"p256\"}", "ES384", P256, TOKEN_SIGNATURE);
	look_signed(*state, "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", "ES256", P256, TOKEN_SIGNATURE);
	look_signed(*state, "{\"alg\":\"ES256\",\"kid\":\"p256\"}", "EdDSA", ED25519, TOKEN_SIGNATURE);
	look_signed(*state, "{\"alg\":\"ES256\",\"kid\":\"p256\"}", "ES256", OTHER_P256, TOKEN_SIGNATURE);
}

static void more_algorithms_are_accepted_where_they_are_listed(void **state)
{
	static const char *const algorithms[] = {"PS256", "RS512", NULL};
	struct fixture *fixture = *state;
	struct verifier_keys keys = {.name = "jwks", .text = buf_slice(&fixture->jwks)};
	struct verifier *verifier = built(&(struct verifier_rules){
		.secret = SECRET, .keys = &keys, .n_keys = 1, .algorithms = algorithms});
	static const struct {
		const char *header, *alg;
		int outcome;
	} rows[] = {
		{"{\"alg\":\"PS256\"}", "PS256", 0},
		{"{\"alg\":\"RS512\"}", "RS512", 0},
		{"{\"alg\":\"PS256\"}", "RS256", TOKEN_SIGNATURE},
		{"{\"alg\":\"RS256\"}", "RS256", TOKEN_ALGORITHM},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buf_reset(&fixture->token);
		token_maker_sign(slice_of(rows[i].header), slice_of(PAYLOAD), rows[i].alg, fixture->keys[RSA],
			&fixture->token);
		look(fixture, verifier, buf_slice(&fixture->token), rows[i].outcome);
	}
	look(fixture, verifier, slice_of(good(fixture)), TOKEN_ALGORITHM);
	verifier_unref(verifier);
}

/* The oldest trick: the public key, which everybody has, as the secret of HS256. */
static void a_public_key_is_no_secret(void **state)
{
	struct fixture *fixture = *state;
	struct verifier_keys keys[] = {
		{.name = "rsa.pem", .text = buf_slice(&fixture->rsa_pem)},
		{.name = "jwks", .text = buf_slice(&fixture->jwks)},
	};
	struct verifier *verifier = built(&(struct verifier_rules){.keys = keys, .n_keys = 2});
	struct slice secrets[] = {buf_slice(&fixture->rsa_pem),
		{fixture->rsa_pem.data, fixture->rsa_pem.len - 1}, buf_slice(&fixture->jwks), slice_of(""),
		{"\0", 1}};
	static const char *const headers[] = {"{\"alg\":\"HS256\"}", "{\"alg\":\"HS256\",\"kid\":\"rsa\"}",
		"{\"alg\":\"HS256\",\"kid\":\"\"}"};

	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
		for (size_t j = 0; j < 3; j++) {
			buf_reset(&fixture->token);
			token_maker_sign_hs256(
				slice_of(headers[j]), slice_of(PAYLOAD), secrets[i], &fixture->token);
			look(fixture, verifier, buf_slice(&fixture->token), TOKEN_UNKNOWN_KEY);
			look(fixture, fixture->verifier, buf_slice(&fixture->token), TOKEN_SIGNATURE);
		}
	verifier_unref(verifier);
}

static void the_kid_chooses_among_keys_of_the_algorithm(void **state)
{
	look_signed(*state, "{\"alg\":\"ES256\"}", "ES256", P256, 0);
	look_signed(*state, "{\"alg\":\"ES256\",\"kid\":\"other\"}", "ES256", P256, TOKEN_UNKNOWN_KEY);
	look_signed(*state, "{\"alg\":\"ES256\",\"kid\":\"\"}", "ES256", P256, TOKEN_UNKNOWN_KEY);
	look_signed(*state, "{\"alg\":\"ES256\",\"kid\":\"rsa\"}", "ES256", P256, TOKEN_UNKNOWN_KEY);
	look_signed(*state, "{\"alg\":\"ES256\",\"kid\":\"P256\"}", "ES256", P256, TOKEN_UNKNOWN_KEY);
	look_signed(*state, "{\"alg\":\"ES256\",\"kid\":\"../p256\"}", "ES256", P256, TOKEN_UNKNOWN_KEY);
	look_signed(*state, "{\"alg\":\"ES256\",\"kid\":1}", "ES256", P256, TOKEN_MALFORMED);
	look_signed(*state, "{\"alg\":\"ES256\",\"kid\":null}", "ES256", P256, TOKEN_MALFORMED);
	look_signed(*state, "{\"alg\":\"ES256\",\"kid\":[\"p256\"]}", "ES256", P256, TOKEN_MALFORMED);
	/* A secret has no kid, and issuers put one on tokens of a secret all the same. */
	look_hs256(*state, "{\"alg\":\"HS256\",\"kid\":\"IBZFPqpuE0oC+hnZ\"}", PAYLOAD, 0);
}

/* A token that brings its key along, or says where to get it, is asked of nothing of that. */
static void a_token_has_no_say_in_its_key(void **state)
{
	struct fixture *fixture = *state;
	struct buf header = {0};

	buf_append_str(&header,
		"{\"alg\":\"ES256\",\"jku\":\"http://127.0.0.1/\",\"x5u\":\"http://127.0.0.1/\",\"jwk\":");
	token_maker_jwk(fixture->keys[OTHER_P256], "", &header);
	buf_append_char(&header, '}');
	look_signed(fixture, buf_text(&header), "ES256", OTHER_P256, TOKEN_SIGNATURE);
	look_signed(fixture, buf_text(&header), "ES256", P256, 0);
	buf_deinit(&header);
}

/* Such a key has a kid, and an algorithm that would fit. */
static void a_key_for_encryption_checks_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct buf jwks = {0};
	struct verifier_keys keys = {.name = "jwks"};
	struct verifier *verifier;

	token_maker_jwk(fixture->keys[P256], "\"use\":\"enc\",\"kid\":\"p256\"", &jwks);
	keys.text = buf_slice(&jwks);
	verifier = built(&(struct verifier_rules){.keys = &keys, .n_keys = 1});
	buf_reset(&fixture->token);
	token_maker_sign(slice_of("{\"alg\":\"ES256\",\"kid\":\"p256\"}"), slice_of(PAYLOAD), "ES256",
		fixture->keys[P256], &fixture->token);
	look(fixture, verifier, buf_slice(&fixture->token), TOKEN_UNKNOWN_KEY);
	look(fixture, fixture->verifier, buf_slice(&fixture->token), 0);
	verifier_unref(verifier);
	buf_deinit(&jwks);
}

/* Without `use` and `alg`, which are optional (RFC 7517): Entra ID, Cognito and PingFederate do so. */
static void keys_of_each_kind_need_only_their_numbers(void **state)
{
	static const char *const algs[] = {"RS256", "ES256", "ES384", "EdDSA"};
	struct fixture *fixture = *state;

	for (int i = RSA; i <= ED25519; i++) {
		struct buf jwk = {0};
		struct verifier_keys keys = {.name = "jwk", .remote = true};
		struct verifier *verifier;
		char header[32];

		token_maker_jwk(fixture->keys[i], "", &jwk);
		keys.text = buf_slice(&jwk);
		verifier = built(&(struct verifier_rules){.keys = &keys, .n_keys = 1});
		snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", algs[i]);
		buf_reset(&fixture->token);
		token_maker_sign(
			slice_of(header), slice_of(PAYLOAD), algs[i], fixture->keys[i], &fixture->token);
		look(fixture, verifier, buf_slice(&fixture->token), 0);
		verifier_unref(verifier);
		buf_deinit(&jwk);
	}
}

/* Whoever has keys from a URL may lack the newest: then a signature fits none of those that are tried. */
static void where_no_name_decides_the_key_may_be_one_that_is_not_known_yet(void **state)
{
	static const char pem[] = "{\"public_cert\":\"-----BEGIN CERTIFICATE-----\\nAA==\",\"keys\":[";
	struct fixture *fixture = *state;
	struct buf jwks = {0};
	struct verifier_keys keys = {.name = "jwks", .remote = true};
	struct verifier *verifier;

	buf_append_str(&jwks, pem); /* as some issuers have it beside their keys */
	token_maker_jwk(fixture->keys[P256], "\"kid\":\"p256\"", &jwks);
	buf_append_str(&jwks, "]}");
	keys.text = buf_slice(&jwks);
	verifier = built(&(struct verifier_rules){.keys = &keys, .n_keys = 1});
	buf_reset(&fixture->token);
	token_maker_sign(slice_of("{\"alg\":\"ES256\"}"), slice_of(PAYLOAD), "ES256",
		fixture->keys[OTHER_P256], &fixture->token);
	look(fixture, verifier, buf_slice(&fixture->token), TOKEN_UNKNOWN_KEY);
	buf_reset(&fixture->token);
	token_maker_sign(slice_of("{\"alg\":\"ES256\",\"kid\":\"p256\"}"), slice_of(PAYLOAD), "ES256",
		fixture->keys[OTHER_P256], &fixture->token);
	look(fixture, verifier, buf_slice(&fixture->token), TOKEN_SIGNATURE);
	verifier_unref(verifier);
	buf_deinit(&jwks);
}

static void without_a_key_nobody_gets_in(void **state)
{
	struct fixture *fixture = *state;
	struct verifier *verifier = built(&(struct verifier_rules){0});

	look(fixture, verifier, slice_of(good(fixture)), TOKEN_UNKNOWN_KEY);
	verifier_unref(verifier);
}

/* The same text with another signature, of these bytes. */
static void look_at_signature(struct fixture *fixture, const void *bytes, size_t len, int wanted)
{
	const char *end = strrchr(buf_text(&fixture->token), '.');
	struct buf text = {0};

	buf_append(&text, fixture->token.data, (size_t)(end + 1 - fixture->token.data));
	base64url_append(&text, bytes, len);
	look(fixture, fixture->verifier, buf_slice(&text), wanted);
	buf_deinit(&text);
}

/* Signatures that some library took: of zeroes, of the curve's order, in DER, cut off, longer. */
static void a_signature_that_signs_nothing_is_refused(void **state)
{
	static const unsigned char order[32] = {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca,
		0xc2, 0xfc, 0x63, 0x25, 0x51};
	static const unsigned char der_of_zeroes[] = {0x30, 0x06, 0x02, 0x01, 0, 0x02, 0x01, 0};
	struct fixture *fixture = *state;
	unsigned char bytes[257] = {0};
	size_t len;

	look_signed(fixture, "{\"alg\":\"ES256\",\"kid\":\"p256\"}", "ES256", P256, 0);
	look_at_signature(fixture, bytes, 64, TOKEN_SIGNATURE);
	look_at_signature(fixture, bytes, 1, TOKEN_SIGNATURE);
	look_at_signature(fixture, bytes, 65, TOKEN_SIGNATURE);
	look_at_signature(fixture, der_of_zeroes, sizeof(der_of_zeroes), TOKEN_SIGNATURE);
	memcpy(bytes, order, sizeof(order));
	memcpy(bytes + sizeof(order), order, sizeof(order));
	look_at_signature(fixture, bytes, 64, TOKEN_SIGNATURE);

	look_signed(fixture, "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", "RS256", RSA, 0);
	assert_true(base64url_decode(
		slice_of(strrchr(buf_text(&fixture->token), '.') + 1), (char *)memset(bytes, 0, 257), &len));
	look_at_signature(fixture, bytes, 256, 0);
	look_at_signature(fixture, bytes, 255, TOKEN_SIGNATURE);
	look_at_signature(fixture, bytes, 257, TOKEN_SIGNATURE);
	look_at_signature(fixture, memset(bytes, 0, 257), 256, TOKEN_SIGNATURE);

	look_hs256(fixture, "{\"alg\":\"HS256\"}", PAYLOAD, 0);
	assert_true(
		base64url_decode(slice_of(strrchr(buf_text(&fixture->token), '.') + 1), (char *)bytes, &len));
	look_at_signature(fixture, bytes, 32, 0);
	look_at_signature(fixture, bytes, 31, TOKEN_SIGNATURE);
	look_at_signature(fixture, bytes, 16, TOKEN_SIGNATURE);
	look_at_signature(fixture, bytes, 33, TOKEN_SIGNATURE);
}

/* --- the form ---------------------------------------------------------------------------------------- */

static void a_token_has_three_parts(void **state)
{
	struct fixture *fixture = *state;
	const char *token = good(fixture);
	const char *first = strchr(token, '.'), *second = strrchr(token, '.');
	size_t len = strlen(token), head = (size_t)(first - token), body = (size_t)(second - first - 1);
	struct buf text = {0};

	look(fixture, fixture->verifier, slice_of(token), 0);
	look(fixture, fixture->verifier, (struct slice){token, (size_t)(second - token)}, TOKEN_MALFORMED);
	look(fixture, fixture->verifier, (struct slice){token, (size_t)(second - token) + 1},
		TOKEN_MALFORMED);
	look(fixture, fixture->verifier, (struct slice){first, len - head}, TOKEN_MALFORMED);
	look(fixture, fixture->verifier, (struct slice){token, head}, TOKEN_MALFORMED);
	look(fixture, fixture->verifier, (struct slice){NULL, 0}, TOKEN_MALFORMED);
	look(fixture, fixture->verifier, slice_of("."), TOKEN_MALFORMED);
	look(fixture, fixture->verifier, slice_of(".."), TOKEN_MALFORMED);
	look(fixture, fixture->verifier, slice_of("..."), TOKEN_MALFORMED);
	for (int dots = 1; dots <= 3; dots++) { /* 4, 5 and 6 parts; 5 are those of an encrypted one */
		buf_reset(&text);
		buf_append_str(&text, token);
		for (int i = 0; i < dots; i++)
			buf_append_str(&text, ".AAAA");
		look(fixture, fixture->verifier, buf_slice(&text), TOKEN_MALFORMED);
	}
	buf_reset(&text);
	buf_printf(&text, "%.*s..%s", (int)head, token, second + 1);
	look(fixture, fixture->verifier, buf_slice(&text), TOKEN_MALFORMED);
	buf_reset(&text);
	buf_printf(&text, "%.*s.%.*s.", (int)head, token, (int)body, first + 1);
	look(fixture, fixture->verifier, buf_slice(&text), TOKEN_MALFORMED);
	buf_deinit(&text);
}

/* Whatever byte is put in or taken out, anywhere: no text but the one that was signed is let in. */
static void one_text_is_one_token(void **state)
{
	static const char added[] = {'=', '+', '/', '\n', '\r', ' ', '\0', '.', 'A', '\x80', '%'};
	struct fixture *fixture = *state;
	char *token = strdup(good(fixture)), *other;
	size_t len = strlen(token), n_good = 0;

	other = malloc(len + 1);
	assert_non_null(other);
	for (size_t at = 0; at <= len; at++)
		for (size_t i = 0; i < sizeof(added); i++) {
			struct verifier_result result;

			memcpy(other, token, at);
			other[at] = added[i];
			memcpy(other + at + 1, token + at, len - at);
			n_good += outcome(fixture, fixture->verifier, (struct slice){other, len + 1}, NOW_MS,
					  &result) == 0;
			identity_free(result.identity);
			if (at == len || other[at] == token[at])
				continue;
			memcpy(other + at + 1, token + at + 1, len - at - 1);
			n_good += outcome(fixture, fixture->verifier, (struct slice){other, len}, NOW_MS,
					  &result) == 0;
			identity_free(result.identity);
		}
	assert_int_equal(n_good, 0);
	free(other);
	free(token);
}

static void a_good_token_and_more_behind_it_is_none(void **state)
{
	static const char *const tails[] = {" ", " x", "#", "\t", ",", "; a=b", "=", "=="};
	struct fixture *fixture = *state;
	struct buf text = {0};

	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		buf_reset(&text);
		buf_printf(&text, "%s%s", good(fixture), tails[i]);
		look(fixture, fixture->verifier, buf_slice(&text), TOKEN_MALFORMED);
	}
	buf_deinit(&text);
}

static void header_and_payload_are_objects_that_say_each_thing_once(void **state)
{
	static const char *const headers[] = {"[1]", "null", "\"HS256\"", "", "{}", "{\"typ\":\"JWT\"}",
		"{\"alg\":null}", "{\"alg\":256}", "{\"alg\":[\"HS256\"]}",
		"{\"alg\":\"HS256\",\"alg\":\"HS256\"}", "{\"alg\":\"none\",\"\\u0061lg\":\"HS256\"}",
		"{\"ALG\":\"HS256\"}", "{\"alg\":\"HS256\"}{}",
		"{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}",
		"{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", "{\"alg\":\"HS256\",\"crit\":[]}",
		"{\"alg\":\"HS256\",\"crit\":null}", "{\"alg\":\"HS256\\u0000\"}",
		"\xef\xbb\xbf{\"alg\":\"HS256\"}", "{\"alg\":\"HS256\"", "{'alg':'HS256'}"};
	static const char *const payloads[] = {"[1]", "\"u\"", "7", "null", "", "{",
		"{\"sub\":\"u\",\"exp\":2000,\"exp\":2000}", "[{\"sub\":\"u\",\"exp\":2000}]",
		PAYLOAD PAYLOAD};
	static const char header[] = "{\"alg\":\"HS256\"}", nul[] = PAYLOAD "\0{}";
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		look_hs256(fixture, headers[i], PAYLOAD, TOKEN_MALFORMED);
	for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++)
		look_hs256(fixture, header, payloads[i], TOKEN_MALFORMED);
	buf_reset(&fixture->token);
	token_maker_sign_hs256(
		slice_of(header), (struct slice){nul, sizeof(nul) - 1}, slice_of(SECRET), &fixture->token);
	look(fixture, fixture->verifier, buf_slice(&fixture->token), TOKEN_MALFORMED);
	look_hs256(fixture, " {\"alg\" : \"HS256\" , \"typ\" : \"JWT\"}\n", PAYLOAD, 0);
	/* An end in the header, as some load balancers write it, is none. */
	look_hs256(fixture, "{\"alg\":\"HS256\",\"exp\":2000}", "{\"sub\":\"u\"}", TOKEN_NO_EXP);
	look_hs256(fixture, "{\"alg\":\"HS256\",\"exp\":1}", PAYLOAD, 0);
}

static void a_token_has_a_longest_form(void **state)
{
	struct fixture *fixture = *state;
	struct buf payload = {0};

	/* 20 letters of the header, 43 of the signature, two dots: 7,935 are left, of 5,951 bytes. */
	for (int more = 0; more <= 1; more++) {
		buf_reset(&payload);
		buf_printf(&payload, "{\"sub\":\"u\",\"exp\":2000%*s}", 5951 - 22 + more, "");
		buf_reset(&fixture->token);
		token_maker_sign_hs256(slice_of("{\"alg\":\"HS256\"}"), buf_slice(&payload), slice_of(SECRET),
			&fixture->token);
		assert_true((fixture->token.len <= TOKEN_BYTES_MAX) == !more);
		look(fixture, fixture->verifier, buf_slice(&fixture->token), more ? TOKEN_MALFORMED : 0);
	}
	buf_deinit(&payload);
}

/* --- what is told ------------------------------------------------------------------------------------ */

static void says_who_and_until_when(void **state)
{
	static const char *const claims[] = {"tenant", NULL};
	struct fixture *fixture = *state;
	struct verifier_rules rules = {.secret = SECRET,
		.claims = {.identity = {.claims = claims},
			.issuer = "me",
			.audience = "live",
			.leeway_ms = 10000}};
	struct verifier *verifier = built(&rules);
	struct verifier_result result;

	buf_reset(&fixture->token);
	token_maker_sign_hs256(slice_of("{\"alg\":\"HS256\",\"kid\":\"k\"}"),
		slice_of("{\"sub\":\"42\",\"exp\":995,\"iss\":\"me\",\"aud\":[\"live\"],\"tenant\":7,"
			 "\"channels\":[\"a:{sub}\"]}"),
		slice_of(SECRET), &fixture->token);
	assert_int_equal(outcome(fixture, verifier, buf_slice(&fixture->token), NOW_MS, &result), 0);
	assert_string_equal(identity_user(result.identity), "42");
	assert_true(identity_deadline_ms(result.identity) == 995000);
	assert_true(slice_is(identity_claim(result.identity, "tenant"), "7"));
	assert_true(identity_lists(result.identity, slice_of("a:42")));
	assert_string_equal(result.kid, "k");
	assert_string_equal(result.alg, "HS256");
	identity_free(result.identity);
	look(fixture, verifier, slice_of(good(fixture)), TOKEN_ISSUER);
	verifier_unref(verifier);
}

/* Expired comes before all about keys: an old token makes nobody fetch keys, and costs no signature. */
static void the_time_is_looked_at_before_the_key(void **state)
{
	look_hs256(*state, "{\"alg\":\"HS256\"}", "{\"sub\":\"u\"}", TOKEN_NO_EXP);
	look_hs256(*state, "{\"alg\":\"ES256\",\"kid\":\"new\"}", "{\"sub\":\"u\",\"exp\":1}", TOKEN_EXPIRED);
	look_hs256(
		*state, "{\"alg\":\"ES256\",\"kid\":\"new\"}", "{\"sub\":\"u\",\"exp\":-1}", TOKEN_EXPIRED);
	look_hs256(*state, "{\"alg\":\"HS256\"}", "{\"sub\":\"u\",\"exp\":3000,\"nbf\":2000}", TOKEN_NOT_YET);
	look_hs256(*state, "{\"alg\":\"ES256\",\"kid\":\"new\"}", PAYLOAD, TOKEN_UNKNOWN_KEY);
}

/* And the claims come after the signature: a stranger learns nothing of what is configured. */
static void claims_are_looked_at_after_the_signature(void **state)
{
	look_hs256(*state, "{\"alg\":\"RS256\"}", "{\"exp\":2000}", TOKEN_SIGNATURE);
	look_hs256(*state, "{\"alg\":\"HS256\"}", "{\"exp\":2000}", TOKEN_USER);
	look_hs256(*state, "{\"alg\":\"HS256\"}", "{\"exp\":2000,\"sub\":\"u\",\"channels\":\"a\"}",
		TOKEN_CHANNELS);
}

static void what_the_log_may_tell_is_cut(void **state)
{
	struct fixture *fixture = *state;
	struct verifier_result result;
	struct buf header = {0};

	buf_printf(&header, "{\"alg\":\"%0100d\",\"kid\":\"%*s\xc3\xa9\"}", 0, TOKEN_KID_MAX - 1, "");
	buf_reset(&fixture->token);
	token_maker_sign_hs256(buf_slice(&header), slice_of(PAYLOAD), slice_of(SECRET), &fixture->token);
	assert_int_equal(outcome(fixture, fixture->verifier, buf_slice(&fixture->token), NOW_MS, &result),
		TOKEN_ALGORITHM);
	assert_int_equal(strlen(result.alg), TOKEN_ALG_MAX);
	assert_int_equal(strlen(result.kid), TOKEN_KID_MAX - 1); /* not within a character */
	assert_int_equal(
		outcome(fixture, fixture->verifier, slice_of("x"), NOW_MS, &result), TOKEN_MALFORMED);
	assert_string_equal(result.kid, "");
	assert_string_equal(result.alg, "");
	buf_deinit(&header);
}

static void what_cannot_be_configured_is_told(void **state)
{
	static const char *const algorithms[] = {"RS256", "rs512", NULL};
	const struct verifier_keys keys = {.name = "a.pem", .text = slice_of("{}")};
	const struct verifier_rules rows[] = {{.algorithms = algorithms}, {.secret = "short"},
		{.secret_previous = "short"}, {.keys = &keys, .n_keys = 1}};
	static const char *const wanted[] = {"token_algorithms: 'rs512' is not known (known: "
					     "HS256,HS384,HS512,RS256,RS384,RS512,PS256,PS384,PS512,ES256,"
					     "ES384,ES512,EdDSA)",
		"token_secret is shorter", "token_secret_previous is shorter", "a.pem has no keys"};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct verifier *verifier = NULL;
		struct buf error = {0};

		assert_int_equal(verifier_new(&rows[i], &verifier, &error), VERIFIER_BAD);
		assert_null(verifier);
		if (strncmp(buf_text(&error), wanted[i], strlen(wanted[i])) != 0)
			fail_msg("%s", buf_text(&error));
		buf_deinit(&error);
	}
}

/* --- threads ------------------------------------------------------------------------------------------- */

struct checking {
	struct fixture *fixture;
	struct slice token;
	int n_good;
};

static void *check_often(void *arg)
{
	struct checking *checking = arg;
	struct verifier_thread *thread = verifier_thread_new();
	struct verifier *verifier = verifier_ref(checking->fixture->verifier);

	for (int i = 0; thread && i < 200; i++) {
		struct verifier_result result;

		checking->n_good += verifier_check(verifier, thread, checking->token, NOW_MS, &result) == 0;
		identity_free(result.identity);
	}
	verifier_unref(verifier);
	verifier_thread_free(thread);
	return NULL;
}

static void threads_share_a_verifier(void **state)
{
	struct fixture *fixture = *state;
	struct checking checkings[2];
	pthread_t threads[2];

	buf_reset(&fixture->token);
	token_maker_sign(slice_of("{\"alg\":\"RS256\",\"kid\":\"rsa\"}"), slice_of(PAYLOAD), "RS256",
		fixture->keys[RSA], &fixture->token);
	for (int i = 0; i < 2; i++) {
		checkings[i] = (struct checking){.fixture = fixture, .token = buf_slice(&fixture->token)};
		assert_int_equal(pthread_create(&threads[i], NULL, check_often, &checkings[i]), 0);
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(checkings[i].n_good, 200);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_examples_of_the_standard_are_let_in),
		cmocka_unit_test(keys_tell_what_they_are_and_not_their_secret),
		cmocka_unit_test(a_ticket_wants_no_key_and_no_end),
		cmocka_unit_test(tokens_of_five_algorithms_are_let_in),
		cmocka_unit_test(a_secret_that_was_replaced_is_good_for_a_while),
		cmocka_unit_test(a_secret_that_is_gone_is_good_for_nothing),
		cmocka_unit_test(only_algorithms_that_are_accepted_count),
		cmocka_unit_test(a_signature_of_another_kind_is_none),
		cmocka_unit_test(more_algorithms_are_accepted_where_they_are_listed),
		cmocka_unit_test(a_public_key_is_no_secret),
		cmocka_unit_test(the_kid_chooses_among_keys_of_the_algorithm),
		cmocka_unit_test(a_token_has_no_say_in_its_key),
		cmocka_unit_test(a_key_for_encryption_checks_nothing),
		cmocka_unit_test(keys_of_each_kind_need_only_their_numbers),
		cmocka_unit_test(where_no_name_decides_the_key_may_be_one_that_is_not_known_yet),
		cmocka_unit_test(without_a_key_nobody_gets_in),
		cmocka_unit_test(a_signature_that_signs_nothing_is_refused),
		cmocka_unit_test(a_token_has_three_parts),
		cmocka_unit_test(one_text_is_one_token),
		cmocka_unit_test(a_good_token_and_more_behind_it_is_none),
		cmocka_unit_test(header_and_payload_are_objects_that_say_each_thing_once),
		cmocka_unit_test(a_token_has_a_longest_form),
		cmocka_unit_test(says_who_and_until_when),
		cmocka_unit_test(the_time_is_looked_at_before_the_key),
		cmocka_unit_test(claims_are_looked_at_after_the_signature),
		cmocka_unit_test(what_the_log_may_tell_is_cut),
		cmocka_unit_test(what_cannot_be_configured_is_told),
		cmocka_unit_test(threads_share_a_verifier),
	};

	return cmocka_run_group_tests(tests, make, unmake);
}
