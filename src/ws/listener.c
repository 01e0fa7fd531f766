/* Listener: accepts TCP connections; see the header. */

#include "ws/listener.h"

#include <errno.h>
#include <linux/filter.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/ip.h"
#include "core/priority.h"

enum {
	FIRST_MAX = 16, /* connections in FIRST_MS: half a millisecond of work for the admin port */
	FIRST_MS = 10,
};

struct listener {
	struct event_base *base;
	struct event *readable;
	struct event *rested;
	struct event *drained; /* NULL while it is not asked to drain */
	listener_accept_fn accept;
	listener_room_fn room; /* NULL: it goes on after one rest */
	void *arg;
	int fd; /* -1: closed */
	uint16_t port;
	bool goes_first;
	uint64_t began_ms; /* if it goes first: when it began to count */
	uint64_t n_first;
};

static void rest(struct listener *listener)
{
	struct timeval interval = {0, LISTENER_REST_MS * 1000};

	if (event_add(listener->rested, &interval) == 0)
		event_del(listener->readable);
	else if (!event_pending(listener->readable, EV_READ, NULL))
		event_active(listener->rested, EV_TIMEOUT, 0); /* without memory for a timer the loop spins */
}

static void on_rested(evutil_socket_t fd, short events, void *arg)
{
	struct listener *listener = arg;

	(void)fd;
	(void)events;
	if (listener->room && !listener->room(listener->arg)) {
		rest(listener);
		return;
	}
	listener->room = NULL;
	if (event_add(listener->readable, NULL) < 0)
		rest(listener);
}

/* Takes one and hands it on, or passes over one that was given up while it waited. -1: none waits, or none
 * can be taken now; then errno says which. */
static int accept_one(struct listener *listener)
{
	struct sockaddr_storage peer = {0};
	socklen_t len = sizeof(peer);
	struct in6_addr address;
	int fd = accept4(listener->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return errno == ECONNABORTED || errno == EINTR ? 0 : -1;
	address = ip_of(&peer);
	listener->n_first++;
	listener->accept(listener->arg, fd, &address);
	return 0;
}

static bool is_watched(const struct listener *listener)
{
	return listener->readable && event_pending(listener->readable, EV_READ, NULL);
}

/* Those who come without end have every other round with the sockets. */
static void choose_priority(struct listener *listener)
{
	uint64_t now_ms = clock_monotonic_ms();

	if (now_ms >= listener->began_ms + FIRST_MS) {
		listener->began_ms = now_ms;
		listener->n_first = 0;
	}
	event_priority_set(
		listener->readable, listener->n_first < FIRST_MAX ? PRIORITY_DEFAULT : PRIORITY_LAST);
}

static void on_readable(evutil_socket_t unused, short events, void *arg)
{
	struct listener *listener = arg;

	(void)unused;
	(void)events;
	if (listener->goes_first)
		choose_priority(listener);
	/* accept() may have it rest, or end. */
	for (int n = 0; n < LISTENER_ACCEPTS_MAX && is_watched(listener); n++) {
		if (accept_one(listener) == 0)
			continue;
		/* No descriptors or no memory: the connection stays in the kernel's queue, and the loop must
		 * not spin on it. */
		if (errno != EAGAIN)
			rest(listener);
		return;
	}
}

void listener_rest(struct listener *listener, listener_room_fn room)
{
	if (listener->drained)
		return; /* the last of the queue are taken */
	listener->room = room;
	rest(listener);
}

static int resolve(const char *host, uint16_t port, struct addrinfo **foundp, struct buf *error)
{
	struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	};
	char service[8];
	int r;

	snprintf(service, sizeof(service), "%u", port);
	r = getaddrinfo(*host ? host : NULL, service, &hints, foundp);
	if (r == 0)
		return 0;
	buf_printf(error, "cannot listen on %s: %s", host, gai_strerror(r));
	return -EADDRNOTAVAIL;
}

static int bind_socket(const struct addrinfo *address, bool reuse_port)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0)
		return -errno;
	/* On Linux accepted sockets inherit TCP_NODELAY: one call, instead of one for each connection. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
		(reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0) ||
		bind(fd, address->ai_addr, address->ai_addrlen) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

static uint16_t bound_port(int fd)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return 0;
	if (address.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
	return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

/* Takes over the descriptor. */
static int start(struct listener *listener, struct event_base *base, int fd)
{
	listener->base = base;
	listener->fd = fd;
	listener->port = bound_port(fd);
	listener->rested = evtimer_new(base, on_rested, listener);
	listener->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, listener);
	if (!listener->rested || !listener->readable)
		return -ENOMEM;
	event_priority_set(listener->readable, PRIORITY_LAST);
	if (listen(fd, LISTENER_BACKLOG) < 0)
		return -errno;
	return event_add(listener->readable, NULL) < 0 ? -ENOMEM : 0;
}

int listener_new(struct event_base *base, const char *host, uint16_t port, bool shared,
	listener_accept_fn accept, void *arg, struct listener **listenerp, struct buf *error)
{
	struct listener *listener;
	struct addrinfo *found = NULL;
	int r, fd;

	r = resolve(host, port, &found, error);
	if (r < 0)
		return r;
	listener = calloc(1, sizeof(*listener));
	fd = listener ? bind_socket(found, shared) : -ENOMEM;
	freeaddrinfo(found);
	r = fd;
	if (listener)
		listener->fd = -1;
	if (fd >= 0) {
		listener->accept = accept;
		listener->arg = arg;
		r = start(listener, base, fd);
	}
	if (r < 0)
		goto fail;
	*listenerp = listener;
	return 0;

fail:
	listener_free(listener);
	buf_printf(error, "cannot listen on %s port %u: %s", *host ? host : "*", port, strerror(-r));
	return r;
}

void listener_go_first(struct listener *listener)
{
	listener->goes_first = true;
	event_priority_set(listener->readable, PRIORITY_DEFAULT);
}

uint16_t listener_port(const struct listener *listener)
{
	return listener->port;
}

/* Clients that only begin to connect are not answered any more. If the kernel has no socket filters, they are
 * answered and may be reset. */
static void ignore_beginners(int fd)
{
	enum {
		FLAGS = 13, /* their place in the TCP header */
		SYN = 0x02,
		ACK = 0x10,
	};
	struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN | ACK),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog filter = {sizeof(program) / sizeof(program[0]), program};

	(void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));
}

static void stop(struct listener *listener)
{
	if (listener->readable)
		event_free(listener->readable);
	listener->readable = NULL;
	if (listener->fd >= 0)
		close(listener->fd);
	listener->fd = -1;
}

static void on_drained(evutil_socket_t unused, short events, void *arg)
{
	struct listener *listener = arg;

	(void)unused;
	(void)events;
	while (accept_one(listener) == 0)
		;
	stop(listener);
	event_del(listener->rested);
}

void listener_drain(struct listener *listener)
{
	struct timeval wait = {0, LISTENER_DRAIN_MS * 1000};

	if (listener->drained)
		return;
	ignore_beginners(listener->fd);
	listener->drained = evtimer_new(listener->base, on_drained, listener);
	if (!listener->drained || event_add(listener->drained, &wait) < 0)
		on_drained(-1, 0, listener); /* no memory to wait */
}

bool listener_drained(const struct listener *listener)
{
	return listener->fd < 0;
}

void listener_free(struct listener *listener)
{
	if (!listener)
		return;
	stop(listener);
	if (listener->rested)
		event_free(listener->rested);
	if (listener->drained)
		event_free(listener->drained);
	free(listener);
}
