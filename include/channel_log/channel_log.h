#ifndef TIDEGATE_CHANNEL_LOG_CHANNEL_LOG_H
#define TIDEGATE_CHANNEL_LOG_CHANNEL_LOG_H

/*
 * Channel log: one channel's history as this node sees it, and how it is never wrong in silence.
 *
 *      events, read answers,          ┌─────────────┐   entries for the live subscribers, in order
 *      acknowledgement, link lost,  → │ channel_log │ → range reads to send
 *      tail, joins, ticks             └─────────────┘   resync: what could not be repaired; answers to joins
 *
 *      IDLE → SUBSCRIBING → CATCHUP → LIVE → (gap or doubt) CATCHUP
 *                  ↑                    │
 *                  └────── STALE ←──────┘ link lost
 *
 * It is pure: no sockets, no clock, no Redis. It promises that whoever hears it has every entry of the log
 * behind where he joined, in order, once, or is told by a resync that he has not (rules R1 to R9 of
 * docs/recovery-protocol.md). It refuses to grow: ring, buffer and reads are bounded by the options.
 *
 * Bodies are opaque and counted by somebody else. A body that is handed in belongs to the log, which gives it
 * back through release(); what is handed out is borrowed for the length of the call. An entry without a body
 * (a payload that clients cannot be sent) counts in the chain and is delivered to nobody.
 *
 * The listener is called from inside the calls below and must not call the log back, except for the questions
 * at the end. All on one thread.
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
	CHANNEL_LOG_IDLE,        /* nobody asked for the channel */
	CHANNEL_LOG_SUBSCRIBING, /* asked for, not acknowledged */
	CHANNEL_LOG_CATCHUP,     /* a range read is out, or waits for the next tick */
	CHANNEL_LOG_LIVE,        /* everything up to the position is known to be there */
	CHANNEL_LOG_STALE,       /* the link is lost */
};

/* Why it went to CATCHUP; for metrics and the log. */
enum channel_log_cause {
	CHANNEL_LOG_CAUSE_NONE,     /* another state */
	CHANNEL_LOG_CAUSE_LINK,     /* a subscription was acknowledged */
	CHANNEL_LOG_CAUSE_GAP,      /* an event came too early */
	CHANNEL_LOG_CAUSE_FORK,     /* the next event has another predecessor */
	CHANNEL_LOG_CAUSE_OLD,      /* an old event that nobody remembers */
	CHANNEL_LOG_CAUSE_EPOCH,    /* an event of another epoch */
	CHANNEL_LOG_CAUSE_TAIL,     /* the tail check found something else */
	CHANNEL_LOG_CAUSE_JOIN,     /* a client knows a position that we do not */
	CHANNEL_LOG_CAUSE_OVERFLOW, /* more came during a read than was kept */
};

enum channel_log_reason {
	CHANNEL_LOG_RECOVERED, /* nothing is missing */
	CHANNEL_LOG_TRIMMED,   /* older than what is kept */
	CHANNEL_LOG_EPOCH,     /* the log was replaced */
	CHANNEL_LOG_FORK,      /* that entry was retracted */
	CHANNEL_LOG_LIMIT,     /* more than recover_entries or recover_bytes */
	CHANNEL_LOG_FORMAT,    /* not a position */
};

struct channel_log_entry {
	uint64_t offset; /* 0: a plain event, in no log */
	uint64_t tag;
	void *body;
	size_t bytes; /* what the body costs */
};

/* What a range read brought. */
struct channel_log_read {
	struct position top; /* of the log; 0-0 when it is empty */
	struct channel_log_entry
		*entries; /* from the offset asked for, ascending; borrowed, their bodies given
			   */
	uint32_t n_entries;
};

/* To everybody who hears the channel: you now stand at this position. */
struct channel_log_resync {
	enum channel_log_reason reason;
	bool continuous;    /* nothing new is missing: some of what was heard is no longer true */
	uint64_t retracted; /* so many of it, when continuous */
	struct position position;
};

/* To one who joins: in the same call he becomes one who hears the channel. */
struct channel_log_answer {
	enum channel_log_reason reason;
	/* Where he stands. What follows it: first the entries below, then what is delivered. */
	struct position position;
	uint32_t n_entries;
	bool from_log;           /* the log had to be read for it; false: all was remembered */
	const struct ring *ring; /* private; see channel_log_answer_entry() */
};

/* Embedded in whoever joins. */
struct channel_log_join {
	struct list link; /* among those who wait */
	struct since since;
	uint64_t asked; /* private: what was read before he asked proves nothing to him */
	bool unserved;  /* private: the read that he waited for was not enough */
	bool from_log;  /* private: what he wants was not remembered when he asked */
};

struct channel_log_listener {
	/* For all who hear the channel. */
	void (*deliver)(void *arg, const struct channel_log_entry *entry);
	void (*resync)(void *arg, const struct channel_log_resync *resync);

