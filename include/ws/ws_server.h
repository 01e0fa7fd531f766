#ifndef TIDEGATE_WS_WS_SERVER_H
#define TIDEGATE_WS_WS_SERVER_H

/*
 * Ws server: sockets in, clients out. libwebsockets lives here, behind one callback.
 *
 * It accepts connections, checks the handshake, begins a client for each that is let in, hands it whole
 * messages, and carries its bytes. One worker owns it; it runs on the worker's loop.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct clients;
struct event_base;
struct log;
struct metrics;
struct places;
struct socket_ops;
struct trusted;
struct ws_server;

struct ws_server_options {
	struct event_base *base;
	const char *host;
	uint16_t port;           /* 0: any free one */
	struct clients *clients; /* outlives the server */
	struct trusted *trusted; /* taken over, also on failure */
	struct places *places;   /* shared by all; outlives the server */
	struct log *log;
	struct metrics *metrics;
	bool use_uring; /* where it is built in and the kernel allows it */
};

/* 0, or negative errno with one sentence appended to error. */
int ws_server_new(const struct ws_server_options *options, struct ws_server **serverp, struct buf *error);

/* Ends all connections without a word: close the clients before. Accepts NULL. */
void ws_server_free(struct ws_server *server);

uint16_t ws_server_port(const struct ws_server *server);

/* After clients_configure(): the clients' bounds have changed, and these proxies are trusted, which it takes
 * over. */
void ws_server_configure(struct ws_server *server, struct trusted *trusted);

/*
 * The end: from now on handshakes are refused with 503, and a moment later the port is closed. Nobody who was
 * connected by then is hung up on without an answer.
 */
void ws_server_drain(struct ws_server *server);

/* The port is closed, and all connections are gone: those of clients, and those that never became one. */
bool ws_server_drained(const struct ws_server *server);

/* Once per turn of the loop: ends what was aborted, runs lws' timers. */
void ws_server_turn(struct ws_server *server);

/* Sends all that waits in socket_ops.send_later(). */
void ws_server_submit(struct ws_server *server);

/* Answers a handshake that was held back; `socket` is what the client was begun with. */
void ws_server_answer(void *socket);

/* What clients of a ws server write to. */
extern const struct socket_ops ws_socket_ops;

#endif
