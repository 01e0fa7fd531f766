/*
 * Redis library: our functions on a Redis that may not have them yet. See library.h.
 *
 *                call or poke              missing, older          loaded
 *     UNKNOWN ────────────────► ASKING ────────────────► LOADING ────────► USABLE ──┐
 *        ▲                        │  └──── there ───────────┼──────────────►  ▲  ▲   │ a call does not
 *        │      LOADING, OOM, …   │                         │                 │  └───┘ find it: LOADING
 *        └────────────────────────┴─────────────────────────┤                 │
 *                                      NOPERM, and the like └──► FAILED ──────┘ a call finds it
 *
 * In ASKING and LOADING calls wait; in UNKNOWN there are none; in USABLE and FAILED they are sent.
 */

#include "broker/redis/library.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/redis/error.h"
#include "broker/redis/link.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/list.h"
#include "core/log.h"

enum {
	WORDS_MAX = 3 + REDIS_LIBRARY_KEYS_MAX + REDIS_LIBRARY_ARGS_MAX,
	LOAD_AGAIN_MS = 5 * 1000,  /* a call that misses the library: rights may have been mended since */
	POKE_AGAIN_MS = 60 * 1000, /* without such a call */
	LOOK_AGAIN_MS = 10 * 1000, /* nobody called for so long: is it there still? */
	SHA_MAX = 40,
	REASON_MAX = 200, /* bytes of Redis' words in ours */
};

static const char remedy[] = "tidegate functions | redis-cli -x FUNCTION LOAD REPLACE";

enum library_state {
	LIBRARY_UNKNOWN,
	LIBRARY_ASKING,
	LIBRARY_LOADING,
	LIBRARY_USABLE,
	LIBRARY_FAILED,
};

/* A call under way or waiting. What it says stands behind it, because it may have to be said again. */
struct call {
	struct list link; /* in waiting, or in none */
	struct redis_library *library;
	uint64_t number; /* in the order in which they were made */
	enum redis_function function;
	bool is_repeated; /* the library was missing, and has been loaded for it */
	redis_called_fn fn;
	void *arg;
	size_t n_bytes;
	size_t n_words; /* from numkeys on */
	struct slice words[1 + REDIS_LIBRARY_KEYS_MAX + REDIS_LIBRARY_ARGS_MAX];
	char numkeys[4];
	char bytes[];
};

struct redis_library {
	struct log *log;
	struct slice where;
	redis_read_only_fn read_only;
	void *arg;               /* its own */
	struct redis_link *link; /* NULL: none that is greeted */
	enum library_state state;
	bool has_scripts; /* the server knows no functions */
	bool will_be_freed;
	bool was_missed; /* it had been there: worth a line in the log when it is back */
	bool said_failed;
	int failed;                  /* why, in FAILED */
	uint64_t tried_ms;           /* when it was last looked for or loaded */
	uint64_t found_ms;           /* when a call last found it */
	struct buf refusal;          /* why history does not work, for people; empty: nothing is known */
	enum redis_function refused; /* what it is about: when that is answered, it is over */
	uint64_t n_calls;
	struct list waiting; /* by number */
	size_t waiting_bytes;
	struct buf library;
	struct buf scripts[N_REDIS_FUNCTIONS];
	char sha[N_REDIS_FUNCTIONS][SHA_MAX + 1]; /* "": Redis was not told, or did not take it */
	struct log_limit refused_limit;
};

static void library_enter(struct redis_library *library, enum library_state state);

static bool is_missing(struct slice error)
{
	return slice_starts(error, "ERR Function not found") || slice_starts(error, "NOSCRIPT");
}

/*
 * Calls.
 */

static void call_end(struct call *call, int r, const struct redis_reply *reply)
{
	call->fn(call->arg, r, reply);
	free(call);
}

/* In the order of their numbers: one that has to be repeated is older than those that came meanwhile. */
static void call_wait(struct call *call)
{
	struct redis_library *library = call->library;
	struct list *before = library->waiting.prev;

	while (before != &library->waiting && list_entry(before, struct call, link)->number > call->number)
		before = before->prev;
	list_push_back(before->next, &call->link);
	library->waiting_bytes += call->n_bytes;
}

