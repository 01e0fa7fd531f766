#ifndef TIDEGATE_BROKER_BROKER_H
#define TIDEGATE_BROKER_BROKER_H

/*
 * Broker: where events come from and go to. One interface, two behind it: Redis, and memory (one node alone).
 *
 * All of it happens on the bus thread's libevent loop. The broker calls up through its listener on a turn of
 * its own, never from inside a call to it: no call re-enters. So the listener may call anything below, except
 * broker_free(), which must not be called from inside one of the broker's calls.
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

enum broker_state {
	BROKER_CONNECTING, /* never was ready, or lost; trying */
	BROKER_READY,      /* events flow, proven */
};

/* Hears what the broker has to say. Slices are borrowed for the length of the call. */
struct broker_listener {
	void *arg;
	/* One event, in the order in which the channel has them. What was published to the channel's log
	   comes in its envelope (channel_log/envelope.h), which the first byte tells from a plain payload.
	   None is larger than broker_set_payload_max() allows. */
	void (*event)(void *arg, struct slice channel, struct slice payload);
	/* All that had arrived has been handed over: a good moment to pass it on. Follows every run of
	 * event(). */
	void (*drained)(void *arg);
	/* Every event published to this channel from now on will come. Said after each broker_subscribe()
	   (several of one moment are answered once), and again for each subscribed channel after a reconnect.
	 */
	void (*subscribed)(void *arg, struct slice channel);
	/* Events published to this channel may not come from now on, until subscribed() is said of it again.
	   Said of each channel that is wanted where the loss was, whether it had been subscribed there or was
	   about to be; other channels go on. */
	void (*lost)(void *arg, struct slice channel);
	/* The state of the broker as a whole changed; it starts as BROKER_CONNECTING. Channels are lost
	   before it is said to be connecting, and subscribed after it is said to be ready. Reason is one
	   sentence for the log and /ready; borrowed. */
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
	BROKER_LOG_KEY_MAX = 256,       /* bytes of an idempotency key */
	BROKER_LOG_KEY_TTL_MS = 120000, /* known for so long (docs/recovery-protocol.md, The log in Redis) */
	BROKER_LOG_READ_MAX = 10000,    /* entries of one read; a larger count is cut to it */
	BROKER_LOG_READ_BYTES = 4 * 1024 * 1024 /* of payloads after which a read stops, the last one whole */
};

/* How much a log keeps. The last publication decides; a read decides on the ttl too. */
struct broker_log_options {
	uint32_t size;       /* entries, at least 1; some more may be kept */
	uint64_t ttl_ms;     /* the log goes when nobody published or read for so long; at least 1 */
	struct slice key;    /* idempotency key, 1 to BROKER_LOG_KEY_MAX bytes; data NULL: none */
	uint64_t key_ttl_ms; /* the key is known for so long; at least 1 */
};

/*
 * id: of the entry; borrowed, NULL unless r is 0. is_duplicate: the key was known, id is that of the entry
 * that it stands for, and nothing was published. (Its epoch is zeroed if an older library remembered only the
 * rest.)
 */
typedef void (*broker_log_published_fn)(void *arg, int r, const struct position *id, bool is_duplicate);

struct broker_log_entry {
	uint64_t offset;
	uint64_t tag;
	struct slice payload; /* data NULL: larger than is allowed, or not written by a publish function */
};

/*
 * The result of a range read: the top of the log, which is 0-0 in a new epoch when there was no log, and
 * the entries, ascending. Borrowed; NULL and 0 unless r is 0. They may end before the top and be fewer than
 * asked for, when BROKER_LOG_READ_BYTES were reached, but are two at least if there are two: who wants the
 * rest reads on from the last one, inclusive.
 */
typedef void (*broker_log_read_fn)(void *arg, int r, const struct position *top,
	const struct broker_log_entry *entries, size_t n_entries);

/*
 * The announcements of the nodes, one JSON object each, in no order; borrowed, n is 0 if r is negative. r may
 * be BROKER_NODES_PARTIAL. Anybody who may write to Redis may have written them.
 */
typedef void (*broker_nodes_fn)(void *arg, int r, const struct slice *nodes, size_t n);
typedef void (*broker_withdrawn_fn)(void *arg);

enum {
	BROKER_NODES_PARTIAL = 1, /* there are more than were looked at */
	BROKER_NODES_MAX = 500,   /* that are listed */
};

/* The seam: what a broker must do. The functions below call through it. */
struct broker_ops {
	int (*subscribe)(struct broker *broker, struct slice channel);
	void (*unsubscribe)(struct broker *broker, struct slice channel);
	int (*publish)(struct broker *broker, struct slice channel, struct slice payload,
		broker_published_fn done, void *arg);
	int (*log_publish)(struct broker *broker, struct slice channel, struct slice payload,
		const struct broker_log_options *options, broker_log_published_fn done, void *arg);
	int (*log_read)(struct broker *broker, struct slice channel, uint64_t from, uint32_t count,
		uint64_t ttl_ms, broker_log_read_fn done, void *arg);
	enum broker_state (*state)(const struct broker *broker);
	/* NULL: the same for all channels. */
	enum broker_state (*channel_state)(const struct broker *broker, struct slice channel);
	void (*describe)(const struct broker *broker, struct buf *out);
	struct slice (*complaint)(const struct broker *broker);                   /* NULL: there is none */
	void (*set_payload_max)(struct broker *broker, size_t payload_bytes_max); /* NULL: it has no bound */
	void (*set_loads_library)(struct broker *broker, bool loads_library);     /* NULL: it needs none */
	/* NULL, all three: this node is alone. */
	int (*announce)(struct broker *broker, struct slice text, uint64_t ttl_ms);
	int (*nodes)(struct broker *broker, broker_nodes_fn done, void *arg);
	int (*withdraw)(struct broker *broker, broker_withdrawn_fn done, void *arg);
	void (*free)(struct broker *broker);
};

/* First member of every broker. */
struct broker {
	const struct broker_ops *ops;
};

/*
 * Wants this channel. Idempotent. Remembered across reconnects until broker_unsubscribe(). 0, -ENOMEM, or
 * -EINVAL for a name that is the broker's own (the probe channel of Redis).
 */
int broker_subscribe(struct broker *broker, struct slice channel);

/* No longer wants it. Events that were under way may still come. Idempotent. */
void broker_unsubscribe(struct broker *broker, struct slice channel);

/*
 * Publishes as it is. done() is called exactly once, later, on the loop (also from broker_free(), with
 * -ECANCELED); it may be NULL. 0, or with done() not called: -ENOTCONN (no link now, nothing was sent),
 * -EAGAIN (16 MiB are under way unanswered: the caller must slow down) or -ENOMEM.
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
 * A log that is not there begins with this read. done() as above, not NULL; -EINVAL for ttl_ms 0.
 */
int broker_log_read(struct broker *broker, struct slice channel, uint64_t from, uint32_t count,
	uint64_t ttl_ms, broker_log_read_fn done, void *arg);

enum broker_state broker_state(const struct broker *broker);

/* Of what serves this channel: BROKER_CONNECTING between its lost() and its next subscribed(), at least until
 * its log can be read. The channel need not be wanted. */
enum broker_state broker_channel_state(const struct broker *broker, struct slice channel);

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

/* True: the library for logs is looked for at once, and after each connect; see redis_options.loads_library.
 */
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

void broker_free(struct broker *broker); /* accepts NULL */

#endif
