#ifndef TIDEGATE_WS_HANDSHAKE_H
#define TIDEGATE_WS_HANDSHAKE_H

/*
 * Handshake: is this request one that RFC 6455 section 4.2.1 and our routes let in?
 *
 * lws by itself answers 101 to a wrong version, a missing Host, any path. So everything is looked at here,
 * before lws goes on.
 */

#include <netinet/in.h>

#include "metrics/metrics.h"

struct lws;
struct route_match;
struct route_table;
struct trusted;

enum refusal {
#define REFUSAL(id, status, reason, code, message, headers) REFUSAL_##id,
#include "refusal.def"
#undef REFUSAL
};

/* What a refusal says. A row of a table: constant. */
struct handshake_refusal {
	unsigned int status;
	const char *reason;  /* of the status line */
	const char *code;    /* for the JSON body */
	const char *message; /* likewise */
	const char *headers; /* further header lines, or "" */
	enum metric metric;  /* where it is counted */
};

/* NULL: let it in, `match` is filled. Else why not. */
const struct handshake_refusal *handshake_check(
	struct lws *wsi, const struct route_table *routes, struct route_match *match);

/* Why a request without an upgrade is refused. */
const struct handshake_refusal *handshake_not_upgraded(struct lws *wsi, const struct route_table *routes);

/* Why anything but GET is refused. */
const struct handshake_refusal *handshake_bad_method(void);

/* Why whoever comes while the gateway drains is refused. */
const struct handshake_refusal *handshake_draining(void);

/* Writes the refusal as an HTTP response that ends the connection. Close the wsi afterwards. */
void handshake_refuse(struct lws *wsi, const struct handshake_refusal *refusal);

/* Who is connected: the socket's peer, or who it speaks for if it is a trusted proxy. */
void handshake_remote(struct lws *wsi, const struct trusted *trusted, char out[INET6_ADDRSTRLEN]);

#endif
