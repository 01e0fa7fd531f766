#ifndef TIDEGATE_BROKER_REDIS_SERVER_H
#define TIDEGATE_BROKER_REDIS_SERVER_H

/*
 * Redis server: one Redis, from its address to events that are proven to flow.
 *
 *            subscriber: SUBSCRIBE ──► event(), subscribed(), lost(), the probe's echo
 *     Redis ┤
 *            commander:  PUBLISH   ──► done(), the probe
 *                        our library's functions ──► done() of log calls
 *
 * It is ready when a probe published on one link has come back on the other, and not before: an open socket
 * proves nothing. When either link is lost both are given up and dialled again, for ever, and each wanted
 * channel is asked for anew. Plain pub/sub forgets the events of that time; the channel's log, above,
 * repairs that.
 *
 * Servers stand side by side: each has its links, its channels, its library and its outage, and two of them
 * share nothing. Which channel belongs to which server is decided above. All on the bus thread; the
 * listeners are called on a turn of their own, as broker.h promises.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/broker.h"
#include "broker/redis/channels.h"
#include "broker/redis/link.h"

struct redis_list_mark;
struct redis_options;
struct redis_server;
struct redis_sharded_listener;
struct redis_url;

/* How the server itself is. Its channels have broker_listener. */
struct redis_server_listener {
	void *arg;
	/* It is ready, or is so no longer: see redis_server_is_ready(). Its channels were lost before that,
	 * and are subscribed behind it. */
	void (*changed)(void *arg, struct redis_server *server, const char *reason);
	/* An event took so long from us to the server and back. */
	void (*measured)(void *arg, struct redis_server *server, uint64_t took_us);
	/* May it be dialled now? If not, it asks again. NULL: always. */
	bool (*may_dial)(void *arg);
	/* It says who has which slots: it is in a cluster, and gets no further as a server alone. To be
	 * freed on a later turn. NULL: it is not asked. */
	void (*clustered)(void *arg);
	/* What it answers to CLUSTER SLOTS before it is used: why it is not the one that was meant; NULL: it
	 * is. Without this function it is not asked. */
	const char *(*stranger)(void *arg, const struct redis_reply *slots);
};

/*
 * Starts connecting at once. The options but for their URL, which may be another server's; all are copied.
 * event(), drained(), subscribed() and lost() of events are called, its state() is not. The log and metrics
 * (may be NULL) must outlive the server. 0 or negative errno.
 */
int redis_server_new(struct event_base *base, const struct redis_url *url,
	const struct redis_options *options, const struct broker_listener *events,
	const struct redis_server_listener *listener, struct log *log, struct metrics *metrics,
	struct redis_server **serverp);

/* Outstanding calls are answered with -ECANCELED, and no more are taken. It is there until it is freed. */
void redis_server_stop(struct redis_server *server);

/* Stops it, if that is not done. Accepts NULL and a half-built one. */
void redis_server_free(struct redis_server *server);

bool redis_server_is_stranger(const struct redis_server *server); /* stranger() said so, of the newest link */
bool redis_server_is_ready(const struct redis_server *server);    /* accepts NULL: no */

/* As the functions of the broker, for the channels of this server. All calls that have an answer accept
 * a server that is NULL, which is not ready. */
int redis_server_subscribe(struct redis_server *server, enum redis_hearing hearing, struct slice channel);
void redis_server_hurry(struct redis_server *server, struct slice channel);
bool redis_server_look(struct redis_server *server); /* broker_look(); accepts NULL */
void redis_server_unsubscribe(struct redis_server *server, enum redis_hearing hearing, struct slice channel);
int redis_server_publish(struct redis_server *server, struct slice channel, struct slice payload,
	broker_published_fn done, void *arg);
int redis_server_log_publish(struct redis_server *server, struct slice channel, struct slice payload,
	const struct broker_log_options *options, broker_log_published_fn done, void *arg);
int redis_server_log_read(struct redis_server *server, struct slice channel, uint64_t from, uint32_t count,
	uint64_t ttl_ms, broker_log_read_fn done, void *arg);
int redis_server_act(struct redis_server *server, const struct broker_action_stream *stream,
	const struct broker_action *actions, size_t n, broker_acted_fn done, void *arg);

