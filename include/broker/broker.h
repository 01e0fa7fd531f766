#ifndef TIDEGATE_BROKER_BROKER_H
#define TIDEGATE_BROKER_BROKER_H

/*
 * Broker: the source of events, and the place to publish them. One interface with two implementations: Redis,
 * and memory for a node alone.
 *
 * Everything happens on the bus thread's libevent loop. The broker calls its listener on a turn of its own,
 * never from inside a call to the broker: no call re-enters. So the listener may call any function below,
 * except broker_free(), which must not be called from inside one of the broker's calls.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channel_log/position.h"
#include "core/fault_off.h"
#include "core/slice.h"

struct broker;
struct buf;
struct event_base;
struct log;
struct metrics;

/* Where control commands come; the broker keeps what was revoked beside it. */
#define BROKER_CONTROL_CHANNEL "tg:control"

enum broker_state {
	BROKER_CONNECTING, /* never ready yet, or lost; it keeps trying */
	/* Some of its servers are ready, and others are not: see broker_channel_state(). Not before all were
	 * ready for the first time, or had 30 s to be so. */
	BROKER_PARTIAL,
	BROKER_READY, /* a probe has proven that events flow, on each server */
};

/* The broker's reports. Slices are borrowed for the length of the call. */
struct broker_listener {
	void *arg;
	/* One event, in the order of the channel. An entry of the channel's log comes in its envelope
	 * (channel_log/envelope.h), which the first byte tells from a plain payload. No event is
	 * larger than broker_set_payload_max() allows. */
	void (*event)(void *arg, struct slice channel, struct slice payload);
	/* All events that had arrived were handed over: a good moment to pass them on. Follows
	 * every run of event(). */
	void (*drained)(void *arg);
	/* Every event that is published to this channel from now on will come. Called after each
	 * broker_subscribe() (several calls at one moment are answered once), and for each subscribed channel
	 * again after a reconnect. */
	void (*subscribed)(void *arg, struct slice channel);
	/* From now on events of this channel may be lost, until subscribed() is called for it again. Called
	 * for each wanted channel of the server that was lost, whether it had been subscribed there or was
	 * about to be; other channels go on. */
	void (*lost)(void *arg, struct slice channel);
	/* The state of the broker as a whole has changed, or one of several servers was lost or is back; it
	 * starts as BROKER_CONNECTING. lost() comes before it is said that a server is lost, and subscribed()
	 * after it is said that it is ready. reason: one sentence for the log and /ready; borrowed. */
	void (*state)(void *arg, enum broker_state state, const char *reason);
};

/*
 * How a call ended: 0 done, or negative errno.
 *
 * - -ETIMEDOUT: the link was lost, nobody knows whether it was carried out
 * - -ENOTCONN: the link was lost before it was sent, it was not carried out
 * - -EACCES: Redis refused it for want of rights (NOPERM), or the library is missing and our rights do not
 *   allow us to load it
 * - -EAGAIN: Redis is there and cannot yet (LOADING, BUSY, TRYAGAIN, CLUSTERDOWN, MASTERDOWN), or the library
 *   went missing twice in a moment
 * - -EROFS: Redis does not write now: READONLY (a replica), MISCONF (its disk), NOREPLICAS
 * - -ENOSPC: Redis is out of memory: OOM
 * - -EIO: Redis answered with another error, or with what makes no sense
 * - -ENOMEM: we are out of memory
 * - -ECANCELED: the broker was freed
 *
 * From -EACCES to -EIO nothing was carried out. All but -EACCES, -EIO and -ECANCELED pass by themselves: the
 * caller may try again, -ETIMEDOUT with an idempotency key; POST /publish makes 503 with Retry-After of them.
 */

/* n_receivers: subscribers that Redis counted, or local ones. */
typedef void (*broker_published_fn)(void *arg, int r, uint64_t n_receivers);

enum {
	BROKER_LOG_KEY_MAX = 256, /* bytes of an idempotency key */
	/* how long it is known (docs/recovery-protocol.md, The log in Redis) */
	BROKER_LOG_KEY_TTL_MS = 120000,
	BROKER_LOG_READ_MAX = 10000,            /* entries of one read; a larger count is cut to it */
	BROKER_LOG_READ_BYTES = 4 * 1024 * 1024 /* of payloads after which a read stops, the last one whole */
};

