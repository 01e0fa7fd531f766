#ifndef TIDEGATE_WS_CLIENT_WIRE_H
#define TIDEGATE_WS_CLIENT_WIRE_H

/*
 * Wire: the bytes of one connection of a client, plain or over TLS.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct ssl_st;
struct wire_tls;

struct wire {
	int fd;                 /* -1: none */
	struct ssl_st *session; /* NULL: plain */
};

/*
 * What the connections with TLS share. ca says who is believed: NULL, everybody, as by the load generator,
 * whose server is one's own; "", the authorities of the system; else those of this file. NULL when out of
 * memory, or nobody is in the file.
 */
struct wire_tls *wire_tls_new(const char *ca);
void wire_tls_free(struct wire_tls *tls); /* accepts NULL; no wire may be left */

/* The socket of the wire speaks TLS from here on. The certificate has to have this name; NULL: any. 0 or
 * -ENOMEM. */
int wire_speak_tls(struct wire *wire, const struct wire_tls *tls, const char *name);

/* Why the server's certificate is not believed; NULL if it is, or there is none yet. */
const char *wire_distrust(const struct wire *wire);

/* As send(2) and recv(2) do without waiting; EAGAIN also while a handshake is under way, which they drive. */
ssize_t wire_send(struct wire *wire, const void *data, size_t len);
ssize_t wire_receive(struct wire *wire, void *data, size_t size);

/* May there be more, after `n` of `size` bytes were received? A record comes alone. */
static inline bool wire_has_more(const struct wire *wire, size_t n, size_t size)
{
	return wire->session || n == size;
}

/* Closes the socket. For any wire, also one without a socket. */
void wire_close(struct wire *wire);

#endif
