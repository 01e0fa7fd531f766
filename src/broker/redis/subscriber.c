/*
 * Redis subscriber: the channels that we hear. See subscriber.h.
 */

#include "broker/redis/subscriber.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <event2/event.h>

#include "broker/redis/error.h"
#include "broker/redis/number.h"
#include "broker/redis/timer.h"
#include "channel_log/envelope.h"
#include "core/clock.h"
#include "metrics/metrics.h"

enum {
	ANNOUNCE_PER_TURN = 1024,
};

/* On a turn of its own. */
static void ask_soon(struct redis_subscriber *subscriber)
{
	redis_timer_set(subscriber->flush_timer, 0);
}

static void tell(struct redis_subscriber *subscriber, const struct slice *argv, size_t n)
{
	if (redis_link_tell(subscriber->link, argv, n) < 0)
		redis_link_fail(subscriber->link, REDIS_LINK_LOST, "out of memory");
}

/* How many commands of this set were sent. */
static size_t send_some(struct redis_subscriber *subscriber, struct redis_channels *set)
{
	struct slice argv[REDIS_ARGS_FEW];
	size_t n_commands = 0, n;

	for (; (n = redis_channels_next(set, argv)) > 0; n_commands++)
		tell(subscriber, argv, n);
	return n_commands;
}

static void send_sharded(struct redis_subscriber *subscriber)
{
	char number[REDIS_NUMBER_MAX];

	if (!send_some(subscriber, &subscriber->sets[REDIS_SHARDED]))
		return;
	tell(subscriber, (struct slice[]){{"PING", 4}, redis_number_write(number, ++subscriber->n_fences)},
		2);
	subscriber->fenced = true;
	subscriber->sharded_next = false;
	redis_timer_set(subscriber->listen_timer, subscriber->listen_ms);
}

/* By turns, and not both at once. */
static void send_next(struct redis_subscriber *subscriber)
{
	bool wait = redis_channels_has_next(&subscriber->sets[REDIS_SHARDED]);

	if (subscriber->fenced)
		return;
	if (!wait || !subscriber->sharded_next)
		send_some(subscriber, &subscriber->sets[REDIS_CLASSIC]);
	subscriber->sharded_next = wait;
	if (wait && !subscriber->sets[REDIS_CLASSIC].n_in_flight)
		send_sharded(subscriber);
}

/* Asks Redis for the channels that it does not know yet. A channel that is confirmed, and wanted once more,
 * is said to be subscribed once more. */
static void ask(struct redis_subscriber *subscriber)
{
	struct slice channel;
	size_t n = 0;

	if (!subscriber->listening)
		return;
	send_next(subscriber);
	for (; n < ANNOUNCE_PER_TURN && redis_channels_announce(&subscriber->sets[REDIS_CLASSIC], &channel);
		n++)
		subscriber->events.subscribed(subscriber->events.arg, channel);
	for (; n < ANNOUNCE_PER_TURN && redis_channels_announce(&subscriber->sets[REDIS_SHARDED], &channel);
		n++)
		subscriber->sharded.subscribed(subscriber->sharded.arg, channel);
	if (n == ANNOUNCE_PER_TURN)
		ask_soon(subscriber);
}

static void on_unconfirmed(evutil_socket_t fd, short what, void *arg)
{
	struct redis_subscriber *subscriber = arg;

	(void)fd;
	(void)what;
	redis_link_fail(subscriber->link, REDIS_LINK_LOST,
		subscriber->fenced ? "Redis did not answer SSUBSCRIBE and PING in time"
				   : "Redis did not answer SUBSCRIBE in time");
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	ask(arg);
}

/* Redis sent a message that no subscriber of ours should get. The messages behind it may be out of step. */
static void confused(struct redis_subscriber *subscriber)
{
	metrics_add(subscriber->metrics, METRIC_REDIS_BAD_MESSAGES, 1);
	redis_link_fail(subscriber->link, REDIS_LINK_LOST,
		"Redis sent something that makes no sense to a subscriber");
}

