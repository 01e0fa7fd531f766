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

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/redis/complaint.h"
#include "broker/redis/errand.h"
#include "broker/redis/error.h"
#include "broker/redis/link.h"
#include "broker/redis/loader.h"
#include "core/clock.h"
#include "core/log.h"

enum {
	LOAD_AGAIN_MS = 5 * 1000,  /* a call that misses the library: rights may have been mended since */
	POKE_AGAIN_MS = 60 * 1000, /* the same without a call */
	LOOK_AGAIN_MS = 10 * 1000, /* without a call for this time, it is looked for again */
};

enum library_state {
	LIBRARY_UNKNOWN,
	LIBRARY_ASKING,
	LIBRARY_LOADING,
	LIBRARY_USABLE,
	LIBRARY_FAILED,
};

struct redis_library {
	redis_read_only_fn read_only;
	void *arg;                     /* its own */
	struct redis_errands *errands; /* NULL: calls go to this server alone */
	bool sharded;                  /* functions publish to sharded channels */
	struct redis_link *link;       /* NULL while there is no greeted link */
	enum library_state state;
	struct redis_loader loader;
	struct redis_calls waiting;
	struct redis_complaint complaint;
	uint64_t n_calls;
	uint64_t tried_ms; /* when it was last looked for or loaded */
	uint64_t found_ms; /* when a call last found it; 0: not on this link */
	int failed;        /* why, in FAILED */
	bool was_missed;   /* it had been there: worth a line in the log when it is back */
	bool will_be_freed;
};

static void library_enter(struct redis_library *library, enum library_state state);

/* In these states calls are sent. */
static bool library_sends(const struct redis_library *library)
{
	return library->state == LIBRARY_USABLE || library->state == LIBRARY_FAILED;
}

/* --- calls --- */

static void on_called(void *arg, const struct redis_reply *reply);

static int call_send(struct redis_call *call)
{
	struct redis_library *library = call->library;

	redis_loader_address(&library->loader, call->function, call->repeated, call->words);
	if (call->function == REDIS_FUNCTION_ACTION) /* those of a connection keep their order */
		return redis_ask_in_line(
			library->errands, library->link, call->words, call->n_words, on_called, call);
	return redis_ask(library->errands, library->link, call->words, call->n_words, on_called, call);
}

/* A call that was taken over. */
static void call_send_or_end(struct redis_call *call)
{
	int r = call_send(call);

	if (r < 0)
		redis_call_end(call, r, NULL);
}

/* The server does not have the function that was called. */
static void call_missed(struct redis_call *call)
{
	struct redis_library *library = call->library;
	uint64_t now_ms = clock_monotonic_ms();

	if (call->repeated) {
		redis_call_end(call, -EAGAIN, NULL); /* it went away again at once */
		return;
	}
	if (library->state == LIBRARY_FAILED && now_ms - library->tried_ms < LOAD_AGAIN_MS) {
		redis_call_end(call, library->failed, NULL);
		return;
	}
	call->repeated = true;
	if (library->loader.has_scripts) { /* with its text: then Redis knows it again */
		call_send_or_end(call);
		return;
	}
	redis_calls_wait(&library->waiting, call);
	if (library_sends(library)) {
		library->was_missed |= library->state == LIBRARY_USABLE;
		library_enter(library, LIBRARY_LOADING);
	} else if (library->state == LIBRARY_UNKNOWN) {
		library_enter(library, LIBRARY_ASKING);
	}
}

static void call_answered(struct redis_call *call, const struct redis_reply *reply)
{
	struct redis_library *library = call->library;

	if (library->state == LIBRARY_FAILED)
		library_enter(library, LIBRARY_USABLE); /* somebody has loaded it */
	library->found_ms = clock_monotonic_ms();
	redis_complaint_answered(&library->complaint, call->function);
	redis_call_end(call, 0, reply);
}

