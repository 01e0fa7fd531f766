#ifndef TIDEGATE_BENCH_LIMIT_H
#define TIDEGATE_BENCH_LIMIT_H

/*
 * Limit: a server that does nothing but accept connections and send, in a process of its own.
 *
 * What it costs is what the kernel asks for, so no gateway can cost less with the same system calls. It
 * keeps what everybody must keep: nobody's bytes are lost or out of order when a socket is full, and a client
 * that does not read is cut off at a bound.
 *
 * A client's channel is the number that its path ends with. Events come over a socket, each as a struct
 * limit_order and a finished frame.
 */

#include <stdint.h>
#include <sys/types.h>

struct plan;

struct limit_order {
	uint32_t channel;
	uint32_t len; /* of the frame behind it */
};

struct limit {
	pid_t pid;
	int fd;        /* for the orders */
	uint16_t port; /* on 127.0.0.1 */
};

/* Forks it. To be called before there are threads. 0 or negative errno. */
int limit_start(const struct plan *plan, struct limit *limit);

/* Ends the process and waits for it. The descriptor is not closed: a publisher has taken it over. */
void limit_stop(struct limit *limit);

#endif
