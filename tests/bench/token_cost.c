/*
 * Token cost: microseconds of CPU that a token costs, by the verifier, by libjwt alone, and by OpenSSL alone.
 *
 * The three take turns, so that a busy machine is busy for all of them; what is printed is the median of
 * the rounds. OpenSSL is given the signature decoded and in its own form: less a verification cannot cost
 * here. Usage: token_cost [ROUNDS]
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jwt.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "auth/base64.h"
#include "auth/identity.h"
#include "auth/verifier.h"
#include "core/buf.h"
#include "support/token_maker.h"

#define NOW_MS INT64_C(1000000)

static const char secret[] = "a secret of this program, which nobody else has";
/* As identity providers make them: 300 bytes of claims. */
static const char payload[] = "{\"iss\":\"https://id.example.com/realms/"
			      "app\",\"aud\":[\"live\",\"account\"],\"sub\":\"5f0c1d3e-8b1a-4b53-9d6a-"
			      "0f4f5c0e2a11\",\"exp\":4102444800,\"iat\":1700000000,\"jti\":\"0d3c6a52-6f5e-"
			      "4a7e-8a53-1a3f5b6d7c88\",\"typ\":\"Bearer\","
			      "\"azp\":\"app\",\"scope\":\"openid profile "
			      "email\",\"channels\":[\"user:{sub}\",\"team:7\"],\"name\":\"A. User\"}";
static const char old_payload[] = "{\"sub\":\"u\",\"exp\":1}";

enum {
	N_WAYS = 3, /* ours, libjwt, OpenSSL */
	ROUNDS = 9,
	ROUNDS_MAX = 99,
	SIGNATURE_MAX = 1024,
	BURST = 200,
};

struct subject {
	const char *alg;
	EVP_PKEY *key; /* NULL: the secret */
	struct buf token;
	size_t n_signed; /* its bytes up to the last dot */
	unsigned char signature[SIGNATURE_MAX];
	size_t signature_len;
	struct verifier *verifier;
	struct verifier_thread *thread;
	jwk_set_t *jwks;
	jwt_checker_t *checker;
};

static void must(bool done, const char *what)
{
	if (done)
		return;
	fprintf(stderr, "token_cost: %s\n", what);
	exit(1);
}

static void build_verifiers(struct subject *subject)
{
	struct buf jwk = {0}, error = {0};
	struct verifier_keys keys = {.name = "jwk"};
	struct verifier_rules rules = {0};

	if (subject->key) {
		token_maker_jwk(subject->key, "", &jwk);
		keys.text = buf_slice(&jwk);
		rules.keys = &keys;
		rules.n_keys = 1;
	} else {
		buf_append_str(&jwk, "{\"kty\":\"oct\",\"k\":\"");
		base64url_append(&jwk, secret, strlen(secret));
		buf_append_str(&jwk, "\"}");
		rules.secret = secret;
	}
	must(verifier_new(&rules, &subject->verifier, &error) == 0, "no verifier");
	subject->thread = verifier_thread_new();
	subject->jwks = jwks_create_strn(jwk.data, jwk.len);
	subject->checker = jwt_checker_new();
	must(subject->thread && subject->checker &&
			jwt_checker_setkey(subject->checker, jwt_str_alg(subject->alg),
				jwks_item_get(subject->jwks, 0)) == 0,
		"no checker");
	buf_deinit(&jwk);
	buf_deinit(&error);
}

/* The signature as OpenSSL wants it: of an elliptic curve, as DER. */
static void decode_signature(struct subject *subject)
{
	const char *text = subject->token.data + subject->n_signed + 1;
	unsigned char *at = subject->signature;
	int half;
	ECDSA_SIG *pair;

	must(base64url_decode((struct slice){text, subject->token.len - subject->n_signed - 1},
		     (char *)subject->signature, &subject->signature_len),
		"no signature");
	if (!subject->key || EVP_PKEY_get_base_id(subject->key) != EVP_PKEY_EC)
		return;
	half = (int)subject->signature_len / 2;
	pair = ECDSA_SIG_new();
	ECDSA_SIG_set0(pair, BN_bin2bn(at, half, NULL), BN_bin2bn(at + half, half, NULL));
	subject->signature_len = (size_t)i2d_ECDSA_SIG(pair, &at);
	ECDSA_SIG_free(pair);
}

