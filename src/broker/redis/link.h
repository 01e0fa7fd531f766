#ifndef TIDEGATE_BROKER_REDIS_LINK_H
#define TIDEGATE_BROKER_REDIS_LINK_H

/*
 * Redis link: one connection to one Redis, from the dial to the close.
 *
 * It connects, says who we are (AUTH, SELECT, CLIENT SETNAME) and then carries commands down and replies up,
 * in order. It knows nothing of channels. A link lives once: when it is closed, it says so and why, and a new
 * one is dialled by whoever needs it. It speaks RESP2, where a subscriber's messages are plain arrays.
 *
 * A reply answers the oldest command that awaits one; if no command does, it is unasked for. Commands of one
 * turn of the loop leave in one write. What arrives is always read, so that Redis never has to cut us off for
 * reading slowly.
 *
 * From inside the listener's calls the link may be used and failed, but freed only from closed().
 */

#include <stddef.h>
#include <stdint.h>

#include "broker/redis/reply.h"
#include "core/slice.h"

struct event_base;
struct redis_link;
struct redis_tls;
struct redis_url;

enum {
	REDIS_ARGS_FEW = 1 + 512, /* words of one command, for which there is room on the stack */
	REDIS_ARGS_MAX = 4096,    /* of any: a call of broker_say() has the most */
	REDIS_OUTSTANDING_BYTES_MAX = 16 * 1024 * 1024,
};

/* Why a link ended. */
enum redis_link_end {
	REDIS_LINK_LOST,    /* never came up, or broke: try again soon */
	REDIS_LINK_REFUSED, /* Redis knows us and does not want us (password, rights): people must mend it */
	REDIS_LINK_STRANGER, /* its owner finds that it leads to another server than was meant: try again soon */
};

struct redis_link_listener {
	void *arg;
	/* Greeted: commands may be sent. Once. */
	void (*ready)(void *arg);
	/* A reply that answers no command, such as the messages of a subscriber. */
	void (*unasked)(void *arg, const struct redis_reply *reply);
	/* All bytes that had arrived have been handed over, or enough of them for one turn. */
	void (*turned)(void *arg);
	/* It ended. Once, on a turn of its own; not after redis_link_free(). Reason is borrowed. */
	void (*closed)(void *arg, enum redis_link_end end, const char *reason);
	/* The answer to a command is an error. The command gets it as well. NULL: nobody wants to know. */
	void (*erred)(void *arg, struct slice error);
};

struct redis_link_options {
	const struct redis_url *url; /* borrowed for the link's life */
	const struct redis_tls *tls; /* borrowed for the link's life; NULL: without TLS */
	const char *name;            /* for CLIENT SETNAME; borrowed for the call */
	size_t bulk_bytes_max;       /* see reply.h */
	uint32_t timeout_ms;         /* to connect, and again to be greeted */
	bool floods; /* what it hears may come without end; its owner calls redis_link_look() where that takes
			long */
};

/* reply: NULL if the link ended before an answer came; then it is unknown whether the
 * command was carried out. */
typedef void (*redis_answer_fn)(void *arg, const struct redis_reply *reply);

int redis_link_new(struct event_base *base, const struct redis_link_options *options,
	const struct redis_link_listener *listener, struct redis_link **linkp); /* 0 or negative errno */

/* Outstanding commands are answered with NULL. Accepts NULL. */
void redis_link_free(struct redis_link *link);

/*
 * Likewise, of a link that is lost: commands that Redis has not been sent yet never arrive. Others may have
 * cleared up behind us by then, and what came after that would stay for ever.
 */
void redis_link_abandon(struct redis_link *link);

/*
 * Sends argv[0..n), n <= REDIS_ARGS_MAX, and calls fn once with the answer. 0, -ENOTCONN (not greeted, or
 * closed), -EAGAIN (REDIS_OUTSTANDING_BYTES_MAX are unanswered) or -ENOMEM; fn is then not called.
 */
int redis_link_ask(
	struct redis_link *link, const struct slice *argv, size_t n, redis_answer_fn fn, void *arg);

/* Sends a command whose answers, any number of them, come as unasked(). 0, -ENOTCONN or -ENOMEM. */
int redis_link_tell(struct redis_link *link, const struct slice *argv, size_t n);

/* Ends it; closed() follows on a later turn. The first reason counts. */
void redis_link_fail(struct redis_link *link, enum redis_link_end end, const char *reason);

/* Reads what has come, as if the loop had said so. Calls the listener. True: there may be more. Accepts
 * NULL. */
bool redis_link_look(struct redis_link *link);

/* Another redis_link_options.bulk_bytes_max, from the next answer on. */
void redis_link_set_bulk_max(struct redis_link *link, size_t bulk_bytes_max);

/* The host that it was dialled by; empty for a Unix socket. Borrowed. */
struct slice redis_link_host(const struct redis_link *link);

/* When bytes last arrived, on the monotonic clock; 0: never. */
uint64_t redis_link_heard_ms(const struct redis_link *link);

#endif
