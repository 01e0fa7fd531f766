#ifndef TIDEGATE_CHANNEL_LOG_CHANNEL_LOG_H
#define TIDEGATE_CHANNEL_LOG_CHANNEL_LOG_H

/*
 * Channel log: one channel's history as this node sees it, kept so that no loss goes unnoticed.
 *
 *      events, read answers,          ┌─────────────┐   entries for the live subscribers, in order
 *      acknowledgement, link lost,  → │ channel_log │ → range reads to send
 *      tail, joins, ticks             └─────────────┘   resync: what could not be repaired; answers to joins
 *
 *      IDLE → SUBSCRIBING → CATCHUP → LIVE → (gap or doubt) CATCHUP
 *                  ↑                    │
 *                  └────── STALE ←──────┘ link lost
 *
 * It is pure: no sockets, no clock, no Redis. It promises that every subscriber gets each
 * entry behind the place where it joined, in order and once, or is told by a resync that
 * entries are missing (docs/recovery-protocol.md R1 to R9). It refuses to grow: ring, buffer
 * and reads are bounded by the options.
 *
 * Bodies are opaque to the log. A body that is handed in belongs to the log, which gives it back through
 * release(); a body that is handed out is borrowed for the length of the call. An entry without a body (a
 * payload that cannot be sent to clients) counts in the chain and is not delivered.
 *
 * The listener is called from inside the functions below and must not call the log back, except for the
 * questions at the end. Everything happens on one thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channel_log/envelope.h"
#include "channel_log/position.h"
#include "core/fault_off.h"
#include "core/list.h"

struct channel_log;
struct ring;

enum channel_log_state {
	CHANNEL_LOG_IDLE,        /* the channel was not asked for */
	CHANNEL_LOG_SUBSCRIBING, /* asked for, but not acknowledged yet */
	CHANNEL_LOG_CATCHUP,     /* a range read is under way, or waits for the next tick */
	CHANNEL_LOG_LIVE,        /* every entry up to the position is known */
	CHANNEL_LOG_STALE,       /* the link is lost */
};

/* Why the log went to CATCHUP; for metrics and the log file. */
enum channel_log_cause {
	CHANNEL_LOG_CAUSE_NONE,     /* it went to another state */
	CHANNEL_LOG_CAUSE_LINK,     /* a subscription was acknowledged */
	CHANNEL_LOG_CAUSE_GAP,      /* an event came whose predecessors are missing */
	CHANNEL_LOG_CAUSE_FORK,     /* the next event has another predecessor */
	CHANNEL_LOG_CAUSE_OLD,      /* an old event that is not in the ring */
	CHANNEL_LOG_CAUSE_EPOCH,    /* an event of another epoch */
	CHANNEL_LOG_CAUSE_TAIL,     /* the tail check found another top */
	CHANNEL_LOG_CAUSE_JOIN,     /* a client named a position that we do not know */
	CHANNEL_LOG_CAUSE_OVERFLOW, /* more events came during a read than the buffer keeps */
};

enum channel_log_reason {
	CHANNEL_LOG_RECOVERED, /* no entry is missing */
	CHANNEL_LOG_TRIMMED,   /* the position is older than the entries that are kept */
	CHANNEL_LOG_EPOCH,     /* the log was replaced */
	CHANNEL_LOG_FORK,      /* the entry at the position was retracted */
	CHANNEL_LOG_LIMIT,     /* more than recover_entries or recover_bytes */
	CHANNEL_LOG_FORMAT,    /* not a position */
};

struct channel_log_entry {
	uint64_t offset; /* 0: a plain event, in no log */
	uint64_t tag;
	void *body;
	size_t bytes; /* the memory that the body costs */
};

/* The answer to a range read. */
struct channel_log_read {
	struct position top; /* of the log; offset and tag are 0 when it is empty */
	/* Ascending, from the offset that was asked for. Takes the bodies; the array is borrowed. */
	struct channel_log_entry *entries;
	uint32_t n_entries;
};

/* To all subscribers of the channel: you now stand at this position. */
struct channel_log_resync {
	enum channel_log_reason reason;
	/* no new entry is missing, but some entries that were heard are no longer in the log */
	bool continuous;
	uint64_t retracted; /* so many of it, when continuous */
	struct position position;
};

/* To a client that joins: within the same call it becomes a subscriber of the channel. */
struct channel_log_answer {
	enum channel_log_reason reason;
	/* Where the client stands. Then follow the entries below, and after them
	 * all that deliver() delivers. */
	struct position position;
	uint32_t n_entries;
	bool from_log; /* the log had to be read for this answer; false if the ring had all entries */
	const struct ring *ring; /* private; see channel_log_answer_entry() */
};

/* One client that joins; embedded in the caller's struct. */
struct channel_log_join {
	struct list link; /* in the list of waiting joins */
	struct since since;
	uint64_t asked; /* private: reads that were sent before the client asked prove nothing to it */
	bool unserved;  /* private: the read that it waited for was not enough */
	bool from_log;  /* private: the ring did not have its entries when it asked */
};

struct channel_log_listener {
	/* For all subscribers of the channel. */
	void (*deliver)(void *arg, const struct channel_log_entry *entry);
	void (*resync)(void *arg, const struct channel_log_resync *resync);

