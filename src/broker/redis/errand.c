/*
 * Redis errand: a command that follows its slot through a cluster. See errand.h.
 *
 *     sent ── answered ──► (done)
 *      ▲ │
 *      │ └── MOVED, ASK: sent there ── at most 5 times
 *      └──── TRYAGAIN, CLUSTERDOWN, READONLY, no link there: waits 20 to 200 ms, then to who has the slot
 *
 * In a line only the first does so; what else is sent back waits until all before it have been carried out,
 * or are at the server to which it goes.
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
	HOLD_MS = 500,     /* for the answer to one that stands before us in the line */
	ERROR_MAX = 120,   /* bytes of the last error that are kept */
};

struct errand {
	struct redis_errands *errands;
	struct list link;        /* in all */
	struct redis_line *line; /* NULL: it keeps no order */
	struct list in_line;
	bool sent;          /* and not answered */
	bool astray;        /* it was sent back, and not to who has the slot: nobody follows it */
	bool passed;        /* others of its line wait for it no longer: it is not sent again */
	bool backs_off;     /* until the timer */
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

/* Nobody finds it any more. */
static void leave(struct errand *errand)
{
	list_remove(&errand->in_line);
	list_remove(&errand->link);
	if (errand->counted)
		errand->errands->n_bytes -= errand->n_bytes;
	errand->counted = false; /* its errands may be gone when its answer comes */
	errand->line = NULL;
}

static void errand_free(struct errand *errand)
{
	if (errand->timer)
		event_free(errand->timer);
	free(errand);
}

static void go_on_in_line(struct redis_line *line);

static void end(struct errand *errand, const struct redis_reply *reply)
{
	struct redis_line *line = errand->line;

	leave(errand);
	if (errand->fn)
		errand->fn(errand->arg, reply);
	errand_free(errand);
	if (line)
		go_on_in_line(line);
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
	if (r == 0)
		r = redis_link_ask(link, errand->argv, errand->n, on_answer, errand);
	errand->sent = r == 0;
	return r;
}

static struct redis_link *owner_of(const struct errand *errand)
{
	const struct redis_slots_source *router = errand->errands->router;

