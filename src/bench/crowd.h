#ifndef TIDEGATE_BENCH_CROWD_H
#define TIDEGATE_BENCH_CROWD_H

/*
 * Crowd: the connections of one thread, from their handshake to what they have received.
 *
 * One epoll, one large buffer that all of them receive into, frames parsed where they lie. A connection that
 * is idle costs 64 bytes here, and what TLS takes. Connections that never read ("slow") are opened like the
 * others and then left alone until wake_slow: only who reads to the end of a full socket finds out that the
 * server has closed it.
 *
 * crowd_turn() belongs to one thread, or to one process that was forked for it. Others may read the counts at
 * any time, and what was received (crowd_missing(), crowd_latency()) after crowd_end().
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct action_load;
struct event;
struct histogram;
struct plan;
struct window;
struct wire_tls;

/* Written by the crowd's thread only. */
struct crowd_counts {
	_Atomic uint64_t opened;
	_Atomic uint64_t failed;      /* connections that did not open */
	_Atomic uint64_t closed;      /* readers that were open and are not any more */
	_Atomic uint64_t slow_closed; /* of those that never read, cut by the server */
	_Atomic uint64_t deflated;    /* connections with permessage-deflate */
	_Atomic uint64_t primed;      /* readers that have seen an event that asks for it */
	_Atomic uint64_t delivered;   /* events, each counted once */
	_Atomic uint64_t bytes;       /* of all frames and handshakes */
	_Atomic uint64_t reads;       /* that brought something */
	_Atomic uint64_t doubled;
	_Atomic uint64_t reordered;
	_Atomic uint64_t misdelivered; /* events of a channel that was not asked for */
	_Atomic uint64_t foreign;      /* text frames that are not of this run */
	_Atomic uint64_t cut;          /* readers that were cut off and are to come back */
	_Atomic uint64_t put_off;      /* attempts of theirs that failed; they come again */
	_Atomic uint64_t recovered;    /* were told that they have missed nothing */
	_Atomic uint64_t unrecovered;  /* were told that they have, or that there is no history */
	_Atomic uint64_t replayed;     /* of `delivered`: were due while the client was away */
};

/* What all crowds share, in memory that their processes share. Times are clock_monotonic_us(). */
struct crowd_shared {
	const struct plan *plan;
	const struct wire_tls *tls;     /* NULL: plain */
	const struct event *event;      /* only its mark is read, which does not change */
	struct window *window;          /* NULL at a fixed rate */
	struct action_load *actions;    /* NULL: events are what is measured */
	_Atomic uint64_t published;     /* events that are or were under way */
	_Atomic uint64_t from_us;       /* the latency of events due from here … */
	_Atomic uint64_t to_us;         /* … to here is recorded */
	_Atomic uint64_t storm_from_us; /* when all readers are to be cut off … */
	_Atomic uint64_t storm_to_us;   /* … and when all are back */
	atomic_bool wake_slow; /* those that never read read at last, to see whether they were cut off */
	int wake_fd;           /* an eventfd: a crowd has got something whole */
};

struct crowd;

/* The crowd `index` of plan->n_crowds; its connections are every n_crowds-th. 0 or negative errno. */
int crowd_new(struct crowd_shared *shared, uint32_t index, struct crowd **crowdp);

/* Says goodbye (close 1000) to what is open. Accepts NULL. */
void crowd_free(struct crowd *crowd);

/* Wakes crowd_turn() when the descriptor has something to read (or room again); bit says who it was. */
int crowd_watch(struct crowd *crowd, int fd, unsigned int bit);

/*
 * Opens what may be opened, waits at most timeout_ms for something to happen and takes it in. Returns the
 * bits of watched descriptors, or negative errno.
 */
int crowd_turn(struct crowd *crowd, int timeout_ms);

const struct crowd_counts *crowd_counts(const struct crowd *crowd);

/* Sends a text on the connection, which breaks where the socket has no room for it. */
void crowd_say(struct crowd *crowd, uint32_t connection, const char *text, size_t len);

/* Connections that read and are open, of this channel. */
uint32_t crowd_share(const struct crowd *crowd, uint32_t channel);

/* It turns no more: notes what its readers never got of all that was published. */
void crowd_end(struct crowd *crowd);
uint64_t crowd_missing(const struct crowd *crowd);

const struct histogram *crowd_latency(const struct crowd *crowd);

/* Of the events that were due in the storm, at clients that were back: until they were at the socket; until
 * they were read. */
const struct histogram *crowd_storm_latency(const struct crowd *crowd);
const struct histogram *crowd_storm_read(const struct crowd *crowd);

/* Why the first connection failed or was closed by the server; empty if none was. */
const char *crowd_trouble(const struct crowd *crowd);

#endif