static void too_large(struct redis_subscriber *subscriber, struct slice channel, long long n_bytes)
{
	uint64_t suppressed;

	metrics_add(subscriber->metrics, METRIC_EVENTS_DROPPED_SIZE, 1);
	if (log_limit_allow(subscriber->log, &subscriber->too_large_limit, clock_monotonic_ms(), &suppressed))
		log_warn(subscriber->log, "event dropped: larger than is allowed",
			log_slice("channel", channel), log_int("bytes", n_bytes),
			log_uint("bytes_max", subscriber->payload_bytes_max),
			log_uint("suppressed", suppressed));
}

static void hear_message(
	struct redis_subscriber *subscriber, enum redis_hearing hearing, const struct redis_reply *reply)
{
	struct slice name = redis_reply_text(reply, 2);
	struct slice channel = redis_channels_strip(&subscriber->sets[REDIS_CLASSIC], name);
	struct slice text = redis_reply_text(reply, 3);

	if (reply->values[3].kind == REDIS_TOO_LARGE)
		too_large(subscriber, channel, reply->values[3].integer);
	else if (reply->values[3].kind != REDIS_STRING || !channel.data)
		confused(subscriber);
	else if (text.len > subscriber->payload_bytes_max &&
		 envelope_payload_bytes(text) > subscriber->payload_bytes_max)
		too_large(subscriber, channel, (long long)text.len);
	else if (slice_equal(name, subscriber->probe_channel))
		subscriber->listener.echo(subscriber->listener.arg, text);
	else {
		subscriber->has_events = true;
		if (hearing == REDIS_CLASSIC)
			subscriber->events.event(subscriber->events.arg, channel, text);
		else
			subscriber->sharded.event(subscriber->sharded.arg, channel, text);
	}
}

static void hear_confirmation(struct redis_subscriber *subscriber, bool subscribed, struct slice name)
{
	struct slice channel;
	int r;

	if (!subscriber->listening && subscribed && slice_equal(name, subscriber->probe_channel)) {
		subscriber->listening = true;
		event_del(subscriber->listen_timer);
		subscriber->listener.listening(subscriber->listener.arg);
		return; /* the wanted channels are asked for at the end of the turn */
	}
	r = redis_channels_confirmed(&subscriber->sets[REDIS_CLASSIC], subscribed, name, &channel);
	if (r < 0)
		confused(subscriber);
	else if (r == REDIS_CHANNELS_LISTENS)
		subscriber->events.subscribed(subscriber->events.arg, channel);
}

static void tell_gone(struct redis_subscriber *subscriber)
{
	struct slice channel;

	while (redis_channels_gone(&subscriber->sets[REDIS_SHARDED], &channel))
		subscriber->sharded.gone(subscriber->sharded.arg, channel);
}

static void hear_sharded(struct redis_subscriber *subscriber, bool subscribed, struct slice name)
{
	struct slice channel;
	int r;

	if (!subscribed && FAULT_OFF(subscriber, sunsubscribe))
		return;
	r = redis_channels_confirmed(&subscriber->sets[REDIS_SHARDED], subscribed, name, &channel);
	if (r < 0)
		confused(subscriber);
	else if (r == REDIS_CHANNELS_LISTENS)
		subscriber->sharded.subscribed(subscriber->sharded.arg, channel);
	tell_gone(subscriber);
}

/* The link is of no use after this refusal. */
static void end_refused(struct redis_subscriber *subscriber, struct slice text)
{
	bool forbidden = slice_starts(text, "NOPERM");
	char reason[256];

	/* The command comes first, because the log cuts long sentences. Its channels are not named once
	 * others than the probe's are asked for: many may be under way. */
	snprintf(reason, sizeof(reason), "Redis refuses SUBSCRIBE%s%.*s: %.*s",
		subscriber->listening ? "" : " ",
		subscriber->listening ? 0 : (int)subscriber->probe_channel.len,
		subscriber->probe_channel.data, (int)(text.len < 120 ? text.len : 120), text.data);
	redis_link_fail(subscriber->link, forbidden ? REDIS_LINK_REFUSED : REDIS_LINK_LOST, reason);
}

/* r: REDIS_CHANNELS_STAYS or REDIS_CHANNELS_REFUSED. */
static void note_refusal(
	struct redis_subscriber *subscriber, int r, bool sharded, struct slice channel, struct slice text)
{
	uint64_t suppressed;

