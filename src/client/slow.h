#ifndef TIDEGATE_CLIENT_SLOW_H
#define TIDEGATE_CLIENT_SLOW_H

/*
 * Slow: applies the policy of the route to a client that does not read as fast as events come.
 *
 * There are two bounds. Bytes: the frames that wait for the client, checked when a message is queued.
 * Age: how long an event waits for a client whose socket is full, checked now and then. Beyond a bound
 * the client is closed (disconnect), or the oldest events give way. The age counts from the event's
 * arrival at this node; for a replayed event, from the last time that the socket took bytes. Replies have
 * no age and never give way, so a client that asks without reading is closed under every policy.
 *
 * Events that were promised to a client ("recovered": true and a count) do not give way and do not count
 * against the bound in bytes. A client that lets them wait for too long is closed under every policy, and
 * comes back with its position.
 *
 * Only a client whose socket is full is slow. The events of one turn alone may exceed the bound; then
 * they are sent before more are queued.
 */

#include <stdbool.h>
#include <stdint.h>

struct client;
struct clients;
struct message;

enum {
	SLOW_SHED_MS = 1000, /* a fifth of what others have */

	SLOW_OVER = 1, /* it has no room and nothing may give way for it: the client is to be closed */
	/* there is no room yet, but the socket may take waiting messages: flush and try again */
	SLOW_FLUSH = 2,
};

/* Into its outbox, as a reference. 0, SLOW_OVER, SLOW_FLUSH or -ENOMEM; then it was not taken. */
int slow_queue(struct client *client, struct message *message);

/* The same for an event that was promised to the client. 0 or -ENOMEM. */
int slow_queue_promised(struct client *client, struct message *message);

/* Its socket is full; or takes bytes again. */
void slow_enter(struct client *client);
void slow_leave(struct client *client);

/* The client will be closed for being slow: its waiting messages are lost. */
void slow_give_up(struct client *client);

/*
 * Its worker cannot keep up and passes over n events of a channel: they count as dropped, and the policy
 * says whether the client is closed. A client that knows recovery is closed under every policy if they
 * are entries of a log: it comes back with its position and loses nothing.
 */
void slow_pass_over(struct client *client, uint32_t n, bool entries);

/* Looks for events that are too old. */
void slow_tick(struct clients *clients);

/*
 * Memory is short: closes clients, those for whom most waits first, until so many waiting bytes less are
 * left. Their sockets have SLOW_SHED_MS to take the close frame, since the kernel keeps memory for them,
 * too. Bytes that wait for several clients count for each of them, so less may become free: whoever
 * counts the memory calls again.
 */
void slow_shed(struct clients *clients, uint64_t bytes);

#endif
