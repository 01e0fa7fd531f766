/* Token maker: keys that live as long as a test, and tokens signed with them; see the header. */

#include "support/token_maker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "auth/base64.h"

enum {
	SIGNATURE_MAX = 1024,
	NUMBER_MAX_BYTES = 512,
};

#define MUST(what)                                                                                           \
	do {                                                                                                 \
		if (!(what)) {                                                                               \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);                           \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

EVP_PKEY *token_maker_key(const char *kind)
{
	EVP_PKEY *key;

	if (strcmp(kind, "RSA") == 0)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
	else if (strcmp(kind, "RSA-1024") == 0)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
	else if (kind[0] == 'P')
		key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind);
	else
		key = EVP_PKEY_Q_keygen(NULL, NULL, kind);
	MUST(key);
	return key;
}

void token_maker_free(EVP_PKEY *key)
{
	EVP_PKEY_free(key);
}

/* Hands the text over and frees the BIO. */
static void take(BIO *bio, struct buf *out)
{
	char *text;
	long len = BIO_get_mem_data(bio, &text);

	MUST(len > 0);
	buf_append(out, text, (size_t)len);
	BIO_free(bio);
}

void token_maker_public_pem(EVP_PKEY *key, struct buf *out)
{
	BIO *bio = BIO_new(BIO_s_mem());

	MUST(PEM_write_bio_PUBKEY(bio, key) == 1);
	take(bio, out);
}

void token_maker_private_pem(EVP_PKEY *key, struct buf *out)
{
	BIO *bio = BIO_new(BIO_s_mem());

	MUST(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
	take(bio, out);
}

void token_maker_certificate(EVP_PKEY *key, struct buf *out)
{
	X509 *certificate = X509_new();
	BIO *bio = BIO_new(BIO_s_mem());

	MUST(X509_set_pubkey(certificate, key) == 1);
	MUST(ASN1_TIME_set(X509_getm_notBefore(certificate), 0) &&
		ASN1_TIME_set(X509_getm_notAfter(certificate), 1));
	MUST(X509_sign(certificate, key, EVP_sha256()) > 0);
	MUST(PEM_write_bio_X509(bio, certificate) == 1);
	take(bio, out);
	X509_free(certificate);
}

static void append_number(EVP_PKEY *key, const char *name, const char *parameter, int width, struct buf *out)
{
	unsigned char bytes[NUMBER_MAX_BYTES];
	BIGNUM *number = NULL;
	int len;

	MUST(EVP_PKEY_get_bn_param(key, parameter, &number) == 1);
	len = BN_bn2binpad(number, bytes, width ? width : BN_num_bytes(number));
	MUST(len > 0);
	BN_free(number);
	buf_printf(out, ",\"%s\":\"", name);
	base64url_append(out, bytes, (size_t)len);
	buf_append_char(out, '"');
}

static void append_ec(EVP_PKEY *key, struct buf *out)
{
	int bits = EVP_PKEY_get_bits(key), width = (bits + 7) / 8;

	buf_printf(out, "\"kty\":\"EC\",\"crv\":\"P-%d\"", bits);
	append_number(key, "x", OSSL_PKEY_PARAM_EC_PUB_X, width, out);
	append_number(key, "y", OSSL_PKEY_PARAM_EC_PUB_Y, width, out);
}

static void append_raw(EVP_PKEY *key, const char *curve, struct buf *out)
{
	unsigned char bytes[NUMBER_MAX_BYTES];
	size_t len = sizeof(bytes);

	MUST(EVP_PKEY_get_raw_public_key(key, bytes, &len) == 1);
	buf_printf(out, "\"kty\":\"OKP\",\"crv\":\"%s\",\"x\":\"", curve);
	base64url_append(out, bytes, len);
	buf_append_char(out, '"');
}

void token_maker_jwk(EVP_PKEY *key, const char *members, struct buf *out)
{
	buf_append_char(out, '{');
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
		buf_append_str(out, "\"kty\":\"RSA\"");
		append_number(key, "n", OSSL_PKEY_PARAM_RSA_N, 0, out);
		append_number(key, "e", OSSL_PKEY_PARAM_RSA_E, 0, out);
		break;
	case EVP_PKEY_EC:
		append_ec(key, out);
		break;
	case EVP_PKEY_ED448:
		append_raw(key, "Ed448", out);
		break;
	default:
		append_raw(key, "Ed25519", out);
	}
	buf_printf(out, "%s%s}", *members ? "," : "", members);
}

static void append_signed_part(struct slice header, struct slice payload, struct buf *out)
{
	base64url_append(out, header.data, header.len);
	buf_append_char(out, '.');
	base64url_append(out, payload.data, payload.len);
}

static void append_signature(struct buf *out, const unsigned char *signature, size_t len)
{
	buf_append_char(out, '.');
	base64url_append(out, signature, len);
	MUST(buf_text(out));
}

/* OpenSSL writes DER, RFC 7518 wants both numbers in their full width. */
static size_t to_raw(const EVP_PKEY *key, unsigned char *signature, size_t len)
{
	const unsigned char *at = signature;
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)len);
	int width = (EVP_PKEY_get_bits(key) + 7) / 8;

	MUST(pair);
	MUST(BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, width) == width);
	MUST(BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + width, width) == width);
	ECDSA_SIG_free(pair);
	return 2 * (size_t)width;
}

static const EVP_MD *digest_of(const char *alg)
{
	if (strcmp(alg, "EdDSA") == 0)
		return NULL;
	if (strstr(alg, "384"))
		return EVP_sha384();
	return strstr(alg, "512") ? EVP_sha512() : EVP_sha256();
}

void token_maker_sign(
	struct slice header, struct slice payload, const char *alg, EVP_PKEY *key, struct buf *out)
{
	unsigned char signature[SIGNATURE_MAX];
	size_t start = out->len, len = sizeof(signature);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *settings;

	append_signed_part(header, payload, out);
	MUST(!out->failed);
	MUST(EVP_DigestSignInit(context, &settings, digest_of(alg), NULL, key) == 1);
	if (alg[0] == 'P')
		MUST(EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PSS_PADDING) == 1 &&
			EVP_PKEY_CTX_set_rsa_pss_saltlen(settings, RSA_PSS_SALTLEN_DIGEST) == 1);
	MUST(EVP_DigestSign(context, signature, &len, (unsigned char *)out->data + start, out->len - start) ==
		1);
	EVP_MD_CTX_free(context);
	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC)
		len = to_raw(key, signature, len);
	append_signature(out, signature, len);
}

void token_maker_sign_hs256(struct slice header, struct slice payload, struct slice secret, struct buf *out)
{
	unsigned char signature[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	size_t start = out->len;

	append_signed_part(header, payload, out);
	MUST(!out->failed);
	MUST(HMAC(EVP_sha256(), secret.data, (int)secret.len, (unsigned char *)out->data + start,
		out->len - start, signature, &len));
	append_signature(out, signature, len);
}
