#ifndef TIDEGATE_BROKER_REDIS_LIBRARY_H
#define TIDEGATE_BROKER_REDIS_LIBRARY_H

/*
 * Redis library: our functions on a Redis that may not have them yet, or any longer.
 *
 * A call finds the library there. It is looked for on a fresh link before the first call, loaded when it is
 * missing or older than ours, and loaded again when a call does not find it (somebody said FUNCTION FLUSH);
 * calls wait meanwhile and keep their order. Each is repeated once and no more. A server without functions
 * gets scripts instead, and callers do not notice.
 *
 * If it cannot be loaded, one line of the log says so, with the remedy. Calls are sent all the same, because
 * somebody may have loaded it by hand; otherwise they are answered with the reason.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/redis/call.h"
#include "broker/redis/script.h"
#include "core/slice.h"

struct log;
struct redis_errands;
struct redis_library;
struct redis_link;

/* Redis does not write: it is a replica, perhaps since a moment ago. From inside, the link may
 * be failed and not freed. */
typedef void (*redis_read_only_fn)(void *arg);

/* where: which Redis, for the log; borrowed for its life, like the log. */
int redis_library_new(struct log *log, struct slice where, redis_read_only_fn read_only, void *arg,
	struct redis_library **libraryp);
void redis_library_free(struct redis_library *library); /* cancels waiting calls; accepts NULL */

/* In a cluster: calls follow their keys, and functions publish to sharded channels or not. */
void redis_library_route(struct redis_library *library, struct redis_errands *errands, bool sharded);

/* The command by which functions publish, for their arguments. */
struct slice redis_library_publish(const struct redis_library *library);

/* Somebody called it from elsewhere and did not find it. */
void redis_library_missed(struct redis_library *library);

/* Commands go through this link from now on; it is greeted. Nobody knows yet whether its server has the
 * library. */
void redis_library_attach(struct redis_library *library, struct redis_link *link);

/*
 * The link is about to be freed, which answers the calls that were sent (-ETIMEDOUT). Those that wait here
 * are answered with -ENOTCONN now. With will_be_freed all are answered with -ECANCELED.
 */
void redis_library_lost(struct redis_library *library, bool will_be_freed);

/*
 * Looks for the library without a call that needs it: if nobody has looked yet, if the last look failed a
 * while ago, or if the library has not been called for a while, because somebody may have said FUNCTION
 * FLUSH.
 */
void redis_library_poke(struct redis_library *library);

/* fn is called once, later. 0, or without it -ENOTCONN, -EAGAIN (too much is under way) or -ENOMEM. */
int redis_library_call(struct redis_library *library, enum redis_function function,
	const struct redis_call_words *words, redis_called_fn fn, void *arg);

/* Likewise, with so many bytes of what the caller has to remember: fn is given a copy, and frees it. */
int redis_library_call_with(struct redis_library *library, enum redis_function function,
	const struct redis_call_words *words, redis_called_fn fn, const void *memory, size_t n_bytes);

/* The refusal that people have to mend before history works: the request, and Redis' answer. Empty: there is
 * none. */
struct slice redis_library_refusal(const struct redis_library *library);

/* The caller found that an answer makes no sense: for the log. */
void redis_library_complain(struct redis_library *library, const char *reason);

/* Likewise of the whole answer to this function. -EIO, which is how the call ended. */
int redis_library_nonsense(struct redis_library *library, enum redis_function function);

#endif
