#ifndef TIDEGATE_WS_WS_SERVER_H
#define TIDEGATE_WS_WS_SERVER_H

/*
 * Ws server: sockets in, clients out. libwebsockets lives here, behind one callback.
 *
 * It accepts connections, checks the handshake, begins a client for each connection that is let in, hands it
 * whole messages, and carries its bytes. One worker owns the server, which runs on the worker's loop.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"
#include "tls/tls_keys.h"

struct buf;
struct client;
struct clients;
struct event_base;
struct handshake_rules;
struct identity;
struct log;
struct metrics;
struct places;
struct revocations;
struct slice;
struct socket_ops;
struct ticket;
struct verifier;
struct ws_server;

/* What a request needs that is not in this thread. */
struct ws_server_listener {
	void *arg;
	/* Asks for what stands under this ticket. The answer comes through ws_server_ticket(). 0 or -ENOMEM.
	 */
	int (*ticket)(void *arg, struct slice name, void *owner, struct ticket **ticketp);
	/* A token names a key that may be among those behind the URL of token_keys. */
	int (*keys)(void *arg); /* 0 or -ENOMEM */
	/* Sockets were served for a while, and others wait: see lws_loop_set_pause(). May be NULL. */
	void (*pause)(void *arg);
};

struct ws_server_options {
	struct event_base *base;
	const char *host;
	uint16_t port;                 /* 0: any free port */
	struct clients *clients;       /* outlives the server */
	struct handshake_rules *rules; /* taken over, also on failure, and zeroed */
	struct tls_keys *tls_keys;     /* takes its own reference; NULL: without TLS */
	enum tls_version tls_least;
	struct places *places; /* shared by all; outlives the server */
	struct log *log;
	struct metrics *metrics;
	bool proxy_protocol;   /* trusted proxies say first whom they bring, and nobody else is let in */
	size_t head_bytes_max; /* of a request: up to REQUEST_HEAD_MAX */
	struct ws_server_listener listener;
	bool use_uring; /* use io_uring, if it is built in and the kernel allows it */
};

/* 0, or negative errno with one sentence appended to error. */
int ws_server_new(const struct ws_server_options *options, struct ws_server **serverp, struct buf *error);

/* Ends all connections without a close frame: close the clients before. Accepts NULL. */
void ws_server_free(struct ws_server *server);

uint16_t ws_server_port(const struct ws_server *server);

/* To be called after clients_configure(), which has changed the clients' bounds. Takes the rules over, and
 * zeroes them. */
void ws_server_configure(struct ws_server *server, struct handshake_rules *rules);

/* Handshakes of TLS from now on are made with these. Takes its own reference. */
void ws_server_set_tls_keys(struct ws_server *server, struct tls_keys *keys);

/*
 * From now on handshakes are refused with 503, and a moment later the port is closed. Connections that exist
 * by then still get an answer.
 */
void ws_server_drain(struct ws_server *server);

/* Is the port closed, and are all connections gone, those of clients and those that never became clients? */
bool ws_server_drained(const struct ws_server *server);

/* Once per turn of the loop: ends the connections that were aborted, and runs lws' timers. */
void ws_server_turn(struct ws_server *server);

/* How often a socket was served so far. */
uint64_t ws_server_n_served(const struct ws_server *server);

/* Sends all bytes that socket_ops.send_later() has collected. */
void ws_server_submit(struct ws_server *server);

/* Who a client is by a token that it shows later: see clients_listener.identify(). */
int ws_server_identify(struct ws_server *server, const struct client *client, struct slice token,
	struct identity **identityp);

/* Answers a handshake that was held back, a moment later. socket: the one that the client was begun with. */
void ws_server_answer(void *socket);

/* The answer to listener.ticket(), which is freed. */
void ws_server_ticket(struct ws_server *server, struct ticket *ticket);

/* What is new of keys: see enum worker_keys_news. Takes the verifier over. */
void ws_server_keys_fetching(struct ws_server *server);
void ws_server_keys_fetched(struct ws_server *server);
void ws_server_set_verifier(struct ws_server *server, struct verifier *verifier);

/* Tokens that count no more from now on. Takes them over. */
void ws_server_set_revocations(struct ws_server *server, struct revocations *revocations);

/* The operations of the sockets that clients of a ws server write to, without and with TLS. */
extern const struct socket_ops ws_socket_ops;
extern const struct socket_ops ws_tls_socket_ops;

#endif
