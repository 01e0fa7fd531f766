/* Redis action: a call of tidegate_action; see action.h. */

#include "broker/redis/action.h"

#include <errno.h>
#include <stdlib.h>

#include "broker/redis/library.h"
#include "broker/redis/number.h"
#include "broker/redis/reply.h"

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

int redis_action_send(
	struct redis_library *library, const struct broker_action *action, broker_acted_fn done, void *arg)
{
	char backlog[REDIS_NUMBER_MAX], timeout[REDIS_NUMBER_MAX];
	const struct redis_call_words words = {
		.keys = {action->stream},
		.n_keys = 1,
		.args = {redis_number_write(backlog, action->backlog),
			redis_number_write(timeout, action->timeout_ms), action->id, action->conn,
			action->user, action->route, action->vars, action->key, action->data, action->reply},
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
