#ifndef TIDEGATE_BUS_NODE_LEASE_H
#define TIDEGATE_BUS_NODE_LEASE_H

/*
 * Node lease: this node's word that it is there, said again and again, and the name under which it keeps in
 * Redis what others have to clear up if it dies.
 *
 *     first word ──► held ──► again … ──► lost: it was silent for too long, and others have seen that
 *         ▲                                 │
 *         └────────── another name ─────────┘
 *
 * A name is never used again once its lease was lost: whoever clears up behind it cannot meet what the node
 * puts there anew. A node that was away itself does not judge others before they had the time of a lease to
 * say that they are there. Once in a lease it looks whether a dead node was missed, because its lease was
 * lost with the server that had it. Time is handed in; on the bus thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "bus/bus.h"
#include "bus/presence.h"
#include "core/slice.h"

struct broker;

enum {
	NODE_LEASE_PARTS = 15,    /* the word is given so often within a lease */
	NODE_LEASE_END_MS = 5000, /* after its end a node's users may have come back elsewhere */
};

struct node_lease_listener {
	void *arg;
	/* The lease is held until then, under this name; said again with each word that counts. */
	void (*held)(void *arg, const char *node, uint64_t until_ms);
	/* It is held no longer: nothing may be put into Redis. */
	void (*lost)(void *arg);
	/* We gave it up ourselves: likewise. */
	void (*renewed)(void *arg);
	/* A dead node is ours to clear up. */
	void (*dead)(void *arg, struct slice node);
	/* Which one are we busy with? Empty: none. */
	struct slice (*busy)(void *arg);
};

struct node_lease {
	struct broker *broker;
	struct node_lease_listener listener;
	uint64_t ttl_ms;
	char id[BUS_NODE_MAX + 1];
	char node[PRESENCE_NODE_MAX + 1];
	uint64_t generation; /* of the name */
	uint64_t asked_generation;
	bool held;          /* under this name */
	bool asked;         /* a word is under way */
	uint64_t asked_ms;  /* since then */
	uint64_t since_ms;  /* Redis is there; 0: it is not */
	uint64_t sought_ms; /* whether one was missed */
};

void node_lease_init(struct node_lease *lease, const struct node_lease_listener *listener, const char *id,
	uint64_t ttl_ms);

/* To be called NODE_LEASE_PARTS times within a lease. connected: Redis is there. */
void node_lease_tick(struct node_lease *lease, bool connected, uint64_t now_ms);

/*
 * A server of Redis is there again, and may have lost what it was told last: it was started from a
 * snapshot, or a replica took over. The name goes as if its lease had been lost, so all is said anew under
 * another, and what is left of the old one is cleared up a moment later.
 */
void node_lease_renew(struct node_lease *lease);

/* This node is about to end. */
void node_lease_end(struct node_lease *lease);

#endif
