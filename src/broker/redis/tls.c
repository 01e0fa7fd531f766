/*
 * Redis TLS: the keys and certificates of connections to Redis. See broker/redis/tls.h.
 */

#include "broker/redis/tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "core/buf.h"
#include "tls/pem.h"
#include "tls/tls_rehearsal.h"
#include "tls/tls_wire.h"

enum {
	READ_AHEAD_BYTES = 32 * 1024, /* two records; it is given back between reads */
};

struct redis_tls {
	SSL_CTX *context;
	BIO_METHOD *wire;
	char *name; /* NULL: the host that is dialled */
	enum redis_tls_verify verify;
};

/* --- the context --- */

static const char *given(const char *text)
{
	return text && *text ? text : NULL;
}

static int take_authorities(SSL_CTX *context, const struct redis_tls_options *options, struct buf *error)
{
	const char *ca = given(options->ca);

	if (!ca && options->verify == REDIS_TLS_CA) {
		buf_append_str(error, "redis_tls_verify: ca wants redis_ca: without names, whoever has a "
				      "public certificate would be believed");
		return -EINVAL;
	}
	if (ca && SSL_CTX_load_verify_file(context, ca) != 1)
		return pem_refuse(error, "redis_ca", ca, "no certificate in PEM form is in it");
	/* A system without authorities believes nobody, which the handshake tells. */
	if (!ca)
		(void)SSL_CTX_set_default_verify_paths(context);
	return 0;
}

static int take_identity(SSL_CTX *context, const struct redis_tls_options *options, struct buf *error)
{
	const char *cert = given(options->cert);
	const char *key = given(options->key);
	EVP_PKEY *own = NULL;
	int r;

	if (!cert && key) {
		buf_append_str(error, "redis_key is of no use without redis_cert");
		return -EINVAL;
	}
	if (!cert)
		return 0;
	key = key ? key : cert;
	if (SSL_CTX_use_certificate_chain_file(context, cert) != 1)
		return pem_refuse(error, "redis_cert", cert, "no certificate in PEM form is in it");
	r = pem_read_key("redis_key", key, &own, error);
	if (r == 0 && SSL_CTX_use_PrivateKey(context, own) != 1)
		r = pem_refuse(error, "redis_key", key, "it cannot be used");
	EVP_PKEY_free(own);
	return r;
}

static void configure(SSL_CTX *context, enum redis_tls_verify verify)
{
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	/* The buffer that is written from may move and grow between two tries; idle connections need none. */
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					  SSL_MODE_RELEASE_BUFFERS);
	/* One read(2) for as much as there is, in place of two for each record. See stream.c. */
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_default_read_buffer_len(context, READ_AHEAD_BYTES);
	/* Redis closes without a word. A reply says how long it is, so nothing is cut off unnoticed. */
	SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_default_passwd_cb(context, pem_no_passphrase);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(context, verify == REDIS_TLS_OFF ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
}

int redis_tls_new(const struct redis_tls_options *options, struct buf *error, struct redis_tls **tlsp)
{
	struct redis_tls *tls = calloc(1, sizeof(*tls));
	int r = -ENOMEM;

	if (!tls)
		return -ENOMEM;
	ERR_clear_error();
	tls->verify = options->verify;
	tls->context = SSL_CTX_new(TLS_client_method());
	tls->wire = tls_wire_new();
	tls->name = given(options->name) ? strdup(options->name) : NULL;
	if (!tls->context || !tls->wire || (given(options->name) && !tls->name))
		goto fail;
	configure(tls->context, options->verify);
	if (tls_rehearse_client() < 0)
		goto fail;
	r = take_authorities(tls->context, options, error);
	if (r == 0)
		r = take_identity(tls->context, options, error);
	if (r < 0)
		goto fail;
	*tlsp = tls;
	return 0;
fail:
	redis_tls_free(tls);
	return r;
}

void redis_tls_free(struct redis_tls *tls)
{
	if (!tls)
		return;
	SSL_CTX_free(tls->context);
	BIO_meth_free(tls->wire);
	free(tls->name);
	free(tls);
}

/* --- a session --- */

/* The host is checked, and told to the server where it is a name. 0 or -ENOMEM. */
static int expect_host(SSL *session, const char *host, enum redis_tls_verify verify)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(session);

	if (X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1) {
		if (verify != REDIS_TLS_FULL)
			X509_VERIFY_PARAM_set1_ip(param, NULL, 0);
		return 0;
	}
	if (SSL_set_tlsext_host_name(session, host) != 1)
		return -ENOMEM;
	if (verify == REDIS_TLS_FULL && SSL_set1_host(session, host) != 1)
		return -ENOMEM;
	return 0;
}

struct ssl_st *redis_tls_session(const struct redis_tls *tls, int fd, const char *host)
{
	SSL *session = SSL_new(tls->context);

	if (!session)
		return NULL;
	SSL_set_connect_state(session);
	if (tls_wire_attach(tls->wire, session, fd) < 0 ||
		expect_host(session, tls->name ? tls->name : host, tls->verify) < 0)
		goto fail;
	return session;

fail:
	SSL_free(session);
	return NULL;
}
