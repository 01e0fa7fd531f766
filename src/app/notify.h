#ifndef TIDEGATE_APP_NOTIFY_H
#define TIDEGATE_APP_NOTIFY_H

/*
 * Notify: tells the service manager about the gateway, in the protocol of sd_notify(3).
 *
 * It sends datagrams of lines to the socket that NOTIFY_SOCKET names: READY=1 once clients can
 * connect, RELOADING=1 and READY=1 around a reload, STOPPING=1 with the time that it may take,
 * STATUS= when it changes, and WATCHDOG=1 twice in the time that WATCHDOG_USEC allows, as long as
 * every thread is alive. Without NOTIFY_SOCKET it sends nothing. A datagram that cannot be sent is
 * lost: a gateway does not stop for it.
 */

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct event_base;
struct notify;

/* Asked now and then, on the loop. */
struct notify_source {
	void *arg;
	bool (*live)(void *arg);                      /* does every thread's loop turn? */
	void (*describe)(void *arg, struct buf *out); /* one line for people */
};

/* Variables of the environment, NULL for each that is not set. Only read inside notify_new(). */
struct notify_variables {
	const char *socket;        /* NOTIFY_SOCKET: a path, or '@' and an abstract name */
	const char *watchdog_usec; /* WATCHDOG_USEC */
	const char *watchdog_pid;  /* WATCHDOG_PID: it is meant for this process; NULL: for any */
};

/*
 * 0, also if there is no service manager: then *notifyp is NULL. -EINVAL for a name that cannot be a
 * socket's, or another negative errno.
 */
int notify_new(struct event_base *base, const struct notify_variables *variables,
	const struct notify_source *source, struct notify **notifyp);

/* All accept NULL. */
void notify_free(struct notify *notify);
void notify_ready(struct notify *notify);
void notify_reloading(struct notify *notify, uint64_t monotonic_us); /* notify_ready() says that it is over */
void notify_stopping(struct notify *notify, uint64_t at_most_us);

#endif
