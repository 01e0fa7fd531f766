/*
 * Redis link: one connection to one Redis. See link.h.
 *
 *     DIALLING ── connected ──► GREETING ── all answered ──► READY
 *         └──────────────────────┴── broken, refused, too slow ──┴──► CLOSED
 */

#include "broker/redis/link.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include "broker/redis/command.h"
#include "broker/redis/dial.h"
#include "broker/redis/error.h"
#include "broker/redis/stream.h"
#include "broker/redis/timer.h"
#include "broker/redis/url.h"
#include "broker/redis/waiters.h"
#include "core/clock.h"
#include "core/priority.h"

enum {
	READ_BYTES = 64 * 1024,       /* one read(2) */
	TURN_BYTES_MAX = 1024 * 1024, /* then the other events of the loop get their turn */
	NAME_MAX_BYTES = 128,
	REASON_MAX = 200, /* bytes of Redis' words in ours */
};

enum link_state {
	LINK_DIALLING,
	LINK_GREETING,
	LINK_READY,
	LINK_CLOSED,
};

struct redis_link {
	struct event_base *base;
	const struct redis_url *url;
	const struct redis_tls *tls;
	struct redis_link_listener listener;
	uint32_t timeout_ms;
	bool floods;
	enum link_state state;

	struct redis_dial *dial;
	struct redis_stream stream;
	struct event *readable;
	struct event *writable; /* pending while out holds something */
	struct event *timer;    /* greeting: its bound; closed: says so at once */
	struct evbuffer *out;
	struct redis_parser *parser;
	char *in; /* READ_BYTES */
	uint64_t heard_ms;
	bool spoke; /* some bytes of Redis came */

	struct redis_waiters waiters;
	size_t outstanding_bytes;

	enum redis_link_end end;
	char reason[256];
	char name[NAME_MAX_BYTES];
};

static void link_hang_up(struct redis_link *link)
{
	redis_dial_free(link->dial);
	link->dial = NULL;
	if (link->readable)
		event_free(link->readable);
	if (link->writable)
		event_free(link->writable);
	link->readable = link->writable = NULL;
	redis_stream_close(&link->stream);
}

void redis_link_fail(struct redis_link *link, enum redis_link_end end, const char *reason)
{
	if (link->state == LINK_CLOSED)
		return;
	link->state = LINK_CLOSED;
	link->end = end;
	snprintf(link->reason, sizeof(link->reason), "%s", reason);
	redis_stream_discard(&link->stream);
	link_hang_up(link);
	redis_timer_set(link->timer, 0);
}

static void link_fail_because(struct redis_link *link, const char *what, const char *why)
{
	char reason[sizeof(link->reason)];

	snprintf(reason, sizeof(reason), "%s: %s", what, why);
	redis_link_fail(link, REDIS_LINK_LOST, reason);
}

static int link_append(struct redis_link *link, const struct slice *argv, size_t n, size_t *n_bytesp)
{
	char *command;
	long long len;
	int r = 0;

	assert(n > 0 && n <= REDIS_ARGS_MAX);
	len = redis_command_format(argv, n, &command);
	if (len < 0)
		return -ENOMEM;
	/* In this order: if the second call fails, an empty buffer is written, which does no harm. */
	if (event_add(link->writable, NULL) < 0 || evbuffer_add(link->out, command, (size_t)len) < 0)
		r = -ENOMEM;
	redis_command_free(command);
	*n_bytesp = (size_t)len;
	return r;
}

/* Like redis_link_ask(), in any state that has a socket. */
static int link_ask(
	struct redis_link *link, const struct slice *argv, size_t n, redis_answer_fn fn, void *arg)
{
	struct redis_waiter waiter = {fn, arg, 0};
	int r;

	/* The waiter first: a command without one would leave every later answer with the wrong question. */
	r = redis_waiters_push(&link->waiters, waiter);
	if (r < 0)
		return r;
	r = link_append(link, argv, n, &waiter.n_bytes);
	if (r < 0) {
		redis_waiters_drop_last(&link->waiters);
		return r;
	}
	redis_waiters_last(&link->waiters)->n_bytes = waiter.n_bytes;
	link->outstanding_bytes += waiter.n_bytes;
	return 0;
}

