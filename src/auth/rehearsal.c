/*
 * Rehearsal: each kind of signature is looked at once, before a token needs it; see the header.
 *
 * The keys were made for this and thrown away. Nothing is let in by them.
 */

#include "auth/rehearsal.h"

#include <errno.h>
#include <stddef.h>

#include <openssl/crypto.h>

#include "auth/base64.h"
#include "auth/signature.h"

#define TEXT "tidegate"

#define RSA_KEY                                                                                              \
	"-----BEGIN PUBLIC KEY-----\n"                                                                       \
	"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAvaeDvW4Gq1/SF8KKkC0f\n"                                 \
	"9FMGwo78J0RaZevQPfl62XI69tOenufpT4ITlIEBbJgfsp4rE4USd8ctYJVA91Ux\n"                                 \
	"4MZGVbNc+7J9GYWWdOyEwQIXALhvduUiG3DN0pIa8n9SFJSA7QUMWzWFbEWEngFK\n"                                 \
	"3oGPryswzmsKdxkf2NnXFkj9mYHo56rMLfasfzj1SCAg5NT8K+oZQEWTEaY1yoVT\n"                                 \
	"rJacYb4uPe4JQPzQwz/YgzptQ7ipx4IOLA4oklt9lZ5CHUheNFV7fzRvBPRy2uKK\n"                                 \
	"dUQJh43rb7ygYpkwUt3bRc9VoDv0KXi3uUCiEoQJcZKQ2NGIwD4f4ilkoP10NoyU\n"                                 \
	"0QIDAQAB\n"                                                                                         \
	"-----END PUBLIC KEY-----\n"

#define P256_KEY                                                                                             \
	"-----BEGIN PUBLIC KEY-----\n"                                                                       \
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEGfVkz0ZpboWH+uMWW8+6Id/hqUFH\n"                                 \
	"1l0nZEleO69Kx26moKbvAilpPlBZsahSoFP5fCuTNV9YLcxOlOoAJ00Okw==\n"                                     \
	"-----END PUBLIC KEY-----\n"

#define ED25519_KEY                                                                                          \
	"-----BEGIN PUBLIC KEY-----\n"                                                                       \
	"MCowBQYDK2VwAyEAx5381t3ZxJjC4WHZiKvu/6FqESLfZAVyStBL8fIDerg=\n"                                     \
	"-----END PUBLIC KEY-----\n"

enum {
	SIGNATURE_MAX = 264, /* bytes: of three letters more than RSA has with 2,048 bits */
};

/* One algorithm of each kind. Of the others the digest or the curve differs: each room looks up all digests,
 * and curves are not looked up. */
static const struct row {
	enum algorithm algorithm;
	const char *key; /* PEM, or a secret */
	const char *signature;
} rows[] = {
	{ALGORITHM_HS256, "rehearsal", "2WVVwUH6QDpzuDPDD130UHI5_WIo8spg0lB7IVnJnqg"},
	{ALGORITHM_RS256, RSA_KEY,
		"cetIcPOBhJjJftb6ubzs2NF0lrdCk0yK7PmSdhsn4lxZobzCKPrJB_1OkICu_vfIhVJE3m2060GvV_m-"
		"OxoNCC1tRW_0ClfC4sDdp6fvXe2fFz66ObAaCj0QHodvXeP1Piy7lrMHt-j28Rbvvix_vIbxzI6uiZ9S"
		"5wkhtqf8QuM6y4DxMFF4pyxqvLx_lQt1-k_kUNsosA2wHHd7fzjeLNqfeZq4R8xyuB5yE-LIvTicl2G7"
		"E8A266dBmTrtXezGqADSspfS54yCgkBIL92GS5-zjHdMKIPrXJPDXJ1G4oKDx_EAgb2wmsKy-yKMnOZf"
		"_7k1DilTKeR2cOQNp_63ig"},
	{ALGORITHM_PS256, RSA_KEY,
		"JprBJaQ0ByIKEIX1y3bKS4VJ-FdXbMOYlzI_zHGBhoN7dAwQXJ51gpnWsaIgOSip-gb2sXfBRIYKZKpY"
		"EapBsRgysMMYvItIeM-0-uOLMgiwexYiNNKzOeo__LdcEw5alPSWiwoK24s6JcfCLRnq9myiXUKrP1LF"
		"zwbN9y6P_xYD3pVNmydrT5LWPXHN9xaRPO1gB1doMCWPqzMe7bi5F6hwlLhmMH2TJlq2La-sn_daSELD"
		"-NjADHIg2Zdm2TtS5lL_ldWNXmTbsQAeJW2UC6SPBQTgqoNUVaKRrwkQC7Md1OzJ2gdxv2qaXKJgWPAA"
		"a20aAQBr3hC4T2mEWle40Q"},
	{ALGORITHM_ES256, P256_KEY,
		"YuQP1ns4r3eFEWD1ApV7XM6mnzsPw2tEU86guYsePnTFkNKW9lBiKhoULx-AexCXCa1cbjDyymFHSLyz"
		"mHXwSQ"},
	{ALGORITHM_EDDSA, ED25519_KEY,
		"ddGr9qrkoYRMj9vFJIPIWHiGwEC5ig8KgMTEYnD5gmFdqYXM5ytv9IAWSkAwgr7_XAOwo2qLrv-n1T_a"
		"NwnWBw"},
};

int auth_rehearse(void)
{
	struct signature_room *room;
	int r, n_failed = 0;

	/* Its very first call: it would not tell later that it lacked memory here, and crash. */
	if (!OSSL_LIB_CTX_get0_global_default())
		return -ENOMEM;
	room = signature_room_new();
	r = room ? 0 : -ENOMEM;
	for (size_t i = 0; r >= 0 && i < sizeof(rows) / sizeof(*rows); i++) {
		char signature[SIGNATURE_MAX];
		size_t len = 0;

		(void)base64url_decode(slice_of(rows[i].signature), signature, &len);
		r = signature_rehearse(room, rows[i].algorithm, slice_of(rows[i].key), slice_of(TEXT),
			(struct slice){signature, len});
		n_failed += r > 0;
	}
	signature_room_free(room);
	return r < 0 ? r : n_failed;
}