/* How much a log keeps. The last publication decides; for the ttl, reads count too. */
struct broker_log_options {
	uint32_t size;       /* entries, at least 1; some more may be kept */
	uint64_t ttl_ms;     /* how long the log stays after the last publication or read; at least 1 */
	struct slice key;    /* idempotency key, 1 to BROKER_LOG_KEY_MAX bytes; may be absent */
	uint64_t key_ttl_ms; /* how long the key is known; at least 1 */
};

/*
 * id: the entry's; borrowed, NULL unless r is 0. is_duplicate: the key was known, so nothing was published,
 * and id is that of the entry with this key. (Its epoch is zeroed if an older library did not remember it.)
 */
typedef void (*broker_log_published_fn)(void *arg, int r, const struct position *id, bool is_duplicate);

struct broker_log_entry {
	uint64_t offset;
	uint64_t tag;
	/* absent if it is larger than allowed, or was not written by a publish function */
	struct slice payload;
};

/*
 * The result of a range read: the top of the log, which is 0-0 in a new epoch when there was no log, and the
 * entries, ascending. Both are borrowed; NULL and 0 unless r is 0. The entries may end before the top and be
 * fewer than asked for, when BROKER_LOG_READ_BYTES were reached; but there are at least two if the log has
 * two. To get the rest, read on from the last entry, inclusive.
 */
typedef void (*broker_log_read_fn)(void *arg, int r, const struct position *top,
	const struct broker_log_entry *entries, size_t n_entries);

/* Where actions go that are handed over together. */
struct broker_action_stream {
	struct slice key;   /* in Redis */
	uint32_t backlog;   /* entries that it may hold */
	struct slice reply; /* the channel where the answers are awaited */
};

enum {
	BROKER_ACTIONS_MAX = 32, /* in one call */
};

/* What a client asks of a backend: an entry of a stream, by the names of its fields (docs/actions.md). */
struct broker_action {
	uint64_t timeout_ms;      /* `deadline` is so far ahead, on the clock of Redis */
	struct slice id;          /* of the action, unique */
	struct slice conn;        /* of the connection, likewise */
	struct slice user;        /* may be absent */
	struct slice route, vars; /* the path's template, and a JSON object of its variables */
	struct slice key;         /* that makes a repetition harmless; may be absent */
	struct slice data;        /* JSON, as the client said it */
};

/* r: 0, the first n are in the stream, which had no room for the others; or negative errno, of all. */
typedef void (*broker_acted_fn)(void *arg, int r, size_t n);

/* Where a node's part of who is on a channel is kept, and who is told when that changes. */
struct broker_presence {
	struct slice node; /* a name that no other node has had */
	struct slice channel;
	bool tells;          /* an event of the channel says what has changed over all nodes */
	bool names;          /* with the users that came and went */
	uint32_t log_size;   /* of the channel's history, as broker_log_options.size; 0: it keeps none */
	uint64_t log_ttl_ms; /* likewise */
};

/* One user on this node. */
struct broker_user {
	struct slice user; /* empty: all connections without one */
	uint32_t n;        /* its connections from now on; 0: it is no longer here */
	struct slice text; /* a JSON object that says who it is; empty: as was said before */
};

/* Who is on a channel, over all nodes. */
struct broker_roll {
	uint64_t n_users;
	uint64_t n_anonymous; /* connections without a user */
	uint64_t n_joined;    /* users that this call brought, or that went with it */
	uint64_t n_left;
	struct slice users; /* of broker_ask_presence(): JSON objects with commas between. Borrowed */
	uint64_t cursor;    /* of the next call that clears up; 0: there is no more */
};

/* roll: borrowed; NULL unless r is 0. */
typedef void (*broker_roll_fn)(void *arg, int r, const struct broker_roll *roll);

/* A node's word that it is there. */
struct broker_lease {
	struct slice node;
	uint64_t ttl_ms;   /* how long the word counts */
	bool is_first;     /* this node has never held a lease under this name */
	bool judges;       /* finds out whose lease has ended */
	uint64_t claim_ms; /* how long a dead node is the caller's to clear up, before others take it over */
	struct slice claimed; /* the one that it is busy with; absent: none */
};

