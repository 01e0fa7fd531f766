#ifndef TIDEGATE_MAIL_PRESENCE_H
#define TIDEGATE_MAIL_PRESENCE_H

/*
 * Presence: what travels between workers and bus about who is on a channel.
 *
 * A presence_change says that a connection of a user came to a channel or left it. A roll_call is one
 * client's question; the bus gives it back exactly once, with a roll that all share who asked at the same
 * time.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/list.h"
#include "core/slice.h"
#include "mail/bus_mail.h"

struct presence_change {
	struct bus_mail mail; /* in the bus' inbox */
	uint64_t hash;        /* map_hash() of the channel */
	bool is_here;
	size_t channel_len, user_len, text_len;
	char bytes[]; /* channel, user, and a JSON object that says who it is */
};

/* NULL when out of memory. To be freed with free(). user empty: a connection without one. */
struct presence_change *presence_change_new(
	struct slice channel, struct slice user, struct slice text, bool is_here);

static inline struct slice presence_change_channel(const struct presence_change *change)
{
	return (struct slice){change->bytes, change->channel_len};
}

static inline struct slice presence_change_user(const struct presence_change *change)
{
	return (struct slice){change->bytes + change->channel_len, change->user_len};
}

static inline struct slice presence_change_text(const struct presence_change *change)
{
	return (struct slice){change->bytes + change->channel_len + change->user_len, change->text_len};
}

/* Who is on a channel. It does not change, and is shared by count. */
struct roll {
	atomic_uint n_refs;
	uint64_t n_users;
	uint64_t n_anonymous;
	bool names; /* users are named; if not, text is empty */
	size_t len;
	char text[]; /* JSON objects with commas between */
};

/* One reference; NULL when out of memory. */
struct roll *roll_new(uint64_t n_users, uint64_t n_anonymous, bool names, struct slice text);
struct roll *roll_ref(struct roll *roll);
void roll_unref(struct roll *roll); /* accepts NULL */

struct roll_call {
	struct bus_mail mail; /* in the bus' inbox */
	void *carrier;        /* the worker's mail for the way back, made in advance; freed with the call */
	unsigned int worker;
	struct list owned; /* its worker's own: among the calls of its clients */
	void *owner; /* the client that asked, NULL once it has gone; read and changed by its worker alone */
	struct list due; /* the bus' own */

	/* The answer: 0 with a roll, one reference; or negative errno. */
	int r;
	struct roll *roll;

	uint64_t hash;
	size_t channel_len, id_len;
	char bytes[]; /* the channel, and the client's id of its question */
};

/* NULL when out of memory. */
struct roll_call *roll_call_new(unsigned int worker, struct slice channel, struct slice id, void *owner);
void roll_call_free(struct roll_call *call); /* with its carrier; accepts NULL */

static inline struct slice roll_call_channel(const struct roll_call *call)
{
	return (struct slice){call->bytes, call->channel_len};
}

/* Absent if the client gave none. */
static inline struct slice roll_call_id(const struct roll_call *call)
{
	return (struct slice){call->id_len ? call->bytes + call->channel_len : NULL, call->id_len};
}

#endif
