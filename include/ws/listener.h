#ifndef TIDEGATE_WS_LISTENER_H
#define TIDEGATE_WS_LISTENER_H

/*
 * Listener: accepts TCP connections on one address and hands them on.
 *
 * Several listeners, one for each worker, may share a port (SO_REUSEPORT): the kernel spreads connections
 * over them. When the process runs out of file descriptors a listener rests for LISTENER_REST_MS instead of
 * spinning on a connection that it cannot take. A crowd that comes at once is taken in pieces.
 */

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct event_base;
struct in6_addr;
struct listener;

enum {
	LISTENER_BACKLOG = 4096, /* the kernel cuts it to net.core.somaxconn */
	LISTENER_REST_MS = 100,
	LISTENER_ACCEPTS_MAX =
		64, /* in one call; then whatever else is ready has its turn: some milliseconds */
	/* for TCP handshakes that are under way: far more than a round trip inside a data centre */
	LISTENER_DRAIN_MS = 100,
};

/* Takes over the descriptor: non-blocking, close-on-exec, TCP_NODELAY set. peer: the address at its other
 * end. */
typedef void (*listener_accept_fn)(void *arg, int fd, const struct in6_addr *peer);

/* Is there room for another connection? For listener_rest(). */
typedef bool (*listener_room_fn)(void *arg);

/*
 * Listens on host (a name of this machine, an IPv4 or IPv6 address; "" is every address) and port (0: any
 * free one). shared: further listeners of this process may use the same port. 0, or negative errno with one
 * sentence appended to error.
 */
int listener_new(struct event_base *base, const char *host, uint16_t port, bool shared,
	listener_accept_fn accept, void *arg, struct listener **listenerp, struct buf *error);

/*
 * For accept() to call: the listener takes no connection until room() says that there is room. It asks every
 * LISTENER_REST_MS, with the same arg.
 */
void listener_rest(struct listener *listener, listener_room_fn room);

/* A few connections now and then go before the sockets of the same base. */
void listener_go_first(struct listener *listener);

/* The port it listens on. */
uint16_t listener_port(const struct listener *listener);

/*
 * Stops listening without hanging up on anybody. Closing a listening socket resets what waits in its queue,
 * so for LISTENER_DRAIN_MS it goes on accepting while the kernel passes over whoever only begins to connect:
 * he asks again a second later, and finds the port closed or somebody else behind it. Then the rest of the
 * queue is accepted and the socket closed.
 */
void listener_drain(struct listener *listener);
bool listener_drained(const struct listener *listener); /* the socket is closed */

/* Stops listening at once. Accepts NULL. */
void listener_free(struct listener *listener);

#endif