	if (!log_limit_allow(subscriber->log, &subscriber->refused_limit, clock_monotonic_ms(), &suppressed))
		return;
	if (r == REDIS_CHANNELS_STAYS)
		log_warn(subscriber->log, "redis does not let us leave channels",
			log_str("command", sharded ? "SUNSUBSCRIBE" : "UNSUBSCRIBE"),
			log_slice("reason", text), log_uint("suppressed", suppressed));
	else
		log_warn(subscriber->log, "redis does not let us subscribe to a channel",
			log_str("command", sharded ? "SSUBSCRIBE" : "SUBSCRIBE"),
			log_slice("channel", channel), log_slice("reason", text),
			log_uint("suppressed", suppressed));
}

static void hear_error(struct redis_subscriber *subscriber, struct slice text)
{
	struct slice channel = {0};
	int r;

	if (subscriber->fenced) {
		redis_channels_erred(&subscriber->sets[REDIS_SHARDED], text);
		if (!slice_starts(text, "NOPERM"))
			subscriber->sharded.erred(subscriber->sharded.arg, text);
		return;
	}
	if (!subscriber->listening || !slice_starts(text, "NOPERM")) {
		end_refused(subscriber, text);
		return;
	}
	r = redis_channels_refused(&subscriber->sets[REDIS_CLASSIC], &channel);
	if (r < 0)
		confused(subscriber);
	else if (r > 0)
		note_refusal(subscriber, r, false, channel, text);
}

/* [pong, number]: all commands of the batch were answered. */
static void hear_fence(struct redis_subscriber *subscriber, const struct redis_reply *reply)
{
	char number[REDIS_NUMBER_MAX];
	struct slice channel;
	int r;

	if (!subscriber->fenced || reply->n_values != 3 || !slice_is(redis_reply_text(reply, 1), "pong") ||
		!slice_equal(redis_reply_text(reply, 2), redis_number_write(number, subscriber->n_fences))) {
		confused(subscriber);
		return;
	}
	subscriber->fenced = false;
	event_del(subscriber->listen_timer);
	while ((r = redis_channels_fenced(&subscriber->sets[REDIS_SHARDED], &channel)) > 0)
		note_refusal(subscriber, r, true, channel, slice_of("NOPERM"));
	tell_gone(subscriber);
}

static void hear_push(struct redis_subscriber *subscriber, const struct redis_reply *reply)
{
	struct slice kind = redis_reply_text(reply, 1), name = redis_reply_text(reply, 2);

	if (slice_equal(kind, slice_of("message")))
		hear_message(subscriber, REDIS_CLASSIC, reply);
	else if (subscriber->sharded.arg && slice_equal(kind, slice_of("smessage")))
		hear_message(subscriber, REDIS_SHARDED, reply);
	else if (slice_equal(kind, slice_of("subscribe")))
		hear_confirmation(subscriber, true, name);
	else if (slice_equal(kind, slice_of("unsubscribe")))
		hear_confirmation(subscriber, false, name);
	else if (subscriber->sharded.arg && slice_equal(kind, slice_of("ssubscribe")))
		hear_sharded(subscriber, true, name);
	else if (subscriber->sharded.arg && slice_equal(kind, slice_of("sunsubscribe")))
		hear_sharded(subscriber, false, name);
	else
		confused(subscriber);
}

static void on_heard(void *arg, const struct redis_reply *reply)
{
	struct redis_subscriber *subscriber = arg;
	const struct redis_value *values = reply->values;

	if (values[0].kind == REDIS_ERROR)
		hear_error(subscriber, redis_reply_text(reply, 0));
	else if (values[0].kind == REDIS_ARRAY && values[0].integer == 2)
		hear_fence(subscriber, reply);
	else if (values[0].kind != REDIS_ARRAY || values[0].integer != 3 || reply->n_values != 4 ||
		 values[1].kind != REDIS_STRING || values[2].kind != REDIS_STRING)
		confused(subscriber);
	else
		hear_push(subscriber, reply);
}

static void on_turned(void *arg)
{
	struct redis_subscriber *subscriber = arg;

	if (subscriber->has_events) {
		subscriber->has_events = false;
		subscriber->events.drained(subscriber->events.arg);
	}
	ask(subscriber);
}

