/* Wire: the bytes of one connection; see the header. */

#include "ws_client/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "tls/tls_wire.h"

struct wire_tls {
	SSL_CTX *context;
	BIO_METHOD *method;
};

static int believe(SSL_CTX *context, const char *ca)
{
	SSL_CTX_set_verify(context, ca ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	if (!ca)
		return 0;
	ERR_clear_error();
	return (*ca ? SSL_CTX_load_verify_file(context, ca) : SSL_CTX_set_default_verify_paths(context)) == 1
		       ? 0
		       : -EINVAL;
}

struct wire_tls *wire_tls_new(const char *ca)
{
	struct wire_tls *tls = calloc(1, sizeof(*tls));

	if (!tls)
		return NULL;
	tls->context = SSL_CTX_new(TLS_client_method());
	tls->method = tls_wire_new();
	if (!tls->context || !tls->method || believe(tls->context, ca) < 0) {
		wire_tls_free(tls);
		return NULL;
	}
	SSL_CTX_set_mode(tls->context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return tls;
}

void wire_tls_free(struct wire_tls *tls)
{
	if (!tls)
		return;
	SSL_CTX_free(tls->context);
	BIO_meth_free(tls->method);
	free(tls);
}

int wire_speak_tls(struct wire *wire, const struct wire_tls *tls, const char *name)
{
	wire->session = SSL_new(tls->context);
	if (!wire->session || tls_wire_attach(tls->method, wire->session, wire->fd) < 0)
		return -ENOMEM;
	if (name && X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(wire->session), name) != 1 &&
		(SSL_set_tlsext_host_name(wire->session, name) != 1 ||
			SSL_set1_host(wire->session, name) != 1))
		return -ENOMEM;
	SSL_set_connect_state(wire->session);
	return 0;
}

const char *wire_distrust(const struct wire *wire)
{
	long verified = wire->session ? SSL_get_verify_result(wire->session) : X509_V_OK;

	return verified == X509_V_OK ? NULL : X509_verify_cert_error_string(verified);
}

/* What OpenSSL has come to, in the words of recv(2). */
static ssize_t outcome(const struct wire *wire, int r)
{
	switch (SSL_get_error(wire->session, r)) {
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_SYSCALL:
		return errno ? -1 : 0;
	default:
		errno = EPROTO;
		return -1;
	}
}

ssize_t wire_send(struct wire *wire, const void *data, size_t len)
{
	int r;

	if (!wire->session)
		return send(wire->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	ERR_clear_error();
	errno = 0;
	r = SSL_write(wire->session, data, (int)len);
	return r > 0 ? r : outcome(wire, r);
}

ssize_t wire_receive(struct wire *wire, void *data, size_t size)
{
	int r;

	if (!wire->session)
		return recv(wire->fd, data, size, MSG_DONTWAIT);
	ERR_clear_error();
	errno = 0;
	r = SSL_read(wire->session, data, (int)size);
	return r > 0 ? r : outcome(wire, r);
}

void wire_close(struct wire *wire)
{
	SSL_free(wire->session);
	wire->session = NULL;
	if (wire->fd >= 0)
		close(wire->fd);
	wire->fd = -1;
}
