/*
 * Redis errand: a command that follows its slot through a cluster. See errand.h.
 *
 *     sent ── answered ──► (done)
 *      ▲ │
 *      │ └── MOVED, ASK: sent there ── at most 5 times
 *      └──── TRYAGAIN, CLUSTERDOWN, READONLY, no link there: waits 20 to 200 ms, then to who has the slot
 */

#include "broker/redis/errand.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/redis/error.h"
#include "broker/redis/reply.h"
#include "broker/redis/slot.h"
#include "broker/redis/timer.h"
#include "core/clock.h"

enum {
	HOPS_MAX = 5,       /* as Redis' own clients */
	WAIT_FIRST_MS = 20, /* a slot's move from one server to the next is a matter of milliseconds */
	WAIT_LAST_MS = 200,
	GIVE_UP_MS = 2000, /* a caller has more patience, and a failover takes longer */
	ERROR_MAX = 120,   /* bytes of the last error that are kept */
};

struct errand {
	struct redis_errands *errands;
	struct list link;   /* in all */
	redis_answer_fn fn; /* NULL: the caller does not wait any more */
	void *arg;
	struct redis_link *at; /* where it was sent; nothing but its answer says that it is still there */
	struct event *timer;   /* NULL: it has never waited */
	bool counted;          /* in the errands' n_bytes */
	size_t n_bytes;        /* of its words */
	uint64_t strayed_ms;   /* when it was first sent on; 0: it has not been */
	uint32_t wait_ms;
	unsigned int n_hops;
	size_t error_len;
	char error[ERROR_MAX];
	size_t n;
	struct slice argv[]; /* with the bytes behind it */
};

static void errand_free(struct errand *errand)
{
	list_remove(&errand->link);
	if (errand->counted)
		errand->errands->n_bytes -= errand->n_bytes;
	if (errand->timer)
		event_free(errand->timer);
	free(errand);
}

static void end(struct errand *errand, const struct redis_reply *reply)
{
	if (errand->fn)
		errand->fn(errand->arg, reply);
	errand_free(errand);
}

/* Answers with the last error. */
static void give_up(struct errand *errand)
{
	struct redis_value value = {REDIS_ERROR, 0, 0, errand->error_len};
	const struct redis_reply reply = {
		.values = &value, .n_values = 1, .text = {.data = errand->error, .len = errand->error_len}};

	end(errand, &reply);
}

/* A function's first key stands behind its name and the number of keys. */
static unsigned int slot_of(const struct errand *errand)
{
	bool calls = slice_is(errand->argv[0], "FCALL") || slice_starts(errand->argv[0], "EVAL");
	size_t key = calls ? 3 : 1;

	return redis_slot(key < errand->n ? errand->argv[key] : (struct slice){"", 0});
}

static void on_answer(void *arg, const struct redis_reply *reply);
static void wait_for_it(struct errand *errand);

static void on_asking(void *arg, const struct redis_reply *reply)
{
	(void)arg;
	(void)reply; /* what was sent behind it says how that ended */
}

/* 0 or negative errno. */
static int send_to(struct errand *errand, struct redis_link *link, bool asking)
{
	const struct slice words[] = {{"ASKING", 6}};
	int r = asking ? redis_link_ask(link, words, 1, on_asking, NULL) : 0;

	errand->at = link;
	return r < 0 ? r : redis_link_ask(link, errand->argv, errand->n, on_answer, errand);
}

static void send_or_wait(struct errand *errand, struct redis_link *link, bool asking)
{
	if (!link || send_to(errand, link, asking) < 0)
		wait_for_it(errand);
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
	struct errand *errand = arg;
	const struct redis_slots_source *router = errand->errands->router;

	(void)fd;
	(void)what;
	send_or_wait(errand, router->owner(router->arg, slot_of(errand)), false);
}

static void wait_for_it(struct errand *errand)
{
	bool is_over = clock_monotonic_ms() - errand->strayed_ms >= GIVE_UP_MS;

	errand->n_hops = 0;
	if (!errand->counted)
		errand->errands->n_bytes += errand->n_bytes;
	errand->counted = true;
	if (!errand->timer && !is_over)
		errand->timer = evtimer_new(errand->errands->base, on_time, errand);
	if (is_over || !errand->timer) {
		give_up(errand);
		return;
	}
	redis_timer_set(errand->timer, errand->wait_ms);
	errand->wait_ms = errand->wait_ms * 2 < WAIT_LAST_MS ? errand->wait_ms * 2 : WAIT_LAST_MS;
}