int redis_link_ask(struct redis_link *link, const struct slice *argv, size_t n, redis_answer_fn fn, void *arg)
{
	if (link->state != LINK_READY)
		return -ENOTCONN;
	if (link->outstanding_bytes >= REDIS_OUTSTANDING_BYTES_MAX)
		return -EAGAIN;
	return link_ask(link, argv, n, fn, arg);
}

int redis_link_tell(struct redis_link *link, const struct slice *argv, size_t n)
{
	size_t n_bytes;

	if (link->state != LINK_READY)
		return -ENOTCONN;
	return link_append(link, argv, n, &n_bytes);
}

/* Redis refused our greeting. Its sentence is passed on, unless it repeats the password: some servers do, if
 * they do not know the command. */
static void link_refused(struct redis_link *link, const char *command, struct slice text)
{
	const char *password = link->url->password;
	enum redis_link_end end = redis_error_is_for_people(text) ? REDIS_LINK_REFUSED : REDIS_LINK_LOST;
	char reason[sizeof(link->reason)];

	if (password && *password && memmem(text.data, text.len, password, strlen(password)))
		text = slice_of("it did not understand it");
	if (redis_error_hint(text))
		text = slice_of(redis_error_hint(text));
	snprintf(reason, sizeof(reason), "Redis refused us at %s: %.*s", command,
		(int)(text.len < REASON_MAX ? text.len : REASON_MAX), text.data);
	redis_link_fail(link, end, reason);
}

/* One command of the greeting is answered. NULL: well enough. */
static void link_greeted(struct redis_link *link, const char *command, const struct slice *refusal)
{
	if (link->state != LINK_GREETING)
		return;
	if (refusal) {
		link_refused(link, command, *refusal);
		return;
	}
	if (link->waiters.n)
		return;
	link->state = LINK_READY;
	event_del(link->timer);
	link->listener.ready(link->listener.arg);
}

/* The answer to a command that has to succeed. */
static void on_needed(struct redis_link *link, const char *command, const struct redis_reply *reply)
{
	struct slice text;

	if (!reply)
		return;
	text = redis_reply_text(reply, 0);
	link_greeted(link, command, reply->values[0].kind == REDIS_ERROR ? &text : NULL);
}

static void on_auth(void *arg, const struct redis_reply *reply)
{
	on_needed(arg, "AUTH", reply);
}

static void on_select(void *arg, const struct redis_reply *reply)
{
	on_needed(arg, "SELECT", reply);
}

/*
 * Courtesies. They are answered in many ways, by users' rights, by proxies that know neither of them, and by
 * a Redis that says MISCONF to a PING while its snapshots fail. Events flow all the same, which the probe
 * will prove; so only those answers count that are about us, and not about what was asked.
 */
static void on_courtesy(struct redis_link *link, const char *command, const struct redis_reply *reply)
{
	struct slice text;
	bool is_refusal;

	if (!reply)
		return;
	text = redis_reply_text(reply, 0);
	is_refusal = reply->values[0].kind == REDIS_ERROR && redis_error_is_refusal(text);
	link_greeted(link, command, is_refusal ? &text : NULL);
}

static void on_named(void *arg, const struct redis_reply *reply)
{
	on_courtesy(arg, "CLIENT SETNAME", reply);
}

static void on_pong(void *arg, const struct redis_reply *reply)
{
	on_courtesy(arg, "PING", reply);
}

static int link_greet(struct redis_link *link)
{
	const struct redis_url *url = link->url;
	char db[16];
	int r = 0;

	if (url->password && url->user)
		r = link_ask(link,
			(struct slice[]){slice_of("AUTH"), slice_of(url->user), slice_of(url->password)}, 3,
			on_auth, link);
	else if (url->password)
		r = link_ask(
			link, (struct slice[]){slice_of("AUTH"), slice_of(url->password)}, 2, on_auth, link);
	if (r == 0 && url->db) {
		snprintf(db, sizeof(db), "%d", url->db);
		r = link_ask(link, (struct slice[]){slice_of("SELECT"), slice_of(db)}, 2, on_select, link);
	}
	if (r == 0)
		r = link_ask(link,
			(struct slice[]){slice_of("CLIENT"), slice_of("SETNAME"), slice_of(link->name)}, 3,
			on_named, link);
	/* Redis takes PUBLISH and SUBSCRIBE while it still reads its files, or has lost its primary: PING
	   tells (LOADING, MASTERDOWN). */
	if (r == 0)
		r = link_ask(link, (struct slice[]){slice_of("PING")}, 1, on_pong, link);
	return r;
}

