/* Signature: was this signed with that key; see the header. */

#include "auth/signature.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <jwt.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "tls/tls_rehearsal.h"

enum {
	N_DIGESTS = 3,
	DER_MAX = 160, /* of a signature by P-521 */
};

struct signature_key {
	atomic_uint n_refs; /* the owner's, and one of each room that has the secret prepared */
	EVP_PKEY *public;   /* NULL: it is a secret */
	size_t secret_len;
	unsigned char secret[];
};

struct signature_room {
	EVP_MD *digests[N_DIGESTS]; /* looked up once: OpenSSL takes locks for it */
	EVP_MD_CTX *context;        /* of EdDSA */
	/* For the key that was asked last, of which it has a reference; to prepare it again costs 4 µs. */
	EVP_PKEY_CTX *prepared;
	enum algorithm algorithm;
	/* The same for secrets; 1 µs. */
	EVP_MAC_CTX *mac;
	struct signature_key *mac_key; /* NULL: no secret is prepared */
	enum algorithm mac_algorithm;
};

/* How each algorithm signs. */
enum family {
	FAMILY_HMAC,
	FAMILY_RSA,
	FAMILY_PSS,
	FAMILY_ECDSA,
	FAMILY_EDDSA,
};

static const struct way {
	enum family family;
	unsigned int digest; /* of digest_names */
	size_t half;         /* FAMILY_ECDSA: bytes of each of the two numbers */
} ways[N_ALGORITHMS] = {
	[ALGORITHM_HS256] = {FAMILY_HMAC, 0, 0},
	[ALGORITHM_HS384] = {FAMILY_HMAC, 1, 0},
	[ALGORITHM_HS512] = {FAMILY_HMAC, 2, 0},
	[ALGORITHM_RS256] = {FAMILY_RSA, 0, 0},
	[ALGORITHM_RS384] = {FAMILY_RSA, 1, 0},
	[ALGORITHM_RS512] = {FAMILY_RSA, 2, 0},
	[ALGORITHM_PS256] = {FAMILY_PSS, 0, 0},
	[ALGORITHM_PS384] = {FAMILY_PSS, 1, 0},
	[ALGORITHM_PS512] = {FAMILY_PSS, 2, 0},
	[ALGORITHM_ES256] = {FAMILY_ECDSA, 0, 32},
	[ALGORITHM_ES384] = {FAMILY_ECDSA, 1, 48},
	[ALGORITHM_ES512] = {FAMILY_ECDSA, 2, 66},
	[ALGORITHM_EDDSA] = {FAMILY_EDDSA, 0, 0},
};

static const char *const digest_names[N_DIGESTS] = {"SHA256", "SHA384", "SHA512"};

/* --- keys -------------------------------------------------------------------------------------- */

static struct signature_key *copy_secret(const void *bytes, size_t len)
{
	struct signature_key *key = malloc(sizeof(*key) + len);

	if (!key)
		return NULL;
	atomic_init(&key->n_refs, 1);
	key->public = NULL;
	key->secret_len = len;
	memcpy(key->secret, bytes, len);
	return key;
}

static EVP_PKEY *read_public(const char *pem, int len)
{
	BIO *bio = pem ? BIO_new_mem_buf(pem, len) : NULL;
	EVP_PKEY *public = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	return public;
}

/* OpenSSL's reasons stay in its queue. */
static struct signature_key *copy_public(const char *pem, int len)
{
	struct signature_key *key = calloc(1, sizeof(*key));

	if (!key)
		return NULL;
	atomic_init(&key->n_refs, 1);
	key->public = read_public(pem, len);
	if (key->public)
		return key;
	free(key);
	return NULL;
}

struct signature_key *signature_key_new(const struct jwk_item *item)
{
	const unsigned char *bytes;
	struct signature_key *key;
	size_t len;

	if (jwks_item_kty(item) == JWK_KEY_TYPE_OCT)
		return jwks_item_key_oct(item, &bytes, &len) == 0 ? copy_secret(bytes, len) : NULL;
	key = copy_public(jwks_item_pem(item), -1);
	if (!key)
		ERR_clear_error(); /* or the next call of TLS on this thread would take it for its own */
	return key;
}

