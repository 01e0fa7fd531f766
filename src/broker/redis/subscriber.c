/*
 * Redis subscriber: the channels that we hear. See subscriber.h.
 */

#include "broker/redis/subscriber.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <event2/event.h>

#include "broker/redis/error.h"
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

/* Asks Redis for the channels that it does not know yet. A channel that is confirmed, and wanted once more,
 * is said to be subscribed once more. */
static void ask(struct redis_subscriber *subscriber)
{
	struct slice argv[REDIS_ARGS_MAX];
	struct slice channel;
	size_t n;

	if (!subscriber->listening)
		return;
	while ((n = redis_channels_next(&subscriber->channels, argv)) > 0)
		if (redis_link_tell(subscriber->link, argv, n) < 0) {
			redis_link_fail(subscriber->link, REDIS_LINK_LOST, "out of memory");
			return;
		}
	for (n = 0; n < ANNOUNCE_PER_TURN && redis_channels_announce(&subscriber->channels, &channel); n++)
		subscriber->events.subscribed(subscriber->events.arg, channel);
	if (n == ANNOUNCE_PER_TURN)
		ask_soon(subscriber);
}

static void on_unconfirmed(evutil_socket_t fd, short what, void *arg)
{
	struct redis_subscriber *subscriber = arg;

	(void)fd;
	(void)what;
	redis_link_fail(subscriber->link, REDIS_LINK_LOST, "Redis did not answer SUBSCRIBE in time");
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

static void hear_message(struct redis_subscriber *subscriber, const struct redis_reply *reply)
{
	struct slice name = redis_reply_text(reply, 2);
	struct slice channel = redis_channels_strip(&subscriber->channels, name);
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
		subscriber->events.event(subscriber->events.arg, channel, text);
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
	r = redis_channels_confirmed(&subscriber->channels, subscribed, name, &channel);
	if (r < 0)
		confused(subscriber);
	else if (r == REDIS_CHANNELS_LISTENS)
		subscriber->events.subscribed(subscriber->events.arg, channel);
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

static void hear_error(struct redis_subscriber *subscriber, struct slice text)
{
	struct slice channel = {0};
	uint64_t suppressed;
	int r;

	if (!subscriber->listening || !slice_starts(text, "NOPERM")) {
		end_refused(subscriber, text);
		return;
	}
	r = redis_channels_refused(&subscriber->channels, &channel);
	if (r < 0)
		confused(subscriber);
	if (r <= 0 || !log_limit_allow(
			      subscriber->log, &subscriber->refused_limit, clock_monotonic_ms(), &suppressed))
		return;
	if (r == REDIS_CHANNELS_STAYS)
		log_warn(subscriber->log, "redis does not let us leave channels",
			log_str("command", "UNSUBSCRIBE"), log_slice("reason", text),
			log_uint("suppressed", suppressed));
	else
		log_warn(subscriber->log, "redis does not let us subscribe to a channel",
			log_str("command", "SUBSCRIBE"), log_slice("channel", channel),
			log_slice("reason", text), log_uint("suppressed", suppressed));
}

static void on_heard(void *arg, const struct redis_reply *reply)
{
	struct redis_subscriber *subscriber = arg;
	const struct redis_value *values = reply->values;
	struct slice kind;

	if (values[0].kind == REDIS_ERROR) {
		hear_error(subscriber, redis_reply_text(reply, 0));
		return;
	}
	if (values[0].kind != REDIS_ARRAY || values[0].integer != 3 || reply->n_values != 4 ||
		values[1].kind != REDIS_STRING || values[2].kind != REDIS_STRING) {
		confused(subscriber);
		return;
	}
	kind = redis_reply_text(reply, 1);
	if (slice_equal(kind, slice_of("message")))
		hear_message(subscriber, reply);
	else if (slice_equal(kind, slice_of("subscribe")))
		hear_confirmation(subscriber, true, redis_reply_text(reply, 2));
	else if (slice_equal(kind, slice_of("unsubscribe")))
		hear_confirmation(subscriber, false, redis_reply_text(reply, 2));
	else
		confused(subscriber);
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
	if (!subscriber->flush_timer || !subscriber->listen_timer)
		return -ENOMEM;
	return redis_channels_init(&subscriber->channels, prefix);
}

void redis_subscriber_deinit(struct redis_subscriber *subscriber)
{
	redis_link_free(subscriber->link);
	if (subscriber->flush_timer)
		event_free(subscriber->flush_timer);
	if (subscriber->listen_timer)
		event_free(subscriber->listen_timer);
	redis_channels_deinit(&subscriber->channels);
}

int redis_subscriber_dial(struct redis_subscriber *subscriber, struct event_base *base,
	const struct redis_link_options *options)
{
	const struct redis_link_listener hears = {subscriber, on_ready, on_heard, on_turned, on_closed};

	subscriber->channels.doubtful = true;
	subscriber->listen_ms = options->timeout_ms;
	return redis_link_new(base, options, &hears, &subscriber->link);
}

void redis_subscriber_proven(struct redis_subscriber *subscriber)
{
	subscriber->channels.doubtful = false;
	ask_soon(subscriber);
}

void redis_subscriber_lost(struct redis_subscriber *subscriber)
{
	struct redis_link *link = subscriber->link;

	subscriber->link = NULL;
	subscriber->listening = false;
	event_del(subscriber->listen_timer);
	redis_channels_lost(&subscriber->channels);
	redis_link_free(link);
}

void redis_subscriber_tell_lost(struct redis_subscriber *subscriber)
{
	struct slice channel;

	while (redis_channels_tell_lost(&subscriber->channels, &channel))
		subscriber->events.lost(subscriber->events.arg, channel);
}

int redis_subscriber_want(struct redis_subscriber *subscriber, struct slice channel)
{
	const struct slice probe = redis_channels_strip(&subscriber->channels, subscriber->probe_channel);
	int r;

	if (slice_equal(channel, probe))
		return -EINVAL; /* unsubscribing it would end the probe */
	r = redis_channels_want(&subscriber->channels, channel);
	if (r == 0 && subscriber->listening)
		ask_soon(subscriber);
	return r;
}

void redis_subscriber_hurry(struct redis_subscriber *subscriber, struct slice channel)
{
	redis_channels_hurry(&subscriber->channels, channel);
}

void redis_subscriber_unwant(struct redis_subscriber *subscriber, struct slice channel)
{
	redis_channels_unwant(&subscriber->channels, channel);
	if (subscriber->listening)
		ask_soon(subscriber);
}