static int on_reply(void *arg, const struct redis_reply *reply)
{
	struct redis_link *link = arg;
	struct redis_waiter waiter;

	if (link->waiters.n) {
		if (reply->values[0].kind == REDIS_ERROR && link->listener.erred)
			link->listener.erred(link->listener.arg, redis_reply_text(reply, 0));
		waiter = redis_waiters_pop(&link->waiters);
		link->outstanding_bytes -= waiter.n_bytes;
		waiter.fn(waiter.arg, reply);
	} else if (link->state == LINK_READY) {
		link->listener.unasked(link->listener.arg, reply);
	}
	return link->state == LINK_CLOSED;
}

/* The stream is over: r is 0 where Redis has closed it. */
static void link_broke(struct redis_link *link, const char *what, int r)
{
	bool plain_and_mute = !link->spoke && !link->tls && link->url->host;

	if (r == -EPROTO)
		redis_link_fail(link, REDIS_LINK_LOST, link->stream.fault);
	else if (plain_and_mute && (r == 0 || r == -ECONNRESET))
		redis_link_fail(link, REDIS_LINK_LOST,
			"Redis closed the connection at once: does it want rediss://?");
	else if (r == 0)
		redis_link_fail(link, REDIS_LINK_LOST, "Redis closed the connection");
	else
		link_fail_because(link, what, strerror(-r));
}

/* One read(2), or what TLS makes of some. How many bytes came, 0 when there is nothing (more), or the link
 * has ended. */
static size_t link_read(struct redis_link *link)
{
	ssize_t n = redis_stream_read(&link->stream, link->in, READ_BYTES);
	int r;

	if (n == -EAGAIN)
		return 0;
	if (n <= 0) {
		link_broke(link, "reading failed", (int)n);
		return 0;
	}
	link->spoke = true;
	link->heard_ms = clock_monotonic_ms();
	r = redis_parser_feed(link->parser, link->in, (size_t)n, on_reply, link);
	if (r == -ENOMEM)
		redis_link_fail(link, REDIS_LINK_LOST, "out of memory");
	else if (r < 0)
		link_fail_because(link, "what came is not Redis", redis_parser_error(link->parser));
	return (size_t)n;
}

/* All that has arrived, up to the bound of one turn. True: that was reached. */
static bool link_read_turn(struct redis_link *link)
{
	bool was_ready = link->state == LINK_READY;
	size_t total = 0, n;

	do {
		n = link_read(link);
		total += n;
		/* A read that did not fill its buffer has emptied the socket; epoll tells if that changes. */
	} while (n == READ_BYTES && total < TURN_BYTES_MAX && link->state != LINK_CLOSED);
	/* What TLS has read ahead wakes nobody. */
	if (n == READ_BYTES && link->state != LINK_CLOSED && redis_stream_holds_more(&link->stream))
		event_active(link->readable, EV_READ, 1);
	if (was_ready)
		link->listener.turned(link->listener.arg);
	return n == READ_BYTES;
}

/* Has the events of the socket that the stream waits for. */
static void link_watch(struct redis_link *link)
{
	bool wants_to_write = evbuffer_get_length(link->out) && !link->stream.write_needs_read;

	if (link->state == LINK_CLOSED)
		return;
	if (link->stream.ended) /* once: the next read takes it back */
		event_active(link->readable, EV_READ, 1);
	if (wants_to_write || link->stream.read_needs_write)
		event_add(link->writable, NULL);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct redis_link *link = arg;

	(void)fd;
	(void)what;
	if (link->floods && link->state == LINK_READY)
		event_priority_set(link->readable, PRIORITY_LAST);
	link->heard_ms = clock_monotonic_ms();
	link->stream.write_needs_read = false;
	(void)link_read_turn(link);
	link_watch(link);
}

