#ifndef TIDEGATE_ROUTE_ROUTE_H
#define TIDEGATE_ROUTE_ROUTE_H

/*
 * Route: which path leads to which channels, and what a connection on it may do.
 *
 * A path template consists of segments, each a literal or one {variable}: /ws/execution/{execution_id}. A
 * channel template consists of parts joined by ':', each a literal, one {variable} of the path:
 * execution:{execution_id}, or one {token.NAME}, the claim of whoever connects (auth/identity.h). Each is
 * always a whole part, so different ids never make the same name, and neither do different users. If
 * several templates match, the more literal one wins, compared segment by segment from the left; the
 * order of declaration does not matter. Two templates that match the same paths are refused. A finished
 * table does not change and is shared by count between threads; a reload builds another.
 *
 * Segments are percent-decoded exactly once, after the path was split. A segment that is not a plain id
 * then is an id only on routes with any_ids; in the names of channels its other bytes stand as %XX. "."
 * and ".." are no ids: browsers and proxies resolve them away, so a connection would end up on another
 * route than the one it asked for. A path with an empty segment, such as one with a slash at its end, is
 * never found.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/slice.h"

struct buf;
struct identity;
struct key_path;

/* Must a connection say who it is? */
enum route_auth {
	ROUTE_AUTH_DEFAULT, /* as route_table_set_auth() says */
	ROUTE_AUTH_NONE,    /* nobody is asked: a token is not looked at */
	ROUTE_AUTH_OPTIONAL,
	ROUTE_AUTH_REQUIRED,
	N_ROUTE_AUTHS,
};

/* What may those have that are in? */
enum route_access {
	ROUTE_ACCESS_DEFAULT, /* not written: as ROUTE_ACCESS_ROUTE */
	ROUTE_ACCESS_ROUTE,   /* what the route says */
	ROUTE_ACCESS_TOKEN,   /* of that, what their token lists */
	N_ROUTE_ACCESSES,
};

enum slow_policy {
#define SLOW_POLICY(id, name, sentence) SLOW_##id,
#include "route/slow_policy.def"
#undef SLOW_POLICY
	N_SLOW_POLICIES,
};

enum {
	SLOW_AGE_MS_MIN = 100, /* with less, an event might be too old before its client could read it */
	SLOW_AGE_MS_MAX = 3600000,
	SLOW_AGE_MS = 10000, /* the default; latest_by_key has no bound */
};

#define SLOW_AGE_NONE UINT64_MAX

/* How much a connection that reads too slowly may cost, and what happens beyond that.
 * Zeroed: the defaults. */
struct route_slow {
	enum slow_policy policy;
	size_t bytes_max;    /* of frames that wait for it; 0: the bound of all connections */
	uint64_t age_max_ms; /* how long an event may wait; 0: the policy's default; or SLOW_AGE_NONE */
	const char *key;     /* only with latest_by_key: a key path */
};

enum {
	ROUTE_HISTORY_SIZE_MAX = 1000000,
	ROUTE_HISTORY_SIZE = 1000, /* the default */
	/* The log of a channel with listeners is read every 8 s and must not expire in between. The library
	 * in Redis raises a shorter time to this one, too. */
	ROUTE_HISTORY_TTL_MS_MIN = 30000,
	ROUTE_HISTORY_TTL_MS = 86400000, /* the default */
};

#define ROUTE_HISTORY_TTL_MS_MAX UINT64_C(31536000000) /* a year: a longer one is a typing error */

/* The history that is kept of the channels that a route joins. Zeroed: no history. */
struct route_history {
	uint32_t size;     /* entries; 0: no history */
	uint64_t ttl_ms;   /* after the last entry or read; 0: the default */
	bool close_on_gap; /* a client that does not know recovery is closed with 1012 if it loses entries */
};

enum {
	ROUTE_ACTIONS_TIMEOUT_MS = 10000, /* the default */
	ROUTE_ACTIONS_TIMEOUT_MS_MIN = 100,
	ROUTE_ACTIONS_TIMEOUT_MS_MAX = 600000, /* answers in parts renew it */
	ROUTE_ACTIONS_IN_FLIGHT = 16,          /* the default */
	ROUTE_ACTIONS_IN_FLIGHT_MAX = 256,
	ROUTE_ACTIONS_BACKLOG = 10000, /* the default */
	ROUTE_ACTIONS_BACKLOG_MAX = 10000000,
	ROUTE_ACTIONS_STREAM_MAX = 255, /* bytes of the stream's key */
};

