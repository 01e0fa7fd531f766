#ifndef TIDEGATE_SIM_WORLD_H
#define TIDEGATE_SIM_WORLD_H

/*
 * World: gateways with a channel log each, their links to a modelled Redis, which may be a cluster, and
 * clients who check all that they hear against it.
 *
 * The invariants of docs/recovery-protocol.md, as they are checked here: every entry that a client hears is
 * the true successor of the one before it (no loss, order, no double, no invention); after the faults every
 * client stands at the top of the log; whoever was refused or resynced was so for a true reason; and every
 * body was given back.
 */

#include <stdbool.h>
#include <stdint.h>

#include "channel_log/channel_log.h"
#include "model.h"
#include "script.h"

enum {
	GATEWAYS_MAX = 3,
	CLIENTS_MAX = 6,
	PUSHES_MAX = 48,
	READS_MAX = 4,
	READ_ENTRIES_MAX = 64,
	COMPLAINT_MAX = 200,
	ACKNOWLEDGEMENT = -2, /* among the pushes */
	GOODBYE = -3,         /* likewise: the server ends the subscription */
	NOBODY = -1,          /* of servers */

	STATES = CHANNEL_LOG_STALE + 1,
	CAUSES = CHANNEL_LOG_CAUSE_OVERFLOW + 1,
	REASONS = CHANNEL_LOG_FORMAT + 1,
};

enum verdict {
	VERDICT_FINE,
	VERDICT_LOST,      /* I1, I2: a hole, a double, or another order */
	VERDICT_INVENTED,  /* I3: never was in the log */
	VERDICT_DISHONEST, /* I5: refused or resynced without the reason given */
	VERDICT_STUCK,     /* I1: not at the top when all is quiet again */
	VERDICT_LEAKED,    /* a body too many or too few given back */
};

struct pending_read {
	uint64_t id;
	uint64_t from;
	uint32_t count;
	bool executed;
	bool catches_up;
	int server;                /* that was asked */
	unsigned int n_fail_overs; /* when it was executed */
	int top;
	uint32_t n;
	int nodes[READ_ENTRIES_MAX];
};

struct gateway {
	struct world *world;
	struct channel_log *log;
	uint64_t now_ms;
	bool linked;
	bool subscribed; /* in Redis */
	int at;          /* there */
	int map;         /* who has the slot, as it knows */
	int pushes[PUSHES_MAX];
	uint32_t n_pushes;
	struct pending_read reads[READS_MAX];
	uint32_t n_reads;
	uint64_t checked_ms;
	uint64_t heard_ms;         /* since when it has been live */
	unsigned int n_fail_overs; /* what it caught up with has seen so many */
};

enum client_state {
	CLIENT_AWAY,
	CLIENT_JOINING,
	CLIENT_HEARS,
};

struct client {
	struct channel_log_join join;
	struct gateway *gateway;
	enum client_state state;
	int node;            /* the entry heard last; NO_NODE: has no position */
	bool takes_any;      /* asked for the start, and was told nothing yet */
	bool epoch_was_true; /* when it asked */
	bool node_was_true;
	unsigned int turns;
	unsigned int n_fail_overs; /* when it asked */
	uint64_t kept_first;       /* the oldest that may have counted as kept since it asked */
};

struct statistics {
	uint64_t n_delivered;
	uint64_t n_reads;
	uint64_t n_causes[CAUSES];
	uint64_t n_answers[REASONS];
	uint64_t n_resyncs[REASONS];
	uint64_t n_continuous;
};

struct world {
	const struct script *script;
	struct channel_log_options options;
	struct model model;
	struct gateway gateways[GATEWAYS_MAX];
	struct client clients[CLIENTS_MAX];
	long n_bodies; /* given and not given back */
	unsigned int n_fail_overs;
	/* Servers of the cluster: who has the slot, who thinks so as well, and how many there were. */
	int owner, former, n_servers;
	bool is_moving; /* the keys have gone ahead, and what is pushed beside them reaches nobody */
	bool is_frozen; /* the former one */
	const struct control *control;
	bool excused[N_FAULTS];
	bool checks_tails;
	enum verdict verdict;
	char complaint[COMPLAINT_MAX];
	struct statistics *statistics;
	bool is_verbose;
};

struct control {
	bool ignores_tags; /* offsets and epochs only */
	bool no_tails;     /* R9 off */
	bool late_expiry;  /* the expiry is refreshed a quarter too late */
	bool short_ttl;    /* which the configuration refuses */
	bool no_polls;     /* nobody asks who has the slot: servers have to tell */
	bool stays;        /* channels do not follow their slot */
};

/* Runs a script from an empty world to the quiet after it. */
enum verdict world_run(struct world *world, const struct script *script, const struct control *control,
	struct statistics *statistics, bool is_verbose);

const char *verdict_name(enum verdict verdict);

/* The first complaint counts: what follows a violation means nothing. */
void world_complain(struct world *world, enum verdict verdict, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static inline int body_node(const void *body)
{
	return (int)(uintptr_t)body - 1;
}

static inline void *body_of(int node)
{
	return (void *)((uintptr_t)node + 1);
}

static inline size_t body_bytes(int node)
{
	return 1 + (size_t)node % 3;
}

/* The clients' half: audience.c. */
void audience_init(struct world *world);
void audience_join(struct world *world, unsigned int who, unsigned int what);
void audience_leave(struct world *world, unsigned int who);
void audience_leave_all(struct world *world, const struct gateway *gateway);
void audience_hear(struct gateway *gateway, const struct channel_log_entry *entry);
void audience_resync(struct gateway *gateway, const struct channel_log_resync *resync);
void audience_answer(
	struct gateway *gateway, struct channel_log_join *join, const struct channel_log_answer *answer);
void audience_is_at_the_top(struct world *world);

#endif
