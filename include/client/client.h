#ifndef TIDEGATE_CLIENT_CLIENT_H
#define TIDEGATE_CLIENT_CLIENT_H

/*
 * Client: one connected peer.
 *
 *   PARKED ── client_open() ──► OPEN ── client_close() ──► CLOSING ──► (its socket is gone) client_deinit()
 *
 * A parked client's handshake is not answered yet: it has the subscriptions of its route, and its events are
 * queued. The answer waits until the node's own subscriptions are confirmed, so that the peer misses no event
 * that is published after its `open`. A closing client has been sent a close frame: nothing else is sent,
 * everything but the peer's close frame is ignored, and a deadline ends it.
 *
 * A client owns its subscriptions and its outbox. It is embedded in the connection that the socket layer
 * keeps, belongs to one worker, and is never locked.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/keepalive.h"
#include "client/outbox.h"
#include "core/bucket.h"
#include "core/list.h"
#include "hub/hub.h"
#include "protocol/close_reason.h"
#include "protocol/transport.h"
#include "route/rights.h"

struct action_waiting;
struct clients;
struct lease;
struct message;
struct positions;
struct since;

enum client_state {
	CLIENT_NONE, /* zeroed memory: never began */
	CLIENT_PARKED,
	CLIENT_OPEN,
	CLIENT_CLOSING,
};

enum {
	CLIENT_HELD = 1, /* the handshake's answer must wait until clients_listener.ready() is called */
};

struct client {
	/* What each delivery touches comes first, up to the rights. */
	struct hub_subscriber subscriber;
	struct clients *clients; /* shared by all clients of this worker; outlives them */
	void *socket;
	struct outbox outbox;
	/* where it stands in its channels; NULL: its peer keeps that by itself */
	struct positions *positions;
	uint32_t n_sent;
	uint16_t close_code; /* the code that was sent or received */
	uint16_t n_actions;  /* in actions */
	uint8_t n_joins;   /* joins under way, up to CLIENT_JOINS_MAX; without those that went out of turn */
	uint8_t state;     /* enum client_state */
	uint8_t reason;    /* enum close_reason, once it closes */
	uint8_t transport; /* enum transport */
	uint8_t n_unconfirmed; /* parked: subscriptions of the route that are not confirmed */
	bool aware : 1;        /* has shown that it knows recovery: is told resync, degraded, restored */
	bool speaks : 1;       /* tidegate.v1: it is told what only our own clients understand */
	bool held : 1;         /* CLIENT_HELD was returned, and ready() not called yet */
	bool owes_close : 1; /* closing, but the close frame still has to be sent behind the waiting messages */
	bool finishes : 1; /* closing without waiting for an answer: our direction ends with the close frame */
	bool blocked : 1;  /* the socket is full; client_writable() will be called */
	bool asks_presence : 1; /* and is not answered yet */
	bool in_session : 1;    /* the bus was told that it is open */
	bool says_no_more : 1;  /* its peer has ended its own direction: it stays for answers only */
	/* enum close_reason for which it will be closed at the end of the turn; 0: it stays */
	uint8_t doomed;
	struct rights rights;
	struct lease *lease; /* how long its token is good; NULL: anonymous */
	struct keepalive_link keepalive;
	struct list link; /* in clients.all */
	struct list due;  /* in clients.parked or clients.closing, in order of deadline_ms; between the two in
			   * clients.blocked while it is blocked */
	struct list flush; /* in clients.flush while there is something to send */
	/* recoveries that it gave up while their joins are still under way; behind them recoveries whose
	 * joins wait for their turn */
	struct list aside;
	union {
		struct action_waiting *actions; /* that it waits for, the newest first; none once it closes */
		/* closing: what is said in place of the reason's own words; owned, or NULL */
		char *farewell;
	};
	uint64_t id;
	uint64_t opened_ms;
	uint64_t deadline_ms;
	uint64_t blocked_ms;    /* when its socket became full for the last time */
	struct bucket messages; /* that it says */
	struct bucket asks;     /* of them, subscribes that are work for the node */
	struct bucket failures; /* answers that tell it of a mistake of its own */
	uint32_t let_in_ms;     /* client_mark() when its handshake was let go without a confirmation; 0: it
				  was not */
	uint32_t told_rate_ms;  /* the same when it was told that it says too much */
	uint32_t n_unanswered;  /* answers that it waits for, and joins that are under way for it */
	uint32_t n_received;
	uint32_t n_dropped;     /* events that it lost because it read too slowly */
	struct in6_addr remote; /* unspecified if it is not known */
};