static void on_ready(void *arg)
{
	struct redis_subscriber *subscriber = arg;
	const struct slice argv[] = {slice_of("SUBSCRIBE"), subscriber->probe_channel};

	if (redis_link_tell(subscriber->link, argv, 2) < 0)
		redis_link_fail(subscriber->link, REDIS_LINK_LOST, "out of memory");
	redis_timer_set(subscriber->listen_timer, subscriber->listen_ms);
}

static void on_closed(void *arg, enum redis_link_end end, const char *reason)
{
	struct redis_subscriber *subscriber = arg;

	subscriber->listener.closed(subscriber->listener.arg, end, reason);
}

int redis_subscriber_init(struct redis_subscriber *subscriber, struct event_base *base, const char *prefix)
{
	const struct log_limit limit = {.burst = 5, .interval_ms = 10 * 1000};

	subscriber->too_large_limit = subscriber->refused_limit = limit;
	subscriber->flush_timer = evtimer_new(base, on_flush, subscriber);
	subscriber->listen_timer = evtimer_new(base, on_unconfirmed, subscriber);
	if (!subscriber->flush_timer || !subscriber->listen_timer ||
		redis_channels_init(&subscriber->sets[REDIS_SHARDED], prefix) < 0)
		return -ENOMEM;
	subscriber->sets[REDIS_SHARDED].sharded = true;
	return redis_channels_init(&subscriber->sets[REDIS_CLASSIC], prefix);
}

void redis_subscriber_deinit(struct redis_subscriber *subscriber)
{
	redis_link_free(subscriber->link);
	if (subscriber->flush_timer)
		event_free(subscriber->flush_timer);
	if (subscriber->listen_timer)
		event_free(subscriber->listen_timer);
	for (int i = 0; i < N_REDIS_HEARINGS; i++)
		redis_channels_deinit(&subscriber->sets[i]);
}

int redis_subscriber_dial(struct redis_subscriber *subscriber, struct event_base *base,
	const struct redis_link_options *options)
{
	const struct redis_link_listener hears = {subscriber, on_ready, on_heard, on_turned, on_closed, NULL};

	for (int i = 0; i < N_REDIS_HEARINGS; i++)
		subscriber->sets[i].doubtful = true;
	subscriber->fenced = false;
	subscriber->listen_ms = options->timeout_ms;
	return redis_link_new(base, options, &hears, &subscriber->link);
}

void redis_subscriber_proven(struct redis_subscriber *subscriber)
{
	for (int i = 0; i < N_REDIS_HEARINGS; i++)
		subscriber->sets[i].doubtful = false;
	ask_soon(subscriber);
}

void redis_subscriber_lost(struct redis_subscriber *subscriber)
{
	struct redis_link *link = subscriber->link;

	subscriber->link = NULL;
	subscriber->listening = false;
	event_del(subscriber->listen_timer);
	subscriber->fenced = false;
	for (int i = 0; i < N_REDIS_HEARINGS; i++)
		redis_channels_lost(&subscriber->sets[i]);
	redis_link_free(link);
}

void redis_subscriber_tell_lost(struct redis_subscriber *subscriber)
{
	struct slice channel;

	while (redis_channels_tell_lost(&subscriber->sets[REDIS_CLASSIC], &channel))
		subscriber->events.lost(subscriber->events.arg, channel);
	while (redis_channels_tell_lost(&subscriber->sets[REDIS_SHARDED], &channel))
		subscriber->sharded.lost(subscriber->sharded.arg, channel);
}

int redis_subscriber_want(
	struct redis_subscriber *subscriber, enum redis_hearing hearing, struct slice channel)
{
	struct redis_channels *set = &subscriber->sets[hearing];
	int r;

	if (slice_equal(channel, redis_channels_strip(set, subscriber->probe_channel)))
		return -EINVAL; /* unsubscribing it would end the probe */
	r = redis_channels_want(set, channel);
	if (r == 0 && subscriber->listening)
		ask_soon(subscriber);
	return r;
}

void redis_subscriber_hurry(struct redis_subscriber *subscriber, struct slice channel)
{
	for (int i = 0; i < N_REDIS_HEARINGS; i++)
		redis_channels_hurry(&subscriber->sets[i], channel);
}

void redis_subscriber_unwant(
	struct redis_subscriber *subscriber, enum redis_hearing hearing, struct slice channel)
{
	redis_channels_unwant(&subscriber->sets[hearing], channel);
	if (subscriber->listening)
		ask_soon(subscriber);
}