static void keep_error(struct errand *errand, struct slice text)
{
	errand->error_len = text.len < ERROR_MAX ? text.len : ERROR_MAX;
	memcpy(errand->error, text.data, errand->error_len);
	if (!errand->strayed_ms)
		errand->strayed_ms = clock_monotonic_ms();
}

static void go_on(struct errand *errand, struct redis_redirect *redirect)
{
	const struct redis_slots_source *router = errand->errands->router;
	bool elsewhere = redirect->kind == REDIS_REDIRECT_MOVED || redirect->kind == REDIS_REDIRECT_ASK;
	struct redis_link *link = NULL;

	if (elsewhere && !redirect->host.len)
		redirect->host = redis_link_host(errand->at);
	router->redirected(router->arg, redirect);
	if (elsewhere && ++errand->n_hops <= HOPS_MAX)
		link = router->at(router->arg, redirect->host, redirect->port);
	send_or_wait(errand, link, redirect->kind == REDIS_REDIRECT_ASK);
}

static void on_answer(void *arg, const struct redis_reply *reply)
{
	struct errand *errand = arg;
	const struct redis_slots_source *router;
	struct redis_redirect redirect;
	struct slice text;

	if (!errand->fn || !reply || reply->values[0].kind != REDIS_ERROR) {
		end(errand, reply);
		return;
	}
	router = errand->errands->router;
	text = redis_reply_text(reply, 0);
	redirect = redis_redirect_parse(text);
	if (redirect.kind != REDIS_REDIRECT_NONE) {
		keep_error(errand, text);
		go_on(errand, &redirect);
	} else if (errand->strayed_ms && redis_error_is_missing(text) && !slice_starts(text, "NOSCRIPT")) {
		/* (A script comes again with its text, from whoever called it.) */
		keep_error(errand, text);
		router->lacks(router->arg, errand->at);
		wait_for_it(errand);
	} else {
		end(errand, reply);
	}
}

static struct errand *errand_new(const struct slice *argv, size_t n)
{
	size_t n_bytes = 0;
	struct errand *errand;
	char *at;

	for (size_t i = 0; i < n; i++)
		n_bytes += argv[i].len;
	errand = malloc(sizeof(*errand) + n * sizeof(*argv) + n_bytes);
	if (!errand)
		return NULL;
	*errand = (struct errand){.wait_ms = WAIT_FIRST_MS, .n_bytes = n_bytes, .n = n};
	at = (char *)(errand->argv + n);
	for (size_t i = 0; i < n; i++)
		errand->argv[i] = slice_keep(argv[i], &at);
	return errand;
}

int redis_errand_begin(struct redis_errands *errands, struct redis_link *link, const struct slice *argv,
	size_t n, redis_answer_fn fn, void *arg)
{
	struct errand *errand;
	int r;

	if (errands->n_bytes >= REDIS_OUTSTANDING_BYTES_MAX)
		return -EAGAIN;
	errand = errand_new(argv, n);
	if (!errand)
		return -ENOMEM;
	errand->errands = errands;
	errand->fn = fn;
	errand->arg = arg;
	r = send_to(errand, link, false);
	if (r < 0)
		free(errand);
	else
		list_push_back(&errands->all, &errand->link);
	return r;
}

void redis_errands_init(
	struct redis_errands *errands, struct event_base *base, const struct redis_slots_source *router)
{
	*errands = (struct redis_errands){.router = router, .base = base};
	list_init(&errands->all);
}

void redis_errands_cancel(struct redis_errands *errands)
{
	while (errands->all.next && !list_empty(&errands->all)) {
		struct errand *errand = list_entry(errands->all.next, struct errand, link);
		redis_answer_fn fn = errand->fn;

		errand->fn = NULL;
		list_remove(&errand->link);
		if (errand->counted)
			errands->n_bytes -= errand->n_bytes;
		errand->counted = false; /* its errands may be gone when its answer comes */
		if (fn)
			fn(errand->arg, NULL);
		if (errand->timer && event_pending(errand->timer, EV_TIMEOUT, NULL))
			errand_free(
				errand); /* it waited; others are under way, and freed with their answer */
	}
}
