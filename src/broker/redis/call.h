#ifndef TIDEGATE_BROKER_REDIS_CALL_H
#define TIDEGATE_BROKER_REDIS_CALL_H

/*
 * Redis call: a call of one of our functions, and the line in which calls wait for the functions to be there.
 *
 * A call keeps its words, because it may have to be sent again.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/redis/script.h"
#include "core/list.h"
#include "core/slice.h"

struct redis_library;
struct redis_reply;

enum {
	REDIS_CALL_KEYS_MAX = 4,
	REDIS_CALL_ARGS_MAX = 10,
	REDIS_CALL_ADDRESS = 2, /* words before these: which command, and which function */
};

/* r: 0 with a reply that is no error; or negative errno as in broker.h, with NULL. */
typedef void (*redis_called_fn)(void *arg, int r, const struct redis_reply *reply);

/* The keys and arguments of a call. Borrowed for the length of it. */
struct redis_call_words {
	struct slice keys[REDIS_CALL_KEYS_MAX];
	size_t n_keys;
	struct slice args[REDIS_CALL_ARGS_MAX];
	size_t n_args;
	const struct slice *more; /* arguments behind these, as many as there are; may be NULL */
	size_t n_more;
};

struct redis_call {
	struct list link; /* in the line while it waits */
	struct redis_library *library;
	uint64_t number; /* in the order in which they were made */
	enum redis_function function;
	bool repeated; /* the library was missing, and has been loaded for it */
	redis_called_fn fn;
	void *arg;
	size_t n_bytes; /* of memory */
	char numkeys[4];
	size_t n_words;
	struct slice words
		[]; /* room for the address, then how many keys, these, arguments; behind them all bytes */
};

/* The words are copied; the members from library to arg are the caller's to fill. NULL: out of memory. */
struct redis_call *redis_call_new(const struct redis_call_words *words);

/* Answers it, and frees it. */
void redis_call_end(struct redis_call *call, int r, const struct redis_reply *reply);

/* The calls that wait, by number. */
struct redis_calls {
	struct list line;
	size_t n_bytes;
};

void redis_calls_init(struct redis_calls *calls);

/* A call that is repeated is older than calls that came meanwhile, and stands before them. */
void redis_calls_wait(struct redis_calls *calls, struct redis_call *call);

/* Takes the first call of the line; NULL if no call waits. */
struct redis_call *redis_calls_take(struct redis_calls *calls);

/* Answers all calls that wait now, but not those that are made from inside an answer. */
void redis_calls_refuse(struct redis_calls *calls, int r);

#endif
