/*
 * Redis dial: from a URL to a connected socket. See dial.h.
 *
 *     name ── redis_resolve ──► addresses ── connect, one after the other ──► fn(fd)
 */

#include "broker/redis/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "broker/redis/resolve.h"
#include "broker/redis/timer.h"
#include "broker/redis/url.h"

enum {
	RESOLVE_TIMEOUT_MS = 5000, /* one try of the resolver with its usual settings, resolv.conf(5) */
};

struct redis_dial {
	struct event_base *base;
	const struct redis_url *url;
	uint32_t timeout_ms;
	redis_dialled_fn fn;
	void *arg;

	struct redis_resolve *resolve;
	struct addrinfo *addresses;
	const struct addrinfo *next; /* to try when this one fails */
	int fd;                      /* -1: not connecting */
	struct event *writable;
	struct event *timer; /* the bound of this step; at once when all has failed */
	bool over;           /* all has failed: the timer says so */
	char reason[128];
};

/* All has failed. Said from the timer, because this may run inside redis_dial_new(). */
static void dial_give_up(struct redis_dial *dial)
{
	dial->over = true;
	redis_timer_set(dial->timer, 0);
}

static void dial_hang_up(struct redis_dial *dial)
{
	if (dial->writable)
		event_free(dial->writable);
	dial->writable = NULL;
	if (dial->fd >= 0)
		close(dial->fd);
	dial->fd = -1;
}

static void dial_note(struct redis_dial *dial, const char *what, const char *why)
{
	snprintf(dial->reason, sizeof(dial->reason), "%s: %s", what, why);
}

static void on_writable(evutil_socket_t fd, short what, void *arg);

/* True when the socket is on its way; the event tells how it ended. */
static bool dial_connect(struct redis_dial *dial, int family, const struct sockaddr *address, socklen_t len)
{
	const int on = 1;

	dial->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (dial->fd < 0)
		goto fail;
	if (family != AF_UNIX) {
		/* Commands are small and written once a turn: waiting for more only delays them. A failure
		   costs time, nothing else. */
		(void)setsockopt(dial->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		(void)setsockopt(dial->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	}
	if (connect(dial->fd, address, len) < 0 && errno != EINPROGRESS)
		goto fail;
	dial->writable = event_new(dial->base, dial->fd, EV_WRITE, on_writable, dial);
	if (!dial->writable || event_add(dial->writable, NULL) < 0) {
		errno = ENOMEM;
		goto fail;
	}
	redis_timer_set(dial->timer, dial->timeout_ms);
	return true;
fail:
	dial_note(dial, "connecting failed", strerror(errno));
	dial_hang_up(dial);
	return false;
}

static void dial_next(struct redis_dial *dial)
{
	dial_hang_up(dial);
	while (dial->next) {
		const struct addrinfo *address = dial->next;

		dial->next = address->ai_next;
		if (dial_connect(dial, address->ai_family, address->ai_addr, address->ai_addrlen))
			return;
	}
	dial_give_up(dial);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct redis_dial *dial = arg;
	int error = 0;
	socklen_t len = sizeof(error);

	(void)what;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error) {
		dial_note(dial, "connecting failed", strerror(error));
		dial_next(dial);
		return;
	}
	dial->fd = -1;
	event_del(dial->timer);
	dial->fn(dial->arg, fd, NULL); /* may free dial */
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct redis_dial *dial = arg;

	(void)fd;
	(void)what;
	if (dial->over) {
		dial->fn(dial->arg, -1, dial->reason); /* may free dial */
		return;
	}
	if (dial->resolve)
		dial_note(dial, "resolving the name failed", "no answer in time");
	else
		dial_note(dial, "connecting failed", "no answer in time");
	redis_resolve_free(dial->resolve);
	dial->resolve = NULL;
	dial_next(dial);
}

static void on_addresses(void *arg, int error, struct addrinfo *list)
{
	struct redis_dial *dial = arg;

	redis_resolve_free(dial->resolve);
	dial->resolve = NULL;
	if (error)
		dial_note(dial, "resolving the name failed", gai_strerror(error));
	dial->addresses = list;
	dial->next = list;
	dial_next(dial);
}

static int dial_start_tcp(struct redis_dial *dial)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, /* asks nobody, so it does not wait */
	};
	char port[sizeof("65535")];
	int r;

	snprintf(port, sizeof(port), "%u", (unsigned int)dial->url->port);
	if (getaddrinfo(dial->url->host, port, &hints, &dial->addresses) == 0) {
		dial->next = dial->addresses;
		dial_next(dial);
		return 0;
	}
	dial->addresses = NULL;
	r = redis_resolve_new(
		dial->base, dial->url->host, dial->url->port, on_addresses, dial, &dial->resolve);
	if (r == 0)
		redis_timer_set(dial->timer, RESOLVE_TIMEOUT_MS);
	return r;
}

static int dial_start_unix(struct redis_dial *dial)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(dial->url->unix_path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, dial->url->unix_path, strlen(dial->url->unix_path));
	if (!dial_connect(dial, AF_UNIX, (const struct sockaddr *)&address, sizeof(address)))
		dial_give_up(dial);
	return 0;
}

int redis_dial_new(struct event_base *base, const struct redis_url *url, uint32_t timeout_ms,
	redis_dialled_fn fn, void *arg, struct redis_dial **dialp)
{
	struct redis_dial *dial = calloc(1, sizeof(*dial));
	int r = -ENOMEM;

	if (!dial)
		return -ENOMEM;
	dial->base = base;
	dial->url = url;
	dial->timeout_ms = timeout_ms;
	dial->fn = fn;
	dial->arg = arg;
	dial->fd = -1;
	dial->timer = evtimer_new(base, on_timer, dial);
	if (!dial->timer)
		goto fail;
	r = url->unix_path ? dial_start_unix(dial) : dial_start_tcp(dial);
	if (r < 0)
		goto fail;
	*dialp = dial;
	return 0;
fail:
	redis_dial_free(dial);
	return r;
}

void redis_dial_free(struct redis_dial *dial)
{
	if (!dial)
		return;
	dial_hang_up(dial);
	redis_resolve_free(dial->resolve);
	if (dial->addresses)
		freeaddrinfo(dial->addresses);
	if (dial->timer)
		event_free(dial->timer);
	free(dial);
}
