#ifndef TIDEGATE_CLIENT_CLIENT_H
#define TIDEGATE_CLIENT_CLIENT_H

/*
 * Client: one connected peer.
 *
 *   PARKED ── client_open() ──► OPEN ── client_close() ──► CLOSING ──► (its socket is gone) client_deinit()
 *
 * Parked is a client whose handshake is not answered yet: it has its route's subscriptions, and what
 * arrives for it is queued. The answer waits until the node's own subscriptions are confirmed, so that
 * nothing published after the peer's `open` is missed. Closing means that a close frame is on its way:
 * nothing else is sent, nothing that arrives is looked at but the peer's close frame, and a deadline ends it.
 *
 * It owns its subscriptions and its outbox. It is embedded in the connection that the socket layer keeps,
 * belongs to one worker, and is never locked.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/keepalive.h"
#include "client/outbox.h"
#include "core/list.h"
#include "hub/hub.h"
#include "route/rights.h"

struct clients;
struct message;
struct since;

enum client_state {
	CLIENT_NONE, /* zeroed memory: never began */
	CLIENT_PARKED,
	CLIENT_OPEN,
	CLIENT_CLOSING,
};

enum close_reason {
#define CLOSE_REASON(id, code, sentence) CLOSE_##id,
#include "client/close_reason.def"
#undef CLOSE_REASON
	N_CLOSE_REASONS,
};

enum {
	CLIENT_HELD = 1, /* wait with the handshake's answer: clients_listener.ready() will say when */
};

struct client {
	struct hub_subscriber subscriber;
	struct clients *clients; /* what all clients of this worker share; outlives them */
	void *socket;
	struct rights rights;
	struct outbox outbox;
	struct keepalive_link keepalive;
	struct list link; /* in clients.all */
	struct list due;  /* in clients.parked or clients.closing, in order of deadline_ms; between the two in
			   * clients.blocked while it is blocked */
	struct list flush; /* in clients.flush while there is something to send */
	struct list aside; /* recoveries that it gave up and whose joins are under way still; behind them
			    * those whose joins wait for their turn */
	uint64_t id;
	uint64_t opened_ms;
	uint64_t deadline_ms;
	uint64_t blocked_ms;   /* since when it is, or was last */
	uint64_t asks_ms;      /* when what it asked of the node would have been asked at the steady rate */
	uint32_t let_in_ms;    /* when its handshake was let go without a confirmation: of now_ms as much as
				  fits;    0: it was not */
	uint32_t n_unanswered; /* answers that it is owed, and joins that are under way for it */
	uint32_t n_received;
	uint32_t n_sent;
	uint32_t n_dropped;    /* events that it never got, because it read too slowly */
	uint16_t close_code;   /* what was told, or heard */
	uint8_t n_joins;       /* under way, up to CLIENT_JOINS_MAX; but those of its handshake */
	uint8_t state;         /* enum client_state */
	uint8_t reason;        /* enum close_reason, once it is over */
	uint8_t n_unconfirmed; /* parked: subscriptions of the route that are not confirmed */
	bool aware;            /* showed that it knows recovery: hears resync, degraded, restored */
	bool held;             /* CLIENT_HELD was said, ready() not yet */
	bool owes_close;       /* closing, and that is still to be said, behind what waits in the outbox */
	bool finishes;  /* closing, and no answer is waited for: our direction ends with the close frame */
	bool blocked;   /* the socket took less than all; client_writable() will come */
	uint8_t doomed; /* enum close_reason for which it is to be closed at the end of the turn; 0: it is not
			 */
	char remote[INET6_ADDRSTRLEN];
};

/* A connection without anything queued costs this, lws and a few dozen bytes a subscription (docs/decisions).
 */
_Static_assert(
	sizeof(struct client) <= 300, "a client has become larger than what a million of them may cost");

/*
 * Begins a client whose handshake is good, with the subscriptions of its route. The rights are taken over,
 * also on failure. `remote` is copied, cut if too long. 0: answer the handshake now; CLIENT_HELD; or -ENOMEM
 * (nothing was begun).
 */
int client_init(struct client *client, struct clients *clients, void *socket, struct rights *rights,
	const char *remote);

/* Its handshake is held back no longer, whether its channels are confirmed or not. */
void client_let_in(struct client *client);

/* The peer said where it was, in the URL: its route's channels are recovered from there. Right after
 * client_init(). */
void client_resume(struct client *client, const struct since *since);

/* The handshake is answered. */
void client_open(struct client *client);

/* One whole text message of the peer. The text is borrowed. */
void client_receive(struct client *client, const char *text, size_t len);

/* Any sign of life of the peer. */
void client_heard(struct client *client);

/* The socket takes bytes again. */
void client_writable(struct client *client);

/* What became of a socket_ops.send_later(): as socket_ops.send() would have returned. */
void client_sent(struct client *client, const void *cookie, ssize_t n);

/* The peer sent a close frame. True: the gateway had closed before, this is the answer and the socket can go.
 * False: it is answered with the same code, and our direction ends. */
bool client_peer_closed(struct client *client, uint16_t code);

/* Ends it with a close frame and a log line. A second call changes nothing. */
void client_close(struct client *client, enum close_reason reason);

/* The same for a peer that broke the protocol (RFC 6455 section 7.1.7): nothing of it can be read any more,
 * so our direction ends with the close frame, also where that was sent for another reason before. */
void client_fail(struct client *client, enum close_reason reason);

/* The same, with one message before the close frame. The reference stays the caller's; NULL: none. */
void client_close_with(struct client *client, enum close_reason reason, struct message *last);

/* Neither closing nor gone. */
static inline bool client_is_live(const struct client *client)
{
	return client->state == CLIENT_OPEN || client->state == CLIENT_PARKED;
}

/* Queues a message for this peer alone. Takes over the reference; NULL: out of memory, the client is closed
 * for it. */
void client_push(struct client *client, struct message *message);

/* Its socket is gone. Harmless on zeroed memory, and twice. */
void client_deinit(struct client *client);

uint16_t close_reason_code(enum close_reason reason);
const char *close_reason_sentence(enum close_reason reason);

#endif
