#ifndef TIDEGATE_BROKER_REDIS_RESOLVE_H
#define TIDEGATE_BROKER_REDIS_RESOLVE_H

/*
 * Redis resolve: a host's name to its addresses, without stopping the loop.
 *
 * One lookup is one short thread that calls getaddrinfo(3), so a name means here what it means everywhere on
 * this machine (docs/decisions/0005-resolve-in-a-thread.md). A lookup cannot be interrupted; who no longer
 * waits for it lets go, and the thread cleans up behind itself when it comes to its end.
 */

#include <stdint.h>

struct addrinfo;
struct event_base;
struct redis_resolve;

/* error 0: list is the caller's, for freeaddrinfo(3). Otherwise an error for gai_strerror(3), and NULL. */
typedef void (*redis_resolved_fn)(void *arg, int error, struct addrinfo *list);

/* Calls fn exactly once, later on the loop, unless freed before; fn may free it. 0 or negative errno. */
int redis_resolve_new(struct event_base *base, const char *host, uint16_t port, redis_resolved_fn fn,
	void *arg, struct redis_resolve **resolvep);

void redis_resolve_free(struct redis_resolve *resolve); /* accepts NULL */

#endif
