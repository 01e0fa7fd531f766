#ifndef TIDEGATE_WS_ARRIVAL_H
#define TIDEGATE_WS_ARRIVAL_H

/*
 * Arrival: whom a connection comes from, and as whose it counts, from accept until it becomes a client or
 * ends.
 *
 * A peer that comes directly is counted before a byte of it is read. One that a trusted proxy brings is
 * counted once the proxy has said who it is.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "ws/handshake.h"
#include "ws/places.h"

struct address;
struct address_table;
struct trusted;

struct arrival {
	struct in6_addr peer;    /* the socket's, or the client whom a PROXY header names */
	bool named;              /* by a PROXY header */
	struct address *address; /* that counts it, or NULL */
	enum place place;        /* that it holds */
	bool over;               /* its address has more than it may: it will be told so */
	enum refusal refusal;    /* if it is over: what it is told */
};

enum {
	ARRIVAL_UNHEARD = 1, /* its address has more than it may, and too many are being told */
};

/*
 * Counts the peer, unless it is a trusted proxy. 0, even if it is over its bound; ARRIVAL_UNHEARD; or
 * -ENOMEM, and it is not counted.
 */
int arrival_count_peer(
	struct arrival *arrival, struct address_table *table, const struct trusted *trusted, uint64_t now_ms);

/* The request of a trusted proxy names this client: the same for him. */
int arrival_count_client(struct arrival *arrival, struct address_table *table, const struct trusted *trusted,
	const struct in6_addr *client, uint64_t now_ms);

/* It ends. Harmless twice. */
void arrival_end(struct arrival *arrival, struct address_table *table, uint64_t now_ms);

#endif