static struct call *call_take(struct redis_library *library)
{
	struct call *call;

	if (list_empty(&library->waiting))
		return NULL;
	call = list_entry(library->waiting.next, struct call, link);
	list_remove(&call->link);
	library->waiting_bytes -= call->n_bytes;
	return call;
}

static void on_called(void *arg, const struct redis_reply *reply);

static int call_send(struct call *call)
{
	struct redis_library *library = call->library;
	const char *sha = library->sha[call->function];
	struct slice words[WORDS_MAX];

	if (!library->has_scripts) {
		words[0] = slice_of("FCALL");
		words[1] = slice_of(redis_function_name(call->function));
	} else if (*sha && !call->is_repeated) {
		words[0] = slice_of("EVALSHA");
		words[1] = slice_of(sha);
	} else {
		words[0] = slice_of("EVAL");
		words[1] = buf_slice(&library->scripts[call->function]);
	}
	memcpy(words + 2, call->words, call->n_words * sizeof(*words));
	return redis_link_ask(library->link, words, 2 + call->n_words, on_called, call);
}

/* What a call that people must mend was about is kept for whoever asks; one that succeeds takes it back. */
static void library_is_refused(struct redis_library *library, const char *command, struct slice error)
{
	buf_reset(&library->refusal);
	buf_append_str(&library->refusal, command);
	buf_append_str(&library->refusal, ": ");
	buf_append(&library->refusal, error.data, error.len < REASON_MAX ? error.len : REASON_MAX);
}

static void call_refused(const struct call *call, struct slice error)
{
	struct redis_library *library = call->library;
	const char *function = redis_function_name(call->function);
	bool is_forbidden = redis_error_errno(error) == -EACCES;
	uint64_t suppressed;

	if (is_forbidden) {
		library_is_refused(library, function, error);
		library->refused = call->function;
	}
	if (log_limit_allow(library->log, &library->refused_limit, clock_monotonic_ms(), &suppressed))
		log_warn(library->log, "redis refused a call of our library",
			log_slice("redis", library->where),
			log_str("command", library->has_scripts ? "EVAL" : "FCALL"),
			log_str("function", function), log_slice("key", call->words[1]),
			log_slice("reason", error),
			log_str("needs", is_forbidden ? redis_function_needs(call->function) : NULL),
			log_uint("suppressed", suppressed));
}

static void log_refusal(struct redis_library *library, const char *message, struct slice reason)
{
	uint64_t suppressed;

	if (log_limit_allow(library->log, &library->refused_limit, clock_monotonic_ms(), &suppressed))
		log_line(library->log, LOG_WARN, message,
			LOG_FIELDS(log_slice("redis", library->where), log_slice("reason", reason),
				log_uint("suppressed", suppressed)));
}

/* The server does not have what was called. */
static void call_missed(struct call *call)
{
	struct redis_library *library = call->library;
	uint64_t now_ms = clock_monotonic_ms();
	int r;

	if (call->is_repeated) {
		call_end(call, -EAGAIN, NULL); /* it went away again at once */
		return;
	}
	if (library->state == LIBRARY_FAILED && now_ms - library->tried_ms < LOAD_AGAIN_MS) {
		call_end(call, library->failed, NULL);
		return;
	}
	call->is_repeated = true;
	if (library->has_scripts) { /* with its text: then Redis knows it again */
		r = call_send(call);
		if (r < 0)
			call_end(call, r, NULL);
		return;
	}
	call_wait(call);
	if (library->state == LIBRARY_USABLE || library->state == LIBRARY_FAILED) {
		library->was_missed |= library->state == LIBRARY_USABLE;
		library_enter(library, LIBRARY_LOADING);
	} else if (library->state == LIBRARY_UNKNOWN) {
		library_enter(library, LIBRARY_ASKING);
	}
}

