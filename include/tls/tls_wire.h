#ifndef TIDEGATE_TLS_TLS_WIRE_H
#define TIDEGATE_TLS_TLS_WIRE_H

/*
 * TLS wire: a session of ours over a socket of ours. OpenSSL's own way of writing to a socket raises SIGPIPE
 * when the other side is gone; this one does not.
 */

struct bio_method_st;
struct ssl_st;

/* How bytes are written, for any number of sessions. NULL when out of memory; freed with BIO_meth_free(). */
struct bio_method_st *tls_wire_new(void);

/* The session reads from this socket and writes to it; the socket remains the caller's to close, after the
 * session. 0 or -ENOMEM. */
int tls_wire_attach(const struct bio_method_st *wire, struct ssl_st *session, int fd);

#endif