bool redis_link_look(struct redis_link *link)
{
	bool more;

	if (!link || link->state != LINK_READY)
		return false;
	link->stream.write_needs_read = false;
	more = link_read_turn(link);
	link_watch(link);
	return more;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct redis_link *link = arg;
	int r = 0;

	(void)fd;
	(void)what;
	if (link->stream.read_needs_write)
		(void)link_read_turn(link);
	if (link->state != LINK_CLOSED && evbuffer_get_length(link->out))
		r = redis_stream_write(&link->stream, link->out);
	/* The last words of Redis say more than that it does not listen. */
	if (r < 0 && r != -EPROTO)
		(void)link_read_turn(link);
	if (r < 0)
		link_broke(link, "writing failed", r);
	link_watch(link);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct redis_link *link = arg;

	(void)fd;
	(void)what;
	if (link->state == LINK_CLOSED)
		link->listener.closed(link->listener.arg, link->end, link->reason); /* may free link */
	else
		redis_link_fail(link, REDIS_LINK_LOST,
			redis_stream_is_shaking_hands(&link->stream)
				? "Redis took the connection and does not answer in TLS: is TLS on there?"
				: "Redis took the connection and did not answer in time");
}

static void on_dialled(void *arg, int fd, const char *reason)
{
	struct redis_link *link = arg;

	if (fd < 0) {
		redis_link_fail(link, REDIS_LINK_LOST, reason);
		return;
	}
	redis_dial_free(link->dial);
	link->dial = NULL;
	link->state = LINK_GREETING;
	if (redis_stream_open(&link->stream, fd, link->tls, link->url->host) < 0) {
		redis_link_fail(link, REDIS_LINK_LOST, "out of memory");
		return;
	}
	link->readable = event_new(link->base, fd, EV_READ | EV_PERSIST, on_readable, link);
	link->writable = event_new(link->base, fd, EV_WRITE, on_writable, link);
	if (!link->readable || !link->writable || event_add(link->readable, NULL) < 0 ||
		link_greet(link) < 0) {
		redis_link_fail(link, REDIS_LINK_LOST, "out of memory");
		return;
	}
	redis_timer_set(link->timer, link->timeout_ms);
}

/* Redis takes no blanks and no control characters in a name. */
static void link_name(struct redis_link *link, const char *name)
{
	snprintf(link->name, sizeof(link->name), "%s", name);
	for (char *c = link->name; *c; c++)
		if (*c < '!' || *c > '~')
			*c = '-';
}

int redis_link_new(struct event_base *base, const struct redis_link_options *options,
	const struct redis_link_listener *listener, struct redis_link **linkp)
{
	struct redis_link *link = calloc(1, sizeof(*link));
	int r = -ENOMEM;

	if (!link)
		return -ENOMEM;
	link->base = base;
	link->url = options->url;
	link->tls = options->tls;
	link->listener = *listener;
	link->timeout_ms = options->timeout_ms;
	link->floods = options->floods;
	redis_stream_init(&link->stream);
	link_name(link, options->name);
	link->timer = evtimer_new(base, on_timer, link);
	link->out = evbuffer_new();
	link->in = malloc(READ_BYTES);
	if (!link->timer || !link->out || !link->in)
		goto fail;
	r = redis_parser_new(options->bulk_bytes_max, &link->parser);
	if (r < 0)
		goto fail;
	r = redis_dial_new(base, link->url, link->timeout_ms, on_dialled, link, &link->dial);
	if (r < 0)
		goto fail;
	*linkp = link;
	return 0;
fail:
	redis_link_free(link);
	return r;
}

void redis_link_free(struct redis_link *link)
{
	if (!link)
		return;
	link->state = LINK_CLOSED; /* so that a listener that is told now cannot ask again */
	link_hang_up(link);
	while (link->waiters.n) {
		struct redis_waiter waiter = redis_waiters_pop(&link->waiters);

		waiter.fn(waiter.arg, NULL);
	}
	redis_waiters_deinit(&link->waiters);
	redis_parser_free(link->parser);
	if (link->timer)
		event_free(link->timer);
	if (link->out)
		evbuffer_free(link->out);
	free(link->in);
	free(link);
}

void redis_link_abandon(struct redis_link *link)
{
	if (link)
		redis_stream_discard(&link->stream);
	redis_link_free(link);
}

void redis_link_set_bulk_max(struct redis_link *link, size_t bulk_bytes_max)
{
	redis_parser_set_bulk_max(link->parser, bulk_bytes_max);
}

uint64_t redis_link_heard_ms(const struct redis_link *link)
{
	return link->heard_ms;
}

struct slice redis_link_host(const struct redis_link *link)
{
	return slice_of(link->url->host ? link->url->host : "");
}