enum {
	ROUTE_PRESENCE_GRACE_MS = 5000, /* the default */
	ROUTE_PRESENCE_GRACE_MS_MAX = 300000,
	ROUTE_PRESENCE_INFO_MAX = 64, /* bytes of the name of a claim */
};

/* What is kept and told of who is on the channels that a route joins. Zeroed: nothing. */
struct route_presence {
	bool on;
	bool list;         /* users are named to clients that ask, and in events */
	bool events;       /* an event says what has changed */
	uint64_t grace_ms; /* who comes back within this time was not away */
	const char *info;  /* the claim of the token that is told of a user; NULL: none */
};

enum lifecycle_event {
#define LIFECYCLE_EVENT(id, name, sentence) LIFECYCLE_##id,
#include "route/lifecycle_event.def"
#undef LIFECYCLE_EVENT
	N_LIFECYCLE_EVENTS,
};

/* Sets of them are masks. */
#define LIFECYCLE_BIT(event)  (1U << (event))
#define LIFECYCLE_ALL         ((1U << N_LIFECYCLE_EVENTS) - 1)
#define LIFECYCLE_CONNECTIONS (LIFECYCLE_BIT(LIFECYCLE_CONNECTED) | LIFECYCLE_BIT(LIFECYCLE_DISCONNECTED))
#define LIFECYCLE_CHANNELS    (LIFECYCLE_BIT(LIFECYCLE_OCCUPIED) | LIFECYCLE_BIT(LIFECYCLE_VACATED))

enum {
	ROUTE_LIFECYCLE_STREAM_MAX = 200, /* bytes of the stream's key, which stands in names of other keys */
	ROUTE_LIFECYCLE_SIZE = 100000,    /* the default */
	ROUTE_LIFECYCLE_SIZE_MIN =
		1000, /* with less, one restart of a gateway would push out what came before */
	ROUTE_LIFECYCLE_SIZE_MAX = 10000000,
};

/* What is said of its connections and channels in a stream (docs/lifecycle.md). Zeroed: nothing. */
struct route_lifecycle {
	const char *stream;  /* its key in Redis; NULL: nothing is said */
	unsigned int events; /* a mask; 0: all */
	unsigned int size;   /* entries that the stream keeps, or some more; 0: the default */
};

/* Where what its clients ask of a backend goes (docs/actions.md). Zeroed: nowhere. */
struct route_actions {
	const char *stream;     /* its key in Redis; NULL: clients are answered `unsupported` */
	uint64_t timeout_ms;    /* without an answer, or a further part of it; 0: the default */
	unsigned int in_flight; /* of one connection, not answered; 0: the default */
	unsigned int backlog; /* entries of the stream above which clients are answered `busy`; 0: likewise */
};

enum {
	ROUTE_NOT_FOUND = 1, /* no template has this shape: 404 */
	ROUTE_BAD_ID = 2,    /* the shape fits, an id does not, or the ids make no valid channel name: 400 */
	ROUTE_CONFLICT = 3, /* another template matches the same paths, of routes or of their event streams */
	ROUTE_BAD_TEMPLATE = 4, /* see the sentence in the error buffer */

	ROUTE_ID_MAX = 128,       /* bytes of an id as it stands in names */
	ROUTE_VARIABLES_MAX = 8,  /* of one template */
	ROUTE_SEGMENTS_MAX = 16,  /* of one template; also the parts of one channel template */
	ROUTE_CHANNELS_MAX = 16,  /* that one route joins at once */
	ROUTE_SUBSCRIBE_MAX = 64, /* templates in one route's subscribe list */
	ROUTE_PATH_MAX = 2048,    /* longest path that is looked at */
	ROUTE_CHANNEL_MAX = 255,  /* longest channel name that is valid */
	ROUTE_IDS_MAX = ROUTE_VARIABLES_MAX * (ROUTE_ID_MAX + 1), /* longest route_ids() */
};

struct route_table;