/* A connection with an empty outbox costs this, lws' own memory, and a few dozen bytes for
 * each subscription. */
_Static_assert(
	sizeof(struct client) <= 312, "a client has become larger than what a million of them may cost");

/*
 * Begins a client whose handshake is valid, with the subscriptions of its route. Takes the rights over, even
 * on failure. remote: the client's address. 0: answer the handshake now; CLIENT_HELD; or -ENOMEM, and
 * no client was begun.
 */
int client_init(struct client *client, struct clients *clients, void *socket, struct rights *rights,
	const struct in6_addr *remote);

/*
 * The same for a peer that says all it has to say in one request, and hears the answers on the response: it
 * joins nothing by itself, and ends when nothing is left to be said. To be told when it has said all. 0 or
 * -ENOMEM.
 */
int client_init_posting(struct client *client, struct clients *clients, void *socket, struct rights *rights,
	const struct in6_addr *remote);
void client_said_all(struct client *client);

/* Its peer has ended its own direction. Is an answer still to come? Then it stays until none is. */
bool client_waits_on(struct client *client);

/* It has nothing more to hear. */
bool client_is_answered(const struct client *client);

/* Its handshake is held back no longer, whether its channels are confirmed or not. */
void client_let_in(struct client *client);

/* The peer has agreed to tidegate.v1. To be called right after client_init(). */
void client_speaks(struct client *client);

/*
 * The peer listens to a stream of server-sent events, where it cannot say anything: it answers no ping,
 * and its browser keeps for it the one position that the stream told last. since: as in client_resume();
 * NULL: it told none. To be called right after client_init(). 0 or -ENOMEM.
 */
int client_streams(struct client *client, const struct since *since);

/* The peer has told its position in the URL: the channels of its route are recovered from there. To be called
 * right after client_init(). */
void client_resume(struct client *client, const struct since *since);

/* The handshake is answered. */
void client_open(struct client *client);

/*
 * A whole message came from the peer. May it be read? If not, the client has said too much: the message is
 * dropped, and once a second the client is told so.
 */
bool client_may_say(struct client *client);

/* Its text, which is borrowed. */
void client_receive(struct client *client, const char *text, size_t len);

/* It made a mistake, and was told. Too many of them in a minute close it. */
void client_failed(struct client *client);

/* Something came from the peer: a sign of life. */
void client_heard(struct client *client);

/* The socket takes bytes again. */
void client_writable(struct client *client);

/* The result of a socket_ops.send_later(), as socket_ops.send() would have returned it: clients_sent() where
 * all was taken. */
void client_sent(struct client *client, const void *cookie, ssize_t n);

/* The peer sent a close frame. True if this answers ours: the socket can go. False if ours is not said yet:
 * it follows, or, if the peer closed first, one with the same code; and our direction ends. */
bool client_peer_closed(struct client *client, uint16_t code);

/* Ends the client with a close frame and a log line. A second call changes nothing. */
void client_close(struct client *client, enum close_reason reason);

/* The same for something that the peer said: the answers to what it said before go out first, as far as the
 * socket takes them. */
void client_reject(struct client *client, enum close_reason reason);

/*
 * client_reject() for a peer that broke the protocol (RFC 6455 section 7.1.7): nothing from it can be read
 * any more, so our direction ends with the close frame, even if that was sent before for another reason.
 */
void client_fail(struct client *client, enum close_reason reason);

/* client_close() with one message before the close frame. last: borrowed; may be NULL. */
void client_close_with(struct client *client, enum close_reason reason, struct message *last);

/* client_close() in words of somebody else's. code: 0 is that of the reason; absent words are those of the
 * reason, others have at most FRAME_CONTROL_MAX - 2 bytes of UTF-8 without NUL. */
void client_dismiss(struct client *client, enum close_reason reason, uint16_t code, struct slice words);

/* What the peer hears of its end, behind the code. Borrowed until client_deinit(). */
const char *client_farewell(const struct client *client);

/* Is it neither closing nor gone? */
static inline bool client_is_live(const struct client *client)
{
	return client->state == CLIENT_OPEN || client->state == CLIENT_PARKED;
}

/* Queues a message for this peer alone. Takes over the reference. NULL means out of memory,
 * and closes the client. */
void client_push(struct client *client, struct message *message);

/* Now in milliseconds, as much of it as fits, and never 0: for times that are compared soon. */
uint32_t client_mark(const struct client *client);

/* Its socket is gone. Harmless on zeroed memory, and twice. */
void client_deinit(struct client *client);

#endif
