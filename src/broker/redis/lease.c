/* Redis lease: which nodes are there, and what has to be cleared up behind others; see lease.h. */

#include "broker/redis/lease.h"

#include <errno.h>
#include <stdlib.h>

#include "broker/redis/library.h"
#include "broker/redis/number.h"
#include "broker/redis/reply.h"

/* One that waits for an answer. */
struct waiting {
	struct redis_library *library;
	void *arg;
	union {
		broker_lease_fn lease;
		broker_done_fn done;
		broker_held_fn held;
	} fn;
};

int redis_leases_init(struct redis_leases *leases, struct redis_library *library, const char *prefix)
{
	*leases = (struct redis_leases){.library = library};
	buf_printf(&leases->leases, "tg:{%snodes}:leases", prefix);
	buf_printf(&leases->dead, "tg:{%snodes}:dead", prefix);
	buf_printf(&leases->holders, "tg:{%snodes}:holders", prefix);
	return leases->leases.failed || leases->dead.failed || leases->holders.failed ? -ENOMEM : 0;
}

void redis_leases_deinit(struct redis_leases *leases)
{
	buf_deinit(&leases->leases);
	buf_deinit(&leases->dead);
	buf_deinit(&leases->holders);
}

static int ask(struct redis_leases *leases, enum redis_function function,
	const struct redis_call_words *words, redis_called_fn fn, const struct waiting *waiting)
{
	struct waiting its = *waiting;

	its.library = leases->library;
	return redis_library_call_with(leases->library, function, words, fn, &its, sizeof(its));
}

/* --- leases --- */

static int ask_lease(struct redis_leases *leases, struct redis_call_words *words, redis_called_fn fn,
	const struct waiting *waiting)
{
	words->keys[0] = buf_slice(&leases->leases);
	words->keys[1] = buf_slice(&leases->dead);
	words->n_keys = 2;
	return ask(leases, REDIS_FUNCTION_LEASE, words, fn, waiting);
}

/* {1 or 0, the dead node} */
static void on_renewed(void *arg, int r, const struct redis_reply *reply)
{
	struct waiting *waiting = arg;
	bool held = false;
	struct slice dead = {0};

	if (r == 0 && (reply->values[0].kind != REDIS_ARRAY || reply->n_values < 3 ||
			      reply->values[1].kind != REDIS_INTEGER))
		r = redis_library_nonsense(waiting->library, REDIS_FUNCTION_LEASE);
	if (r == 0) {
		held = reply->values[1].integer != 0;
		dead = redis_reply_text(reply, 2);
	}
	waiting->fn.lease(waiting->arg, r, held, dead);
	free(waiting);
}

int redis_lease_renew(
	struct redis_leases *leases, const struct broker_lease *lease, broker_lease_fn done, void *arg)
{
	char ttl[REDIS_NUMBER_MAX], claim[REDIS_NUMBER_MAX];
	struct redis_call_words words = {
		.args = {slice_of("renew"), lease->node, redis_number_write(ttl, lease->ttl_ms),
			slice_of(lease->is_first ? "first" : "again"), slice_of(lease->judges ? "judge" : ""),
			redis_number_write(claim, lease->claim_ms), lease->claimed},
		.n_args = 7,
	};

	return ask_lease(leases, &words, on_renewed, &(struct waiting){.arg = arg, .fn.lease = done});
}

static void on_done(void *arg, int r, const struct redis_reply *reply)
{
	struct waiting *waiting = arg;

	(void)reply;
	if (waiting->fn.done)
		waiting->fn.done(waiting->arg, r);
	free(waiting);
}

int redis_lease_end(
	struct redis_leases *leases, struct slice node, uint64_t in_ms, broker_done_fn done, void *arg)
{
	char in[REDIS_NUMBER_MAX];
	struct redis_call_words words = {
		.args = {slice_of("end"), node, redis_number_write(in, in_ms)}, .n_args = 3};

	return ask_lease(leases, &words, on_done, &(struct waiting){.arg = arg, .fn.done = done});
}

static void on_cleared(void *arg, int r, const struct redis_reply *reply)
{
	struct waiting *waiting = arg;
	bool had_ended = r == 0 && reply->values[0].kind == REDIS_INTEGER && reply->values[0].integer == 2;

	waiting->fn.done(waiting->arg, had_ended ? BROKER_HAD_ENDED : r);
	free(waiting);
}

