#ifndef TIDEGATE_WS_HANDSHAKE_H
#define TIDEGATE_WS_HANDSHAKE_H

/*
 * Handshake: is this request one that RFC 6455 section 4.2.1 and our routes let in?
 *
 * lws by itself answers 101 to a wrong version, a missing Host, any path. So everything is looked at here,
 * and lws gets a request of ours, in which nothing is left to look at.
 */

#include <netinet/in.h>

#include "metrics/metrics.h"

struct lws;
struct request_head;
struct rights;
struct route_table;
struct trusted;

enum refusal {
#define REFUSAL(id, status, reason, code, message, headers) REFUSAL_##id,
#include "refusal.def"
#undef REFUSAL
	N_REFUSALS,
};

enum {
	HANDSHAKE_REQUEST_SIZE = 256,
};

/* What a refusal says. A row of a table: constant. */
struct handshake_refusal {
	enum refusal id;
	unsigned int status;
	const char *reason;  /* of the status line */
	const char *code;    /* for the JSON body */
	const char *message; /* likewise */
	const char *headers; /* further header lines, or "" */
	enum metric metric;  /* where it is counted */
};

/* NULL: let it in, with these rights, which are the caller's to free. Else why not. */
const struct handshake_refusal *handshake_check(
	const struct request_head *head, struct route_table *routes, struct rights *rights);

/* Why what is no head, with this outcome of request_head_parse(), is refused. */
const struct handshake_refusal *handshake_unreadable(int outcome);

/* The others, by their name. */
const struct handshake_refusal *handshake_refusal(enum refusal refusal);

/* Writes the refusal as an HTTP response that ends the connection. The head may be an empty one. */
void handshake_refuse(
	struct lws *wsi, const struct request_head *head, const struct handshake_refusal *refusal);

/* What lws needs to see of a request that was let in; its length. */
int handshake_request(const struct request_head *head, char out[HANDSHAKE_REQUEST_SIZE]);

/* Who is connected: the socket's peer, or who it speaks for if it is a trusted proxy. */
void handshake_remote(struct lws *wsi, const struct trusted *trusted, const struct request_head *head,
	char out[INET6_ADDRSTRLEN]);

#endif
