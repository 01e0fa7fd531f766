#ifndef TIDEGATE_CLIENT_SLOW_H
#define TIDEGATE_CLIENT_SLOW_H

/*
 * Slow: what happens to a client that does not read as fast as events come, by the policy of its route.
 *
 * Two bounds. Bytes: what waits for it, checked as something is queued. Age: how long an event waits for a
 * client whose socket is full, checked now and then. What reaches them closes the client (disconnect) or the
 * oldest events give way. Age counts from the event's arrival at this node, that of a replayed event from
 * when the socket last took something. Replies have no age and never give way, so a client that asks without
 * reading is closed under every policy.
 *
 * What a client was promised ("recovered": true, so many follow) does not give way and counts against neither
 * bound in bytes; who lets it wait for too long is closed under every policy, and comes back with its
 * position.
 *
 * Only a client whose socket is full is slow. What has come in one turn alone may be more than the bound:
 * then it is sent before more is queued.
 */

#include <stdbool.h>
#include <stdint.h>

struct client;
struct clients;
struct message;

enum {
	SLOW_OVER = 1,  /* it has no room and nothing may give way for it: the client is to be closed */
	SLOW_FLUSH = 2, /* it has no room yet, but the socket may take what waits: flush and try again */
};

/* Into its outbox, as a reference. 0, SLOW_OVER, SLOW_FLUSH or -ENOMEM; then it was not taken. */
int slow_queue(struct client *client, struct message *message);

/* The same for what it was promised. 0 or -ENOMEM. */
int slow_queue_promised(struct client *client, struct message *message);

/* Its socket is full; or takes bytes again. */
void slow_enter(struct client *client);
void slow_leave(struct client *client);

/* It is to be closed for it: what waits is lost. */
void slow_give_up(struct client *client);

/*
 * Its worker cannot keep up and passes over n events of a channel: they count as dropped, and the policy says
 * whether the client is closed. A client that knows recovery is closed under every policy if they are entries
 * of a log: it comes back with its position and loses nothing.
 */
void slow_pass_over(struct client *client, uint32_t n, bool entries);

/* Looks for events that are too old. */
void slow_tick(struct clients *clients);

#endif
