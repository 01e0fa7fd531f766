#ifndef TIDEGATE_WS_HANDSHAKE_H
#define TIDEGATE_WS_HANDSHAKE_H

/*
 * Handshake: decides whether RFC 6455 section 4.2.1 and our routes let a request in.
 *
 * lws by itself answers 101 to a wrong version, to a missing Host, and on any path. So everything is checked
 * here, and lws learns of a WebSocket when it is one.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "auth/credential.h"
#include "auth/ticket_form.h"
#include "auth/verifier.h"
#include "metrics/metrics.h"
#include "protocol/transport.h"

struct buf;
struct handshake_rules;
struct lws;
struct request_head;
struct revocations;
struct rights;
struct route_table;
struct ticket;
struct trusted;

enum refusal {
#define REFUSAL(id, status, reason, close, code, message, headers) REFUSAL_##id,
#include "ws/refusal.def"
#undef REFUSAL
	N_REFUSALS,
};

/* The answer of a refusal; a constant row of a table. */
struct handshake_refusal {
	enum refusal id;
	unsigned int status;
	const char *reason;  /* of the status line */
	uint16_t close;      /* code for clients that can read it; 0: all get the status */
	const char *code;    /* for the JSON body, or the close frame */
	const char *message; /* likewise */
	const char *headers; /* further header lines, or "" */
	enum metric metric;  /* the metric that counts it */
};

/* What a request is held against; borrowed. */
struct handshake_door {
	struct route_table *routes;
	const struct handshake_rules *rules;
	struct verifier_thread *verifying;     /* the room in which tokens are checked */
	const struct revocations *revocations; /* NULL: no token is revoked */
	const struct ticket *ticket; /* that the request named, answered; NULL: none was asked for */
	struct identity **judged; /* by the token, which was judged before; taken over. Of NULL: it was not */
	const struct in6_addr *remote; /* the client's address */
	int64_t now_ms;                /* wall clock */
	size_t message_bytes_max;
};

/* What the log may tell of a token that let nobody in: never the token. */
struct handshake_token {
	const char *why;               /* one word; NULL: no token was refused */
	const char *place;             /* where it stood */
	struct verifier_result header; /* its kid and alg; without an identity */
	bool key_is_unknown;           /* that was why */
	char ticket[TICKET_MAX + 1];   /* to be asked for before the request can be judged; "": none */
};

/*
 * NULL: let it in, by this transport and with these rights, which are the caller's to free. Else why not, and
 * *token says more: if it names a ticket, that is to be asked for, and the same head checked again with the
 * answer; the refusal is for where it cannot be asked for.
 */
const struct handshake_refusal *handshake_check(const struct request_head *head,
	const struct handshake_door *door, struct rights *rights, enum transport *transportp,
	struct handshake_token *token);

/* Is it a POST that is to be judged with its body? Then how long that is; else 0. */
size_t handshake_body_bytes(
	const struct request_head *head, const struct route_table *routes, size_t bytes_max);

/* The refusal for bytes that are not a head, by the outcome of request_head_parse(). */
const struct handshake_refusal *handshake_unreadable(int outcome);

/* The others, by their name. */
const struct handshake_refusal *handshake_refusal(enum refusal refusal);

/* May the page that asks read the answer (CORS)? Only a browser's page asks for that. */
bool handshake_page_reads(
	const struct request_head *head, const struct handshake_rules *rules, const struct in6_addr *remote);

/* Writes the refusal, as an HTTP response or as a WebSocket that is closed at once: nothing follows it. The
 * head may be empty. page_reads: handshake_page_reads(). */
void handshake_refuse(struct lws *wsi, const struct request_head *head,
	const struct handshake_refusal *refusal, bool page_reads);

/* Does the client offer our subprotocol? Then it is agreed to. */
bool handshake_speaks(const struct request_head *head);

/* Writes the answer to a request that is let in. extensions: what is agreed to of those that it offers, or
 * NULL. */
void handshake_answer(const struct request_head *head, const char *extensions, struct buf *out);

/* Writes the head of an event stream, also for HEAD. page_reads: handshake_page_reads(). */
void handshake_answer_stream(const struct request_head *head, bool page_reads, struct buf *out);

/* The address of the client: the connection's peer or, if that is a trusted proxy, the client behind it. */
struct in6_addr handshake_remote(
	const struct in6_addr *peer, const struct trusted *trusted, const struct request_head *head);

#endif
