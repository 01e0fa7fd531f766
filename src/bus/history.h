#ifndef TIDEGATE_BUS_HISTORY_H
#define TIDEGATE_BUS_HISTORY_H

/*
 * History: the channel log of one channel, between the broker, which reads for it, and the
 * bus, which hands out.
 *
 * It makes messages of entries, sends the log's reads, checks its tail now and then (R9), and gives joins
 * back in time. All histories of a node share a budget of reads. On the bus thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channel_log/channel_log.h"
#include "core/clock.h"
#include "core/fault_off.h"
#include "core/list.h"
#include "core/log.h"
#include "core/slice.h"
#include "protocol/message.h"

struct broker;
struct envelope;
struct history;
struct join;
struct metrics;

enum {
	HISTORY_READS_MAX =
		64, /* under way at once; the rest wait their turn (docs/recovery-protocol.md, Storms) */
	HISTORY_JOIN_MS = 5000, /* then a join is told to come again */
	HISTORIES_BYTES_MAX =
		64 << 20, /* of all channels' entries that are remembered for clients that come back */
	HISTORY_TAIL_CYCLE_MS = 8000, /* every tail is looked at within it; 10 s are promised */
};

/* The bus' part. */
struct history_listener {
	/* The log is known up to its top: clients that join from now on get every entry from now on (R8). */
	void (*live)(void *arg);
	/* A message was made of an entry, and nobody else has it yet: more can be noted in it here. */
	void (*made)(void *arg, struct message *event);
	/* For all subscribers of the channel; borrowed. */
	void (*deliver)(void *arg, struct message *event);
	void (*resync)(void *arg, const struct channel_log_resync *resync);
	/* In the place of an entry that cannot be sent: the resync that says so; borrowed. */
	void (*dropped)(void *arg, struct message *told);
	/* All entries of one answer of the broker were handed over: a good moment to pass them on. */
	void (*drained)(void *arg);
	/* The join is answered: it belongs to the listener again. */
	void (*answered)(void *arg, struct join *join);
};

/* Shared by all histories of a node. */
struct histories {
	struct broker *broker;
	struct log *log;
	struct metrics *metrics;
	struct history_listener listener;
	struct list all;     /* in the order in which their tails are checked */
	struct list joins;   /* join.due, in order of deadline_ms */
	struct list refused; /* histories whose read could not be sent, the oldest first */
	/* histories that remember entries; the one that was asked for entries longest ago comes first */
	struct list holding;
	size_t bytes; /* that all remember */
	size_t n;
	bool is_short;  /* of memory: nothing is remembered */
	size_t n_tails; /* tails that are to be checked now and wait for a free read */
	unsigned int n_reads;
	uint64_t ticked_ms;
	struct clock_text clock; /* of the events that come now, with a history or without */
	struct log_limit repair_limit;
#ifdef TIDEGATE_FAULT_CONTROLS
	struct fault_off fault_off;
#endif
};

void histories_init(struct histories *histories, const struct history_listener *listener, struct log *log,
	struct metrics *metrics);

/* Sends the reads that could not be sent, as far as possible: the broker is ready again, or
 * a read is over. */
void histories_retry(struct histories *histories);

/* While memory is short they remember no entries. */
void histories_set_short(struct histories *all, bool is_short);

/* Some twice a second. */
void histories_tick(struct histories *histories, uint64_t now_ms);

/* `arg` goes to the listener. NULL when out of memory. */
struct history *history_new(
	struct histories *histories, struct message_channel channel, uint64_t ttl_ms, void *arg);

/* Gives its joins back, unanswered. Accepts NULL. */
void history_free(struct history *history);

/* Its log is known up to its top. */
bool history_is_live(const struct history *history);

/* Was this entry in the log when it was read for the first time? */
bool history_began_with(const struct history *history, const struct envelope *entry);

/* Did the log have entries then beyond this position? A position in an earlier log does not count. */
bool history_began_ahead_of(const struct history *history, const struct position *heard);

/* The log's newest entry at that time; 0 before. */
uint64_t history_began_at(const struct history *history);

/* How long its log stays without use, from the next read on. */
void history_set_ttl(struct history *history, uint64_t ttl_ms);

/*
 * Its channel keeps no history any more. False if it cannot end now: it holds events back, or the log may
 * have events that could not be read since the link was lost. Then ask again in a moment, or with give_up,
 * which loses these events and announces it by a resync. True: the history is freed, its joins are given back
 * with -ENOENT, and *subscribedp says whether every event comes.
 */
bool history_end(struct history *history, bool give_up, bool *subscribedp);

void history_subscribed(struct history *history);
void history_lost(struct history *history);

/* Takes an event from pub/sub, an envelope or a plain payload. 0; MESSAGE_NOT_JSON (it is not delivered, see
 * dropped()); or -ENOMEM. */
int history_event(struct history *history, struct slice payload, uint64_t wall_ms, uint64_t arrived_us);

/* For questions; borrowed. */
const struct channel_log *history_channel_log(const struct history *history);

/* Takes over the join until listener.answered(). */
void history_join(struct history *history, struct join *join, uint64_t now_ms);

#endif
