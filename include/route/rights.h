#ifndef TIDEGATE_ROUTE_RIGHTS_H
#define TIDEGATE_ROUTE_RIGHTS_H

/*
 * Rights: what one connection may subscribe to, and as whom.
 *
 * The handshake makes them when it lets a connection in, and the connection keeps them to its end.
 * Whoever asks (client/verbs) does not know what they were made of: the path, whose route says which
 * channels are joined and which may be, and the identity, which a token or a ticket gave the peer. A
 * connection without one is anonymous: all that is known of it is the ids in its path.
 *
 * Zeroed memory has no rights and needs no rights_deinit().
 */

#include <stdbool.h>

#include "core/slice.h"

struct identity;
struct route;
struct route_match;
struct route_table;

enum {
	RIGHTS_FORBIDDEN = 1, /* this identity may not come in by this path */
	RIGHTS_OTHER_USER = 2,
};

struct rights {
	const struct route *route;    /* that serves the connection; of the table below */
	struct route_table *routes;   /* one reference: a reload must not pull the route away */
	struct rights_holder *holder; /* its ids and its identity; NULL: it has neither */
};

/*
 * The rights of a connection whose path matched in this table, as this identity (NULL: anonymous), which they
 * take over whatever comes out. 0, -ENOMEM or RIGHTS_FORBIDDEN; with the latter two there are none.
 */
int rights_init(struct rights *rights, struct route_table *routes, const struct route_match *match,
	struct identity *identity);
void rights_deinit(struct rights *rights);

/* The same, but the identity is left over, and the caller's. NULL: anonymous. */
struct identity *rights_end(struct rights *rights);

/* Borrowed until rights_deinit() or rights_renew(); NULL: anonymous. */
const struct identity *rights_identity(const struct rights *rights);

/* The user that it is, likewise; empty for an anonymous one. */
struct slice rights_user(const struct rights *rights);

/*
 * The same user has shown a newer token: from now on its claims count, and what the connection hears has
 * to be asked anew with rights_may_subscribe(). The identity is taken over. 0, or RIGHTS_OTHER_USER: all
 * is as it was, for a connection stays whose it is.
 */
int rights_renew(struct rights *rights, struct identity *identity);

/*
 * The table may have been replaced since. The rights are what the newest says, if that has the connection's
 * route unchanged; otherwise they stay what they were.
 */
void rights_follow(struct rights *rights, struct route_table *newest);

/* The match of the connection's path: the channels that it joins at once are those of its route_channel(), as
 * long as rights_may_subscribe() them: a renewal may have taken them. */
void rights_match(const struct rights *rights, struct route_match *match);

/* Is there a history of any of the channels that its path leads to? */
bool rights_keep_history(const struct rights *rights);

/* False also for what is no channel's name: names cannot be probed. */
bool rights_may_subscribe(const struct rights *rights, struct slice channel);

#endif
