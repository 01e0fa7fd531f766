/* Ws TLS: the SSL_CTX of a listener; see the header. */

#include "ws/tls.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <libwebsockets.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "core/clock.h"
#include "core/ip.h"
#include "core/log.h"
#include "metrics/metrics.h"
#include "tls/tls_keys.h"
#include "tls/tls_rehearsal.h"

/* For TLS 1.2; those of 1.3 are all of this kind. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

enum {
	FAILED_LINES = 5,    /* of the log in a minute */
	HTTP_DROPPED = 4096, /* bytes of a plain request: more than a browser's */
	HTTP_ANSWER_SIZE = 256,
};

struct ws_tls {
	struct tls_keys *keys;
	SSL_CTX *context; /* lws' */
	enum tls_version least;
	int alert;                       /* the last one that ended something; 0: none */
	bool rehearses;                  /* nobody is there yet: nothing is counted or told */
	const SSL *alerted;              /* whose it was; maybe gone, only compared */
	const struct in6_addr *arriving; /* whom the connection that lws is being given comes from, or NULL */
	struct log *log;
	struct log_limit failed_limit;
	struct metrics *metrics;
	const char *plain;
};

struct ws_tls *ws_tls_new(const struct ws_tls_options *options)
{
	struct ws_tls *tls = calloc(1, sizeof(*tls));

	if (!tls)
		return NULL;
	tls->keys = tls_keys_ref(options->keys);
	tls->least = options->least;
	tls->log = options->log;
	tls->failed_limit = (struct log_limit){.burst = FAILED_LINES, .interval_ms = 60000};
	tls->metrics = options->metrics;
	tls->plain = options->plain;
	return tls;
}

void ws_tls_free(struct ws_tls *tls)
{
	if (!tls)
		return;
	tls_keys_unref(tls->keys);
	free(tls);
}

void ws_tls_ask(const struct ws_tls *tls, struct lws_context_creation_info *info)
{
	if (tls)
		info->options |=
			LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX;
}

/* --- handshakes --- */

/* The keys of this moment. What is in the context would be shown beside them, if it were of another kind. */
static int choose_keys(SSL *ssl, void *arg)
{
	const struct ws_tls *tls = arg;
	const struct tls_keys_parts *parts = tls_keys_parts(tls->keys);

	SSL_certs_clear(ssl);
	return SSL_use_cert_and_key(ssl, parts->certificate, parts->key, parts->chain, 1);
}

/* Who wants another protocol, such as h2, is told so: none may be taken for another. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
	const unsigned char *in, unsigned int in_len, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *chosen;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, in, in_len) !=
		OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* Somebody speaks plain HTTP here: a person who left out the s, most likely. */
static void answer_http(const struct ws_tls *tls, int fd)
{
	char answer[HTTP_ANSWER_SIZE], dropped[HTTP_DROPPED];
	int len = snprintf(answer, sizeof(answer),
		"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
		"Connection: close\r\n\r\n%s",
		strlen(tls->plain), tls->plain);

	/* A socket that is closed with unread bytes is reset, and the answer with it. */
	(void)!recv(fd, dropped, sizeof(dropped), MSG_DONTWAIT);
	(void)!send(fd, answer, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static bool is_http(unsigned long error)
{
	return ERR_GET_LIB(error) == ERR_LIB_SSL &&
	       (ERR_GET_REASON(error) == SSL_R_HTTP_REQUEST ||
		       ERR_GET_REASON(error) == SSL_R_HTTPS_PROXY_REQUEST);
}

/* Does nothing but connect: a port scan, or the look of a load balancer. */
static bool is_silent(const SSL *ssl)
{
	return BIO_number_read(SSL_get_rbio(ssl)) == 0;
}

static void remote_of(int fd, char out[INET6_ADDRSTRLEN])
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);

	/* Who has reset the connection has no address any more, and lws would tell that as one. */
	if (getpeername(fd, (struct sockaddr *)&address, &len) < 0)
		snprintf(out, INET6_ADDRSTRLEN, "gone");
	else
		lws_get_peer_simple_fd(fd, out, INET6_ADDRSTRLEN);
}

static void tell_failed(struct ws_tls *tls, const SSL *ssl, const char *alert, const char *why)
{
	const struct in6_addr *client = tls->arriving ? tls->arriving : SSL_get_app_data(ssl);
	char peer[INET6_ADDRSTRLEN] = "";
	uint64_t suppressed;

	metrics_add(tls->metrics, METRIC_TLS_HANDSHAKES_FAILED, 1);
	if (!log_limit_allow(tls->log, &tls->failed_limit, clock_monotonic_ms(), &suppressed))
		return;
	if (client)
		ip_print(client, peer);
	else
		remote_of(SSL_get_fd(ssl), peer);
	log_info(tls->log, "tls handshake failed", log_str("remote", peer), log_str("alert", alert),
		log_str("why", why), log_uint("suppressed", suppressed));
}