void signature_key_unref(struct signature_key *key)
{
	if (!key || atomic_fetch_sub_explicit(&key->n_refs, 1, memory_order_acq_rel) != 1)
		return;
	EVP_PKEY_free(key->public);
	OPENSSL_cleanse(key->secret, key->secret_len);
	free(key);
}

/* --- the room ---------------------------------------------------------------------------------- */

static EVP_MAC_CTX *new_mac(void)
{
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
	EVP_MAC_CTX *mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;

	EVP_MAC_free(hmac); /* the context has a reference */
	return mac;
}

struct signature_room *signature_room_new(void)
{
	struct signature_room *room = calloc(1, sizeof(*room));
	bool whole;

	if (!room)
		return NULL;
	room->context = EVP_MD_CTX_new();
	room->mac = new_mac();
	whole = room->context && room->mac;
	for (int i = 0; i < N_DIGESTS; i++) {
		room->digests[i] = EVP_MD_fetch(NULL, digest_names[i], NULL);
		whole &= room->digests[i] != NULL;
	}
	if (whole)
		return room;
	signature_room_free(room);
	return NULL;
}

void signature_room_free(struct signature_room *room)
{
	if (!room)
		return;
	for (int i = 0; i < N_DIGESTS; i++)
		EVP_MD_free(room->digests[i]);
	EVP_MD_CTX_free(room->context);
	EVP_PKEY_CTX_free(room->prepared);
	EVP_MAC_CTX_free(room->mac);
	signature_key_unref(room->mac_key);
	free(room);
}

/* --- checking ---------------------------------------------------------------------------------- */

static void forget_mac(struct signature_room *room)
{
	signature_key_unref(room->mac_key);
	room->mac_key = NULL;
}

/* Has the MAC begin with the key, whose first blocks stay hashed from one token to the next. */
static bool begin_mac(struct signature_room *room, enum algorithm algorithm, struct signature_key *key)
{
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(
			OSSL_MAC_PARAM_DIGEST, (char *)digest_names[ways[algorithm].digest], 0),
		OSSL_PARAM_construct_end(),
	};

	if (room->mac_key == key && room->mac_algorithm == algorithm)
		return EVP_MAC_init(room->mac, NULL, 0, NULL) == 1;
	forget_mac(room);
	if (EVP_MAC_init(room->mac, key->secret, key->secret_len, params) != 1)
		return false;
	atomic_fetch_add_explicit(&key->n_refs, 1, memory_order_relaxed);
	room->mac_key = key;
	room->mac_algorithm = algorithm;
	return true;
}

static bool hmac_is_good(struct signature_room *room, enum algorithm algorithm, struct signature_key *key,
	struct slice text, struct slice signature)
{
	unsigned char made[EVP_MAX_MD_SIZE];
	size_t len = 0;

	if (!begin_mac(room, algorithm, key) ||
		EVP_MAC_update(room->mac, (const unsigned char *)text.data, text.len) != 1 ||
		EVP_MAC_final(room->mac, made, &len, sizeof(made)) != 1) {
		forget_mac(room); /* half prepared, or whatever a failure may have left in it */
		return false;
	}
	return len == signature.len && CRYPTO_memcmp(made, signature.data, len) == 0;
}

