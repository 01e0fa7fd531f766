/*
 * Redis sentinel: one sentinel, asked again and again which server is the primary. See sentinel.h.
 */

#include "broker/redis/sentinel.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/redis/link.h"
#include "broker/redis/timer.h"
#include "core/clock.h"

enum {
	ASK_MS = 500, /* a new primary is known so late at most; three small commands */
	DIAL_TIMEOUT_MS = 2000,
	ANSWER_TIMEOUT_MS = 2000,
	BULK_BYTES_MAX = 4096, /* of one string in an answer */
	TURNS_PER_LIST = 10,   /* which other sentinels there are is asked so seldom */
};

static void on_timer(evutil_socket_t fd, short what, void *arg);

/* Names the sentinel, because it is one of several. */
__attribute__((format(printf, 2, 3))) static void because(
	struct redis_sentinel *sentinel, const char *format, ...)
{
	const char *host = sentinel->url.host;
	char what[160];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	snprintf(sentinel->reason, sizeof(sentinel->reason),
		strchr(host, ':') ? "the sentinel [%s]:%u%s" : "the sentinel %s:%u%s", host,
		sentinel->url.port, what);
	sentinel->has_spoken = true;
}

/* Its vote is void. Not from inside a call of the link, other than closed(). */
static void hang_up(struct redis_sentinel *sentinel, const char *reason)
{
	struct redis_link *link = sentinel->link;

	because(sentinel, ": %.120s", reason);
	sentinel->link = NULL;
	sentinel->greeted = false;
	sentinel->n_waiting = 0;
	sentinel->vote.given = false;
	redis_link_free(link);
	sentinel->listener.voted(sentinel->listener.arg);
}

static bool port_of(struct slice text, uint16_t *portp)
{
	char digits[8];
	char *end;
	unsigned long port;

	if (text.len == 0 || text.len >= sizeof(digits))
		return false;
	memcpy(digits, text.data, text.len);
	digits[text.len] = '\0';
	port = strtoul(digits, &end, 10);
	*portp = (uint16_t)port;
	return !*end && port > 0 && port <= UINT16_MAX;
}

static bool is_strings(const struct redis_reply *reply, size_t at, size_t n)
{
	for (size_t i = at; i < at + n; i++)
		if (i >= reply->n_values || reply->values[i].kind != REDIS_STRING)
			return false;
	return true;
}

/* The value of a name in an array of names and values that starts here; empty without it. */
static struct slice member(const struct redis_reply *reply, size_t at, const char *name)
{
	size_t n = (size_t)reply->values[at].integer;

	for (size_t i = at + 1; i + 1 <= at + n && is_strings(reply, i, 2); i += 2)
		if (slice_is(redis_reply_text(reply, i), name))
			return redis_reply_text(reply, i + 1);
	return (struct slice){"", 0};
}

/* An answer of a turn has come; the last one makes the vote. False: the link is gone. */
static bool answered(struct redis_sentinel *sentinel, const struct redis_reply *reply)
{
	if (!reply)
		return false;
	sentinel->n_waiting--;
	if (reply->values[0].kind == REDIS_ERROR) {
		struct slice text = redis_reply_text(reply, 0);

		sentinel->answer.given = false;
		if (slice_starts(text, "ERR No such master"))
			return true; /* its other answer says so, in our words */
		if (slice_starts(text, "ERR unknown command"))
			because(sentinel, " is none: it does not know SENTINEL");
		else
			because(sentinel, ": %.*s", (int)(text.len < 120 ? text.len : 120), text.data);
	}
	return true;
}

static void on_address(void *arg, const struct redis_reply *reply)
{
	struct redis_sentinel *sentinel = arg;
	struct redis_vote *answer = &sentinel->answer;
	struct slice host;

	if (!answered(sentinel, reply))
		return;
	*answer = (struct redis_vote){0};
	if (reply->values[0].kind == REDIS_NIL)
		snprintf(sentinel->reason, sizeof(sentinel->reason), "no sentinel knows '%.100s'",
			sentinel->master);
	if (reply->values[0].kind != REDIS_ARRAY || reply->values[0].integer != 2 || !is_strings(reply, 1, 2))
		return;
	host = redis_reply_text(reply, 1);
	answer->given = host.len > 0 && host.len <= REDIS_VOTE_HOST_MAX &&
			!memchr(host.data, '\0', host.len) &&
			port_of(redis_reply_text(reply, 2), &answer->port);
	if (answer->given)
		memcpy(answer->host, host.data, host.len);
}

