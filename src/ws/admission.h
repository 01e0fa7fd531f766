#ifndef TIDEGATE_WS_ADMISSION_H
#define TIDEGATE_WS_ADMISSION_H

/*
 * Admission: waits for what a proxy says of the client that it brings, before libwebsockets gets the
 * connection.
 *
 * The header is taken out of the socket as it comes, and not a byte of what follows it: half of one that was
 * only peeked at would wake the loop for ever, and what follows, TLS or HTTP, is for lws to read.
 */

#include <stddef.h>

struct admission;
struct arrival;
struct event_base;

enum {
	ADMISSION_SECONDS = 5, /* for the whole header */
};

enum admission_outcome {
	ADMISSION_BAD = 1, /* it is no header */
	ADMISSION_LATE,    /* it did not come in time */
	ADMISSION_GONE,    /* the peer has hung up; load balancers look so whether a port is open */
};

/*
 * 0: arrival->peer is the client, and arrival->named, if the header says who it is. An outcome; or negative
 * errno. The descriptor is the callee's.
 */
typedef void (*admission_fn)(void *arg, int fd, struct arrival *arrival, int outcome);

/* done: is told of each connection. NULL when out of memory. */
struct admission *admission_new(struct event_base *base, admission_fn done, void *arg);

/* Closes what still waits. Accepts NULL. */
void admission_free(struct admission *admission);

/* Takes over the descriptor. done() may be called before this returns. The arrival is copied. */
void admission_begin(struct admission *admission, int fd, const struct arrival *arrival);

/* How many wait. */
size_t admission_size(const struct admission *admission);

#endif