/* One route as the configuration says it. The table copies it. */
struct route_spec {
	const char *path;
	const char *const *channels; /* subscribed at once; may be none */
	size_t n_channels;
	/* Templates of further channels that may be subscribed to, such as "execution:{id}". A variable of
	 * the path stands for the connection's own id, any other variable matches any one id. */
	const char *const *subscribe;
	size_t n_subscribe;
	/* may also subscribe to every channel that it could have joined by another path: the default */
	bool subscribe_any_route;
	bool any_ids;     /* any text is an id, in paths and channels; otherwise only plain ids are */
	bool compression; /* permessage-deflate may be agreed on */
	enum route_auth auth;
	enum route_access access;
	struct route_slow slow;
	struct route_history history; /* of the channels that it joins, not of those in its subscribe list */
	struct route_actions actions;
	struct route_presence
		presence; /* of the channels that it joins, not of those in its subscribe list */
	struct route_lifecycle lifecycle; /* likewise, and of its connections */
	/* The path of its event streams, with the same variables in the same order; NULL: /sse/… where its
	 * own path is /ws/…, else none; "": none. */
	const char *sse;
};

struct route; /* owned by its table */

struct route_match {
	const struct route *route;
	const struct identity *identity; /* who came by it, borrowed; NULL: nobody knows */
	size_t n_values;
	struct {
		char text[ROUTE_ID_MAX + 1]; /* as it stands in names, NUL-terminated */
		size_t len;
	} values[ROUTE_VARIABLES_MAX];
};

/* An empty table with one reference; NULL when out of memory. */
struct route_table *route_table_new(void);

/*
 * Adds a route while the table is still private to its builder. Two routes may not want different keys or
 * different histories of one channel template; a route that has none does not count. 0, ROUTE_CONFLICT,
 * ROUTE_BAD_TEMPLATE or -ENOMEM. error: with ROUTE_BAD_TEMPLATE one sentence is appended, which quotes the
 * template and names no file.
 */
int route_table_add(struct route_table *table, const struct route_spec *spec, struct buf *error);

/* The route whose template matches the same paths as this one, whatever the names of its variables; NULL if
 * there is no such route. */
const struct route *route_table_find(const struct route_table *table, const char *path_template);

struct route_table *route_table_ref(struct route_table *table);
void route_table_unref(struct route_table *table); /* accepts NULL */

size_t route_table_size(const struct route_table *table);

/* The i-th route, in the order of route_table_add(). */
const struct route *route_table_get(const struct route_table *table, size_t i);

/* What ROUTE_AUTH_DEFAULT is from now on; at first it is ROUTE_AUTH_NONE. While the table is private. */
void route_table_set_auth(struct route_table *table, enum route_auth auth);

/* The claims that its routes use as {token.NAME}, and as "=NAME" those that presence tells (auth/claims.h);
 * each once, NULL-terminated. Borrowed from the table. */
const char *const *route_table_claims(const struct route_table *table);

/* path: as it was sent, without the query. The match knows no identity yet. 0, ROUTE_NOT_FOUND or
 * ROUTE_BAD_ID. */
int route_table_match(
	const struct route_table *table, const char *path, size_t len, struct route_match *match);

/* The same for the paths of event streams. */
int route_table_match_sse(
	const struct route_table *table, const char *path, size_t len, struct route_match *match);

/* The template as it was declared: the route's name in logs and metrics. */
const char *route_path(const struct route *route);

/*
 * Do both treat a connection alike: path, channels, rights, compression, slow readers? The history is not
 * compared, since it belongs to the channel.
 */
bool route_serves_alike(const struct route *a, const struct route *b);

/* Its place in the table, for arrays that are kept beside it: route_table_get(table,
 * route_index(route)) == route. */
size_t route_index(const struct route *route);

/* As declared, for people and for generated documents; see struct route_spec. */
const char *route_channel_template(const struct route *route, size_t i);
size_t route_n_subscribe(const struct route *route);
const char *route_subscribe_template(const struct route *route, size_t i);
bool route_subscribes_any_route(const struct route *route);
bool route_takes_any_ids(const struct route *route);
bool route_compresses(const struct route *route);
enum route_auth route_auth(const struct route *route);         /* what holds: never ROUTE_AUTH_DEFAULT */
enum route_auth route_auth_written(const struct route *route); /* as declared */
enum route_access route_access(const struct route *route);     /* what holds: never ROUTE_ACCESS_DEFAULT */
enum route_access route_access_written(const struct route *route);