static void failed(struct ws_tls *tls, const SSL *ssl)
{
	unsigned long error = ERR_peek_error();
	const char *alert =
		tls->alert && tls->alerted == ssl ? SSL_alert_desc_string_long(tls->alert) : "none";
	const char *why = ERR_reason_error_string(error);

	if (is_silent(ssl))
		return;
	if (is_http(error))
		answer_http(tls, SSL_get_fd(ssl));
	tell_failed(tls, ssl, alert, why ? why : "the peer has hung up");
}

void ws_tls_arriving(struct ws_tls *tls, const struct in6_addr *client)
{
	if (tls)
		tls->arriving = client;
}

void ws_tls_name(struct lws *wsi, const struct in6_addr *client)
{
	SSL *ssl = lws_get_ssl(wsi);

	if (ssl)
		SSL_set_app_data(ssl, (void *)client);
}

void ws_tls_late(struct ws_tls *tls, struct lws *wsi)
{
	const SSL *ssl = lws_get_ssl(wsi);

	if (ssl && !SSL_is_init_finished(ssl) && !is_silent(ssl))
		tell_failed(tls, ssl, "none", "it took too long");
}

/*
 * OpenSSL tells how a handshake goes. An alert comes first, sent or received, and in the same call the end of
 * the handshake. lws has no word for either.
 */
static void on_info(const SSL *ssl, int where, int value)
{
	struct ws_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	if (tls->rehearses)
		return;
	if (where & SSL_CB_ALERT) {
		tls->alert = value >> 8 == SSL3_AL_FATAL ? value : 0;
		tls->alerted = ssl;
	} else if (where & SSL_CB_HANDSHAKE_START) {
		tls->alert = 0; /* of another that stood where this one stands now */
	} else if (where & SSL_CB_HANDSHAKE_DONE) {
		metrics_add(tls->metrics, METRIC_TLS_HANDSHAKES, 1);
	} else if (where == SSL_CB_ACCEPT_EXIT && value <= 0 && ERR_peek_error()) {
		failed(tls, ssl);
	}
}

/* --- the context --- */

static void configure(struct ws_tls *tls, SSL_CTX *context)
{
	SSL_CTX_set_app_data(context, tls);
	SSL_CTX_set_min_proto_version(context, tls->least == TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
	/* openssl.cnf may switch it on; writes of the kernel's own would stand beside ours. */
	SSL_CTX_clear_options(context, SSL_OP_ENABLE_KTLS);
	SSL_CTX_set_num_tickets(context, 0);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* lws looks for another of its vhosts by the name that is asked for: there is one. */
	SSL_CTX_set_tlsext_servername_callback(context, NULL);
	SSL_CTX_set_cert_cb(context, choose_keys, tls);
	SSL_CTX_set_info_callback(context, on_info);
}

/*
 * Whom clients have to be known by. The callback that lws would put here asks the user about each certificate
 * and takes the 0 of one who has not heard of the question for a yes.
 */
static int ask_clients(SSL_CTX *context, const struct tls_keys_parts *parts)
{
	STACK_OF(X509_NAME) * names;

	if (!parts->client_ca) {
		SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
		return 0;
	}
	names = SSL_dup_CA_list(parts->client_names);
	if (!names)
		return -ENOMEM;
	SSL_CTX_set_client_CA_list(context, names);
	SSL_CTX_set1_cert_store(context, parts->client_ca);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return 0;
}

int ws_tls_take(struct ws_tls *tls, void *ssl_ctx)
{
	tls->context = ssl_ctx;
	if (SSL_CTX_set_cipher_list(tls->context, CIPHERS) != 1)
		return -ENOMEM;
	configure(tls, tls->context);
	return ask_clients(tls->context, tls_keys_parts(tls->keys));
}

int ws_tls_begin(struct ws_tls *tls)
{
	int r;

	if (!tls)
		return 0;
	/* lws has put its own here, which goes on with whom it has no protocol in common. */
	SSL_CTX_set_alpn_select_cb(tls->context, choose_protocol, NULL);
	tls->rehearses = true;
	r = tls_rehearse(tls->context);
	tls->rehearses = false;
	return r < 0 ? r
		     : 0; /* a handshake that fails for another reason tells nothing about those to come */
}

int ws_tls_set_keys(struct ws_tls *tls, struct tls_keys *keys)
{
	int r = ask_clients(tls->context, tls_keys_parts(keys));

	if (r < 0)
		return r;
	tls_keys_ref(keys);
	tls_keys_unref(tls->keys);
	tls->keys = keys;
	return 0;
}

/* --- the end of a connection --- */

bool ws_tls_finish(struct lws *wsi)
{
	SSL *ssl = lws_get_ssl(wsi);
	int r = 0;

	ERR_clear_error();
	if (ssl && SSL_is_init_finished(ssl))
		r = SSL_shutdown(ssl);
	if (r < 0 && SSL_get_error(ssl, r) == SSL_ERROR_WANT_WRITE)
		return false;
	ERR_clear_error();
	/* If it fails the other side has hung up. */
	(void)shutdown(lws_get_socket_fd(wsi), SHUT_WR);
	return true;
}