static void subject_init(struct subject *subject, const char *alg, const char *kind, const char *claims)
{
	char header[64];

	*subject = (struct subject){.alg = alg, .key = kind ? token_maker_key(kind) : NULL};
	snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"typ\":\"JWT\"}", alg);
	if (kind)
		token_maker_sign(slice_of(header), slice_of(claims), alg, subject->key, &subject->token);
	else
		token_maker_sign_hs256(slice_of(header), slice_of(claims), slice_of(secret), &subject->token);
	subject->n_signed = (size_t)(strrchr(subject->token.data, '.') - subject->token.data);
	build_verifiers(subject);
	decode_signature(subject);
}

static void subject_deinit(struct subject *subject)
{
	buf_deinit(&subject->token);
	verifier_unref(subject->verifier);
	verifier_thread_free(subject->thread);
	jwt_checker_free(subject->checker);
	jwks_free(subject->jwks);
	token_maker_free(subject->key);
}

static bool by_us(struct subject *subject)
{
	struct verifier_result result;
	int r = verifier_check(
		subject->verifier, subject->thread, buf_slice(&subject->token), NOW_MS, &result);

	identity_free(result.identity);
	return r == 0;
}

static bool by_libjwt(struct subject *subject)
{
	return jwt_checker_verify(subject->checker, subject->token.data) == 0;
}

static bool by_openssl(struct subject *subject)
{
	const unsigned char *text = (const unsigned char *)subject->token.data;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int len = sizeof(digest);
	EVP_MD_CTX *context;
	bool good;

	if (!subject->key)
		return HMAC(EVP_sha256(), secret, sizeof(secret) - 1, text, subject->n_signed, digest,
			       &len) &&
		       memcmp(digest, subject->signature, len) == 0;
	context = EVP_MD_CTX_new();
	good = EVP_DigestVerifyInit(context, NULL, strcmp(subject->alg, "EdDSA") == 0 ? NULL : EVP_sha256(),
		       NULL, subject->key) == 1 &&
	       EVP_DigestVerify(
		       context, subject->signature, subject->signature_len, text, subject->n_signed) == 1;
	EVP_MD_CTX_free(context);
	return good;
}

static double cpu_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Of one token; every one of the burst must be judged as wanted. */
static double cost(bool (*check)(struct subject *subject), struct subject *subject, bool wanted)
{
	double begin = cpu_us();

	for (int i = 0; i < BURST; i++)
		must(check(subject) == wanted, "a token is judged wrongly");
	return (cpu_us() - begin) / BURST;
}

static int ascending(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static void measure(struct subject *subject, int n_rounds, double medians[N_WAYS])
{
	static bool (*const ways[N_WAYS])(struct subject * subject) = {by_us, by_libjwt, by_openssl};
	double costs[N_WAYS][ROUNDS_MAX];

	for (int round = 0; round < n_rounds; round++)
		for (int way = 0; way < N_WAYS; way++)
			costs[way][round] = cost(ways[way], subject, true);
	for (int way = 0; way < N_WAYS; way++) {
		qsort(costs[way], (size_t)n_rounds, sizeof(double), ascending);
		medians[way] = costs[way][n_rounds / 2];
	}
}

int main(int argc, char **argv)
{
	static const char *const rows[][2] = {
		{"HS256", NULL}, {"RS256", "RSA"}, {"ES256", "P-256"}, {"EdDSA", "ED25519"}};
	int n_rounds = argc > 1 ? atoi(argv[1]) : ROUNDS;
	struct subject subject;

	must(n_rounds >= 1 && n_rounds <= ROUNDS_MAX, "ROUNDS is 1 to 99");
	printf("us a token   ours  libjwt  OpenSSL\n");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		double medians[N_WAYS];

		subject_init(&subject, rows[i][0], rows[i][1], payload);
		measure(&subject, n_rounds, medians);
		printf("%-10s %6.1f  %6.1f   %6.1f\n", rows[i][0], medians[0], medians[1], medians[2]);
		subject_deinit(&subject);
	}
	subject_init(&subject, "EdDSA", "ED25519", old_payload);
	printf("%-10s %6.1f\n", "expired", cost(by_us, &subject, false));
	subject_deinit(&subject);
	return 0;
}