/* Does what it joins depend on the token? Nobody gets in without. */
bool route_needs_token(const struct route *route);

/* Does the id in a path say which channels are joined? */
bool route_joins_by_id(const struct route *route);

/* The word of the configuration. What is not written is "default", which nobody writes. */
const char *route_auth_name(enum route_auth auth);
const char *route_access_name(enum route_access access);

/* False if there is no such word. */
bool route_auth_parse(const char *name, enum route_auth *authp);
bool route_access_parse(const char *name, enum route_access *accessp);

/* With the default age filled in. bytes_max stays 0 where the bound of all connections holds. */
const struct route_slow *route_slow(const struct route *route);

/* Never NULL. Its size is 0 without a history; otherwise the default time is filled in. */
const struct route_history *route_history(const struct route *route);

/* The path of its event streams; NULL: it has none. */
const char *route_sse(const struct route *route);

/* Never NULL. Without a stream it carries none; otherwise the defaults are filled in. */
const struct route_actions *route_actions(const struct route *route);

/* Never NULL. */
const struct route_presence *route_presence(const struct route *route);

/* Never NULL. Without a stream nothing is said; otherwise the defaults are filled in. */
const struct route_lifecycle *route_lifecycle(const struct route *route);

const char *lifecycle_event_name(enum lifecycle_event event);

/* False if there is no event of this name. */
bool lifecycle_event_parse(const char *name, enum lifecycle_event *eventp);

const char *slow_policy_name(enum slow_policy policy);

/* False if there is no policy of this name. */
bool slow_policy_parse(const char *name, enum slow_policy *policyp);

/*
 * The key path for events of this (valid) channel: that of the latest_by_key route that joins it or lists it
 * under subscribe; of several routes, the one with the more literal channel template counts. NULL without
 * such a route. Borrowed from the table.
 */
const struct key_path *route_table_key(const struct route_table *table, struct slice channel);

/*
 * The history of this (valid) channel: that of the route that joins it; of several routes with a history, the
 * one with the more literal channel template counts. NULL without a history. Borrowed from the table.
 */
const struct route_history *route_table_history(const struct route_table *table, struct slice channel);

/* What is kept of who is on this (valid) channel, likewise; NULL: nothing. */
const struct route_presence *route_table_presence(const struct route_table *table, struct slice channel);

/* What is said of this (valid) channel being occupied or vacated, and where, likewise; NULL: nothing. */
const struct route_lifecycle *route_table_lifecycle(const struct route_table *table, struct slice channel);

/* Does any of its routes keep a history, carry actions, keep who is there, or say who comes and goes? */
bool route_table_tells_lifecycle(const struct route_table *table);
bool route_table_keeps_presence(const struct route_table *table);
bool route_table_keeps_history(const struct route_table *table);
bool route_table_carries_actions(const struct route_table *table);

/*
 * How many channels the route joins, and the name of the i-th channel for this match. route_channel()
 * writes it NUL-terminated and returns its length. Where it needs a claim, it is a valid name only for an
 * identity that access_may_enter() let in.
 */
size_t route_n_channels(const struct route *route);
size_t route_channel(const struct route_match *match, size_t i, char out[ROUTE_CHANNEL_MAX + 1]);

/*
 * Writes the part of a match that a connection keeps: its ids in the order of the path, joined by '/'; ""
 * without variables. Returns the length.
 */
size_t route_ids(const struct route_match *match, char out[ROUTE_IDS_MAX + 1]);

/* Appends a JSON object of the path's variables, each as it stands in names. */
void route_variables(const struct route_match *match, struct buf *out);

/* Restores the match from which route_ids() was made, for this identity (NULL: nobody knows). */
void route_rematch(const struct route *route, const char *ids, const struct identity *identity,
	struct route_match *match);

/* Is it a plain id: A–Z a–z 0–9 . _ ~ -, 1 to ROUTE_ID_MAX bytes, neither "." nor ".."? */
bool route_id_valid(const char *id, size_t len);

/* Is it the name of a channel: ids joined by ':', plain or with their other bytes as %XX, at most
 * ROUTE_CHANNEL_MAX bytes, and not beginning with "tg:", which is Tidegate's own? */
bool route_channel_valid(const char *name, size_t len);

#endif