static void on_called(void *arg, const struct redis_reply *reply)
{
	struct call *call = arg;
	struct redis_library *library = call->library;
	struct slice error;

	if (!reply) {
		call_end(call, library->will_be_freed ? -ECANCELED : -ETIMEDOUT, NULL);
		return;
	}
	if (reply->values[0].kind != REDIS_ERROR) {
		if (library->state == LIBRARY_FAILED)
			library_enter(library, LIBRARY_USABLE); /* somebody has loaded it */
		library->found_ms = clock_monotonic_ms();
		if (library->refused == call->function)
			buf_reset(&library->refusal);
		call_end(call, 0, reply);
		return;
	}
	error = redis_reply_text(reply, 0);
	if (is_missing(error)) {
		call_missed(call);
		return;
	}
	call_refused(call, error);
	if (redis_error_names(error, "READONLY"))
		library->read_only(library->arg);
	call_end(call, redis_error_errno(error), NULL);
}

static void library_release(struct redis_library *library)
{
	struct call *call;
	int r;

	/* Whoever is told of a failure may call again, and waits if the library has left this state. */
	while ((library->state == LIBRARY_USABLE || library->state == LIBRARY_FAILED) && library->link &&
		(call = call_take(library))) {
		r = call_send(call);
		if (r < 0)
			call_end(call, r, NULL);
	}
}

static void library_refuse(struct redis_library *library, int r)
{
	struct list refused;
	struct call *call;

	/* In one go: who calls again from inside is not refused with them. */
	list_init(&refused);
	while ((call = call_take(library)))
		list_push_back(&refused, &call->link);
	while (!list_empty(&refused)) {
		call = list_entry(refused.next, struct call, link);
		list_remove(&call->link);
		call_end(call, r, NULL);
	}
}

/*
 * Looking for the library, and loading it.
 */

/* Redis does not let us, and people have to mend that: said once, with what to do about it. */
static void say_failed(struct redis_library *library, const char *command, struct slice error)
{
	bool may_not_load = strcmp(command, "FUNCTION LOAD") == 0;

	library_is_refused(library, command, error);
	library->refused = REDIS_FUNCTION_READ;
	if (library->said_failed)
		return;
	library->said_failed = true;
	if (may_not_load)
		log_warn(library->log,
			"redis does not let us load our library, history needs it loaded by hand",
			log_slice("redis", library->where), log_str("command", command),
			log_slice("reason", error), log_str("remedy", remedy));
	else
		log_warn(library->log, "redis does not let us call functions, history does not work",
			log_slice("redis", library->where), log_str("command", command),
			log_slice("reason", error), log_str("needs", "+fcall, see docs/redis.md"));
}

/* It cannot be had. What passes by itself is tried again with the next call. */
static void library_failed(struct redis_library *library, const char *command, struct slice error)
{
	int r = redis_error_errno(error);

	if (r != -EACCES && r != -EIO) {
		log_refusal(library, "redis does not take our library now", error);
		library_enter(library, LIBRARY_UNKNOWN);
		library_refuse(library, r);
		return;
	}
	say_failed(library, command, error);
	library->failed = r;
	library_enter(library, LIBRARY_FAILED);
}

static void on_loaded(void *arg, const struct redis_reply *reply)
{
	struct redis_library *library = arg;

	if (!reply || library->state != LIBRARY_LOADING)
		return;
	if (reply->values[0].kind == REDIS_ERROR) {
		struct slice error = redis_reply_text(reply, 0);

		if (redis_error_is_unknown(error)) {
			library->has_scripts = true;
			library_enter(library, LIBRARY_LOADING);
		} else {
			library_failed(library, "FUNCTION LOAD", error);
		}
		return;
	}
	library_enter(library, LIBRARY_USABLE);
}

/* Without its sum a script is sent whole each time: dear, and it works. So no answer is a failure here. */
static void script_loaded(
	struct redis_library *library, enum redis_function function, const struct redis_reply *reply)
{
	if (reply && reply->values[0].kind == REDIS_STRING && reply->values[0].len == SHA_MAX)
		memcpy(library->sha[function], redis_reply_text(reply, 0).data, SHA_MAX);
	if (reply && function == N_REDIS_FUNCTIONS - 1 && library->state == LIBRARY_LOADING)
		library_enter(library, LIBRARY_USABLE);
}

static void on_publish_script(void *arg, const struct redis_reply *reply)
{
	script_loaded(arg, REDIS_FUNCTION_PUBLISH, reply);
}

static void on_read_script(void *arg, const struct redis_reply *reply)
{
	script_loaded(arg, REDIS_FUNCTION_READ, reply);
}

