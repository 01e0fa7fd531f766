/* TLS wire: a session over a socket; see the header. */

#include "tls/tls_wire.h"

#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>

#include <openssl/bio.h>
#include <openssl/ssl.h>

static int write_bytes(BIO *bio, const char *bytes, int n)
{
	ssize_t n_written = send((int)(intptr_t)BIO_get_data(bio), bytes, (size_t)n, MSG_NOSIGNAL);

	BIO_clear_retry_flags(bio);
	if (n_written < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(bio);
	return (int)n_written;
}

static long control(BIO *bio, int command, long number, void *data)
{
	(void)bio;
	(void)number;
	(void)data;
	return command == BIO_CTRL_FLUSH; /* nothing is held back; all else is unknown here */
}

struct bio_method_st *tls_wire_new(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");

	if (!method)
		return NULL;
	BIO_meth_set_write(method, write_bytes);
	BIO_meth_set_ctrl(method, control);
	return method;
}

int tls_wire_attach(const struct bio_method_st *wire, struct ssl_st *session, int fd)
{
	BIO *writer = BIO_new(wire);

	if (!writer || SSL_set_rfd(session, fd) != 1) {
		BIO_free(writer);
		return -ENOMEM;
	}
	BIO_set_data(writer, (void *)(intptr_t)fd);
	BIO_set_init(writer, 1);
	SSL_set0_wbio(session, writer);
	return 0;
}
