/* TLS keys: certificate, chain, key and the authorities of clients; see the header. */

#include "tls/tls_keys.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "core/buf.h"
#include "tls/pem.h"

enum {
	MS_PER_SECOND = 1000,
};

struct tls_keys {
	atomic_uint n_refs;
	int64_t from_ms, expire_ms;
	struct tls_keys_parts parts;
};

/* --- reading --- */

/* The certificates of the file: the first is the listener's, the others are its chain. */
static int read_certificates(struct tls_keys_parts *parts, BIO *file)
{
	X509 *more;

	parts->certificate = PEM_read_bio_X509_AUX(file, NULL, pem_no_passphrase, NULL);
	parts->chain = sk_X509_new_null();
	if (!parts->certificate || !parts->chain)
		return -EINVAL;
	while ((more = PEM_read_bio_X509(file, NULL, pem_no_passphrase, NULL))) {
		if (sk_X509_push(parts->chain, more))
			continue;
		X509_free(more);
		return -ENOMEM;
	}
	/* Behind the last one nothing begins. All else is a certificate that is broken. */
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return -EINVAL;
	ERR_clear_error();
	return 0;
}

static int read_certificate(
	struct tls_keys_parts *parts, const char *option, const char *path, struct buf *error)
{
	BIO *file;
	int r = -EINVAL;

	ERR_clear_error();
	file = BIO_new_file(path, "r");
	if (file)
		r = read_certificates(parts, file);
	BIO_free(file);
	return r < 0 ? pem_refuse(error, option, path, "no certificate in PEM form is in it") : 0;
}

static int read_authorities(
	struct tls_keys_parts *parts, const char *option, const char *path, struct buf *error)
{
	ERR_clear_error();
	parts->client_ca = X509_STORE_new();
	if (!parts->client_ca)
		return -ENOMEM;
	if (X509_STORE_load_file(parts->client_ca, path) == 1)
		parts->client_names = SSL_load_client_CA_file(path);
	return parts->client_names ? 0
				   : pem_refuse(error, option, path, "no certificate in PEM form is in it");
}

/* Would OpenSSL use them? It refuses what is too weak, such as RSA of 1,024 bits. */
static int try_out(
	const struct tls_keys_parts *parts, const char *option, const char *path, struct buf *error)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	int r = 0;

	ERR_clear_error();
	if (!context)
		return -ENOMEM;
	if (SSL_CTX_use_cert_and_key(context, parts->certificate, parts->key, parts->chain, 1) != 1)
		r = pem_refuse(error, option, path, "it cannot be used");
	SSL_CTX_free(context);
	return r;
}

/* Seconds of a certificate, by the wall clock. One beyond what a clock can tell is for ever. */
static int64_t wall_ms(const ASN1_TIME *time)
{
	struct tm parts;

	return ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) * MS_PER_SECOND : INT64_MAX;
}

static void append_day(struct buf *out, int64_t ms)
{
	time_t seconds = (time_t)(ms / MS_PER_SECOND);
	struct tm parts;
	char text[32];

	if (gmtime_r(&seconds, &parts) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M UTC", &parts))
		buf_append_str(out, text);
}

static int check_time(
	const struct tls_keys *keys, const char *option, const char *path, int64_t now_ms, struct buf *error)
{
	bool early = now_ms < keys->from_ms;

	if (!early && now_ms < keys->expire_ms)
		return 0;
	buf_printf(error, "%s: %s: %s ", option, path, early ? "it is good only from" : "it has expired on");
	append_day(error, early ? keys->from_ms : keys->expire_ms);
	return -EINVAL;
}

static int read_all(struct tls_keys *keys, const struct tls_paths *paths,
	const struct tls_option_names *names, int64_t now_ms, struct buf *error)
{
	struct tls_keys_parts *parts = &keys->parts;
	bool apart = *paths->key;
	int r = read_certificate(parts, names->certificate, paths->certificate, error);

	if (r == 0)
		r = pem_read_key(names->key, apart ? paths->key : paths->certificate, &parts->key, error);
	if (r < 0)
		return r;
	if (X509_check_private_key(parts->certificate, parts->key) != 1) {
		ERR_clear_error();
		buf_printf(error, "%s: %s: it is not the key to the first certificate in %s", names->key,
			apart ? paths->key : paths->certificate, paths->certificate);
		return -EINVAL;
	}
	r = try_out(parts, names->certificate, paths->certificate, error);
	if (r == 0 && *paths->client_ca)
		r = read_authorities(parts, names->client_ca, paths->client_ca, error);
	keys->from_ms = wall_ms(X509_get0_notBefore(parts->certificate));
	keys->expire_ms = wall_ms(X509_get0_notAfter(parts->certificate));
	return r < 0 ? r : check_time(keys, names->certificate, paths->certificate, now_ms, error);
}

int tls_keys_read(const struct tls_paths *paths, const struct tls_option_names *names, int64_t now_ms,
	struct tls_keys **keysp, struct buf *error)
{
	struct tls_keys *keys = calloc(1, sizeof(*keys));
	int r;

	if (!keys)
		return -ENOMEM;
	atomic_init(&keys->n_refs, 1);
	r = read_all(keys, paths, names, now_ms, error);
	if (r < 0)
		tls_keys_unref(keys);
	else
		*keysp = keys;
	return r;
}

struct tls_keys *tls_keys_ref(struct tls_keys *keys)
{
	if (keys)
		atomic_fetch_add_explicit(&keys->n_refs, 1, memory_order_relaxed);
	return keys;
}

void tls_keys_unref(struct tls_keys *keys)
{
	if (!keys || atomic_fetch_sub_explicit(&keys->n_refs, 1, memory_order_acq_rel) > 1)
		return;
	X509_free(keys->parts.certificate);
	EVP_PKEY_free(keys->parts.key);
	sk_X509_pop_free(keys->parts.chain, X509_free);
	X509_STORE_free(keys->parts.client_ca);
	sk_X509_NAME_pop_free(keys->parts.client_names, X509_NAME_free);
	free(keys);
}

/* --- what is asked of them --- */

int64_t tls_keys_expire_ms(const struct tls_keys *keys)
{
	return keys->expire_ms;
}

const struct tls_keys_parts *tls_keys_parts(const struct tls_keys *keys)
{
	return &keys->parts;
}