/* OpenSSL wants the two numbers of RFC 7518 section 3.4 as DER. 0: they are not two of this size. */
static size_t write_der(struct slice signature, size_t half, unsigned char out[DER_MAX])
{
	const unsigned char *bytes = (const unsigned char *)signature.data;
	ECDSA_SIG *pair = signature.len == 2 * half ? ECDSA_SIG_new() : NULL;
	BIGNUM *r = pair ? BN_bin2bn(bytes, (int)half, NULL) : NULL;
	BIGNUM *s = pair ? BN_bin2bn(bytes + half, (int)half, NULL) : NULL;
	int len = 0;

	if (r && s && ECDSA_SIG_set0(pair, r, s)) {
		r = s = NULL; /* they are the pair's */
		len = i2d_ECDSA_SIG(pair, NULL);
		len = len > 0 && len <= DER_MAX ? i2d_ECDSA_SIG(pair, &out) : 0;
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(pair);
	return len > 0 ? (size_t)len : 0;
}

static void forget(struct signature_room *room)
{
	EVP_PKEY_CTX_free(room->prepared);
	room->prepared = NULL;
}

static bool prepare(struct signature_room *room, enum algorithm algorithm, EVP_PKEY *public)
{
	const struct way *way = &ways[algorithm];
	int padding = way->family == FAMILY_PSS ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING;

	if (room->prepared && room->algorithm == algorithm &&
		EVP_PKEY_CTX_get0_pkey(room->prepared) == public)
		return true;
	forget(room);
	room->prepared = EVP_PKEY_CTX_new_from_pkey(NULL, public, NULL);
	room->algorithm = algorithm;
	return room->prepared && EVP_PKEY_verify_init(room->prepared) == 1 &&
	       (way->family == FAMILY_ECDSA || EVP_PKEY_CTX_set_rsa_padding(room->prepared, padding) == 1) &&
	       EVP_PKEY_CTX_set_signature_md(room->prepared, room->digests[way->digest]) == 1 &&
	       (way->family != FAMILY_PSS ||
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(room->prepared, RSA_PSS_SALTLEN_DIGEST) == 1);
}

static bool digest_is_good(struct signature_room *room, enum algorithm algorithm, EVP_PKEY *public,
	struct slice text, struct slice signature)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int len;
	bool good = signature.len > 0 && prepare(room, algorithm, public) &&
		    EVP_Digest(text.data, text.len, digest, &len, room->digests[ways[algorithm].digest],
			    NULL) == 1 &&
		    EVP_PKEY_verify(room->prepared, (const unsigned char *)signature.data, signature.len,
			    digest, len) == 1;

	if (!good)
		forget(room); /* half prepared, or whatever a failure may have left in it */
	return good;
}

static bool text_is_good(
	struct signature_room *room, EVP_PKEY *public, struct slice text, struct slice signature)
{
	EVP_MD_CTX_reset(room->context);
	return EVP_DigestVerifyInit(room->context, NULL, NULL, NULL, public) == 1 &&
	       EVP_DigestVerify(room->context, (const unsigned char *)signature.data, signature.len,
		       (const unsigned char *)text.data, text.len) == 1;
}

/* OpenSSL's reasons stay in its queue. */
static bool is_good(struct signature_room *room, enum algorithm algorithm, struct signature_key *key,
	struct slice text, struct slice signature)
{
	const struct way *way = &ways[algorithm];
	unsigned char der[DER_MAX];

	if ((way->family == FAMILY_HMAC) != (key->public == NULL))
		return false;
	if (way->family == FAMILY_HMAC)
		return hmac_is_good(room, algorithm, key, text, signature);
	if (way->family == FAMILY_ECDSA)
		signature = (struct slice){(const char *)der, write_der(signature, way->half, der)};
	return way->family == FAMILY_EDDSA ? text_is_good(room, key->public, text, signature)
					   : digest_is_good(room, algorithm, key->public, text, signature);
}

bool signature_is_good(struct signature_room *room, enum algorithm algorithm, struct signature_key *key,
	struct slice text, struct slice signature)
{
	bool good = is_good(room, algorithm, key, text, signature);

	if (!good)
		ERR_clear_error();
	return good;
}

/* A key that libjwt imports is written as PEM as well. */
static bool can_be_written(EVP_PKEY *public)
{
	BIO *bio = BIO_new(BIO_s_mem());
	bool written = bio && PEM_write_bio_PUBKEY(bio, public) == 1;

	BIO_free(bio);
	return written;
}

int signature_rehearse(struct signature_room *room, enum algorithm algorithm, struct slice key_text,
	struct slice text, struct slice signature)
{
	bool secret = ways[algorithm].family == FAMILY_HMAC;
	struct signature_key *key;
	int r = 0;

	ERR_clear_error();
	key = secret ? copy_secret(key_text.data, key_text.len)
		     : copy_public(key_text.data, (int)key_text.len);
	if (!key || !is_good(room, algorithm, key, text, signature) ||
		(!secret && !can_be_written(key->public)))
		r = tls_lacked_memory() ? -ENOMEM : 1;
	signature_key_unref(key);
	ERR_clear_error();
	return r;
}
