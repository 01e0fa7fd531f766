#ifndef TIDEGATE_BROKER_REDIS_TLS_H
#define TIDEGATE_BROKER_REDIS_TLS_H

/*
 * Redis TLS: the keys and certificates of connections to Redis, read once, and how a server is believed.
 *
 * Never changed once it is made: any number of connections may use it.
 */

struct buf;
struct redis_tls;
struct ssl_st;

enum redis_tls_verify {
	REDIS_TLS_FULL, /* the certificate is good, and is that of the host that was dialled */
	REDIS_TLS_CA,   /* the certificate is good, whatever host it names */
	REDIS_TLS_OFF,  /* anybody may say that they are Redis */
};

/* Borrowed for the call. Paths of PEM files; NULL or "" for none. */
struct redis_tls_options {
	const char *ca;   /* whom to believe; none: the authorities of the system */
	const char *cert; /* ours, with its chain */
	const char *key;  /* to that; none: it stands in the same file */
	const char *name; /* that a certificate has to be of, whatever host is dialled */
	enum redis_tls_verify verify;
};

/* 0, -EINVAL with one sentence appended to error, or -ENOMEM. */
int redis_tls_new(const struct redis_tls_options *options, struct buf *error, struct redis_tls **tlsp);
void redis_tls_free(struct redis_tls *tls); /* accepts NULL; no session may be left */

/* A session over this socket, which is the caller's to close. host: the name or address that was dialled. The
 * handshake comes with the first byte. To be freed by SSL_free(); NULL: out of memory. */
struct ssl_st *redis_tls_session(const struct redis_tls *tls, int fd, const char *host);

#endif
