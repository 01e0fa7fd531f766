#ifndef TIDEGATE_WS_WS_SERVER_PRIVATE_H
#define TIDEGATE_WS_WS_SERVER_PRIVATE_H

/* Shared by the files of this folder. */

#include <libwebsockets.h>

#include "auth/unknown_keys.h"
#include "core/list.h"
#include "core/log.h"
#include "ws/handshake.h"
#include "ws/handshake_rules.h"
#include "ws/places.h"
#include "ws/ws_server.h"

struct admission;
struct arrival;
struct clients;
struct listener;
struct lws_loop;
struct metrics;
struct request_head;
struct ticket;
struct ws_answers;
struct ws_connection;
struct ws_inflate;
struct ws_sender;
struct verifier_thread;
struct web_file;
struct ws_tls;

enum {
	WS_RECORD_BYTES = 16384, /* that one record of TLS holds */
};

struct ws_server {
	struct listener *listener;
	struct admission *admission; /* NULL: peers speak for themselves */
	struct places *places;       /* of all workers */
	struct lws_loop *loop;
	struct ws_answers *answers;
	struct lws_context *context;
	struct lws_vhost *vhost;
	struct lws_protocols protocols[2]; /* one, and the end */
	struct ws_sender *sender;
	struct ws_tls *tls;    /* NULL: plain */
	unsigned char *record; /* where the bytes of one record are put together; NULL without TLS */
	struct ws_server_listener up;
	struct ws_inflate *inflate; /* of all connections that send deflated messages */
	struct clients *clients;
	struct handshake_rules rules;
	struct revocations *revocations;   /* one reference; NULL: no token is revoked */
	struct verifier_thread *verifying; /* the room in which tokens are checked */
	struct log *log;
	struct log_limit rest_limit;
	struct log_limit refused_limits[N_REFUSALS];
	struct metrics *metrics;
	struct list aborted;   /* at the end of the turn; ws_connection.due */
	size_t n_connections;  /* of lws: clients, handshakes under way, sockets that said nothing yet */
	size_t head_bytes_max; /* of a request */
	uint64_t tidy_ms;      /* when the table of addresses is tidied again */
	uint64_t n_created;    /* connections that were made so far */
	enum place arriving;   /* of the connection that lws is being given, or PLACE_NONE */
	struct unknown_keys unknown_keys;
	unsigned int n_tickets; /* asked for and not back yet */
	bool draining;
	uint16_t port;
};

/* Refreshes the time of this turn: lws calls us at any moment of it. */
void ws_server_refresh_time(struct ws_server *server);

/* Its request may be answered: opens it. early: what the peer has sent behind its head. NULL, or why not:
 * then it has ended. */
const struct handshake_refusal *ws_server_open(struct ws_connection *connection, struct slice early);

/* It ends, and its client with it. */
void ws_server_end(struct ws_connection *connection);

/* A token names a key that we do not have. True: it may come by URL, so the client may come again a
 * moment later; it is asked for. */
bool ws_server_wants_key(struct ws_server *server, const char *kid);

#endif
