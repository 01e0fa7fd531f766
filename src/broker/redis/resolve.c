/*
 * Redis resolve: a host's name to its addresses, in a thread of its own. See resolve.h.
 *
 * The memory that both sides need is counted and goes with the last of them. The thread writes the outcome,
 * then the eventfd; the loop reads in that order's reverse, so nothing is locked.
 */

#include "broker/redis/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

struct lookup {
	atomic_uint refs;
	atomic_bool done;
	int fd;
	int error;
	struct addrinfo *list;
	char port[sizeof("65535")];
	char host[];
};

struct redis_resolve {
	struct lookup *lookup;
	struct event *readable;
	redis_resolved_fn fn;
	void *arg;
};

static void lookup_unref(struct lookup *lookup)
{
	if (!lookup || atomic_fetch_sub(&lookup->refs, 1) > 1)
		return;
	if (lookup->list)
		freeaddrinfo(lookup->list);
	if (lookup->fd >= 0)
		close(lookup->fd);
	free(lookup);
}

static void *lookup_run(void *arg)
{
	struct lookup *lookup = arg;
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};

	lookup->error = getaddrinfo(lookup->host, lookup->port, &hints, &lookup->list);
	if (lookup->error)
		lookup->list = NULL;
	atomic_store(&lookup->done, true);
	(void)eventfd_write(lookup->fd, 1); /* cannot fail: it holds 0 and nobody else writes */
	lookup_unref(lookup);
	return NULL;
}

/* Signals are the loop's business: the thread is started with all of them blocked. */
static int lookup_start(struct lookup *lookup)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, before;
	int r;

	r = pthread_attr_init(&attr);
	if (r)
		return -r;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	atomic_fetch_add(&lookup->refs, 1);
	r = pthread_create(&thread, &attr, lookup_run, lookup);
	if (r)
		atomic_fetch_sub(&lookup->refs, 1);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}

static void on_resolved(evutil_socket_t fd, short what, void *arg)
{
	struct redis_resolve *resolve = arg;
	struct lookup *lookup = resolve->lookup;
	struct addrinfo *list;

	(void)fd;
	(void)what;
	if (!atomic_load(&lookup->done))
		return;
	event_del(resolve->readable);
	list = lookup->list;
	lookup->list = NULL;
	resolve->fn(resolve->arg, list ? 0 : lookup->error, list); /* may free resolve */
}

int redis_resolve_new(struct event_base *base, const char *host, uint16_t port, redis_resolved_fn fn,
	void *arg, struct redis_resolve **resolvep)
{
	struct redis_resolve *resolve = calloc(1, sizeof(*resolve));
	int r = -ENOMEM;

	if (!resolve)
		return -ENOMEM;
	resolve->fn = fn;
	resolve->arg = arg;
	resolve->lookup = calloc(1, sizeof(*resolve->lookup) + strlen(host) + 1);
	if (!resolve->lookup)
		goto fail;
	atomic_init(&resolve->lookup->refs, 1);
	memcpy(resolve->lookup->host, host, strlen(host) + 1);
	snprintf(resolve->lookup->port, sizeof(resolve->lookup->port), "%u", (unsigned int)port);
	resolve->lookup->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (resolve->lookup->fd < 0) {
		r = -errno;
		goto fail;
	}
	resolve->readable = event_new(base, resolve->lookup->fd, EV_READ | EV_PERSIST, on_resolved, resolve);
	if (!resolve->readable || event_add(resolve->readable, NULL) < 0)
		goto fail;
	r = lookup_start(resolve->lookup);
	if (r < 0)
		goto fail;
	*resolvep = resolve;
	return 0;
fail:
	redis_resolve_free(resolve);
	return r;
}

void redis_resolve_free(struct redis_resolve *resolve)
{
	if (!resolve)
		return;
	if (resolve->readable)
		event_free(resolve->readable);
	lookup_unref(resolve->lookup);
	free(resolve);
}