/* held: false: the lease had ended, and others have seen it. dead: a node that is the caller's to clear up;
 * empty: there is none. Borrowed. */
typedef void (*broker_lease_fn)(void *arg, int r, bool held, struct slice dead);

/* Where it is said who comes and goes on a node. */
struct broker_session {
	struct slice node;   /* the name under which it holds its lease */
	struct slice stream; /* its key in Redis */
	uint32_t size;       /* entries that the stream keeps, or some more */
};

/* Something that came or went on this node. */
struct broker_said {
	bool is_here;
	struct slice name;   /* a connection's number, or '#' and a channel */
	uint64_t age_ms;     /* so long ago */
	unsigned int events; /* of lifecycle, a mask: those that are said of it */
	struct slice text;   /* of a connection: lengths of user and route, and both, and the variables */
	uint16_t code;       /* of one that went: why */
	const char *reason;
};

/* What one call about them brought. */
struct broker_said_answer {
	uint64_t n_entries;
	bool forgot;        /* Redis does not know all that it was told before */
	uint64_t n_lost;    /* of broker_say_lost(): connections */
	uint64_t n_vacated; /* likewise: channels */
	uint64_t cursor;    /* of the next broker_say_lost(); 0: there is no more */
};

/* answer: borrowed; NULL unless r is 0. */
typedef void (*broker_said_fn)(void *arg, int r, const struct broker_said_answer *answer);

/* names: some of what is held; borrowed. */
typedef void (*broker_held_fn)(void *arg, int r, const struct slice *names, size_t n);

/*
 * The announcements of the nodes, one JSON object each, in no order; borrowed. n is 0 if r is negative; r may
 * be BROKER_NODES_PARTIAL. Everybody who may write to Redis may have written them.
 */
typedef void (*broker_nodes_fn)(void *arg, int r, const struct slice *nodes, size_t n);
typedef void (*broker_withdrawn_fn)(void *arg);
typedef void (*broker_done_fn)(void *arg, int r);

/* r: 0 with the text of the ticket, borrowed; BROKER_TICKET_UNKNOWN; or negative errno. */
typedef void (*broker_ticket_fn)(void *arg, int r, struct slice text);

enum {
	BROKER_TICKET_UNKNOWN = 1, /* nobody put it there, it was taken already, or it has expired */
};

/* A token, or a user's tokens, that count no more: a text of auth/revocations. */
struct broker_revocation {
	struct slice text;
	double until_seconds; /* since 1970 */
};

/* Called once or more often, with some of the set each time, the same one perhaps twice; borrowed. r: 0, or
 * why there is no more; is_last: this was the last call. Everybody who may write to Redis may have written
 * them. */
typedef void (*broker_revocations_fn)(
	void *arg, int r, const struct broker_revocation *some, size_t n, bool is_last);

enum {
	BROKER_HAD_ENDED = 1,     /* a node that was cleared up behind had not died */
	BROKER_NODES_PARTIAL = 1, /* there are more nodes than were looked at */
	BROKER_NODES_MAX = 500,   /* nodes that are listed */
};

#define BROKER_HELD_CHANNEL 'p' /* the letter of a channel in what a node holds */

enum {
	BROKER_USERS_MAX = 200,         /* that one call of broker_set_presence() brings */
	BROKER_ROLL_MAX = 1000,         /* users that broker_ask_presence() lists */
	BROKER_ROLL_BYTES = 128 * 1024, /* of them */
	BROKER_HELD_MAX = 200,          /* names in one call of broker_hold() */
	BROKER_SAID_MAX = 500,          /* that one call of broker_say() or broker_say_lost() is about */
};

/* One of the servers behind a broker, as it is now. */
struct broker_shard {
	struct slice address; /* borrowed until the next turn; no secret */
	bool ready;
	uint64_t n_channels;   /* that are wanted there */
	uint64_t probe_us;     /* what the newest probe took; 0: none has come back yet */
	uint64_t n_reconnects; /* how often this server was lost and dialled again */
	/* who name it, and how many of them answer; 0 where its address is fixed */
	unsigned int n_sentinels, n_sentinels_answering;
};

