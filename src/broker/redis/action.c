/* Redis action: a call of tidegate_action; see action.h. */

#include "broker/redis/action.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/redis/library.h"
#include "broker/redis/number.h"
#include "broker/redis/reply.h"

enum {
	ACTION_WORDS = 9, /* of one action in a call */
};

struct waiting {
	broker_acted_fn done;
	void *arg;
	size_t n;
};

/* The answer is busy, the id of the only entry, or how many were appended. A library that is older than this
 * gateway knows one action a call, and answers with the id of the first. */
static size_t read_count(const struct redis_reply *reply, size_t n)
{
	const struct redis_value *value = &reply->values[0];

	if (value->kind == REDIS_STRING)
		return slice_is(redis_reply_text(reply, 0), "busy") ? 0 : 1;
	if (value->kind != REDIS_INTEGER || value->integer < 0)
		return 0;
	return (uint64_t)value->integer < n ? (size_t)value->integer : n;
}

static void on_acted(void *arg, int r, const struct redis_reply *reply)
{
	struct waiting *waiting = arg;

	waiting->done(waiting->arg, r, r == 0 ? read_count(reply, waiting->n) : 0);
	free(waiting);
}

static void write_words(const struct broker_action *action, char timeout[REDIS_NUMBER_MAX],
	struct slice reply, struct slice *words)
{
	const struct slice all[ACTION_WORDS] = {redis_number_write(timeout, action->timeout_ms), action->id,
		action->conn, action->user, action->route, action->vars, action->key, action->data, reply};

	for (size_t i = 0; i < ACTION_WORDS; i++)
		words[i] = all[i];
}

int redis_action_send(struct redis_library *library, const struct broker_action_stream *stream,
	const struct broker_action *actions, size_t n, broker_acted_fn done, void *arg)
{
	char backlog[REDIS_NUMBER_MAX], timeouts[BROKER_ACTIONS_MAX][REDIS_NUMBER_MAX];
	struct slice more[BROKER_ACTIONS_MAX * ACTION_WORDS];
	const struct redis_call_words words = {
		.keys = {stream->key},
		.n_keys = 1,
		.args = {redis_number_write(backlog, stream->backlog)},
		.n_args = 1,
		.more = more,
		.n_more = n * ACTION_WORDS,
	};
	const struct waiting waiting = {done, arg, n};

	assert(n <= BROKER_ACTIONS_MAX);
	for (size_t i = 0; i < n; i++)
		write_words(&actions[i], timeouts[i], stream->reply, more + i * ACTION_WORDS);
	return redis_library_call_with(
		library, REDIS_FUNCTION_ACTION, &words, on_acted, &waiting, sizeof(waiting));
}
