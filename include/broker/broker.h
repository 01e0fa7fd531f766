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

#include "protocol/json.h"

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
	/* One event, in the order in which the channel has them. */
	void (*event)(void *arg, struct slice channel, struct slice payload);
	/* All that had arrived has been handed over: a good moment to pass it on. Follows every run of
	 * event(). */
	void (*drained)(void *arg);
	/* Every event published to this channel from now on will come. Said after each broker_subscribe()
	   (several of one moment are answered once), and again for each subscribed channel after a reconnect.
	 */
	void (*subscribed)(void *arg, struct slice channel);
	/* The state changed; a broker starts as BROKER_CONNECTING. Reason is one sentence for the log and
	   /ready; borrowed. */
	void (*state)(void *arg, enum broker_state state, const char *reason);
};

/*
 * How a publication ended: r 0 done, negative errno otherwise. -ETIMEDOUT: the link was lost, nobody knows
 * whether it was published. -EACCES: Redis refused it for want of rights. -EIO: Redis answered with another
 * error. -ECANCELED: the broker was freed. n_receivers: subscribers that Redis counted, or local ones.
 */
typedef void (*broker_published_fn)(void *arg, int r, uint64_t n_receivers);

/* The seam: what a broker must do. The functions below call through it. */
struct broker_ops {
	int (*subscribe)(struct broker *broker, struct slice channel);
	void (*unsubscribe)(struct broker *broker, struct slice channel);
	int (*publish)(struct broker *broker, struct slice channel, struct slice payload,
		broker_published_fn done, void *arg);
	enum broker_state (*state)(const struct broker *broker);
	void (*describe)(const struct broker *broker, struct buf *out);
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

enum broker_state broker_state(const struct broker *broker);

/*
 * Appends one JSON object for /ready, no secrets:
 * {"kind":"redis","state":"ready","address":"127.0.0.1:6379/0", "since_ms":…,"n_channels":…}; while not ready
 * also "reason" and "n_attempts".
 */
void broker_describe(const struct broker *broker, struct buf *out);

void broker_free(struct broker *broker); /* accepts NULL */

/* One node alone: what is published here arrives here. The listener must outlive it. 0 or -ENOMEM. */
int broker_memory_new(
	struct event_base *base, const struct broker_listener *listener, struct broker **brokerp);

/* Where a Redis is, and who we are there. Strings owned by the struct; see redis_url_parse(). */
struct redis_url {
	char *host;      /* NULL with a Unix socket */
	char *unix_path; /* NULL with TCP */
	char *user;      /* NULL: the default user */
	char *password;  /* NULL: no AUTH */
	uint16_t port;
	int db;
};

/*
 * redis://[[user]:password@]host[:port][/db], redis://[…]@[::1]:6379, unix://[[user]:password@]/path[?db=n]
 * or redis+unix://, percent-decoded once. 0, or -EINVAL with one sentence (nothing of the text in it, so
 * never the password) appended to error, or -ENOMEM.
 */
int redis_url_parse(const char *text, struct redis_url *url, struct buf *error);
int redis_url_copy(const struct redis_url *from, struct redis_url *to); /* 0 or -ENOMEM */
void redis_url_deinit(struct redis_url *url);

/* "127.0.0.1:6379/0" or the socket's path: never a secret. */
void redis_url_describe(const struct redis_url *url, struct buf *out);

struct redis_options {
	const struct redis_url *url; /* copied */
	const char *channel_prefix;  /* put before every channel name in Redis; "" for none; copied */
	const char *node_id; /* unique per process; names the probe channel and CLIENT SETNAME; copied */
	uint64_t seed;       /* for jitter */

	/* From here on 0 is the default. */
	size_t payload_bytes_max;  /* a larger event is dropped and counted, the link lives on; 256 KiB
				      (faults.md) */
	uint32_t dial_timeout_ms;  /* to connect, and again to be greeted; 2 s */
	uint32_t probe_idle_ms;    /* silence after which the path is probed; 4 s */
	uint32_t probe_timeout_ms; /* for the echo; two missed in silence: the link is lost; 2 s */
};

/*
 * Starts connecting at once and for ever. The listener, log and metrics (may be NULL) must outlive it.
 * 0, -EINVAL or -ENOMEM.
 */
int broker_redis_new(struct event_base *base, const struct redis_options *options,
	const struct broker_listener *listener, struct log *log, struct metrics *metrics,
	struct broker **brokerp);

#endif
