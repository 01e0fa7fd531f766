#ifndef TIDEGATE_WS_WS_ENTRY_H
#define TIDEGATE_WS_WS_ENTRY_H

/*
 * Ws entry: a request that asks to be let in, and what becomes of it: a connection with a client of its own,
 * a file, or a refusal.
 */

#include "core/slice.h"
#include "ws/handshake.h"

struct arrival;
struct identity;
struct lws;
struct request_head;
struct ticket;
struct web_file;
struct ws_connection;
struct ws_server;

struct ws_entry {
	const struct request_head *head;
	struct arrival *arrival;          /* whom it comes from; its address goes over to the connection */
	const struct ticket *ticket;      /* that the request names, answered; NULL: none was asked for */
	struct identity *identity;        /* by its token, which was looked at before; NULL: it was not */
	struct handshake_token token;     /* when it is refused: what more is known */
	const struct web_file *file;      /* that it asks for instead, to be answered with */
	struct ws_connection *connection; /* that it gets: the request answers with what that has ready */
};

/* NULL, with entry->connection or entry->file; or why not. If entry->token names a ticket, that is asked for
 * first. */
const struct handshake_refusal *ws_entry_admit(
	struct ws_server *server, struct lws *wsi, struct ws_entry *entry);

/* The same questions of a request whose body has not come, but for those that Redis or the user's number
 * answers: NULL, and nothing has become of it but entry->identity, which is the caller's; or why its body is
 * not wanted. */
const struct handshake_refusal *ws_entry_look(struct ws_server *server, struct ws_entry *entry);

#endif
