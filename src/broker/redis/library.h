#ifndef TIDEGATE_BROKER_REDIS_LIBRARY_H
#define TIDEGATE_BROKER_REDIS_LIBRARY_H

/*
 * Redis library: our functions on a Redis that may not have them yet, or any longer.
 *
 * A call finds the library there. It is looked for on a fresh link before the first call, loaded when it is
 * missing or older than ours, and loaded again when a call does not find it (somebody said FUNCTION FLUSH);
 * calls wait meanwhile and keep their order. Each is repeated once and no more. A server without functions
 * gets scripts instead, and whoever calls does not notice.
 *
 * When it cannot be loaded that is said once, with what to do about it; calls are sent all the same, because
 * somebody may have loaded it by hand, and answered with the reason if not.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/redis/script.h"
#include "core/slice.h"

struct log;
struct redis_library;
struct redis_link;
struct redis_reply;

enum {
	REDIS_LIBRARY_KEYS_MAX = 3,
	REDIS_LIBRARY_ARGS_MAX = 8,
};

/* r 0 and the reply, which is no error; or negative errno as in broker.h, and NULL. */
typedef void (*redis_called_fn)(void *arg, int r, const struct redis_reply *reply);

/* The words of a call. Borrowed for the length of it. */
struct redis_call_words {
	struct slice keys[REDIS_LIBRARY_KEYS_MAX];
	size_t n_keys;
	struct slice args[REDIS_LIBRARY_ARGS_MAX];
	size_t n_args;
};

/* Redis does not write: it is a replica, perhaps since a moment ago. The link may be failed, not freed. */
typedef void (*redis_read_only_fn)(void *arg);

/* Where says which Redis, for the log; borrowed for its life, like the log. */
int redis_library_new(struct log *log, struct slice where, redis_read_only_fn read_only, void *arg,
	struct redis_library **libraryp);
void redis_library_free(struct redis_library *library); /* cancels what waits; accepts NULL */

/* A fresh link, greeted, that commands go through from now on. What it has is not known yet. */
void redis_library_attach(struct redis_library *library, struct redis_link *link);

/*
 * The link is about to be freed, which answers what was sent (-ETIMEDOUT). What waits here is answered with
 * -ENOTCONN now. With will_be_freed both are answered with -ECANCELED.
 */
void redis_library_lost(struct redis_library *library, bool will_be_freed);

/*
 * Looks for the library without a call that needs it, if that has not been done, was in vain a while ago, or
 * has not been called for a while: somebody may have said FUNCTION FLUSH.
 */
void redis_library_poke(struct redis_library *library);

/* fn is called once, later. 0, or without it -ENOTCONN, -EAGAIN (too much is under way) or -ENOMEM. */
int redis_library_call(struct redis_library *library, enum redis_function function,
	const struct redis_call_words *words, redis_called_fn fn, void *arg);

/* Why people have to mend something before history works: what was asked, and the answer. Empty: nothing is
 * known. */
struct slice redis_library_refusal(const struct redis_library *library);

/* An answer that makes no sense was seen by the one who called. For the log. */
void redis_library_complain(struct redis_library *library, const char *reason);

#endif