/* The operations of a broker. The functions below call through them. */
struct broker_ops {
	int (*subscribe)(struct broker *broker, struct slice channel);
	void (*unsubscribe)(struct broker *broker, struct slice channel);
	void (*hurry)(struct broker *broker, struct slice channel); /* NULL: nobody ever waits */
	bool (*look)(struct broker *broker);
	int (*publish)(struct broker *broker, struct slice channel, struct slice payload,
		broker_published_fn done, void *arg);
	int (*log_publish)(struct broker *broker, struct slice channel, struct slice payload,
		const struct broker_log_options *options, broker_log_published_fn done, void *arg);
	int (*log_read)(struct broker *broker, struct slice channel, uint64_t from, uint32_t count,
		uint64_t ttl_ms, broker_log_read_fn done, void *arg);
	/* NULL: there are no backends. */
	int (*act)(struct broker *broker, const struct broker_action_stream *stream,
		const struct broker_action *actions, size_t n, broker_acted_fn done, void *arg);
	enum broker_state (*state)(const struct broker *broker);
	/* NULL: the same as state(), for all channels. */
	enum broker_state (*channel_state)(const struct broker *broker, struct slice channel);
	uint64_t (*n_returns)(const struct broker *broker);                               /* NULL: 0 */
	bool (*shard)(const struct broker *broker, size_t i, struct broker_shard *shard); /* NULL: none */
	void (*describe)(const struct broker *broker, struct buf *out);
	struct slice (*complaint)(const struct broker *broker); /* NULL: it never complains */
	void (*set_payload_max)(struct broker *broker, size_t payload_bytes_max); /* NULL: it has no bound */
	void (*set_loads_library)(struct broker *broker, bool loads_library);     /* NULL: it needs none */
	/* All three are NULL if this node is alone. */
	int (*announce)(struct broker *broker, struct slice text, uint64_t ttl_ms);
	int (*nodes)(struct broker *broker, broker_nodes_fn done, void *arg);
	int (*withdraw)(struct broker *broker, broker_withdrawn_fn done, void *arg);
	/* NULL: no broker of this kind knows who is where. */
	int (*set_presence)(struct broker *broker, const struct broker_presence *presence,
		const struct broker_user *users, size_t n, broker_roll_fn done, void *arg);
	int (*ask_presence)(
		struct broker *broker, struct slice channel, bool names, broker_roll_fn done, void *arg);
	/* All are NULL if this node is alone. */
	int (*clear_presence)(struct broker *broker, const struct broker_presence *presence, uint64_t cursor,
		broker_roll_fn done, void *arg);
	int (*lease)(
		struct broker *broker, const struct broker_lease *lease, broker_lease_fn done, void *arg);
	int (*end_lease)(
		struct broker *broker, struct slice node, uint64_t in_ms, broker_done_fn done, void *arg);
	int (*cleared)(struct broker *broker, struct slice node, broker_done_fn done, void *arg);
	int (*hold)(struct broker *broker, struct slice node, bool hold, const struct slice *names, size_t n,
		broker_done_fn done, void *arg);
	int (*hold_some)(struct broker *broker, struct slice node, broker_held_fn done, void *arg);
	void (*seek_missed)(struct broker *broker); /* NULL: all that nodes hold stands with their leases */
	/* NULL: there is no place where backends could read it. */
	int (*say)(struct broker *broker, const struct broker_session *session, uint64_t call, bool forgot,
		const struct broker_said *said, size_t n, broker_said_fn done, void *arg);
	int (*say_lost)(struct broker *broker, const struct broker_session *session, uint64_t cursor,
		broker_said_fn done, void *arg);
	/* NULL: there is no place where others could put tickets. */
	int (*take_ticket)(struct broker *broker, struct slice ticket, broker_ticket_fn done, void *arg);
	/* All four are NULL if this node is alone. */
	int (*revocations)(struct broker *broker, broker_revocations_fn each, void *arg);
	int (*revoke)(struct broker *broker, const struct broker_revocation *revocation);
	int (*unrevoke)(struct broker *broker, struct slice text);
	int (*expire_revocations)(struct broker *broker, double now_seconds);
	void (*free)(struct broker *broker);
};

/* First member of every broker. */
struct broker {
	const struct broker_ops *ops;
};