/* The second answer of a turn. One that gives no epoch, for want of rights, leaves 0. */
static void on_master(void *arg, const struct redis_reply *reply)
{
	struct redis_sentinel *sentinel = arg;
	bool given = sentinel->answer.given;
	struct slice epoch = {"", 0};

	if (!answered(sentinel, reply))
		return;
	if (reply->values[0].kind == REDIS_ARRAY)
		epoch = member(reply, 0, "config-epoch");
	for (size_t i = 0; i < epoch.len && epoch.data[i] >= '0' && epoch.data[i] <= '9'; i++)
		sentinel->answer.epoch = sentinel->answer.epoch * 10 + (uint64_t)(epoch.data[i] - '0');
	sentinel->answer.given = given;
	sentinel->vote = sentinel->answer;
	sentinel->voted_ms = clock_monotonic_ms();
	sentinel->has_spoken = true;
	sentinel->listener.voted(sentinel->listener.arg);
}

/* Others that it knows: each an array of names and values. */
static void on_sentinels(void *arg, const struct redis_reply *reply)
{
	struct redis_sentinel *sentinel = arg;
	bool given = sentinel->answer.given;
	size_t at = 1;

	if (!answered(sentinel, reply))
		return;
	sentinel->answer.given = given;
	if (reply->values[0].kind != REDIS_ARRAY)
		return;
	while (at < reply->n_values && reply->values[at].kind == REDIS_ARRAY) {
		struct slice host = member(reply, at, "ip");
		uint16_t port;

		if (host.len && host.len <= REDIS_VOTE_HOST_MAX && port_of(member(reply, at, "port"), &port))
			sentinel->listener.knows(sentinel->listener.arg, host, port);
		at += 1 + (size_t)reply->values[at].integer;
	}
}

static void ask(struct redis_sentinel *sentinel, const char *what, redis_answer_fn fn)
{
	const struct slice argv[] = {slice_of("SENTINEL"), slice_of(what), slice_of(sentinel->master)};

	if (redis_link_ask(sentinel->link, argv, 3, fn, sentinel) == 0)
		sentinel->n_waiting++;
}

void redis_sentinel_ask(struct redis_sentinel *sentinel)
{
	if (!sentinel->greeted || sentinel->n_waiting)
		return;
	sentinel->asked_ms = clock_monotonic_ms();
	sentinel->answer = (struct redis_vote){0};
	ask(sentinel, "GET-MASTER-ADDR-BY-NAME", on_address);
	ask(sentinel, "MASTER", on_master);
	if (sentinel->n_turns++ % TURNS_PER_LIST == 0)
		ask(sentinel, "SENTINELS", on_sentinels);
}

static void on_greeted(void *arg)
{
	struct redis_sentinel *sentinel = arg;

	sentinel->greeted = true;
	redis_sentinel_ask(sentinel);
}

static void on_unasked(void *arg, const struct redis_reply *reply)
{
	struct redis_sentinel *sentinel = arg;

	(void)reply;
	redis_link_fail(sentinel->link, REDIS_LINK_LOST, "a sentinel answered what was not asked");
}

static void on_turned(void *arg)
{
	(void)arg;
}

static void on_closed(void *arg, enum redis_link_end end, const char *reason)
{
	char copy[160];

	(void)end; /* dialled at the next turn, whatever it was */
	snprintf(copy, sizeof(copy), "%s", reason);
	hang_up(arg, copy);
}

static void dial(struct redis_sentinel *sentinel)
{
	const struct redis_link_listener listener = {
		sentinel, on_greeted, on_unasked, on_turned, on_closed, NULL};
	const struct redis_link_options options = {
		.url = &sentinel->url,
		.tls = sentinel->url.tls ? sentinel->tls : NULL,
		.name = sentinel->client_name,
		.bulk_bytes_max = BULK_BYTES_MAX,
		.timeout_ms = DIAL_TIMEOUT_MS,
	};

	if (redis_link_new(sentinel->base, &options, &listener, &sentinel->link) < 0)
		snprintf(sentinel->reason, sizeof(sentinel->reason),
			"out of memory"); /* the next turn tries */
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct redis_sentinel *sentinel = arg;

	(void)fd;
	(void)what;
	redis_timer_set(sentinel->timer, ASK_MS);
	if (!sentinel->link)
		dial(sentinel);
	else if (sentinel->n_waiting && clock_monotonic_ms() - sentinel->asked_ms >= ANSWER_TIMEOUT_MS)
		hang_up(sentinel, "a sentinel does not answer");
	else
		redis_sentinel_ask(sentinel);
}

int redis_sentinel_start(struct redis_sentinel *sentinel, const struct redis_url *url)
{
	if (redis_url_copy(url, &sentinel->url) < 0)
		return -ENOMEM;
	snprintf(sentinel->reason, sizeof(sentinel->reason), "no sentinel has answered yet");
	sentinel->timer = evtimer_new(sentinel->base, on_timer, sentinel);
	if (!sentinel->timer)
		return -ENOMEM;
	redis_timer_set(sentinel->timer, 0);
	return 0;
}

void redis_sentinel_deinit(struct redis_sentinel *sentinel)
{
	redis_link_free(sentinel->link);
	sentinel->link = NULL;
	if (sentinel->timer)
		event_free(sentinel->timer);
	sentinel->timer = NULL;
	redis_url_deinit(&sentinel->url);
}
