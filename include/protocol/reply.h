#ifndef TIDEGATE_PROTOCOL_REPLY_H
#define TIDEGATE_PROTOCOL_REPLY_H

/*
 * Reply: the messages that the gateway itself sends to one client. Each function returns a message whose
 * reference the caller owns, or NULL when out of memory. id: echoed as it stands; may be absent.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/slice.h"

struct message;

/* {"type":"pong","timestamp":…} */
struct message *reply_pong(struct slice id, uint64_t wall_ms);

/* {"type":"subscribed","data":{"channel":…},"timestamp":…} */
struct message *reply_subscribed(struct slice id, struct slice channel, uint64_t wall_ms);
struct message *reply_unsubscribed(struct slice id, struct slice channel, uint64_t wall_ms);

/*
 * {"type":"error","data":{"code":…,"message":…,"channel":…,"retry_after_ms":…},"timestamp":…}
 * channel may be absent; retry_after_ms 0: left out.
 */
struct message *reply_error(struct slice id, const char *code, const char *message, struct slice channel,
	uint64_t retry_after_ms, uint64_t wall_ms);

/* Taken away: {"type":"unsubscribed","data":{"channel":…,"reason":"forbidden"},…} */
struct message *reply_revoked(struct slice channel, uint64_t wall_ms);

/* {"type":"authenticated","data":{"expires_in_ms":…},…}; UINT64_MAX: never, and without data. */
struct message *reply_authenticated(struct slice id, uint64_t left_ms, uint64_t wall_ms);

/* {"type":"token_expiring","data":{"expires_in_ms":…},…} */
struct message *reply_refresh(uint64_t wall_ms);
struct message *reply_token_expiring(uint64_t left_ms, uint64_t wall_ms);

/* What a client that knows recovery is told about its place in a channel's history. */
struct reply_recovery {
	bool recoverable;   /* the channel keeps a history; if not, all members below are left out */
	bool recovered;     /* nothing is missing */
	const char *reason; /* why it was not recovered; NULL if it was */
	const char *pos;
	uint32_t count; /* the number of entries that follow */
};

/* {"type":"subscribed","data":{"channel":…,"recoverable":true,"recovered":true,"pos":…,"count":3},…} */
struct message *reply_recovered(
	struct slice id, struct slice channel, const struct reply_recovery *recovery, uint64_t wall_ms);

/* {"type":"resync","data":{"channel":…,"reason":…,"continuous":…,"retracted":…,"pos":…},…} */
struct message *reply_resync(struct slice channel, const char *reason, bool continuous, uint64_t retracted,
	const char *pos, uint64_t wall_ms);

/* {"type":"reply","id":…,"data":…,"more":true,"timestamp":…}: a backend's answer. data: JSON, or absent. */
struct message *reply_action(struct slice id, struct slice data, bool more, uint64_t wall_ms);

/* The error of an action, in a backend's words: code and message are JSON strings, quotes included. */
struct message *reply_action_error(
	struct slice id, struct slice code, struct slice message, uint64_t wall_ms);

/* Who is on a channel. */
struct reply_roll {
	uint64_t n_users;
	uint64_t n_anonymous;
	bool names;
	struct slice users; /* JSON objects with commas between */
};

/* {"type":"presence","data":{"channel":…,"n_users":…,"n_anonymous":…,"users":[…]},…} */
struct message *reply_presence(
	struct slice id, struct slice channel, const struct reply_roll *roll, uint64_t wall_ms);

/* {"type":"degraded","data":{"reason":"upstream"},…} and {"type":"restored",…}; of one channel, if that is
 * not absent, with its name in "data". */
struct message *reply_degraded(struct slice channel, uint64_t wall_ms);
struct message *reply_restored(struct slice channel, uint64_t wall_ms);

/* {"type":"reconnect","data":{"reason":"drain","after_ms":4200},…} */
struct message *reply_reconnect(const char *reason, uint64_t after_ms, uint64_t wall_ms);

#endif
