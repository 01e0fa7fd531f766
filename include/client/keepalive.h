#ifndef TIDEGATE_CLIENT_KEEPALIVE_H
#define TIDEGATE_CLIENT_KEEPALIVE_H

/*
 * Keepalive: knows which peers to ping, which owe a pong, and which are overdue with it.
 *
 * All clients of a worker share one interval, so each of the queues is in order of its deadlines by
 * construction: nothing is sorted, and a turn looks only at what is due. (libwebsockets' own timers are one
 * sorted list with linear insertion: 16,000 idle connections cost it 10 s to open.)
 *
 * Time is handed in, in milliseconds of a clock that never jumps.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/list.h"

struct keepalive {
	struct list quiet;    /* in order of due_ms: to be pinged */
	struct list expected; /* in order of due_ms: a pong is owed */
	uint64_t interval_ms;
	uint64_t timeout_ms;
};

/* Embedded in the client. Zeroed: it takes no part. */
struct keepalive_link {
	struct list link;
	uint64_t due_ms : 63;
	bool owes_pong : 1;
	/* The caller's, modulo 2^32: how many bytes the peer had acknowledged when that was last looked at,
	 * and how many it has acknowledged once it has all that was sent before the ping. */
	uint32_t n_acked;
	uint32_t n_before_ping;
};

void keepalive_init(struct keepalive *keepalive, uint64_t interval_ms, uint64_t timeout_ms);

/*
 * Changes both times. Pings that are due by the new interval come at once; a peer that owes a pong has all of
 * the new time for it, so that the change closes no connection.
 */
void keepalive_set(struct keepalive *keepalive, uint64_t interval_ms, uint64_t timeout_ms, uint64_t now_ms);

/* The link takes part from now on; its first ping is due after one interval. */
void keepalive_add(struct keepalive *keepalive, struct keepalive_link *link, uint64_t now_ms);

/* The link takes no part any more. Harmless if it took no part before. */
void keepalive_remove(struct keepalive_link *link);

/*
 * Something came from the peer, a pong or anything else, so it no longer owes a pong. Its next ping does not
 * move: pings come every interval, whatever else the peer sends. Harmless if the link takes no part.
 */
void keepalive_heard(struct keepalive *keepalive, struct keepalive_link *link, uint64_t now_ms);

/* Returns the next link that is due for a ping and notes that it owes a pong; NULL if no ping is due. */
struct keepalive_link *keepalive_next_ping(struct keepalive *keepalive, uint64_t now_ms);

/* Takes out the next link whose pong is overdue; NULL if there is none. */
struct keepalive_link *keepalive_next_dead(struct keepalive *keepalive, uint64_t now_ms);

/* The link owes a pong, and has the whole timeout for it from now on. */
void keepalive_expect(struct keepalive *keepalive, struct keepalive_link *link, uint64_t now_ms);

#endif
