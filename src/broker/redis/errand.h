#ifndef TIDEGATE_BROKER_REDIS_ERRAND_H
#define TIDEGATE_BROKER_REDIS_ERRAND_H

/*
 * Redis errand: a command that follows its slot through a cluster.
 *
 * It is sent to the server that has the slot, as far as we know. Where that one says that another has
 * it, it goes there; where nobody can serve it now, it waits a little and asks the map again. After 2 s
 * it is answered with the last error. It never dials: whoever is not connected is waited for.
 *
 * Commands that have to keep their order stand in the line of their slot. They are under way together while
 * all of them are at one server. As soon as one is sent elsewhere, the first goes on alone and the others
 * wait for it, but no longer than half a second for an answer: whoever was passed by others is not sent
 * again, so that it cannot come after them.
 *
 * Beside a cluster there are no errands: commands go straight to their link.
 *
 * One that has to come again with its script's text (servers before Redis 7, after a restart or a flush of
 * their scripts) is another errand then, and may stand behind later ones.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/redis/link.h"
#include "broker/redis/redirect.h"
#include "broker/redis/slot.h"
#include "core/list.h"
#include "core/slice.h"

struct event_base;

/* The errands of one slot that keep their order. Zeroed: none ever did. */
struct redis_line {
	struct list errands;   /* in the order in which they began */
	struct redis_link *at; /* where all of them are, unless it is disturbed */
	bool disturbed;        /* one was sent elsewhere, or has to wait */
	bool is_going_on;
};

/* Who knows the way. */
struct redis_slots_source {
	void *arg;
	struct redis_line *lines; /* of all REDIS_SLOTS, for the errands of all servers */
	/* The link to who has the slot, or is at this address, for commands; NULL: there is none now. */
	struct redis_link *(*owner)(void *arg, unsigned int slot);
	struct redis_link *(*at)(void *arg, struct slice host, uint16_t port);
	/* A server said so. The host is not empty. */
	void (*redirected)(void *arg, const struct redis_redirect *redirect);
	/* Who is behind this link, which is compared and no more, does not have our functions. */
	void (*lacks)(void *arg, const struct redis_link *link);
};

/* The errands that one server's callers are on. */
struct redis_errands {
	const struct redis_slots_source *router; /* NULL: no cluster. Borrowed */
	struct event_base *base;
	struct list all;
	size_t n_bytes; /* words of those that have waited: no link counts them meanwhile */
};

/* Makes it of zeroed memory. */
void redis_errands_init(
	struct redis_errands *errands, struct event_base *base, const struct redis_slots_source *router);

/* All who wait are answered with NULL. Harmless on zeroed memory. */
void redis_errands_cancel(struct redis_errands *errands);

/* As redis_link_ask(); -EAGAIN also if errands that have waited hold REDIS_OUTSTANDING_BYTES_MAX. */
int redis_errand_begin(struct redis_errands *errands, struct redis_link *link, const struct slice *argv,
	size_t n, redis_answer_fn fn, void *arg);

/* Likewise, of one that is carried out after all of its slot that began so before. */
int redis_errand_begin_in_line(struct redis_errands *errands, struct redis_link *link,
	const struct slice *argv, size_t n, redis_answer_fn fn, void *arg);

/* As redis_link_ask(). errands may be NULL. */
static inline int redis_ask(struct redis_errands *errands, struct redis_link *link, const struct slice *argv,
	size_t n, redis_answer_fn fn, void *arg)
{
	if (errands && errands->router)
		return redis_errand_begin(errands, link, argv, n, fn, arg);
	return redis_link_ask(link, argv, n, fn, arg);
}

/* Likewise, in order. (A link keeps it by itself.) */
static inline int redis_ask_in_line(struct redis_errands *errands, struct redis_link *link,
	const struct slice *argv, size_t n, redis_answer_fn fn, void *arg)
{
	if (errands && errands->router)
		return redis_errand_begin_in_line(errands, link, argv, n, fn, arg);
	return redis_link_ask(link, argv, n, fn, arg);
}

#endif