int redis_lease_cleared(struct redis_leases *leases, struct slice node, broker_done_fn done, void *arg)
{
	struct redis_call_words words = {.args = {slice_of("cleared"), node}, .n_args = 2};

	return ask_lease(leases, &words, on_cleared, &(struct waiting){.arg = arg, .fn.done = done});
}

int redis_lease_missed(struct redis_leases *leases, const struct slice *nodes, size_t n)
{
	struct redis_call_words words = {
		.args = {slice_of("missed")}, .n_args = 1, .more = nodes, .n_more = n};

	return ask_lease(leases, &words, on_done, &(struct waiting){0});
}

/* --- what a node holds --- */

/* words->keys[] may have a second one. */
static int ask_holds(struct redis_leases *leases, struct slice node, struct redis_call_words *words,
	redis_called_fn fn, const struct waiting *waiting)
{
	struct buf key = {0};
	int r = -ENOMEM;

	buf_append_str(&key, "tg:n:{");
	buf_append(&key, node.data, node.len);
	buf_append_char(&key, '}');
	words->keys[0] = buf_slice(&key);
	words->n_keys = words->keys[1].data ? 2 : 1;
	if (!key.failed)
		r = ask(leases, REDIS_FUNCTION_HOLDS, words, fn, waiting);
	buf_deinit(&key);
	return r;
}

int redis_lease_hold(struct redis_leases *leases, struct slice node, bool hold, const struct slice *names,
	size_t n, broker_done_fn done, void *arg)
{
	struct redis_call_words words = {
		.args = {slice_of(hold ? "add" : "remove")}, .n_args = 1, .more = names, .n_more = n};

	return ask_holds(leases, node, &words, on_done, &(struct waiting){.arg = arg, .fn.done = done});
}

int redis_lease_hold_there(struct redis_leases *leases, struct slice node, const struct slice *names,
	size_t n, broker_done_fn done, void *arg)
{
	struct redis_call_words words = {
		.keys[1] = buf_slice(&leases->holders),
		.args = {slice_of("add")},
		.n_args = 1,
		.more = names,
		.n_more = n,
	};

	return ask_holds(leases, node, &words, on_done, &(struct waiting){.arg = arg, .fn.done = done});
}

static void on_some(void *arg, int r, const struct redis_reply *reply)
{
	struct waiting *waiting = arg;
	struct slice names[BROKER_HELD_MAX];
	size_t n = 0;

	if (r == 0 && reply->values[0].kind != REDIS_ARRAY)
		r = redis_library_nonsense(waiting->library, REDIS_FUNCTION_HOLDS);
	for (size_t i = 1; r == 0 && i < reply->n_values && n < BROKER_HELD_MAX; i++)
		names[n++] = redis_reply_text(reply, i);
	waiting->fn.held(waiting->arg, r, names, n);
	free(waiting);
}

int redis_lease_hold_some(struct redis_leases *leases, struct slice node, broker_held_fn done, void *arg)
{
	char count[REDIS_NUMBER_MAX];
	struct redis_call_words words = {
		.args = {slice_of("some"), redis_number_write(count, BROKER_HELD_MAX)}, .n_args = 2};

	return ask_holds(leases, node, &words, on_some, &(struct waiting){.arg = arg, .fn.held = done});
}

int redis_lease_holders(struct redis_leases *leases, broker_held_fn done, void *arg)
{
	char count[REDIS_NUMBER_MAX];
	struct redis_call_words words = {
		.keys = {buf_slice(&leases->holders)},
		.n_keys = 1,
		.args = {slice_of("some"), redis_number_write(count, BROKER_HELD_MAX)},
		.n_args = 2,
	};

	return ask(leases, REDIS_FUNCTION_HOLDS, &words, on_some,
		&(struct waiting){.arg = arg, .fn.held = done});
}

int redis_lease_forget(struct redis_leases *leases, struct slice node)
{
	struct redis_call_words words = {
		.keys = {buf_slice(&leases->holders)},
		.n_keys = 1,
		.args = {slice_of("remove"), node},
		.n_args = 2,
	};

	return ask(leases, REDIS_FUNCTION_HOLDS, &words, on_done, &(struct waiting){0});
}
