/* Admin link: a blocking connection to the admin port; see the header. */

#include "cli/admin_link.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "config/config.h"
#include "core/buf.h"
#include "core/ip.h"
#include "tls/pem.h"
#include "tls/tls_keys.h"
#include "tls/tls_wire.h"

struct admin_link {
	const struct config *config;
	int fd;
	SSL_CTX *context; /* NULL: plain */
	BIO_METHOD *wire;
	SSL *session;
	struct buf no_keys; /* why we could not show the certificate that we were asked for */
};

/* A listener on all addresses is reached on this machine. */
static const char *host_of(const struct config *config)
{
	const char *host = config->admin.host;

	if (!*host || !strcmp(host, "0.0.0.0"))
		return "127.0.0.1";
	return strcmp(host, "::") != 0 ? host : "::1";
}

static bool is_here(const char *host)
{
	return ip_is_loopback((struct slice){host, strlen(host)}) || !strcmp(host, "localhost");
}

static int dial(const char *host, uint16_t port, struct buf *error)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
	char service[8];
	int fd = -1, r;

	snprintf(service, sizeof(service), "%u", port);
	r = getaddrinfo(host, service, &hints, &found);
	if (r) {
		buf_printf(error, "cannot resolve %s: %s", host, gai_strerror(r));
		return -EADDRNOTAVAIL;
	}
	r = -ECONNREFUSED;
	for (struct addrinfo *address = found; address && r < 0; address = address->ai_next) {
		fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		r = fd < 0 ? -errno : 0;
		if (r == 0 && connect(fd, address->ai_addr, address->ai_addrlen) < 0) {
			r = -errno;
			close(fd);
		}
	}
	freeaddrinfo(found);
	if (r < 0)
		buf_printf(
			error, "no gateway answers at the admin address %s:%u: %s", host, port, strerror(-r));
	return r < 0 ? r : fd;
}

/* --- TLS --- */

/* The listener asks for a certificate of ours. Only then is the key looked at: not everybody may read it. */
static int show_keys(SSL *session, void *arg)
{
	struct admin_link *link = arg;
	struct tls_keys *keys = NULL;
	const struct tls_keys_parts *parts;
	int r = config_read_tls(link->config, CONFIG_ADMIN, &keys, &link->no_keys);

	if (r || !keys)
		return r ? 0 : 1;
	parts = tls_keys_parts(keys);
	r = SSL_use_cert_and_key(session, parts->certificate, parts->key, parts->chain, 1);
	tls_keys_unref(keys);
	return r;
}

static int believe(struct admin_link *link, struct buf *error)
{
	const char *ca = link->config->admin_tls_ca;
	bool unseen = !*ca && is_here(host_of(link->config));

	SSL_CTX_set_verify(link->context, unseen ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	ERR_clear_error();
	if (*ca && SSL_CTX_load_verify_file(link->context, ca) != 1)
		return pem_refuse(error, "admin_tls_ca", ca, "no certificate in PEM form is in it");
	if (!*ca)
		(void)SSL_CTX_set_default_verify_paths(link->context);
	return 0;
}

static int make_session(struct admin_link *link)
{
	const char *host = host_of(link->config);
	X509_VERIFY_PARAM *param;

	link->session = SSL_new(link->context);
	if (!link->session || tls_wire_attach(link->wire, link->session, link->fd) < 0)
		return -ENOMEM;
	param = SSL_get0_param(link->session);
	if (is_here(host) || X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1)
		return 0;
	return SSL_set_tlsext_host_name(link->session, host) == 1 && SSL_set1_host(link->session, host) == 1
		       ? 0
		       : -ENOMEM;
}

static void explain(struct admin_link *link, struct buf *error)
{
	long verified = SSL_get_verify_result(link->session);
	const char *why = ERR_reason_error_string(ERR_peek_error());

	if (link->no_keys.len)
		buf_append(error, link->no_keys.data, link->no_keys.len);
	else if (verified != X509_V_OK)
		buf_printf(error,
			"the certificate of the admin port is refused: %s (admin_tls_ca says who is "
			"believed)",
			X509_verify_cert_error_string(verified));
	else
		buf_printf(error, "no TLS with the admin port: %s", why ? why : "it has hung up");
}

static int speak_tls(struct admin_link *link, struct buf *error)
{
	int r;

	link->context = SSL_CTX_new(TLS_client_method());
	link->wire = tls_wire_new();
	if (!link->context || !link->wire)
		return -ENOMEM;
	SSL_CTX_set_min_proto_version(link->context, TLS1_2_VERSION);
	/* An answer says how long it is. */
	SSL_CTX_set_options(link->context, SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_cert_cb(link->context, show_keys, link);
	r = believe(link, error);
	if (r == 0)
		r = make_session(link);
	if (r < 0)
		return r;
	ERR_clear_error();
	if (SSL_connect(link->session) == 1)
		return 0;
	explain(link, error);
	return -EPROTO;
}

/* --- the link --- */

int admin_link_open(const struct config *config, struct admin_link **linkp, struct buf *error)
{
	struct admin_link *link = calloc(1, sizeof(*link));
	int r;

	if (!link)
		return -ENOMEM;
	link->config = config;
	link->fd = dial(host_of(config), config->admin.port, error);
	r = link->fd < 0 ? link->fd : 0;
	if (r == 0 && (*config->admin_tls.certificate || *config->admin_tls_ca))
		r = speak_tls(link, error);
	if (r < 0)
		admin_link_close(link);
	else
		*linkp = link;
	return r;
}

void admin_link_close(struct admin_link *link)
{
	if (!link)
		return;
	SSL_free(link->session);
	SSL_CTX_free(link->context);
	BIO_meth_free(link->wire);
	if (link->fd >= 0)
		close(link->fd);
	buf_deinit(&link->no_keys);
	free(link);
}

/* What the last call of OpenSSL came to: 0 at the end of what is sent, or negative errno. */
static int outcome(struct admin_link *link, int r)
{
	switch (SSL_get_error(link->session, r)) {
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		return errno ? -errno : -ECONNRESET;
	default:
		return -EPROTO;
	}
}

int admin_link_send(struct admin_link *link, const char *data, size_t len)
{
	while (len) {
		ssize_t n = link->session ? SSL_write(link->session, data, (int)len)
					  : send(link->fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && !link->session && errno == EINTR)
			continue;
		if (n <= 0)
			return link->session ? outcome(link, (int)n) : -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

ssize_t admin_link_receive(struct admin_link *link, char *data, size_t size)
{
	ssize_t n;

	if (link->session) {
		ERR_clear_error();
		n = SSL_read(link->session, data, (int)size);
		return n > 0 ? n : outcome(link, (int)n);
	}
	do
		n = recv(link->fd, data, size, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}