/*
 * Subscribes to this channel, across reconnects, until broker_unsubscribe(). Idempotent. 0, -ENOMEM, or
 * -EINVAL for a name of the broker's own (the probe channel of Redis).
 */
int broker_subscribe(struct broker *broker, struct slice channel);

/* Somebody waits for this channel and is not served before: it is subscribed ahead of others. */
void broker_hurry(struct broker *broker, struct slice channel);

/* Takes the events that have come, without waiting for the loop: its owner is at something that takes long.
 * Calls the listener. True: there are more. */
bool broker_look(struct broker *broker);

/* Leaves the channel. Events that are under way may still come. Idempotent. */
void broker_unsubscribe(struct broker *broker, struct slice channel);

/*
 * Publishes the payload as it is. done() may be NULL; it is called exactly once, later, on the loop (also
 * from broker_free(), with -ECANCELED). 0; or, without a call of done(), -ENOTCONN (there is no link, nothing
 * was sent), -EAGAIN (16 MiB are unanswered: the caller must slow down) or -ENOMEM.
 */
int broker_publish(struct broker *broker, struct slice channel, struct slice payload,
	broker_published_fn done, void *arg);

/*
 * Appends to the channel's log and pushes the envelope to its subscribers, both or none. Like
 * broker_publish(): done() exactly once, later, may be NULL; or it is not called and the result is -ENOTCONN,
 * -EAGAIN, -ENOMEM, or -EINVAL for options out of their bounds.
 */
int broker_log_publish(struct broker *broker, struct slice channel, struct slice payload,
	const struct broker_log_options *options, broker_log_published_fn done, void *arg);

/*
 * Reads the log: its top, and at most count entries from this offset on, inclusive (count 0: only the top).
 * If there is no log, it begins with this read. done() as above, but not NULL; -EINVAL for ttl_ms 0.
 */
int broker_log_read(struct broker *broker, struct slice channel, uint64_t from, uint32_t count,
	uint64_t ttl_ms, broker_log_read_fn done, void *arg);

/* Appends n actions, at most BROKER_ACTIONS_MAX, to a stream in this order, until that is full. done() as
 * above, not NULL; -EOPNOTSUPP: there is nobody behind this broker who could answer. */
int broker_act(struct broker *broker, const struct broker_action_stream *stream,
	const struct broker_action *actions, size_t n, broker_acted_fn done, void *arg);

enum broker_state broker_state(const struct broker *broker);

/* Of what serves this channel: BROKER_CONNECTING between its lost() and its next subscribed(), at least until
 * its log can be read. The channel need not be wanted. */
enum broker_state broker_channel_state(const struct broker *broker, struct slice channel);

/* How often a server became ready: from each time on it may know less than it was told before. */
uint64_t broker_n_returns(const struct broker *broker);

/* The server number i of this moment, from 0. false: there are no more. */
bool broker_shard(const struct broker *broker, size_t i, struct broker_shard *shard);

/*
 * Appends one JSON object for /ready, no secrets:
 * {"kind":"redis","state":"ready","address":"127.0.0.1:6379/0", "since_ms":…,"n_channels":…}; while not ready
 * also "reason" and "n_attempts".
 */
void broker_describe(const struct broker *broker, struct buf *out);

/*
 * The refusal that people have to mend before histories work, as one sentence: the request, and Redis'
 * answer. Empty: nothing is known to be wrong. Borrowed until the next turn.
 */
struct slice broker_complaint(const struct broker *broker);

/*
 * A larger event is dropped and counted, from the next event on: those who hear the broker need not look. In
 * memory alone all that is published comes through the admin port, which refuses a larger one.
 */
void broker_set_payload_max(struct broker *broker, size_t payload_bytes_max);

/* True: the library for logs is looked for at once, and after each connect; see
 * redis_options.loads_library. */
void broker_set_loads_library(struct broker *broker, bool loads_library);

/*
 * Tells the other nodes of this one: a JSON object that counts for ttl_ms. Again and again, while it is
 * there. 0, or why it was not sent: -EOPNOTSUPP (there are no others), -ENOTCONN, -EAGAIN, -ENOMEM.
 */
int broker_announce(struct broker *broker, struct slice text, uint64_t ttl_ms);

/* Lists the nodes. done() is called exactly once, later, as above; or the result is one of
 * broker_announce()'s. */
