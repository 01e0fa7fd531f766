#ifndef TIDEGATE_BENCH_LIMIT_RING_H
#define TIDEGATE_BENCH_LIMIT_RING_H

/*
 * Limit ring: the sends of the limit server through io_uring, many in one system call.
 *
 * It collects sends; limit_ring_run() makes all of them and leaves its result at each. No send outlives the
 * call. In one run a socket may be sent to once.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct limit_ring;

enum {
	LIMIT_RING_ENTRIES = 1024, /* as many as the gateway sends in one call */
};

struct limit_send {
	void *arg; /* the caller's */
	const char *data;
	size_t len;
	ssize_t result; /* as of send(2), or negative errno */
};

/* 0; -ENOSYS where io_uring is not built in; negative errno where the kernel has it not. */
int limit_ring_new(struct limit_ring **ringp);
void limit_ring_free(struct limit_ring *ring); /* accepts NULL */

/* There is room: LIMIT_RING_ENTRIES after each run. */
void limit_ring_add(struct limit_ring *ring, int fd, const struct limit_send *send);

uint32_t limit_ring_n(const struct limit_ring *ring);

/* Makes the sends, at most LIMIT_RING_ENTRIES, and forgets them: *sendsp is good until the next is added. How
 * many, or negative errno. */
ssize_t limit_ring_run(struct limit_ring *ring, const struct limit_send **sendsp);

#endif
