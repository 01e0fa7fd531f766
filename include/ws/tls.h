#ifndef TIDEGATE_WS_TLS_H
#define TIDEGATE_WS_TLS_H

/*
 * Ws TLS: what one listener of libwebsockets speaks below HTTP. lws makes the SSL_CTX and drives its
 * handshakes; all that is set in it is set here.
 *
 * TLS 1.2 or later with forward secrecy, http/1.1 alone, no renegotiation, no tickets and no session cache:
 * these would want keys that all nodes share and that change, and save a third of a handshake.
 * Keys can be exchanged at any time: a handshake takes those of its moment, and a connection keeps its own.
 * One thread owns it, that of the listener.
 */

#include <stdbool.h>

#include "tls/tls_keys.h"

struct in6_addr;
struct log;
struct lws;
struct lws_context_creation_info;
struct metrics;
struct ws_tls;

struct ws_tls_options {
	struct tls_keys *keys; /* takes its own reference */
	enum tls_version least;
	struct log *log;
	struct metrics *metrics;
	const char
		*plain; /* the body of the answer to plain HTTP: an error in the port's own form. Lives on */
};

/* NULL when out of memory. */
struct ws_tls *ws_tls_new(const struct ws_tls_options *options);
void ws_tls_free(struct ws_tls *tls); /* accepts NULL; no connection may be left */

/* Asks lws for an SSL_CTX: before its context and its vhost are made. Nothing without TLS (NULL). */
void ws_tls_ask(const struct ws_tls *tls, struct lws_context_creation_info *info);

/* Takes the SSL_CTX that LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS brings, which remains lws'.
 * 0 or -ENOMEM. */
int ws_tls_take(struct ws_tls *tls, void *ssl_ctx);

/* After lws_create_vhost(), which sets what ws_tls_take() cannot set before. 0 or -ENOMEM; nothing without
 * TLS (NULL). */
int ws_tls_begin(struct ws_tls *tls);

/* Handshakes from now on are made with these. Takes its own reference. 0, or -ENOMEM and all is as before. */
int ws_tls_set_keys(struct ws_tls *tls, struct tls_keys *keys);

/*
 * Whom a connection comes from, for the log, where a proxy has said so: the one that lws is being given,
 * which may begin its handshake at once (NULL: it has been given); and one that lws has, borrowed until it
 * is named again or ends. Without that the socket's peer is told. Nothing without TLS.
 */
void ws_tls_arriving(struct ws_tls *tls, const struct in6_addr *client);
void ws_tls_name(struct lws *wsi, const struct in6_addr *client);

/* For LWS_CALLBACK_HTTP_HEAD_TIMEOUT: the log tells of a handshake that is not over. */
void ws_tls_late(struct ws_tls *tls, struct lws *wsi);

/*
 * Ends our direction of a connection, of TLS (close_notify) and of TCP (FIN), or of TCP alone where there is
 * no TLS. False: the socket has no room for the word of TLS, so nothing ended; once more when it can be
 * written.
 */
bool ws_tls_finish(struct lws *wsi);

#endif
