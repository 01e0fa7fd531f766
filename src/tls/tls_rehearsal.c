/* TLS rehearsal: handshakes with oneself, in memory; see the header. */

#include "tls/tls_rehearsal.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

enum {
	TURNS_MAX = 10, /* of each side: a handshake takes two or three */
	DAY_SECONDS = 24 * 3600,
};

/* What clients of our days say, and those of yesterday. For these the group of the certificate's own key is
 * one that they have to name. */
static const struct part {
	int version;
	const char *groups;
} parts[] = {
	{TLS1_3_VERSION, "X25519"},
	{TLS1_3_VERSION, "P-256"},
	{TLS1_2_VERSION, "X25519:P-256:P-384:P-521"},
};

/* Who wants a certificate from clients gets none from us, and has done all but look at it by then. */
static bool only_lacks_a_certificate(void)
{
	return ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE;
}

static bool shake_hands(SSL *server, SSL *client)
{
	for (int turn = 0; turn < TURNS_MAX; turn++) {
		int told = SSL_do_handshake(client), heard;

		heard = SSL_do_handshake(server);
		if (heard == 1 && told == 1)
			return true;
		if (heard != 1 && SSL_get_error(server, heard) != SSL_ERROR_WANT_READ)
			return only_lacks_a_certificate();
	}
	return false;
}

bool tls_lacked_memory(void)
{
	unsigned long error;

	while ((error = ERR_get_error()))
		if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE)
			return true;
	return false;
}

/* As tls_rehearse(). */
static int rehearse(SSL_CTX *server_context, SSL_CTX *client_context, const struct part *part)
{
	SSL *server = SSL_new(server_context), *client = SSL_new(client_context);
	BIO *one, *other;
	int r = -ENOMEM;

	ERR_clear_error();
	if (server && client && SSL_set_min_proto_version(client, part->version) &&
		SSL_set_max_proto_version(client, part->version) &&
		SSL_set1_groups_list(client, part->groups) && BIO_new_bio_pair(&one, 0, &other, 0)) {
		SSL_set_bio(server, one, one);
		SSL_set_bio(client, other, other);
		SSL_set_accept_state(server);
		SSL_set_connect_state(client);
		r = shake_hands(server, client) ? 0 : tls_lacked_memory() ? -ENOMEM : 1;
	}
	SSL_free(client);
	SSL_free(server);
	ERR_clear_error();
	return r;
}

int tls_rehearse(SSL_CTX *server)
{
	SSL_CTX *client = SSL_CTX_new(TLS_client_method());
	int r = client ? 0 : -ENOMEM, n_failed = 0;

	for (size_t i = 0; r >= 0 && i < sizeof(parts) / sizeof(*parts); i++) {
		if (parts[i].version < SSL_CTX_get_min_proto_version(server))
			continue;
		r = rehearse(server, client, &parts[i]);
		n_failed += r > 0;
	}
	SSL_CTX_free(client);
	ERR_clear_error();
	return r < 0 ? r : n_failed;
}

/* --- as a client --- */

/* A certificate that the key has signed itself, good for a day. */
static X509 *certify(EVP_PKEY *key)
{
	X509 *certificate = X509_new();
	X509_NAME *name = certificate ? X509_get_subject_name(certificate) : NULL;

	if (name &&
		X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"-", -1, -1, 0) &&
		X509_set_version(certificate, X509_VERSION_3) && X509_set_issuer_name(certificate, name) &&
		X509_gmtime_adj(X509_getm_notBefore(certificate), -DAY_SECONDS) &&
		X509_gmtime_adj(X509_getm_notAfter(certificate), DAY_SECONDS) &&
		X509_set_pubkey(certificate, key) && X509_sign(certificate, key, EVP_sha256()))
		return certificate;
	X509_free(certificate);
	return NULL;
}

/* The server has that certificate, and the client believes it, after it has checked its signature. */
static bool acquaint(SSL_CTX *server, SSL_CTX *client)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = key ? certify(key) : NULL;
	bool done = certificate && SSL_CTX_use_certificate(server, certificate) == 1 &&
		    SSL_CTX_use_PrivateKey(server, key) == 1 &&
		    X509_STORE_add_cert(SSL_CTX_get_cert_store(client), certificate) == 1;

	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(client), X509_V_FLAG_CHECK_SS_SIGNATURE);
	SSL_CTX_set_verify(client, SSL_VERIFY_PEER, NULL);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return done;
}

int tls_rehearse_client(void)
{
	SSL_CTX *server, *client;
	int r, n_failed = 0;

	ERR_clear_error();
	server = SSL_CTX_new(TLS_server_method());
	client = SSL_CTX_new(TLS_client_method());
	if (server && client && acquaint(server, client))
		r = 0;
	else
		r = tls_lacked_memory() ? -ENOMEM : 1;
	for (size_t i = 0; r == 0 && i < sizeof(parts) / sizeof(*parts); i++) {
		int failed = rehearse(server, client, &parts[i]);

		r = failed < 0 ? failed : 0;
		n_failed += failed > 0;
	}
	SSL_CTX_free(client);
	SSL_CTX_free(server);
	ERR_clear_error();
	return r ? r : n_failed;
}