static void call_refused(struct redis_call *call, struct slice error)
{
	struct redis_library *library = call->library;

	redis_complaint_call(&library->complaint, call->function,
		library->loader.has_scripts ? "EVAL" : "FCALL", call->words[REDIS_CALL_ADDRESS + 1], error);
	if (redis_error_names(error, "READONLY"))
		library->read_only(library->arg);
	redis_call_end(call, redis_error_errno(error), NULL);
}

static void on_called(void *arg, const struct redis_reply *reply)
{
	struct redis_call *call = arg;

	if (!reply)
		redis_call_end(call, call->library->will_be_freed ? -ECANCELED : -ETIMEDOUT, NULL);
	else if (reply->values[0].kind != REDIS_ERROR)
		call_answered(call, reply);
	else if (redis_error_is_missing(redis_reply_text(reply, 0)))
		call_missed(call);
	else
		call_refused(call, redis_reply_text(reply, 0));
}

/* A caller that is told of a failure may call again at once; this call waits if the library
 * has left this state. */
static void library_release(struct redis_library *library)
{
	struct redis_call *call;

	while (library_sends(library) && library->link && (call = redis_calls_take(&library->waiting)))
		call_send_or_end(call);
}

/* --- the state --- */

static void library_found(struct redis_library *library)
{
	redis_complaint_over(&library->complaint, library->was_missed);
	library->was_missed = false;
	library->found_ms = clock_monotonic_ms();
}

/* Does the first step of a state. 0, or negative errno if it fails. */
static int library_begin(struct redis_library *library, enum library_state state)
{
	library->state = state;
	if (state == LIBRARY_ASKING || state == LIBRARY_LOADING)
		library->tried_ms = clock_monotonic_ms();
	if (state == LIBRARY_ASKING)
		return redis_loader_look(&library->loader, library->link);
	if (state == LIBRARY_LOADING)
		return redis_loader_load(&library->loader, library->link);
	if (state == LIBRARY_USABLE)
		library_found(library);
	return 0;
}

/* Changes the state, and answers callers that waited for it; so it is never called from inside
 * a call to us. */
static void library_enter(struct redis_library *library, enum library_state state)
{
	int r = library_begin(library, state);

	if (r < 0) {
		library->state = LIBRARY_UNKNOWN;
		redis_calls_refuse(&library->waiting, r);
		return;
	}
	library_release(library);
}

static bool library_awaits_loader(const struct redis_library *library)
{
	return library->state == LIBRARY_ASKING || library->state == LIBRARY_LOADING;
}

static void on_found(void *arg)
{
	struct redis_library *library = arg;

	if (library_awaits_loader(library))
		library_enter(library, LIBRARY_USABLE);
}

static void on_missing(void *arg)
{
	struct redis_library *library = arg;

	if (!library_awaits_loader(library))
		return;
	library->was_missed |= library->found_ms != 0;
	library_enter(library, LIBRARY_LOADING);
}

/* It cannot be had. A refusal that passes by itself is followed by another try, with the next call. */
static void on_failed(void *arg, const char *command, struct slice error)
{
	struct redis_library *library = arg;
	int r = redis_error_errno(error);

	if (!library_awaits_loader(library))
		return;
	if (r != -EACCES && r != -EIO) {
		redis_complaint_note(&library->complaint, "redis does not take our library now", error);
		library_enter(library, LIBRARY_UNKNOWN);
		redis_calls_refuse(&library->waiting, r);
		return;
	}
	redis_complaint_library(&library->complaint, command, error);
	library->failed = r;
	library_enter(library, LIBRARY_FAILED);
}

/* --- the interface --- */

void redis_library_attach(struct redis_library *library, struct redis_link *link)
{
	library->link = link;
	library->state = LIBRARY_UNKNOWN;
	library->was_missed = false;
	library->found_ms = 0;
	redis_loader_forget(&library->loader);
	redis_complaint_forget(&library->complaint);
}

