#ifndef TIDEGATE_CHANNEL_LOG_PRIVATE_H
#define TIDEGATE_CHANNEL_LOG_PRIVATE_H

/*
 * Shared by the three parts of the machine: channel_log.c (events, states, ticks), catch_up.c (range reads,
 * and what they tell about our position) and joins.c (clients that want to hear the channel).
 */

#include "channel_log/channel_log.h"
#include "channel_log/live_buffer.h"
#include "channel_log/ring.h"
#include "channel_log/trail.h"

enum read_kind {
	READ_CATCH_UP, /* from our position */
	READ_BACK,     /* over the whole ring, to find where we and the log part */
	READ_JOINS,    /* entries older than the ring, for waiting joins; while LIVE */
	READ_TAIL,     /* only the top; while LIVE */
};

struct channel_log {
	const struct channel_log_options *options;
	const struct channel_log_listener *listener;
	void *arg;
	enum channel_log_state state;
	bool positioned;    /* `at` means something */
	struct position at; /* always the newest of the ring, or its floor */
	struct ring ring;
	struct trail trail; /* without a gap below the ring; mostly empty */

	uint64_t n_reads; /* the id of the newest */
	struct {
		uint64_t id; /* 0: no read is under way */
		enum read_kind kind;
		uint64_t from;
		uint64_t stood_at; /* our offset when it was sent: the log had at least this offset then */
	} read;
	uint64_t proven;       /* the read that last found our position in the log */
	struct position began; /* our position when this catch-up began */
	struct live_buffer buffer;
	bool overflowed;     /* the buffer was given up: read once more */
	uint8_t n_fruitless; /* catch-ups since the last tick that found nothing new */

	struct position suspect; /* a top that we have not reached yet; offset 0 if there is none */
	uint8_t suspect_ticks;

	struct list joins;         /* the waiting joins, in order of arrival */
	bool doubted;              /* for the sake of a join, since the last tick */
	bool widened;              /* the ring may keep the entries that were read for joins */
	uint64_t widened_until_ms; /* 0: counts from the next tick */
	uint64_t kept_from;        /* while widened: the log has nothing older than this; 0: unknown */
};

/* The state changes here and nowhere else. */
void channel_log_enter(struct channel_log *log, enum channel_log_state state, enum channel_log_cause cause);

void channel_log_release(struct channel_log *log, void *body);

/* Sends one more read, whose answer is from now on the only one that counts. */
void channel_log_send(struct channel_log *log, enum read_kind kind, uint64_t from, uint64_t count);

/* The number of entries that one read asks for, the anchor included: fewer if entries are large. */
uint32_t channel_log_page(const struct channel_log *log);

/* The entry after our position: delivered, and remembered. Takes the body. */
void channel_log_accept(struct channel_log *log, const struct channel_log_entry *entry);

/* R3. Takes the body. May leave LIVE. */
void channel_log_examine(struct channel_log *log, const struct live_event *event);

/* Forgets entries until the ring is within its bounds. */
void channel_log_fit(struct channel_log *log);

/* Forgets all entries; the position stays. */
void channel_log_forget(struct channel_log *log);

/* Whether the log had exactly this entry, for all that we remember. */
bool channel_log_remembers(const struct channel_log *log, uint64_t offset, uint64_t tag);

/*
 * Compares our position with the top that a read found which was sent while LIVE. Pushes and answers come on
 * two connections, so either may be ahead. May leave LIVE.
 */
void channel_log_compare_top(struct channel_log *log, const struct position *top);

/* Gives the buffer up. Plain events in it are delivered: nothing would bring them back. */
void channel_log_drop_buffer(struct channel_log *log);

/* Puts the entries of the read that are right below the ring into it, newest first. False: not all of them
 * fit. */
bool channel_log_widen(struct channel_log *log, struct channel_log_read *read);

/* CATCHUP, and a read; or the read at the next tick, when too many found nothing. */
void catch_up_start(struct channel_log *log, enum channel_log_cause cause);
void catch_up_send(struct channel_log *log);
void catch_up_answered(struct channel_log *log, struct channel_log_read *read);

/* While LIVE: answers each join that can be answered, and sends the read that the others need. */
void joins_serve(struct channel_log *log);
/* After a read that was sent while LIVE. */
void joins_answered(struct channel_log *log, struct channel_log_read *read);

/* The lowest offset that a waiting join wants to read from; false if no join needs a read. */
bool joins_lowest(const struct channel_log *log, uint64_t *offsetp);

#endif