	/* Reads the log: `count` entries (0: only the top) from this offset on, inclusive. The answer is
	 * handed in later, with the id. Only the newest id counts: every call makes the reads before it void.
	 * 0, or negative errno when the read cannot be sent now; then the log asks again at a tick. */
	int (*read)(void *arg, uint64_t id, uint64_t from, uint32_t count);

	/* The join is over and belongs to the caller again. */
	void (*answered)(void *arg, struct channel_log_join *join, const struct channel_log_answer *answer);
	void (*state)(void *arg, enum channel_log_state state, enum channel_log_cause cause);
	void (*release)(void *arg, void *body);
	/* Does anybody wait for it still? Else nothing is read for it, and it is answered with nothing when
	   it is looked at next. NULL: somebody does. */
	bool (*wanted)(void *arg, const struct channel_log_join *join);
};

struct channel_log_options {
	uint32_t ring_entries;    /* 256: kept in the ring for clients that come back */
	size_t ring_bytes;        /* 256 KiB */
	uint32_t live_entries;    /* 1,024: kept while a read is under way */
	size_t live_bytes;        /* 1 MiB */
	uint32_t recover_entries; /* 1,000: replayed to one client at most; also the size of one read */
	size_t recover_bytes;     /* 1 MiB */
	uint32_t widened_ms; /* 30 s: how long the ring keeps the entries that a read for joins brought */
#ifdef TIDEGATE_FAULT_CONTROLS
	struct fault_off fault_off;
#endif
};

extern const struct channel_log_options channel_log_defaults;

/* Borrows options and listener until channel_log_free(). NULL when out of memory. */
struct channel_log *channel_log_new(
	const struct channel_log_options *options, const struct channel_log_listener *listener, void *arg);

/* No join may be waiting any more. Accepts NULL. */
void channel_log_free(struct channel_log *log);

/* The subscription was asked for, for the first time or again. */
void channel_log_subscribe(struct channel_log *log);

/*
 * The subscription is acknowledged: every event from now on will come (R1). Starts a catch-up in any state,
 * because an unexpected acknowledgement may stand for a loss that went unnoticed.
 */
void channel_log_subscribed(struct channel_log *log);

/* The link is lost: events may be missing from now on. A read that is under way
 * becomes void. Subscribers stay. */
void channel_log_lost(struct channel_log *log);

/* An entry came over pub/sub. Takes the body, and does not look at the envelope's payload. */
void channel_log_event(struct channel_log *log, const struct envelope *envelope, void *body, size_t bytes);

/*
 * A plain payload came on the channel. It is delivered with offset 0, in its place among the entries, so it
 * may have to wait for a read. Takes the body.
 */
void channel_log_plain(struct channel_log *log, void *body, size_t bytes);

/* The answer to a read. Takes the bodies. A void id does no harm. */
void channel_log_answered(struct channel_log *log, uint64_t id, const struct channel_log_read *read);

/* The read failed: the log asks again at the next tick. Plain events that waited for it are delivered. */
void channel_log_failed(struct channel_log *log, uint64_t id);

/*
 * Checks this channel's tail by a read with count 0 (R9), because the last entry may be lost with no
 * successor to show it. While another read is under way nothing is sent, since its answer tells the same.
 */
void channel_log_check(struct channel_log *log);

/*
 * A client wants to hear the channel from join->since on, which the caller has set. The join is answered
 * once, now or later, while the log is LIVE; until then it may be cancelled.
 */
void channel_log_join(struct channel_log *log, struct channel_log_join *join);
void channel_log_cancel(struct channel_log_join *join); /* harmless if the join does not wait */

/*
 * To be called about twice a second while channel_log_needs_tick(). Sends failed reads again, and does the
 * work that was put off. now_ms: monotonic.
 */
void channel_log_tick(struct channel_log *log, uint64_t now_ms);
bool channel_log_needs_tick(const struct channel_log *log);

/* Forgets all entries and keeps the position and some tags, because others need the memory. The next client
 * that wants entries causes a read; a fork is found as before. False if it cannot be done now, because the
 * entries are being compared with the log. */
bool channel_log_shrink(struct channel_log *log);

/* The i-th entry after the answer's position, the oldest first. May only be called from inside answered(). */
const struct channel_log_entry *channel_log_answer_entry(const struct channel_log_answer *answer, uint32_t i);

enum channel_log_state channel_log_state(const struct channel_log *log);

/* The position of the log; NULL before the first read. Borrowed until the next call. */
const struct position *channel_log_position(const struct channel_log *log);

/* The i-th entry of the ring, the newest first; NULL behind the last. Borrowed until the next call. */
const struct channel_log_entry *channel_log_recent(const struct channel_log *log, uint32_t i);

/* The number of entries in the ring, and their bytes. */
uint32_t channel_log_n_entries(const struct channel_log *log);
size_t channel_log_bytes(const struct channel_log *log);

const char *channel_log_state_name(enum channel_log_state state);
const char *channel_log_cause_name(enum channel_log_cause cause);
const char *channel_log_reason_name(enum channel_log_reason reason); /* as clients see it */

#endif
