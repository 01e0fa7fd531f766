#ifndef TIDEGATE_BUS_REVOKING_H
#define TIDEGATE_BUS_REVOKING_H

/*
 * Revoking: what this node knows of tokens that count no more, and how it comes to know it.
 *
 *     a command ──► the book ──► a copy ──► workers: handshakes, and the clients that are there
 *                       ▲ └──► the set in Redis, which all nodes keep together
 *                       └── that set, and the commands of the last hour, after each connect
 *
 * So a node that was cut off, or has just started, knows what the others know before it calls itself ready;
 * and what Redis has lost meanwhile is written again by those who know it. Commands come in crowds: the copy
 * is made some times a second and not for each of them. On the bus thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "auth/revocations.h"
#include "broker/broker.h"
#include "core/log.h"

struct bus;
struct event;

struct revoking_listener {
	void *arg;
	void (*told)(void *arg); /* the workers have the newest copy, and have closed nobody for it yet */
};

struct revoking {
	struct bus *bus;
	struct revocation_book book;
	struct revocations *shared; /* what the workers have; NULL: nothing yet */
	struct event *share_timer;  /* pending while the book is newer than that */
	bool has_set;               /* the set was read since the link was made, or cannot be */
	bool was_read;              /* the set was, since this node started */
	bool has_log;               /* likewise the commands of the last hour */
	bool refused;               /* Redis refuses one of them: people have to mend that */
	bool reading;
	bool mends; /* there was no room for all that the set lacks: the tick goes on */
	bool news;  /* what was read had something new */
	int64_t expired_ms;
	int64_t over_ms;  /* when one was over */
	int64_t clear_ms; /* when those go from the set; 0: there are none */
	struct revoking_listener listener;
	struct log_limit full_limit;
};

/* 0 or -ENOMEM. */
int revoking_init(struct revoking *revoking, struct bus *bus, const struct revoking_listener *listener);
void revoking_deinit(struct revoking *revoking); /* harmless on zeroed memory */

/* The link was made: reads the set. Or it was lost: what is known may not be all. */
void revoking_connected(struct revoking *revoking, bool connected);

/* Another server took the place of the one that was there: reads its set, and adds what it lacks. What is
 * known meanwhile is all that was known before. */
void revoking_again(struct revoking *revoking);

/* A command of the last hour; and the end of these. */
void revoking_read_command(struct revoking *revoking, struct slice payload);
void revoking_read_log(struct revoking *revoking);

/* Is all known that the others know, as far as Redis tells it? */
bool revoking_is_done(const struct revoking *revoking);

/*
 * A command: notes it, and tells the other nodes. One until 0 takes back what was noted of the name; another
 * one that is over says nothing any more. 0, REVOCATION_FULL or -ENOMEM: it was not noted. Workers hear of it
 * a moment later.
 */
int revoking_note(struct revoking *revoking, const struct revocation *revocation);

/* Tells the workers a moment later, and then the caller with told(), whether there is news or not. */
void revoking_tell_soon(struct revoking *revoking);

/* Now and then. */
void revoking_tick(struct revoking *revoking);

#endif
