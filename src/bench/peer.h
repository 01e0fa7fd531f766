#ifndef TIDEGATE_BENCH_PEER_H
#define TIDEGATE_BENCH_PEER_H

/* Peer: what the files of a crowd know of one connection and of each other. Private to crowd*.c. */

#include "bench/crowd.h"
#include "bench/histogram.h"
#include "bench/plan.h"
#include "bench/sequence.h"
#include "ws_client/wire.h"

struct inflater;
struct window_share;

enum {
	/*
	 * All connections of a thread receive into this: the frames of a full window for one client, and
	 * small enough to stay in the cache between the kernel's copy and our look at it.
	 */
	CROWD_IN_MIN = 128 * 1024,
	TROUBLE_MAX = 160,
	POSITION_SIZE = 64, /* of the text of a position, and its NUL */
	PEER_PATH_SIZE = PLAN_NAME_MAX + POSITION_SIZE + 8,
};

enum peer_state {
	PEER_NEW,
	PEER_CONNECTING, /* its request is still to be sent, behind a handshake of TLS if there is one */
	PEER_ASKED,      /* waiting for the 101 */
	PEER_OPEN,
	PEER_GONE,
};

struct peer {
	struct wire wire;
	uint32_t channel;
	struct sequence sequence;
	unsigned char *rest; /* the start of a frame that has not come whole; NULL if none */
	uint32_t rest_len;
	uint8_t state;
	bool slow;
	bool listens; /* to an event stream, where it says nothing */
	bool primed;
};

/* What a client comes back with that was cut off in a storm. */
struct peer_memory {
	uint64_t back_us;             /* when it was last let in; 0: it never was */
	char position[POSITION_SIZE]; /* of the last event that it has dealt with; "" before the first */
};

struct crowd {
	struct crowd_shared *shared;
	struct crowd_counts counts;
	struct histogram latency;
	struct histogram storm_latency;
	struct histogram storm_read;
	struct inflater *inflater; /* NULL unless deflate is offered */
	struct window_share *window_shares;
	_Atomic uint32_t *shares; /* per channel: readers that are open */
	struct peer *peers;
	struct peer_memory *memories; /* of the same number; NULL without a storm */
	uint32_t index;
	uint32_t n_peers;
	uint32_t n_started;
	uint32_t n_opening;
	uint32_t n_cut;    /* in the storm: looked at, and cut off if they were open */
	uint32_t n_away;   /* that were cut off and are not on their way back */
	uint64_t round_us; /* when those that are away were last taken up */
	int epoll_fd;
	bool slow_awake;
	bool was_cut;   /* the storm has begun */
	bool got_whole; /* something that the publisher waits for, in this turn */
	uint64_t now_us;
	uint64_t came_us;        /* when what was read last came to the socket; 0: unknown */
	uint64_t from_us, to_us; /* copies for one read */
	unsigned char *in;
	size_t in_size;
	uint64_t missing; /* when it has ended */
	char trouble[TROUBLE_MAX];
};

static inline void crowd_count(_Atomic uint64_t *count, uint64_t n)
{
	atomic_store_explicit(
		count, atomic_load_explicit(count, memory_order_relaxed) + n, memory_order_relaxed);
}

/* Keeps the first. */
void crowd_note(struct crowd *crowd, const char *sentence, const char *detail);

/* Starts handshakes as long as there are connections left and not too many under way. */
void crowd_open_some(struct crowd *crowd);

/* The socket can be written: the request goes out, if that is what it waits for. */
void peer_ask(struct crowd *crowd, struct peer *peer);

/*
 * Takes the server's answer from the front of these bytes. How many it was; 0 if it is not all there,
 * negative if the server refused.
 */
long peer_answered(struct crowd *crowd, struct peer *peer, const unsigned char *data, size_t len);

/* Slow peers read from here on, and throw away what they read. */
void crowd_wake_slow(struct crowd *crowd);

/* The storm begins, or goes on beginning: cuts some off. True: there are more, and nobody comes back yet. */
bool crowd_cut_off(struct crowd *crowd);

/* Those that are away may be opened again, if it is time. */
void crowd_start_round(struct crowd *crowd);

/* It has ended. True: it comes back. */
bool peer_comes_back(struct crowd *crowd, struct peer *peer);

/* It is on its way, perhaps back. */
void peer_comes(struct crowd *crowd, const struct peer *peer);

/* It was let in. True: again. */
bool peer_is_back(struct crowd *crowd, struct peer *peer);

/* Adds its position to the path that it asks for; without a storm nothing. */
void peer_add_since(const struct crowd *crowd, const struct peer *peer, char path[PEER_PATH_SIZE]);

/* Keeps the position that stands in this event; without a storm nothing. */
void peer_remember(struct crowd *crowd, struct peer *peer, const char *text, size_t len);

/* Takes what the server says that is no event: whether all was recovered. */
void peer_told(struct crowd *crowd, struct peer *peer, const char *text, size_t len);

/* Counts an event that was due then, if there is a storm. */
void peer_note_storm(struct crowd *crowd, struct peer *peer, uint64_t at_us);

/* Closes the socket and settles what the connection still owes to the counts. */
void peer_end(struct crowd *crowd, struct peer *peer);

/* Takes one frame. 0, or negative: the connection is to end. */
struct server_frame;
int peer_frame(struct crowd *crowd, struct peer *peer, const struct server_frame *frame);

#endif
