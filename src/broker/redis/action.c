/* Redis action: a call of tidegate_action; see action.h. */

#include "broker/redis/action.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/redis/library.h"
#include "broker/redis/reply.h"

enum {
	NUMBER_MAX = 21, /* digits of 2^64 - 1, and a NUL */
};

struct waiting {
	broker_acted_fn done;
	void *arg;
};

/* The answer is the id of the entry, or busy. */
static void on_acted(void *arg, int r, const struct redis_reply *reply)
{
	struct waiting *waiting = arg;

	if (r == 0 && slice_is(redis_reply_text(reply, 0), "busy"))
		r = -EBUSY;
	waiting->done(waiting->arg, r);
	free(waiting);
}

static struct slice number_write(char text[NUMBER_MAX], uint64_t number)
{
	return (struct slice){text, (size_t)snprintf(text, NUMBER_MAX, "%" PRIu64, number)};
}

int redis_action_send(
	struct redis_library *library, const struct broker_action *action, broker_acted_fn done, void *arg)
{
	char backlog[NUMBER_MAX], timeout[NUMBER_MAX];
	const struct redis_call_words words = {
		.keys = {action->stream},
		.n_keys = 1,
		.args = {number_write(backlog, action->backlog), number_write(timeout, action->timeout_ms),
			action->id, action->conn, action->user, action->route, action->vars, action->key,
			action->data, action->reply},
		.n_args = REDIS_CALL_ARGS_MAX,
	};
	struct waiting *waiting = malloc(sizeof(*waiting));
	int r;

	if (!waiting)
		return -ENOMEM;
	*waiting = (struct waiting){done, arg};
	r = redis_library_call(library, REDIS_FUNCTION_ACTION, &words, on_acted, waiting);
	if (r < 0)
		free(waiting);
	return r;
}
