#ifndef TIDEGATE_WS_WS_SERVER_PRIVATE_H
#define TIDEGATE_WS_WS_SERVER_PRIVATE_H

/* Shared by the files of this folder. */

#include <libwebsockets.h>

#include "core/list.h"
#include "core/log.h"
#include "ws/handshake.h"
#include "ws/handshake_rules.h"
#include "ws/places.h"

struct admission;
struct arrival;
struct clients;
struct listener;
struct lws_loop;
struct metrics;
struct request_head;
struct ws_inflate;
struct ws_sender;
struct verifier_thread;
struct ws_tls;

enum {
	WS_RECORD_BYTES = 16384, /* that one record of TLS holds */
};

struct ws_server {
	struct listener *listener;
	struct admission *admission; /* NULL: peers speak for themselves */
	struct places *places;       /* of all workers */
	struct lws_loop *loop;
	struct lws_context *context;
	struct lws_vhost *vhost;
	struct lws_protocols protocols[3];
	struct ws_sender *sender;
	struct ws_tls *tls;         /* NULL: plain */
	unsigned char *record;      /* where the bytes of one record are put together; NULL without TLS */
	struct ws_inflate *inflate; /* of all connections that send deflated messages */
	struct clients *clients;
	struct handshake_rules rules;
	struct verifier_thread *verifying; /* the room in which tokens are checked */
	struct log *log;
	struct log_limit rest_limit;
	struct log_limit refused_limits[N_REFUSALS];
	struct metrics *metrics;
	struct list aborted;   /* ws_connection.aborted */
	size_t n_connections;  /* of lws: clients, handshakes under way, sockets that said nothing yet */
	size_t head_bytes_max; /* of a request */
	uint64_t tidy_ms;      /* when the table of addresses is tidied again */
	uint64_t n_created;    /* connections that were made so far */
	enum place arriving;   /* of the connection that lws is being given, or PLACE_NONE */
	bool draining;
	uint16_t port;
};

/* The request asks to be let in: NULL, with a connection begun and the rest left to lws; or why not, and
 * *token may say more. */
const struct handshake_refusal *ws_server_admit(struct ws_server *server, struct lws *wsi,
	const struct request_head *head, struct arrival *arrival, struct handshake_token *token);

#endif