static int load_scripts(struct redis_library *library)
{
	static const redis_answer_fn answers[N_REDIS_FUNCTIONS] = {
		[REDIS_FUNCTION_PUBLISH] = on_publish_script,
		[REDIS_FUNCTION_READ] = on_read_script,
	};
	int r = 0;

	for (int i = 0; i < N_REDIS_FUNCTIONS && r == 0; i++)
		r = redis_link_ask(library->link,
			(struct slice[]){
				slice_of("SCRIPT"), slice_of("LOAD"), buf_slice(&library->scripts[i])},
			3, answers[i], library);
	return r;
}

static int load_library(struct redis_library *library)
{
	return redis_link_ask(library->link,
		(struct slice[]){slice_of("FUNCTION"), slice_of("LOAD"), slice_of("REPLACE"),
			buf_slice(&library->library)},
		4, on_loaded, library);
}

static void on_version(void *arg, const struct redis_reply *reply)
{
	struct redis_library *library = arg;
	const struct redis_value *value;
	struct slice error;

	if (!reply || library->state != LIBRARY_ASKING)
		return;
	value = &reply->values[0];
	error = value->kind == REDIS_ERROR ? redis_reply_text(reply, 0) : (struct slice){0};
	if (value->kind == REDIS_INTEGER && value->integer >= redis_script_version()) {
		library_enter(library, LIBRARY_USABLE); /* a newer one serves us too, and its own gateways */
	} else if (!error.data || is_missing(error)) {
		library->was_missed |= library->found_ms != 0;
		library_enter(library, LIBRARY_LOADING);
	} else if (redis_error_is_unknown(error)) {
		library->has_scripts = true;
		library_enter(library, LIBRARY_LOADING);
	} else {
		library_failed(library, "FCALL tidegate_version", error);
	}
}

static int ask_version(struct redis_library *library)
{
	return redis_link_ask(library->link,
		(struct slice[]){slice_of("FCALL"), slice_of("tidegate_version"), slice_of("0")}, 3,
		on_version, library);
}

/* Of what was to be expected after a connect nobody needs to hear. */
static void library_found(struct redis_library *library)
{
	log_line(library->log, library->was_missed || library->said_failed ? LOG_INFO : LOG_DEBUG,
		"redis has our library again",
		LOG_FIELDS(log_slice("redis", library->where), log_uint("version", redis_script_version())));
	if (library->said_failed)
		buf_reset(&library->refusal);
	library->was_missed = library->said_failed = false;
	library->found_ms = clock_monotonic_ms();
}

/* What a state begins with. 0, or negative errno when that is in vain. */
static int library_begin(struct redis_library *library, enum library_state state)
{
	library->state = state;
	if (state == LIBRARY_ASKING || state == LIBRARY_LOADING)
		library->tried_ms = clock_monotonic_ms();
	if (state == LIBRARY_ASKING)
		return ask_version(library);
	if (state == LIBRARY_LOADING)
		return library->has_scripts ? load_scripts(library) : load_library(library);
	if (state == LIBRARY_USABLE)
		library_found(library);
	return 0;
}

/* The state changes, and those who waited for that hear of it. So never from inside a call to us. */
static void library_enter(struct redis_library *library, enum library_state state)
{
	int r = library_begin(library, state);

	if (r < 0) {
		library->state = LIBRARY_UNKNOWN;
		library_refuse(library, r);
		return;
	}
	library_release(library);
}

/*
 * The interface.
 */

void redis_library_attach(struct redis_library *library, struct redis_link *link)
{
	library->link = link;
	library->state = LIBRARY_UNKNOWN;
	library->has_scripts = false;
	library->was_missed = false;
	library->found_ms = 0;
	buf_reset(&library->refusal);
	memset(library->sha, 0, sizeof(library->sha));
}

void redis_library_lost(struct redis_library *library, bool will_be_freed)
{
	library->link = NULL;
	library->state = LIBRARY_UNKNOWN;
	library->will_be_freed = will_be_freed;
	library_refuse(library, will_be_freed ? -ECANCELED : -ENOTCONN);
}

