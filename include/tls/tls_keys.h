#ifndef TIDEGATE_TLS_TLS_KEYS_H
#define TIDEGATE_TLS_TLS_KEYS_H

/*
 * TLS keys: what a listener shows to its callers, and whom it lets in: a certificate with its chain, the key
 * to it, and the authorities of clients' certificates, if clients need one.
 *
 * Read from PEM files and checked, so that nothing is left to go wrong in a handshake. Immutable and counted:
 * threads share them, and new ones take the place of old ones while connections that began with those go on.
 */

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct tls_keys;

/* The oldest version of TLS that a listener speaks. */
enum tls_version {
	TLS_1_2,
	TLS_1_3,
};

/* Paths of PEM files; "" for none. */
struct tls_paths {
	char *certificate; /* with its chain, the listener's own first */
	char *key;         /* none: it stands in the same file */
	char *client_ca;   /* none: clients need no certificate */
};

/* The names under which an operator knows the paths. */
struct tls_option_names {
	const char *certificate;
	const char *key;
	const char *client_ca;
};

/* OpenSSL's objects, for those who make a handshake of them. */
struct tls_keys_parts {
	struct x509_st *certificate;
	struct evp_pkey_st *key;
	struct stack_st_X509 *chain;             /* what stands between the certificate and an authority */
	struct x509_store_st *client_ca;         /* NULL: clients need no certificate */
	struct stack_st_X509_NAME *client_names; /* of these authorities; NULL likewise */
};

/* now_ms, by the wall clock: a certificate has to be good then. 0, -EINVAL with one sentence appended to
 * error, or -ENOMEM. */
int tls_keys_read(const struct tls_paths *paths, const struct tls_option_names *names, int64_t now_ms,
	struct tls_keys **keysp, struct buf *error);

struct tls_keys *tls_keys_ref(struct tls_keys *keys); /* accepts NULL */
void tls_keys_unref(struct tls_keys *keys);           /* accepts NULL */

/* Until when the certificate is good, by the wall clock. */
int64_t tls_keys_expire_ms(const struct tls_keys *keys);

/* Borrowed. */
const struct tls_keys_parts *tls_keys_parts(const struct tls_keys *keys);

#endif