	return router->owner(router->arg, slot_of(errand));
}

static void send_or_wait(struct errand *errand, struct redis_link *link, bool asking)
{
	if (!link || send_to(errand, link, asking) < 0)
		wait_for_it(errand);
}

static void on_time(evutil_socket_t fd, short what, void *arg);

/* False: there is no memory for it. */
static bool set_timer(struct errand *errand, uint32_t ms)
{
	if (!errand->counted)
		errand->errands->n_bytes += errand->n_bytes;
	errand->counted = true;
	if (!errand->timer)
		errand->timer = evtimer_new(errand->errands->base, on_time, errand);
	if (errand->timer)
		redis_timer_set(errand->timer, ms);
	return errand->timer;
}

static void wait_for_it(struct errand *errand)
{
	bool is_over = clock_monotonic_ms() - errand->strayed_ms >= GIVE_UP_MS;

	errand->n_hops = 0;
	if (is_over || !set_timer(errand, errand->wait_ms)) {
		give_up(errand);
		return;
	}
	errand->backs_off = true;
	errand->wait_ms = errand->wait_ms * 2 < WAIT_LAST_MS ? errand->wait_ms * 2 : WAIT_LAST_MS;
}

static void keep_error(struct errand *errand, struct slice text)
{
	errand->astray = true;
	errand->error_len = text.len < ERROR_MAX ? text.len : ERROR_MAX;
	memcpy(errand->error, text.data, errand->error_len);
	if (!errand->strayed_ms)
		errand->strayed_ms = clock_monotonic_ms();
}

/* --- the line --- */

static struct errand *in_line_at(const struct list *link)
{
	return list_entry(link, struct errand, in_line);
}

/* Do all that stand before it wait for nothing that concerns it? */
static bool is_first(const struct errand *errand)
{
	const struct list *link = &errand->in_line;

	do
		link = link->prev;
	while (link != &errand->line->errands && in_line_at(link)->passed);
	return link == &errand->line->errands;
}

/* Those that are under way are not waited for any more: a server that has not the slot any more will not
 * carry them out. It may, where a server has sent them; they are waited for, and so is what waits itself. */
static void pass_those_before(struct errand *errand)
{
	struct list *link = &errand->in_line;

	while ((link = link->prev) != &errand->line->errands)
		in_line_at(link)->passed |= in_line_at(link)->sent && !in_line_at(link)->astray;
}

static void wait_in_line(struct errand *errand)
{
	errand->line->disturbed = true;
	if (!errand->strayed_ms) {
		keep_error(errand, slice_of("TRYAGAIN others of its slot are before it"));
		errand->astray = false;
	}
	(void)set_timer(errand, HOLD_MS); /* without memory for it the others alone are waited for */
}

/* May those behind it go to its owner, too, as far as it is concerned? It is sent, if its turn has come. */
static bool lets_others_go(struct errand *errand, struct redis_link *owner)
{
	if (errand->passed)
		return true;
	if (!errand->sent && (errand->backs_off || (errand->astray && !is_first(errand)) || !owner ||
				     send_to(errand, owner, false) < 0))
		return false;
	return !errand->astray && errand->at == owner;
}

/* Sends those whose turn has come. */
static void go_on_in_line(struct redis_line *line)
{
	struct list *link = line->errands.next;

	if (!line->disturbed || line->is_going_on)
		return;
	line->is_going_on = true;
	while (link != &line->errands) {
		struct errand *errand = in_line_at(link);
		struct redis_link *owner = owner_of(errand);

		if (lets_others_go(errand, owner)) {
			line->at = owner;
			link = link->next;
		} else if (errand->sent || errand->backs_off || !is_first(errand)) {
			break;
		} else {
			wait_for_it(errand); /* or it gives up */
			link = line->errands.next;
		}
	}
	line->disturbed = link != &line->errands;
	line->is_going_on = false;
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
	struct errand *errand = arg;

	(void)fd;
	(void)what;
	if (errand->sent)
		return; /* its turn came before */
	if (!errand->line) {
		send_or_wait(errand, owner_of(errand), false);
		return;
	}
	if (!errand->backs_off)
		pass_those_before(errand);
	errand->backs_off = false;
	redis_timer_set(errand->timer, HOLD_MS);
	go_on_in_line(errand->line);
}

/* --- answers --- */

static void go_on(struct errand *errand, struct redis_redirect *redirect)
{
	const struct redis_slots_source *router = errand->errands->router;
	bool elsewhere = redirect->kind == REDIS_REDIRECT_MOVED || redirect->kind == REDIS_REDIRECT_ASK;
	struct redis_line *line = errand->line;
	struct redis_link *link = NULL;

	if (elsewhere && !redirect->host.len)
		redirect->host = redis_link_host(errand->at);
	router->redirected(router->arg, redirect);
	if (line && !is_first(errand)) {
		errand->astray = redirect->kind == REDIS_REDIRECT_ASK;
		wait_in_line(errand);
		go_on_in_line(line);
		return;
	}
	if (elsewhere && ++errand->n_hops <= HOPS_MAX)
		link = router->at(router->arg, redirect->host, redirect->port);
	if (line && redirect->kind == REDIS_REDIRECT_MOVED)
		errand->astray = link != owner_of(errand);
	send_or_wait(errand, link, redirect->kind == REDIS_REDIRECT_ASK);
	if (line)
		go_on_in_line(line);
}

/* Its server does not have the function. Whoever called it may have it loaded and call again, but not of one
 * that is in a line, where others stand behind it. (A script comes again with its text, from the caller.) */
static bool lacks_function(const struct errand *errand, struct slice text)
{
	return (errand->strayed_ms || errand->line) && redis_error_is_missing(text) &&
	       !slice_starts(text, "NOSCRIPT");
}

static void on_error(struct errand *errand, const struct redis_reply *reply)
{
	const struct redis_slots_source *router = errand->errands->router;
	struct slice text = redis_reply_text(reply, 0);
	struct redis_redirect redirect = redis_redirect_parse(text);
	bool is_back = redirect.kind != REDIS_REDIRECT_NONE || lacks_function(errand, text);

	if (!is_back) {
		end(errand, reply);
		return;
	}
	if (errand->passed) {
		keep_error(errand, slice_of("TRYAGAIN others of its slot went before it"));
		give_up(errand);
		return;
	}
	if (errand->line)
		errand->line->disturbed = true;
	keep_error(errand, text);
	if (redirect.kind != REDIS_REDIRECT_NONE) {
		go_on(errand, &redirect);
		return;
	}
	router->lacks(router->arg, errand->at);
	wait_for_it(errand);
}

static void on_answer(void *arg, const struct redis_reply *reply)
{
	struct errand *errand = arg;

	errand->sent = false;
	if (!errand->fn || !reply || reply->values[0].kind != REDIS_ERROR)
		end(errand, reply);
	else
		on_error(errand, reply);
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

/* 0 or negative errno. */
static int begin_in_line(struct errand *errand, struct redis_link *link)
{
	struct redis_line *line = &errand->errands->router->lines[slot_of(errand)];
	int r = 0;

	if (!line->errands.next)
		list_init(&line->errands);
	if (list_empty(&line->errands) && !line->is_going_on) {
		line->disturbed = false;
		line->at = link;
	}
	if (!line->disturbed && line->at == link)
		r = send_to(errand, link, false);
	if (r < 0)
		return r;
	errand->line = line;
	list_push_back(&line->errands, &errand->in_line);
	if (!errand->sent)
		wait_in_line(errand);
	return 0;
}

static int begin(struct redis_errands *errands, struct redis_link *link, const struct slice *argv, size_t n,
	bool in_line, redis_answer_fn fn, void *arg)
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
	r = in_line ? begin_in_line(errand, link) : send_to(errand, link, false);
	if (r < 0)
		free(errand);
	else
		list_push_back(&errands->all, &errand->link);
	return r;
}

int redis_errand_begin(struct redis_errands *errands, struct redis_link *link, const struct slice *argv,
	size_t n, redis_answer_fn fn, void *arg)
{
	return begin(errands, link, argv, n, false, fn, arg);
}

int redis_errand_begin_in_line(struct redis_errands *errands, struct redis_link *link,
	const struct slice *argv, size_t n, redis_answer_fn fn, void *arg)
{
	return begin(errands, link, argv, n, true, fn, arg);
}

void redis_errands_init(
	struct redis_errands *errands, struct event_base *base, const struct redis_slots_source *router)
{
	*errands = (struct redis_errands){.router = router, .base = base};
	list_init(&errands->all);
}

/* Nobody is told before all have left their lines: what others do meanwhile would send them. */
static void detach(struct redis_errands *errands, struct list *detached)
{
	list_init(detached);
	while (errands->all.next && !list_empty(&errands->all)) {
		struct errand *errand = list_entry(errands->all.next, struct errand, link);
		struct redis_line *line = errand->line;

		leave(errand);
		errand->line = line; /* to go on there */
		list_push_back(detached, &errand->link);
	}
}

void redis_errands_cancel(struct redis_errands *errands)
{
	struct list detached, told;

	detach(errands, &detached);
	list_init(&told);
	while (!list_empty(&detached)) {
		struct errand *errand = list_entry(detached.next, struct errand, link);
		redis_answer_fn fn = errand->fn;

		list_remove(&errand->link);
		list_push_back(&told, &errand->link);
		errand->fn = NULL;
		if (fn)
			fn(errand->arg, NULL);
	}
	while (!list_empty(&told)) {
		struct errand *errand = list_entry(told.next, struct errand, link);
		struct redis_line *line = errand->line;

		list_remove(&errand->link);
		errand->line = NULL;
		if (!errand->sent) /* others are under way, and freed with their answer */
			errand_free(errand);
		if (line)
			go_on_in_line(line);
	}
}
