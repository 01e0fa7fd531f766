/* Redis presence: who is on which channel, over all nodes; see presence.h. */

#include "broker/redis/presence.h"

#include <errno.h>
#include <stdlib.h>

#include "broker/epoch_draw.h"
#include "broker/redis/library.h"
#include "broker/redis/number.h"
#include "broker/redis/reply.h"
#include "channel_log/position.h"
#include "core/buf.h"

enum {
	N_KEYS = 4,
	USER_WORDS = 3, /* of one user in a call */
	CLEAR_COUNT = BROKER_USERS_MAX,
};

struct waiting {
	broker_roll_fn done;
	void *arg;
	struct redis_library *library;
	enum redis_function function;
};

/* --- answers --- */

/* {users, connections without one, came, went [, cursor]}, or {users, connections without one, texts} */
static bool read_roll(const struct redis_reply *reply, enum redis_function function, struct broker_roll *roll)
{
	if (reply->values[0].kind != REDIS_ARRAY || !redis_reply_count(reply, 1, &roll->n_users) ||
		!redis_reply_count(reply, 2, &roll->n_anonymous))
		return false;
	if (function == REDIS_FUNCTION_PRESENT) {
		if (reply->n_values < 4 || reply->values[3].kind != REDIS_STRING)
			return false;
		roll->users = redis_reply_text(reply, 3);
		return true;
	}
	if (!redis_reply_count(reply, 3, &roll->n_joined) || !redis_reply_count(reply, 4, &roll->n_left))
		return false;
	return function != REDIS_FUNCTION_LEAVE ||
	       (reply->n_values > 5 && position_number_parse(redis_reply_text(reply, 5), &roll->cursor) == 0);
}

static void on_answered(void *arg, int r, const struct redis_reply *reply)
{
	struct waiting *waiting = arg;
	struct broker_roll roll = {0};

	if (r == 0 && !read_roll(reply, waiting->function, &roll))
		r = redis_library_nonsense(waiting->library, waiting->function);
	waiting->done(waiting->arg, r, r == 0 ? &roll : NULL);
	free(waiting);
}

static int ask(struct redis_library *library, enum redis_function function,
	const struct redis_call_words *words, broker_roll_fn done, void *arg)
{
	const struct waiting waiting = {done, arg, library, function};

	return redis_library_call_with(library, function, words, on_answered, &waiting, sizeof(waiting));
}

/* --- questions --- */

/* keys: what words->keys[] will point into. */
static int name_keys(const struct broker_presence *presence, struct buf *keys, struct redis_call_words *words)
{
	static const char *const kinds[N_KEYS] = {"p", "q", "s", "m"};
	size_t ends[N_KEYS], start = 0;

	for (size_t i = 0; i < N_KEYS; i++) {
		buf_printf(keys, "tg:%s:{", kinds[i]);
		buf_append(keys, presence->channel.data, presence->channel.len);
		buf_append_char(keys, '}');
		if (i == 0) {
			buf_append_char(keys, ':');
			buf_append(keys, presence->node.data, presence->node.len);
		}
		ends[i] = keys->len;
	}
	if (keys->failed)
		return -ENOMEM;
	words->n_keys = N_KEYS;
	for (size_t i = 0; i < N_KEYS; start = ends[i++])
		words->keys[i] = (struct slice){keys->data + start, ends[i] - start};
	return 0;
}

/* The first six arguments of both functions. */
struct head {
	char maxlen[REDIS_NUMBER_MAX], ttl[REDIS_NUMBER_MAX];
	struct epoch epoch; /* used if the log is not there yet */
};

static void write_head(const struct redis_library *library, const struct broker_presence *presence,
	struct head *head, struct redis_call_words *words)
{
	epoch_draw(&head->epoch);
	words->args[0] = presence->channel;
	words->args[1] = presence->tells ? redis_library_publish(library) : slice_of("");
	/* One more than is promised, as in log.c. */
	words->args[2] =
		redis_number_write(head->maxlen, presence->log_size ? (uint64_t)presence->log_size + 1 : 0);
	words->args[3] = redis_number_write(head->ttl, presence->log_ttl_ms);
	words->args[4] = (struct slice){head->epoch.text, EPOCH_LETTERS};
	words->args[5] = slice_of(presence->names ? "names" : "");
	words->n_args = 6;
}

int redis_presence_set(struct redis_library *library, const struct broker_presence *presence,
	const struct broker_user *users, size_t n, broker_roll_fn done, void *arg)
{
	char numbers[BROKER_USERS_MAX][REDIS_NUMBER_MAX];
	struct slice more[BROKER_USERS_MAX * USER_WORDS];
	struct redis_call_words words = {.more = more, .n_more = n * USER_WORDS};
	struct buf keys = {0};
	struct head head;
	int r = n <= BROKER_USERS_MAX ? name_keys(presence, &keys, &words) : -EINVAL;

	if (r == 0) {
		write_head(library, presence, &head, &words);
		for (size_t i = 0; i < n; i++) {
			more[i * USER_WORDS] = users[i].user;
			more[i * USER_WORDS + 1] = redis_number_write(numbers[i], users[i].n);
			more[i * USER_WORDS + 2] = users[i].text;
		}
		r = ask(library, REDIS_FUNCTION_PRESENCE, &words, done, arg);
	}
	buf_deinit(&keys);
	return r;
}

int redis_presence_clear(struct redis_library *library, const struct broker_presence *presence,
	uint64_t cursor, broker_roll_fn done, void *arg)
{
	char at[REDIS_NUMBER_MAX], count[REDIS_NUMBER_MAX];
	struct redis_call_words words = {0};
	struct buf keys = {0};
	struct head head;
	int r = name_keys(presence, &keys, &words);

	if (r == 0) {
		write_head(library, presence, &head, &words);
		words.args[words.n_args++] = redis_number_write(at, cursor);
		words.args[words.n_args++] = redis_number_write(count, CLEAR_COUNT);
		r = ask(library, REDIS_FUNCTION_LEAVE, &words, done, arg);
	}
	buf_deinit(&keys);
	return r;
}

int redis_presence_ask(
	struct redis_library *library, struct slice channel, bool names, broker_roll_fn done, void *arg)
{
	char users[REDIS_NUMBER_MAX], bytes[REDIS_NUMBER_MAX];
	struct redis_call_words words = {.n_keys = 1, .n_args = 2};
	struct buf key = {0};
	int r = -ENOMEM;

	buf_append_str(&key, "tg:q:{");
	buf_append(&key, channel.data, channel.len);
	buf_append_char(&key, '}');
	words.keys[0] = buf_slice(&key);
	words.args[0] = redis_number_write(users, names ? BROKER_ROLL_MAX : 0);
	words.args[1] = redis_number_write(bytes, BROKER_ROLL_BYTES);
	if (!key.failed)
		r = ask(library, REDIS_FUNCTION_PRESENT, &words, done, arg);
	buf_deinit(&key);
	return r;
}