int broker_nodes(struct broker *broker, broker_nodes_fn done, void *arg);

/* This node is about to end: takes its announcement back. done(), which may be NULL, once that is done or in
 * vain. */
int broker_withdraw(struct broker *broker, broker_withdrawn_fn done, void *arg);

/*
 * Takes the text that a backend has put there for this ticket: whoever asks first gets it, and nobody else.
 * done() is called exactly once, later, as above. 0, or why it was not asked: -EOPNOTSUPP (no backend can put
 * tickets here), -ENOTCONN, -EAGAIN, -ENOMEM.
 */
int broker_take_ticket(struct broker *broker, struct slice ticket, broker_ticket_fn done, void *arg);

/*
 * The set of revocations that all nodes keep together: reads it; adds one, or another time to one; takes one
 * out, or all that are over. Nobody hears how the latter ended: a refusal is in the log. 0, or why it was not
 * asked: -EOPNOTSUPP (there are no others), -ENOTCONN, -EAGAIN, -ENOMEM.
 */
int broker_revocations(struct broker *broker, broker_revocations_fn each, void *arg);
int broker_revoke(struct broker *broker, const struct broker_revocation *revocation);
int broker_unrevoke(struct broker *broker, struct slice text);
int broker_expire_revocations(struct broker *broker, double now_seconds);

/*
 * Says how many connections of these users this node has on the channel, at most BROKER_USERS_MAX. A call
 * that is repeated changes nothing. done(), not NULL, exactly once, later, as above; or the result is
 * -EOPNOTSUPP, -ENOTCONN, -EAGAIN or -ENOMEM.
 */
int broker_set_presence(struct broker *broker, const struct broker_presence *presence,
	const struct broker_user *users, size_t n, broker_roll_fn done, void *arg);

/* Who is on this channel? names: the first BROKER_ROLL_MAX users, too. Otherwise the same. */
int broker_ask_presence(
	struct broker *broker, struct slice channel, bool names, broker_roll_fn done, void *arg);

/* What a node holds is what has to be cleared up if it dies: names, at most BROKER_HELD_MAX of them in one
 * call. Each is a letter and a channel or, behind another letter, a key. */
int broker_hold(struct broker *broker, struct slice node, bool hold, const struct slice *names, size_t n,
	broker_done_fn done, void *arg);
/* Takes out some of what a node has left on a channel when it died. Otherwise the same; also below. */
int broker_clear_presence(struct broker *broker, const struct broker_presence *presence, uint64_t cursor,
	broker_roll_fn done, void *arg);

/* This node is there. To be said again well before the lease ends. */
int broker_lease(struct broker *broker, const struct broker_lease *lease, broker_lease_fn done, void *arg);

/* This node is about to end: the others need not wait for longer than this. done() may be NULL. */
int broker_end_lease(
	struct broker *broker, struct slice node, uint64_t in_ms, broker_done_fn done, void *arg);

/* A dead node that was the caller's to clear up has left nothing any more. done() is not NULL, and hears
 * BROKER_HAD_ENDED of one that had not died, but ended, or goes on under another name. */
int broker_cleared(struct broker *broker, struct slice node, broker_done_fn done, void *arg);

/* Some of what a node holds. */
int broker_hold_some(struct broker *broker, struct slice node, broker_held_fn done, void *arg);

/* From now on nodes count as dead that hold something, but no lease of them is known: where it was is lost.
 * For who judges (broker_lease()). */
void broker_seek_missed(struct broker *broker);

/*
 * Says what came and went on this node, at most BROKER_SAID_MAX. call: its number, one more than that of the
 * last call about this stream; a call that failed is repeated under its number, and then says nothing twice.
 * forgot: as the broker answered since the node has its present name. done() as above, not NULL.
 */
int broker_say(struct broker *broker, const struct broker_session *session, uint64_t call, bool forgot,
	const struct broker_said *said, size_t n, broker_said_fn done, void *arg);

/* Says of some of what a dead node had that it is lost. session.size counts where that node had said none. */
int broker_say_lost(struct broker *broker, const struct broker_session *session, uint64_t cursor,
	broker_said_fn done, void *arg);

void broker_free(struct broker *broker); /* accepts NULL */

#endif