	/* Read the log from this offset, inclusive, so many entries (0: only the top), and hand the answer in
	   with the id, later. Only the newest id counts: every call makes the reads before it void. 0, or
	   negative errno when it cannot be sent now: asked again at a tick. */
	int (*read)(void *arg, uint64_t id, uint64_t from, uint32_t count);

	/* The join is over and no longer the log's. */
	void (*answered)(void *arg, struct channel_log_join *join, const struct channel_log_answer *answer);
	void (*state)(void *arg, enum channel_log_state state, enum channel_log_cause cause);
	void (*release)(void *arg, void *body);
	/* Does anybody wait for it still? Else nothing is read for it, and it is answered with nothing when
	   it is looked at next. NULL: somebody does. */
	bool (*wanted)(void *arg, const struct channel_log_join *join);
};

struct channel_log_options {
	uint32_t ring_entries;    /* 256: remembered for those who come back */
	size_t ring_bytes;        /* 256 KiB */
	uint32_t live_entries;    /* 1,024: kept while a read is out */
	size_t live_bytes;        /* 1 MiB */
	uint32_t recover_entries; /* 1,000: replayed to one client; also what one read asks for */
	size_t recover_bytes;     /* 1 MiB */
	uint32_t widened_ms;      /* 30 s: how long the ring keeps what a read for joins brought */
#ifdef TIDEGATE_FAULT_CONTROLS
	struct fault_off fault_off;
#endif
};

extern const struct channel_log_options channel_log_defaults;

/* Options and listener are borrowed until channel_log_free(). NULL when out of memory. */
struct channel_log *channel_log_new(
	const struct channel_log_options *options, const struct channel_log_listener *listener, void *arg);

/* Nobody may be joining any more. Accepts NULL. */
void channel_log_free(struct channel_log *log);

/* The subscription was asked for, first or again. */
void channel_log_subscribe(struct channel_log *log);

/*
 * Every event from now on will come (R1). Starts a catch-up, whatever the state: an acknowledgement that
 * nobody expected may stand for a loss that nobody saw.
 */
void channel_log_subscribed(struct channel_log *log);

/* Events may be missing from now on. A read that is out is void. Those who hear stay. */
void channel_log_lost(struct channel_log *log);

/* An entry came over pub/sub. Takes the body. The payload of the envelope is not looked at. */
void channel_log_event(struct channel_log *log, const struct envelope *envelope, void *body, size_t bytes);

/*
 * A plain payload came on the channel: delivered with offset 0, in its place among the entries, so behind
 * what waits for a read. Takes the body.
 */
void channel_log_plain(struct channel_log *log, void *body, size_t bytes);

/* What the read brought. Takes the bodies. An id that is void is harmless. */
void channel_log_answered(struct channel_log *log, uint64_t id, const struct channel_log_read *read);

/* The read failed: asked again at the next tick. Plain events that waited for it are delivered. */
void channel_log_failed(struct channel_log *log, uint64_t id);

/*
 * R9: it is this channel's turn to have its tail checked, by a read with count 0. The last entry may be lost
 * with no successor to tell. Nothing is sent while another read is out: that one tells the same.
 */
void channel_log_check(struct channel_log *log);

/*
 * Wants to hear the channel. Answered once, now or later, only while LIVE; until then it may be cancelled.
 * join->since is set by the caller.
 */
void channel_log_join(struct channel_log *log, struct channel_log_join *join);
void channel_log_cancel(struct channel_log_join *join); /* harmless if it does not wait */

/*
 * Time passes: some twice a second while channel_log_needs_tick(). What failed is sent again, what was put
 * off is looked at. now_ms is monotonic.
 */
void channel_log_tick(struct channel_log *log, uint64_t now_ms);
bool channel_log_needs_tick(const struct channel_log *log);

/* Others need the memory: forgets all entries but where it stands. Whoever asks for them next has the log
 * read. False: not now, it is comparing them with the log. */
bool channel_log_shrink(struct channel_log *log);

/* The i-th entry after the answer's position, oldest first. Only from inside answered(). */
const struct channel_log_entry *channel_log_answer_entry(const struct channel_log_answer *answer, uint32_t i);

enum channel_log_state channel_log_state(const struct channel_log *log);

/* Where it stands; NULL before the first read. Borrowed until the next call. */
const struct position *channel_log_position(const struct channel_log *log);

/* The i-th of the entries that are remembered, the newest first; NULL behind the last. Borrowed until the
 * next call. */
const struct channel_log_entry *channel_log_recent(const struct channel_log *log, uint32_t i);

/* Entries and bytes remembered. */
uint32_t channel_log_n_entries(const struct channel_log *log);
size_t channel_log_bytes(const struct channel_log *log);

const char *channel_log_state_name(enum channel_log_state state);
const char *channel_log_cause_name(enum channel_log_cause cause);
const char *channel_log_reason_name(enum channel_log_reason reason); /* as on the wire */

#endif
