/* Redis session: who comes and goes, as our library's functions say it in a stream; see session.h. */

#include "broker/redis/session.h"

#include <errno.h>
#include <stdlib.h>

#include "broker/redis/library.h"
#include "broker/redis/number.h"
#include "broker/redis/reply.h"
#include "channel_log/position.h"
#include "core/buf.h"

enum {
	N_KEYS = 3,
	SAID_WORDS = 7, /* of one that came or went */
};

struct waiting {
	broker_said_fn done;
	void *arg;
	struct redis_library *library;
	enum redis_function function;
};

/* --- answers --- */

/* {entries, forgot}, or {connections, channels, cursor} */
static bool read_answer(
	const struct redis_reply *reply, enum redis_function function, struct broker_said_answer *answer)
{
	uint64_t forgot;

	if (reply->values[0].kind != REDIS_ARRAY)
		return false;
	if (function == REDIS_FUNCTION_SESSION) {
		if (!redis_reply_count(reply, 1, &answer->n_entries) || !redis_reply_count(reply, 2, &forgot))
			return false;
		answer->forgot = forgot;
		return true;
	}
	return redis_reply_count(reply, 1, &answer->n_lost) &&
	       redis_reply_count(reply, 2, &answer->n_vacated) && reply->n_values > 3 &&
	       position_number_parse(redis_reply_text(reply, 3), &answer->cursor) == 0;
}

static void on_answered(void *arg, int r, const struct redis_reply *reply)
{
	struct waiting *waiting = arg;
	struct broker_said_answer answer = {0};

	if (r == 0 && !read_answer(reply, waiting->function, &answer))
		r = redis_library_nonsense(waiting->library, waiting->function);
	waiting->done(waiting->arg, r, r == 0 ? &answer : NULL);
	free(waiting);
}

static int ask(struct redis_library *library, enum redis_function function,
	const struct redis_call_words *words, broker_said_fn done, void *arg)
{
	const struct waiting waiting = {done, arg, library, function};

	return redis_library_call_with(library, function, words, on_answered, &waiting, sizeof(waiting));
}

/* --- questions --- */

/* The name of a lease is the node's and, behind the last dot, its tenure. */
static void split_node(struct slice name, struct slice *nodep, struct slice *tenurep)
{
	size_t at = name.len;

	while (at > 0 && name.data[at - 1] != '.')
		at--;
	*nodep = (struct slice){name.data, at ? at - 1 : 0};
	*tenurep = (struct slice){name.data + at, name.len - at};
}

static void append_key(struct buf *keys, const char *kind, struct slice stream, struct slice tail)
{
	buf_printf(keys, "tg:%s:{", kind);
	buf_append(keys, stream.data, stream.len);
	buf_append_char(keys, '}');
	if (!tail.len)
		return;
	buf_append_char(keys, ':');
	buf_append(keys, tail.data, tail.len);
}

/* keys: what words->keys[] will point into. */
static int name_keys(const struct broker_session *session, const char *prefix, struct buf *keys,
	struct redis_call_words *words)
{
	struct slice node, tenure;
	size_t end;

	split_node(session->node, &node, &tenure);
	append_key(keys, "l", session->stream, node);
	end = keys->len;
	append_key(keys, "o", session->stream, slice_of(prefix));
	if (keys->failed)
		return -ENOMEM;
	words->keys[0] = session->stream;
	words->keys[1] = (struct slice){keys->data, end};
	words->keys[2] = (struct slice){keys->data + end, keys->len - end};
	words->n_keys = N_KEYS;
	words->args[0] = node;
	words->args[1] = tenure;
	words->n_args = 2;
	return 0;
}

/* The numbers of one that came or went, as words. */
struct numbers {
	char age[REDIS_NUMBER_MAX], events[REDIS_NUMBER_MAX], code[REDIS_NUMBER_MAX];
};

static void write_said(const struct broker_said *said, struct numbers *numbers, struct slice *words)
{
	words[0] = slice_of(said->is_here ? "+" : "-");
	words[1] = said->name;
	words[2] = redis_number_write(numbers->age, said->age_ms);
	words[3] = redis_number_write(numbers->events, said->events);
	words[4] = said->text;
	words[5] = redis_number_write(numbers->code, said->code);
	words[6] = slice_of(said->reason ? said->reason : "");
}

int redis_session_say(struct redis_library *library, const char *prefix, const struct broker_session *session,
	uint64_t call, bool forgot, const struct broker_said *said, size_t n, broker_said_fn done, void *arg)
{
	char number[REDIS_NUMBER_MAX], size[REDIS_NUMBER_MAX];
	struct numbers numbers[BROKER_SAID_MAX];
	struct slice more[BROKER_SAID_MAX * SAID_WORDS];
	struct redis_call_words words = {.more = more, .n_more = n * SAID_WORDS};
	struct buf keys = {0};
	int r = n <= BROKER_SAID_MAX ? name_keys(session, prefix, &keys, &words) : -EINVAL;

	if (r == 0) {
		words.args[words.n_args++] = redis_number_write(number, call);
		words.args[words.n_args++] = redis_number_write(size, session->size);
		words.args[words.n_args++] = slice_of(forgot ? "forgot" : "");
		for (size_t i = 0; i < n; i++)
			write_said(&said[i], &numbers[i], more + i * SAID_WORDS);
		r = ask(library, REDIS_FUNCTION_SESSION, &words, done, arg);
	}
	buf_deinit(&keys);
	return r;
}

int redis_session_say_lost(struct redis_library *library, const char *prefix,
	const struct broker_session *session, uint64_t cursor, broker_said_fn done, void *arg)
{
	char at[REDIS_NUMBER_MAX], count[REDIS_NUMBER_MAX], size[REDIS_NUMBER_MAX];
	struct redis_call_words words = {0};
	struct buf keys = {0};
	int r = name_keys(session, prefix, &keys, &words);

	if (r == 0) {
		words.args[words.n_args++] = redis_number_write(at, cursor);
		words.args[words.n_args++] = redis_number_write(count, BROKER_SAID_MAX);
		words.args[words.n_args++] = redis_number_write(size, session->size);
		r = ask(library, REDIS_FUNCTION_LOST, &words, done, arg);
	}
	buf_deinit(&keys);
	return r;
}