int redis_server_set_presence(struct redis_server *server, const struct broker_presence *presence,
	const struct broker_user *users, size_t n, broker_roll_fn done, void *arg);
int redis_server_clear_presence(struct redis_server *server, const struct broker_presence *presence,
	uint64_t cursor, broker_roll_fn done, void *arg);
int redis_server_ask_presence(
	struct redis_server *server, struct slice channel, bool names, broker_roll_fn done, void *arg);

int redis_server_say(struct redis_server *server, const struct broker_session *session, uint64_t call,
	bool forgot, const struct broker_said *said, size_t n, broker_said_fn done, void *arg);
int redis_server_say_lost(struct redis_server *server, const struct broker_session *session, uint64_t cursor,
	broker_said_fn done, void *arg);

/* The leases of the nodes on this server, for redis/lease.h; NULL while it is not ready. */
struct redis_leases *redis_server_leases(struct redis_server *server);

/* As the functions of the broker, for the nodes that announce themselves on this server. */
int redis_server_announce(struct redis_server *server, struct slice text, uint64_t ttl_ms);
int redis_server_nodes(struct redis_server *server, broker_nodes_fn done, void *arg);
int redis_server_depart(struct redis_server *server, broker_withdrawn_fn done, void *arg);

/* See list_mark.h; where the server is not ready nothing is done. */
void redis_server_leave_mark(struct redis_server *server, struct redis_list_mark *mark);

/* As broker_take_ticket(). */
int redis_server_take_ticket(
	struct redis_server *server, struct slice ticket, broker_ticket_fn done, void *arg);

/* As the functions of the broker. */
int redis_server_revocations(struct redis_server *server, broker_revocations_fn each, void *arg);
int redis_server_revoke(struct redis_server *server, const struct broker_revocation *revocation);
int redis_server_unrevoke(struct redis_server *server, struct slice text);
int redis_server_expire_revocations(struct redis_server *server, double now_seconds);

/* The channels that are wanted (by SUBSCRIBE), from *atp NULL on, while none is dropped. */
bool redis_server_walk(const struct redis_server *server, struct map_entry **atp, struct slice *channelp);

/* Wants all channels that the other one wants. 0 or -ENOMEM. */
int redis_server_adopt(struct redis_server *server, const struct redis_server *other);

/*
 * Another server takes over from one that is ready: lost() is said of its channels, calls end, and
 * nothing is left but its subscriber, whose events still come. When that is closed, changed() is called
 * once more, and no dial follows.
 */
void redis_server_retire(struct redis_server *server);

/*
 * In a cluster: what happens to sharded channels is told there, before anything else is done with the
 * server; the gateway publishes to them or not; and a command that is sent as soon as we were greeted,
 * as redis_link_ask().
 */
void redis_server_hear_sharded(struct redis_server *server, const struct redis_sharded_listener *listener);
void redis_server_set_sharded(struct redis_server *server, bool sharded);
int redis_server_ask(
	struct redis_server *server, const struct slice *argv, size_t n, redis_answer_fn fn, void *arg);

/* Its link for commands; NULL while it is not ready. Borrowed for a turn. */
struct redis_link *redis_server_commander(struct redis_server *server);

/* Somebody who was sent here did not find our functions. */
void redis_server_lacks_library(struct redis_server *server);

/* It is not dialled, for this reason: that is said as a dial in vain is. */
void redis_server_held(struct redis_server *server, const char *reason);

/* Why it could not be reached, if it was dialled in vain; NULL: it was not, or is ready. Borrowed for a
 * turn. */
const char *redis_server_fault(struct redis_server *server);

struct slice redis_server_probe_channel(const struct redis_server *server); /* borrowed */
struct slice redis_server_address(const struct redis_server *server);       /* no secret; borrowed */
size_t redis_server_n_channels(const struct redis_server *server);          /* that are wanted */

/* Fills in what a server knows of itself; the rest is as it was. */
void redis_server_measure(const struct redis_server *server, struct broker_shard *out);

struct slice redis_server_complaint(const struct redis_server *server);

/* Appends the members of a JSON object: "state", "address", … as in broker_describe(). */
void redis_server_describe(const struct redis_server *server, struct buf *out);

void redis_server_set_payload_max(struct redis_server *server, size_t payload_bytes_max);
void redis_server_set_loads_library(struct redis_server *server, bool loads_library);

#endif
