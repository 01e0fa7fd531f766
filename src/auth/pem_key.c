/*
 * PEM key: public keys and certificates in PEM, as the JSON web keys that libjwt takes; see the header.
 *
 * OpenSSL reads the block, so all forms of a key that it knows are known here. Of a certificate only the key
 * counts: whose it is and until when was decided by whoever configured it.
 */

#include "auth/pem_key.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <jansson.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "auth/base64.h"
#include "core/buf.h"

enum {
	CURVE_NAME_MAX = 64,
	KEY_BYTES_MAX = 2048, /* of one number: RSA of 16,384 bits */
};

bool pem_looks(struct slice text)
{
	return text.len && memmem(text.data, text.len, "-----BEGIN ", 11) != NULL;
}

/* Adds the bytes as a member. False when out of memory. */
static bool add_bytes(json_t *jwk, const char *name, const unsigned char *bytes, size_t len)
{
	struct buf text = {0};
	const char *encoded;
	bool added;

	base64url_append(&text, bytes, len);
	encoded = buf_text(&text);
	added = encoded && json_object_set_new(jwk, name, json_string(encoded)) == 0;
	buf_deinit(&text);
	return added;
}

static bool add_text(json_t *jwk, const char *name, const char *text)
{
	return json_object_set_new(jwk, name, json_string(text)) == 0;
}

/* Adds a number of the key, with zeroes in front up to width bytes. */
static bool add_number(json_t *jwk, const char *name, const EVP_PKEY *key, const char *parameter, int width)
{
	unsigned char bytes[KEY_BYTES_MAX];
	BIGNUM *number = NULL;
	int len = -1;

	if (EVP_PKEY_get_bn_param(key, parameter, &number) == 1 && BN_num_bytes(number) <= KEY_BYTES_MAX)
		len = BN_bn2binpad(number, bytes, width ? width : BN_num_bytes(number));
	BN_free(number);
	return len > 0 && add_bytes(jwk, name, bytes, (size_t)len);
}

static bool fill_ec(json_t *jwk, const EVP_PKEY *key)
{
	/* OpenSSL's names, and RFC 7518's. */
	static const char *const curves[][2] = {
		{"prime256v1", "P-256"}, {"secp384r1", "P-384"}, {"secp521r1", "P-521"}};
	char group[CURVE_NAME_MAX] = "";
	const char *curve = group;
	int width = (EVP_PKEY_get_bits(key) + 7) / 8;

	EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group), NULL);
	for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
		if (strcmp(group, curves[i][0]) == 0)
			curve = curves[i][1];
	return add_text(jwk, "kty", "EC") && add_text(jwk, "crv", curve) &&
	       add_number(jwk, "x", key, OSSL_PKEY_PARAM_EC_PUB_X, width) &&
	       add_number(jwk, "y", key, OSSL_PKEY_PARAM_EC_PUB_Y, width);
}

static bool fill_raw(json_t *jwk, const EVP_PKEY *key, const char *curve)
{
	unsigned char bytes[KEY_BYTES_MAX];
	size_t len = sizeof(bytes);

	return EVP_PKEY_get_raw_public_key(key, bytes, &len) == 1 && add_text(jwk, "kty", "OKP") &&
	       add_text(jwk, "crv", curve) && add_bytes(jwk, "x", bytes, len);
}

static bool fill(json_t *jwk, const EVP_PKEY *key)
{
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
		return add_text(jwk, "kty", "RSA") && add_number(jwk, "n", key, OSSL_PKEY_PARAM_RSA_N, 0) &&
		       add_number(jwk, "e", key, OSSL_PKEY_PARAM_RSA_E, 0);
	case EVP_PKEY_EC:
		return fill_ec(jwk, key);
	case EVP_PKEY_ED25519:
		return fill_raw(jwk, key, "Ed25519");
	default:
		return add_text(jwk, "kty", EVP_PKEY_get0_type_name(key));
	}
}

static EVP_PKEY *public_key(const char *name, const unsigned char *der, long len)
{
	EVP_PKEY *key = NULL;
	X509 *certificate;

	if (strcmp(name, PEM_STRING_PUBLIC) == 0)
		return d2i_PUBKEY(NULL, &der, len);
	if (strcmp(name, PEM_STRING_RSA_PUBLIC) == 0)
		return d2i_PublicKey(EVP_PKEY_RSA, NULL, &der, len);
	certificate = strcmp(name, PEM_STRING_X509) == 0 ? d2i_X509(NULL, &der, len) : NULL;
	if (certificate)
		key = X509_get_pubkey(certificate);
	X509_free(certificate);
	return key;
}

static int refuse(struct buf *error, const char *name)
{
	if (strstr(name, "PRIVATE KEY"))
		buf_printf(error,
			"has a private key, which does not belong here: whoever checks tokens wants the "
			"public one (openssl pkey -in FILE -pubout)");
	else
		buf_printf(error, "has a block %s that is no public key and no certificate", name);
	return PEM_BAD;
}

static int to_jwk(const EVP_PKEY *key, json_t **jwkp)
{
	json_t *jwk = json_object();

	if (!jwk || !fill(jwk, key)) {
		json_decref(jwk);
		return -ENOMEM;
	}
	*jwkp = jwk;
	return 0;
}

int pem_next(struct slice *text, json_t **jwkp, struct buf *error)
{
	BIO *bio = text->len && text->len < INT_MAX ? BIO_new_mem_buf(text->data, (int)text->len) : NULL;
	char *name = NULL, *header = NULL;
	unsigned char *der = NULL;
	EVP_PKEY *key = NULL;
	long len = 0;
	int r = PEM_END;

	if (bio && PEM_read_bio(bio, &name, &header, &der, &len) == 1) {
		size_t left = (size_t)BIO_pending(bio);

		text->data += text->len - left;
		text->len = left;
		key = public_key(name, der, len);
		r = key ? to_jwk(key, jwkp) : refuse(error, name);
	} else if (pem_looks(*text)) {
		buf_append_str(error, "has a PEM block that is broken or cut off");
		r = PEM_BAD;
	}
	EVP_PKEY_free(key);
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_clear_free(der, (size_t)len);
	BIO_free(bio);
	ERR_clear_error();
	return r;
}