void redis_library_lost(struct redis_library *library, bool will_be_freed)
{
	library->link = NULL;
	library->state = LIBRARY_UNKNOWN;
	library->will_be_freed = will_be_freed;
	redis_calls_refuse(&library->waiting, will_be_freed ? -ECANCELED : -ENOTCONN);
}

void redis_library_poke(struct redis_library *library)
{
	uint64_t now_ms = clock_monotonic_ms();
	bool due = library->state == LIBRARY_UNKNOWN ||
		   (library->state == LIBRARY_FAILED && now_ms - library->tried_ms >= POKE_AGAIN_MS) ||
		   (library->state == LIBRARY_USABLE && !library->loader.has_scripts &&
			   now_ms - library->found_ms >= LOOK_AGAIN_MS);

	if (library->link && due)
		library_enter(library, LIBRARY_ASKING);
}

void redis_library_route(struct redis_library *library, struct redis_errands *errands, bool sharded)
{
	library->errands = errands;
	library->sharded = sharded;
}

struct slice redis_library_publish(const struct redis_library *library)
{
	return slice_of(library->sharded ? "spublish" : "publish");
}

void redis_library_missed(struct redis_library *library)
{
	library->found_ms = 0; /* so that it is looked for now */
	redis_library_poke(library);
}

/* 0, or why the call is not taken. */
static int library_take(struct redis_library *library, struct redis_call *call)
{
	int r = 0;

	if (library_sends(library))
		return call_send(call);
	if (library->state == LIBRARY_UNKNOWN)
		r = library_begin(library, LIBRARY_ASKING);
	if (r < 0)
		library->state = LIBRARY_UNKNOWN;
	else
		redis_calls_wait(&library->waiting, call);
	return r;
}

int redis_library_call(struct redis_library *library, enum redis_function function,
	const struct redis_call_words *words, redis_called_fn fn, void *arg)
{
	struct redis_call *call;
	int r;

	if (!library->link)
		return -ENOTCONN;
	if (library->waiting.n_bytes >= REDIS_OUTSTANDING_BYTES_MAX)
		return -EAGAIN;
	call = redis_call_new(words);
	if (!call)
		return -ENOMEM;
	call->library = library;
	call->number = library->n_calls++;
	call->function = function;
	call->fn = fn;
	call->arg = arg;
	r = library_take(library, call);
	if (r < 0)
		free(call);
	return r;
}

int redis_library_call_with(struct redis_library *library, enum redis_function function,
	const struct redis_call_words *words, redis_called_fn fn, const void *memory, size_t n_bytes)
{
	void *copy = malloc(n_bytes);
	int r;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, memory, n_bytes);
	r = redis_library_call(library, function, words, fn, copy);
	if (r < 0)
		free(copy);
	return r;
}

struct slice redis_library_refusal(const struct redis_library *library)
{
	return buf_slice(&library->complaint.text);
}

void redis_library_complain(struct redis_library *library, const char *reason)
{
	redis_complaint_note(
		&library->complaint, "redis answered our library's call with nonsense", slice_of(reason));
}

int redis_library_nonsense(struct redis_library *library, enum redis_function function)
{
	redis_library_complain(library, redis_function_name(function));
	return -EIO;
}

int redis_library_new(struct log *log, struct slice where, redis_read_only_fn read_only, void *arg,
	struct redis_library **libraryp)
{
	struct redis_library *library = calloc(1, sizeof(*library));

	if (!library)
		return -ENOMEM;
	library->read_only = read_only;
	library->arg = arg;
	library->complaint = (struct redis_complaint){
		.log = log, .where = where, .limit = {.burst = 5, .interval_ms = 60 * 1000}};
	redis_calls_init(&library->waiting);
	if (redis_loader_init(&library->loader,
		    &(struct redis_loader_listener){library, on_found, on_missing, on_failed}) < 0) {
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
	redis_calls_refuse(&library->waiting, -ECANCELED);
	redis_loader_deinit(&library->loader);
	redis_complaint_deinit(&library->complaint);
	free(library);
}