void redis_library_poke(struct redis_library *library)
{
	uint64_t now_ms = clock_monotonic_ms();
	bool is_due = library->state == LIBRARY_UNKNOWN ||
		      (library->state == LIBRARY_FAILED && now_ms - library->tried_ms >= POKE_AGAIN_MS) ||
		      (library->state == LIBRARY_USABLE && !library->has_scripts &&
			      now_ms - library->found_ms >= LOOK_AGAIN_MS);

	if (!library->link || !is_due)
		return;
	library_enter(library, LIBRARY_ASKING);
}

struct slice redis_library_refusal(const struct redis_library *library)
{
	return buf_slice(&library->refusal);
}

static char *call_copy(struct call *call, char *at, struct slice word)
{
	if (word.len)
		memcpy(at, word.data, word.len);
	call->words[call->n_words++] = (struct slice){at, word.len};
	return at + word.len;
}

static struct call *call_new(const struct redis_call_words *words)
{
	struct call *call;
	size_t n_bytes = 0;
	char *at;

	assert(words->n_keys <= REDIS_LIBRARY_KEYS_MAX && words->n_args <= REDIS_LIBRARY_ARGS_MAX);
	for (size_t i = 0; i < words->n_keys; i++)
		n_bytes += words->keys[i].len;
	for (size_t i = 0; i < words->n_args; i++)
		n_bytes += words->args[i].len;
	call = malloc(sizeof(*call) + n_bytes);
	if (!call)
		return NULL;
	*call = (struct call){.n_bytes = sizeof(*call) + n_bytes};
	snprintf(call->numkeys, sizeof(call->numkeys), "%u", (unsigned int)words->n_keys);
	call->words[call->n_words++] = slice_of(call->numkeys);
	at = call->bytes;
	for (size_t i = 0; i < words->n_keys; i++)
		at = call_copy(call, at, words->keys[i]);
	for (size_t i = 0; i < words->n_args; i++)
		at = call_copy(call, at, words->args[i]);
	return call;
}

int redis_library_call(struct redis_library *library, enum redis_function function,
	const struct redis_call_words *words, redis_called_fn fn, void *arg)
{
	struct call *call;
	int r = 0;

	if (!library->link)
		return -ENOTCONN;
	if (library->waiting_bytes >= REDIS_OUTSTANDING_BYTES_MAX)
		return -EAGAIN;
	call = call_new(words);
	if (!call)
		return -ENOMEM;
	call->library = library;
	call->number = library->n_calls++;
	call->function = function;
	call->fn = fn;
	call->arg = arg;
	if (library->state == LIBRARY_USABLE || library->state == LIBRARY_FAILED) {
		r = call_send(call);
		if (r < 0)
			free(call);
		return r;
	}
	if (library->state == LIBRARY_UNKNOWN)
		r = library_begin(library, LIBRARY_ASKING);
	if (r < 0) {
		library->state = LIBRARY_UNKNOWN;
		free(call);
		return r;
	}
	call_wait(call);
	return 0;
}

void redis_library_complain(struct redis_library *library, const char *reason)
{
	log_refusal(library, "redis answered our library's call with nonsense", slice_of(reason));
}

int redis_library_new(struct log *log, struct slice where, redis_read_only_fn read_only, void *arg,
	struct redis_library **libraryp)
{
	struct redis_library *library = calloc(1, sizeof(*library));
	bool has_failed;

	if (!library)
		return -ENOMEM;
	library->log = log;
	library->where = where;
	library->read_only = read_only;
	library->arg = arg;
	library->refused_limit = (struct log_limit){.burst = 5, .interval_ms = 60 * 1000};
	list_init(&library->waiting);
	redis_script_library(&library->library);
	has_failed = library->library.failed;
	for (int i = 0; i < N_REDIS_FUNCTIONS; i++) {
		redis_script_of((enum redis_function)i, &library->scripts[i]);
		has_failed |= library->scripts[i].failed;
	}
	if (has_failed) {
		redis_library_free(library);
		return -ENOMEM;
	}
	*libraryp = library;
	return 0;
}

void redis_library_free(struct redis_library *library)
{
	if (!library)
		return;
	library_refuse(library, -ECANCELED);
	buf_deinit(&library->library);
	buf_deinit(&library->refusal);
	for (int i = 0; i < N_REDIS_FUNCTIONS; i++)
		buf_deinit(&library->scripts[i]);
	free(library);
}
