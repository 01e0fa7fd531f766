#ifndef TIDEGATE_MAIL_JOIN_H
#define TIDEGATE_MAIL_JOIN_H

/*
 * Join: one client's wish to hear a channel from its position on, and the answer.
 *
 * A worker makes it, hands it to the bus, and gets it back exactly once, in its place among the
 * events: events that the worker was handed before it belong before the answer, and later events
 * follow the entries in it.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "channel_log/channel_log.h"
#include "core/list.h"
#include "core/slice.h"
#include "mail/bus_mail.h"

struct history;
struct message;

/* What an answer takes of the window of replays. Its worker sends it back when the answer is queued. */
struct credit {
	struct bus_mail mail; /* in the bus' inbox */
	size_t bytes;         /* of frames */
};

struct join {
	struct bus_mail mail; /* in the bus' inbox */
	struct credit credit; /* counted by the bus; a part of the join, which is freed when it is back */
	void *carrier;        /* the worker's mail for the way back, made in advance; freed with the join */

	/* What is asked. */
	unsigned int worker;
	uint64_t hash; /* map_hash() of the channel */
	struct since since;
	struct position *others; /* of since */
	/* its worker asks again after it was given back; every join is given back HISTORY_JOIN_MS after its
	 * turn in replays */
	bool patient;
	atomic_bool abandoned; /* set by its worker at any time: no client waits for it any more */
	void *owner;           /* belongs to the worker, from malloc(3); freed with the join */

	/* The bus' own, while the bus has the join. */
	struct history *history;
	struct channel_log_join waiting;
	struct list due;
	uint64_t deadline_ms;

	/* The answer. */
	/* 0; -EAGAIN: not now; -ETIMEDOUT: the same for a patient join; -ENOMEM; -ENOENT: the
	 * channel keeps no history */
	int r;
	enum channel_log_reason reason;
	bool from_log;
	uint16_t era;                /* the history of the channel that answered; never 0 if r is 0 */
	char pos[POSITION_TEXT_MAX]; /* before the events */
	char end[POSITION_TEXT_MAX]; /* behind them */
	uint32_t n_events;
	struct message **events; /* a reference each; oldest first */

	size_t channel_len;
	char channel[];
};

/* NULL when out of memory. */
struct join *join_new(unsigned int worker, struct slice channel, const struct since *since);

/* The answer has been used: its credit, to be sent to the bus, which then frees the join. NULL if the answer
 * took nothing: then the join is freed. */
struct credit *join_spend(struct join *join);
void credit_free(struct credit *credit); /* and with it the join */

/* Frees the join with its remaining references, its carrier and its owner. Accepts NULL. */
void join_free(struct join *join);

/* Has its worker abandoned it? */
static inline bool join_is_abandoned(const struct join *join)
{
	return atomic_load_explicit(&join->abandoned, memory_order_relaxed);
}

static inline struct slice join_channel(const struct join *join)
{
	return (struct slice){join->channel, join->channel_len};
}

#endif
