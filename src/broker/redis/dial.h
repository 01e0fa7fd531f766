#ifndef TIDEGATE_BROKER_REDIS_DIAL_H
#define TIDEGATE_BROKER_REDIS_DIAL_H

/*
 * Redis dial: from a URL to a connected socket.
 *
 * A number or a socket's path is used as it is, a name is resolved first. All addresses of the name are tried
 * in turn, each for a bounded time: "localhost" is often ::1 first, where nobody listens. One dial is one
 * attempt; whether and when to dial again is the caller's decision.
 */

#include <stdint.h>

struct event_base;
struct redis_dial;
struct redis_url;

/* fd >= 0: connected, non-blocking, the caller's from now on. -1: reason is one sentence, borrowed for the
 * call. */
typedef void (*redis_dialled_fn)(void *arg, int fd, const char *reason);

/*
 * Calls fn exactly once, later on the loop, unless freed before; fn may free it. The URL is borrowed until
 * then. timeout_ms is for each address. 0 or negative errno.
 */
int redis_dial_new(struct event_base *base, const struct redis_url *url, uint32_t timeout_ms,
	redis_dialled_fn fn, void *arg, struct redis_dial **dialp);

void redis_dial_free(struct redis_dial *dial); /* accepts NULL; closes what is not handed over */

#endif
