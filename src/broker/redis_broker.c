/*
 * Redis broker: events through plain pub/sub of one Redis server.
 *
 *            redis_subscriber: SUBSCRIBE ──► event(), subscribed(), the probe's echo
 *     Redis ┤
 *            commander link:   PUBLISH   ──► done(), the probe
 *                              our library's functions ──► done() of log calls
 *
 * It is ready when a probe published on one link has come back on the other, and not before: an open socket
 * proves nothing. When either link is lost both are given up and dialled again, for ever, with what is wanted
 * asked for anew. Plain pub/sub forgets what was published meanwhile; the log above it (channel_log) repairs
 * that.
 */

#include "broker/redis_broker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/backoff.h"
#include "broker/redis/error.h"
#include "broker/redis/library.h"
#include "broker/redis/link.h"
#include "broker/redis/log.h"
#include "broker/redis/nodes.h"
#include "broker/redis/outage.h"
#include "broker/redis/probe.h"
#include "broker/redis/publication.h"
#include "broker/redis/subscriber.h"
#include "broker/redis/url.h"
#include "channel_log/envelope.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/log.h"
#include "metrics/metrics.h"

enum {
	PAYLOAD_BYTES_MAX = 256 * 1024, /* docs/limits.md, Redis */
	DIAL_TIMEOUT_MS = 2000,
	PROBE_IDLE_MS = 4000, /* docs/recovery-protocol.md R10: a frozen Redis is noticed in 8 s, where 9 are
				 promised */
	PROBE_TIMEOUT_MS = 2000, /* docs/recovery-protocol.md R10 */
	BACKOFF_BASE_MS = 50,
	BACKOFF_CAP_MS = 1000,  /* events must flow within 2 s after Redis is back */
	BACKOFF_SLOW_MS = 5000, /* a password does not mend itself */
	READ_ONLY_MS = 10000,   /* a Redis that stays a replica is dialled no more often than so */
	STEADY_MS = 5000,       /* ready for so long: the next outage starts with short waits */
	REASON_MAX = 120,       /* bytes of Redis' words in a sentence of ours */
	RETRY_PER_PROBE =
		64, /* refused channels asked for again with each echo: rights may have been mended */
};

struct redis_broker {
	struct broker broker; /* first: the interface casts to us */
	struct event_base *base;
	struct broker_listener listener;
	struct log *log;
	struct metrics *metrics;

	struct redis_url url;
	struct buf address;
	struct buf client_name;
	struct buf probe_channel; /* with the prefix */
	size_t payload_bytes_max;
	uint32_t dial_timeout_ms;

	struct redis_subscriber subscriber;
	struct redis_link *commander;
	bool can_command; /* the commander is greeted */

	struct redis_probe probe;
	uint64_t probe_sent_us;   /* the newest one */
	struct buf probe_refusal; /* what was answered to one since the last echo */
	struct redis_library *library;
	struct redis_log logs;
	struct redis_nodes nodes;
	bool loads_library;
	uint64_t read_only_ms; /* when it was dialled again for being a replica */
	struct backoff backoff;
	struct event *redial_timer;
	struct event *probe_timer;

	enum broker_state state;
	struct redis_outage outage;
	struct redis_publications publications;
#ifdef TIDEGATE_FAULT_CONTROLS
	struct fault_off fault_off;
#endif
};

static void timer_set(struct event *timer, uint32_t ms)
{
	const struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	event_add(timer, &wait);
}

/*
 * The state.
 */

static void redis_enter(struct redis_broker *redis, enum broker_state state, const char *reason)
{
	redis->state = state;
	metrics_set(redis->metrics, METRIC_REDIS_READY, state == BROKER_READY);
	redis->listener.state(redis->listener.arg, state, reason);
}

/* The probe has come back for the first time on these links. */
static void redis_ready(struct redis_broker *redis)
{
	redis_outage_end(&redis->outage, clock_monotonic_ms(), redis->subscriber.channels.n_wanted);
	redis_enter(redis, BROKER_READY, "a published probe came back");
	redis_subscriber_proven(&redis->subscriber);
}

static void redis_redial(struct redis_broker *redis, enum redis_link_end end)
{
	uint32_t wait_ms = backoff_next(&redis->backoff);

	if (FAULT_OFF(redis, redial) && redis->outage.n_attempts)
		return;
	if (end == REDIS_LINK_REFUSED)
		wait_ms = backoff_slow(&redis->backoff, BACKOFF_SLOW_MS);
	timer_set(redis->redial_timer, wait_ms);
}

/* Either link is gone, or useless: both go. Not from inside a call of a link, other than closed(). */
static void redis_lost(struct redis_broker *redis, enum redis_link_end end, const char *reason)
{
	struct redis_link *commander = redis->commander;
	uint64_t now_ms = clock_monotonic_ms();

	redis->commander = NULL;
	redis->can_command = false;
	event_del(redis->probe_timer);
	redis_outage_because(&redis->outage, reason); /* which may be the link's */
	redis_subscriber_lost(&redis->subscriber);
	if (redis->state == BROKER_READY) {
		if (now_ms - redis->outage.since_ms >= STEADY_MS)
			backoff_reset(&redis->backoff);
		redis_outage_begin(&redis->outage, now_ms);
		metrics_add(redis->metrics, METRIC_REDIS_RECONNECTS, 1);
		redis_enter(redis, BROKER_CONNECTING, redis_outage_reason(&redis->outage));
	} else {
		redis_outage_goes_on(&redis->outage, now_ms);
	}
	redis_redial(redis, end);
	/* Last, because it tells those who wait for an answer, and they may call us. */
	redis_library_lost(redis->library, false);
	redis_link_free(commander);
}

/*
 * The probe.
 */

/* Why the probe does not come back. */
static const char *probe_reason(struct redis_broker *redis)
{
	const char *said = redis->probe_refusal.len ? buf_text(&redis->probe_refusal) : NULL;

	return said ? said
		    : "a published probe did not come back: Redis is frozen or unreachable, or our "
		      "connections "
		      "lead to different servers";
}

/*
 * Its echo counts, not its answer. But a refusal tells what will be missed, and on a fresh link it is the
 * answer. On one that was proven it may be a mood (BUSY): the probe is missed like any other, and sent once
 * more.
 */
static void on_probe_answer(void *arg, const struct redis_reply *reply)
{
	struct redis_broker *redis = arg;
	bool is_forbidden;
	struct slice text;

	if (!reply || reply->values[0].kind != REDIS_ERROR)
		return;
	text = redis_reply_text(reply, 0);
	is_forbidden = slice_starts(text, "NOPERM");
	buf_reset(&redis->probe_refusal);
	buf_append_str(
		&redis->probe_refusal, "Redis refuses PUBLISH "); /* first: the log cuts long sentences */
	buf_append(&redis->probe_refusal, redis->probe_channel.data, redis->probe_channel.len);
	buf_append_str(&redis->probe_refusal, ": ");
	buf_append(&redis->probe_refusal, text.data, text.len < REASON_MAX ? text.len : REASON_MAX);
	if (is_forbidden || redis->state != BROKER_READY)
		redis_link_fail(redis->commander, is_forbidden ? REDIS_LINK_REFUSED : REDIS_LINK_LOST,
			probe_reason(redis));
}

static void redis_send_probe(struct redis_broker *redis)
{
	char token[REDIS_PROBE_TOKEN_MAX];
	const struct slice argv[] = {
		slice_of("PUBLISH"),
		buf_slice(&redis->probe_channel),
		{token, (size_t)redis_probe_token(&redis->probe, token)},
	};

	redis->probe_sent_us = clock_monotonic_us();
	/* One that cannot be sent does not come back: that is noticed, and nothing else needs to be. */
	(void)redis_link_ask(redis->commander, argv, 3, on_probe_answer, redis);
}

static void on_probe_timer(evutil_socket_t fd, short what, void *arg)
{
	struct redis_broker *redis = arg;
	uint32_t wait_ms = 0;

	(void)fd;
	(void)what;
	if (!redis->subscriber.is_listening) {
		redis_lost(redis, REDIS_LINK_LOST, "Redis did not answer SUBSCRIBE in time");
		return;
	}
	if (!redis->can_command)
		return; /* the commander's own bounds end this */
	if (FAULT_OFF(redis, probe) && redis->state == BROKER_READY)
		return;
	switch (redis_probe_step(&redis->probe, clock_monotonic_ms(),
		redis_link_heard_ms(redis->subscriber.link), redis_link_heard_ms(redis->commander),
		&wait_ms)) {
	case REDIS_PROBE_LOST:
		redis_lost(redis, REDIS_LINK_LOST, probe_reason(redis));
		return;
	case REDIS_PROBE_SEND:
		redis_send_probe(redis);
		break;
	case REDIS_PROBE_WAIT:
		break;
	}
	timer_set(redis->probe_timer, wait_ms);
}

static void redis_prove(struct redis_broker *redis)
{
	if (!redis->subscriber.is_listening || !redis->can_command)
		return;
	buf_reset(&redis->probe_refusal);
	redis_probe_start(&redis->probe);
	timer_set(redis->probe_timer, 0);
}

static void on_echo(void *arg, struct slice token)
{
	struct redis_broker *redis = arg;

	if (!redis->can_command || !redis_probe_echo(&redis->probe, token, clock_monotonic_ms()))
		return; /* an old one, or somebody else's joke */
	buf_reset(&redis->probe_refusal);
	if (redis_probe_is_newest(&redis->probe))
		metrics_set(redis->metrics, METRIC_REDIS_PROBE, clock_monotonic_us() - redis->probe_sent_us);
	if (redis->state != BROKER_READY)
		redis_ready(redis);
	redis_channels_retry(&redis->subscriber.channels, RETRY_PER_PROBE);
	if (redis->loads_library)
		redis_library_poke(redis->library);
	timer_set(redis->probe_timer, 0); /* finds out how long to wait now */
}

/*
 * The links.
 */

static void on_closed(void *arg, enum redis_link_end end, const char *reason)
{
	redis_lost(arg, end, reason);
}

static void on_subscriber_greeted(void *arg)
{
	struct redis_broker *redis = arg;

	timer_set(redis->probe_timer, redis->dial_timeout_ms);
}

static void on_listening(void *arg)
{
	redis_prove(arg);
}

static void on_commander_ready(void *arg)
{
	struct redis_broker *redis = arg;

	redis->can_command = true;
	redis_library_attach(redis->library, redis->commander);
	redis_prove(redis);
}

static void on_unasked(void *arg, const struct redis_reply *reply)
{
	struct redis_broker *redis = arg;

	(void)reply;
	metrics_add(redis->metrics, METRIC_REDIS_BAD_MESSAGES, 1);
	redis_link_fail(redis->commander, REDIS_LINK_LOST, "Redis answered what was not asked");
}

/* It was the primary once, or should be: its name may lead to another one by now. */
static void on_read_only(void *arg)
{
	struct redis_broker *redis = arg;
	uint64_t now_ms = clock_monotonic_ms();

	if (redis->read_only_ms && now_ms - redis->read_only_ms < READ_ONLY_MS)
		return; /* events flow from a replica too */
	redis->read_only_ms = now_ms;
	redis_link_fail(redis->commander, REDIS_LINK_LOST, "Redis is a replica and takes no entries of logs");
}

static void on_nothing(void *arg)
{
	(void)arg;
}

static int redis_dial_both(struct redis_broker *redis)
{
	const struct redis_link_listener commands = {
		redis, on_commander_ready, on_unasked, on_nothing, on_closed};
	const struct redis_link_options options = {
		.url = &redis->url,
		.name = buf_text(&redis->client_name),
		.bulk_bytes_max = redis->payload_bytes_max + ENVELOPE_HEAD_MAX,
		.timeout_ms = redis->dial_timeout_ms,
	};
	int r;

	r = redis_subscriber_dial(&redis->subscriber, redis->base, &options);
	if (r < 0)
		return r;
	return redis_link_new(redis->base, &options, &commands, &redis->commander);
}

static void on_redial(evutil_socket_t fd, short what, void *arg)
{
	struct redis_broker *redis = arg;
	int r;

	(void)fd;
	(void)what;
	redis->outage.n_attempts++;
	r = redis_dial_both(redis);
	if (r < 0)
		redis_lost(redis, REDIS_LINK_LOST, strerror(-r));
}

/*
 * The interface.
 */

static int redis_subscribe(struct broker *broker, struct slice channel)
{
	return redis_subscriber_want(&((struct redis_broker *)broker)->subscriber, channel);
}

static void redis_unsubscribe(struct broker *broker, struct slice channel)
{
	redis_subscriber_unwant(&((struct redis_broker *)broker)->subscriber, channel);
}

/* As Redis knows the channel. The name's bytes are the caller's to free. */
static struct slice redis_name(const struct redis_broker *redis, struct slice channel, struct buf *name)
{
	const struct redis_channels *channels = &redis->subscriber.channels;

	buf_append(name, channels->prefix, channels->prefix_len);
	buf_append(name, channel.data, channel.len);
	return buf_slice(name);
}

static int redis_publish(struct broker *broker, struct slice channel, struct slice payload,
	broker_published_fn done, void *arg)
{
	struct redis_broker *redis = (struct redis_broker *)broker;
	struct buf name = {0};
	int r = -ENOMEM;

	if (redis->state != BROKER_READY)
		return -ENOTCONN;
	redis_name(redis, channel, &name);
	if (!name.failed)
		r = redis_publication_send(
			&redis->publications, redis->commander, buf_slice(&name), payload, done, arg);
	buf_deinit(&name);
	return r;
}

static int redis_publish_log(struct broker *broker, struct slice channel, struct slice payload,
	const struct broker_log_options *options, broker_log_published_fn done, void *arg)
{
	struct redis_broker *redis = (struct redis_broker *)broker;
	struct buf name = {0};
	int r = -ENOMEM;

	if (redis->state != BROKER_READY)
		return -ENOTCONN;
	redis_name(redis, channel, &name);
	if (!name.failed)
		r = redis_log_publish(&redis->logs, buf_slice(&name), payload, options, done, arg);
	buf_deinit(&name);
	return r;
}

static int redis_read_log(struct broker *broker, struct slice channel, uint64_t from, uint32_t count,
	uint64_t ttl_ms, broker_log_read_fn done, void *arg)
{
	struct redis_broker *redis = (struct redis_broker *)broker;
	struct buf name = {0};
	int r = -ENOMEM;

	if (redis->state != BROKER_READY)
		return -ENOTCONN;
	redis_name(redis, channel, &name);
	if (!name.failed)
		r = redis_log_read(&redis->logs, buf_slice(&name), from, count, ttl_ms, done, arg);
	buf_deinit(&name);
	return r;
}

static int redis_announce(struct broker *broker, struct slice text, uint64_t ttl_ms)
{
	struct redis_broker *redis = (struct redis_broker *)broker;

	if (redis->state != BROKER_READY)
		return -ENOTCONN;
	/* Also where so much is heard that no probe is needed. */
	if (redis->loads_library)
		redis_library_poke(redis->library);
	return redis_nodes_announce(&redis->nodes, redis->commander, text, ttl_ms);
}

static int redis_list_nodes(struct broker *broker, broker_nodes_fn done, void *arg)
{
	struct redis_broker *redis = (struct redis_broker *)broker;

	if (redis->state != BROKER_READY)
		return -ENOTCONN;
	return redis_nodes_list(&redis->nodes, redis->commander, done, arg);
}

static int redis_depart(struct broker *broker, broker_departed_fn done, void *arg)
{
	struct redis_broker *redis = (struct redis_broker *)broker;

	if (redis->state != BROKER_READY)
		return -ENOTCONN;
	return redis_nodes_depart(&redis->nodes, redis->commander, done, arg);
}

static enum broker_state redis_state(const struct broker *broker)
{
	return ((const struct redis_broker *)broker)->state;
}

static struct slice redis_complaint(const struct broker *broker)
{
	return redis_library_refusal(((const struct redis_broker *)broker)->library);
}

static void redis_describe(const struct broker *broker, struct buf *out)
{
	const struct redis_broker *redis = (const struct redis_broker *)broker;
	struct slice complaint = redis_complaint(broker);

	buf_printf(out, "{\"kind\":\"redis\",\"state\":\"%s\",\"address\":",
		redis->state == BROKER_READY ? "ready" : "connecting");
	buf_append_json_string(out, redis->address.data, redis->address.len);
	buf_printf(out, ",\"since_ms\":%llu,\"n_channels\":%zu",
		(unsigned long long)(clock_monotonic_ms() - redis->outage.since_ms),
		redis->subscriber.channels.n_wanted);
	if (complaint.len) {
		buf_append_str(out, ",\"history_refused\":");
		buf_append_json_string(out, complaint.data, complaint.len);
	}
	if (redis->state != BROKER_READY) {
		buf_append_str(out, ",\"reason\":");
		buf_append_json_string(out, redis->outage.reason.data, redis->outage.reason.len);
		buf_printf(out, ",\"n_attempts\":%llu", (unsigned long long)redis->outage.n_attempts);
	}
	buf_append_char(out, '}');
}

static void redis_free(struct broker *broker)
{
	struct redis_broker *redis = (struct redis_broker *)broker;

	redis->publications.are_cancelled = true;
	redis->subscriber.is_listening = false;
	redis->state = BROKER_CONNECTING; /* so that nobody who is told now can publish again */
	if (redis->library)
		redis_library_lost(redis->library, true);
	redis_link_free(redis->commander);
	redis_subscriber_deinit(&redis->subscriber);
	redis_library_free(redis->library);
	redis_nodes_deinit(&redis->nodes);
	if (redis->redial_timer)
		event_free(redis->redial_timer);
	if (redis->probe_timer)
		event_free(redis->probe_timer);
	redis_url_deinit(&redis->url);
	buf_deinit(&redis->address);
	buf_deinit(&redis->client_name);
	buf_deinit(&redis->probe_channel);
	buf_deinit(&redis->probe_refusal);
	redis_outage_deinit(&redis->outage);
	free(redis);
}

static void redis_set_payload_max(struct broker *broker, size_t payload_bytes_max)
{
	struct redis_broker *redis = (struct redis_broker *)broker;

	redis->payload_bytes_max = redis->logs.payload_bytes_max = payload_bytes_max;
	redis->subscriber.payload_bytes_max = payload_bytes_max;
	if (redis->subscriber.link)
		redis_link_set_bulk_max(redis->subscriber.link, payload_bytes_max + ENVELOPE_HEAD_MAX);
	if (redis->commander)
		redis_link_set_bulk_max(redis->commander, payload_bytes_max + ENVELOPE_HEAD_MAX);
}

static void redis_set_loads_library(struct broker *broker, bool loads_library)
{
	struct redis_broker *redis = (struct redis_broker *)broker;

	redis->loads_library = loads_library;
	if (loads_library && redis->state == BROKER_READY)
		redis_library_poke(redis->library);
}

static const struct broker_ops redis_ops = {
	.subscribe = redis_subscribe,
	.unsubscribe = redis_unsubscribe,
	.publish = redis_publish,
	.log_publish = redis_publish_log,
	.log_read = redis_read_log,
	.state = redis_state,
	.describe = redis_describe,
	.complaint = redis_complaint,
	.set_payload_max = redis_set_payload_max,
	.set_loads_library = redis_set_loads_library,
	.announce = redis_announce,
	.nodes = redis_list_nodes,
	.depart = redis_depart,
	.free = redis_free,
};

static int redis_names(struct redis_broker *redis, const struct redis_options *options)
{
	redis_url_describe(&redis->url, &redis->address);
	buf_printf(&redis->client_name, "tidegate-%s", options->node_id);
	buf_printf(&redis->probe_channel, "%stidegate:probe:%s", options->channel_prefix, options->node_id);
	if (redis->address.failed || redis->client_name.failed || redis->probe_channel.failed ||
		redis_outage_init(
			&redis->outage, redis->log, buf_slice(&redis->address), clock_monotonic_ms()) < 0)
		return -ENOMEM;
	return 0;
}

static int redis_make_subscriber(struct redis_broker *redis, const char *prefix)
{
	redis->subscriber = (struct redis_subscriber){
		.listener = {redis, on_subscriber_greeted, on_listening, on_echo, on_closed},
		.events = redis->listener,
		.log = redis->log,
		.metrics = redis->metrics,
		.probe_channel = buf_slice(&redis->probe_channel),
		.payload_bytes_max = redis->payload_bytes_max,
	};
	return redis_subscriber_init(&redis->subscriber, redis->base, prefix);
}

static void redis_configure(struct redis_broker *redis, const struct redis_options *options)
{
	const struct log_limit limit = {.burst = 5, .interval_ms = 10 * 1000};

	redis->payload_bytes_max =
		options->payload_bytes_max ? options->payload_bytes_max : PAYLOAD_BYTES_MAX;
	redis->loads_library = options->loads_library;
#ifdef TIDEGATE_FAULT_CONTROLS
	redis->fault_off = options->fault_off;
#endif
	redis->dial_timeout_ms = options->dial_timeout_ms ? options->dial_timeout_ms : DIAL_TIMEOUT_MS;
	redis->probe.idle_ms = options->probe_idle_ms ? options->probe_idle_ms : PROBE_IDLE_MS;
	redis->probe.timeout_ms = options->probe_timeout_ms ? options->probe_timeout_ms : PROBE_TIMEOUT_MS;
	redis->publications = (struct redis_publications){.log = redis->log, .refused_limit = limit};
	backoff_init(&redis->backoff, BACKOFF_BASE_MS, BACKOFF_CAP_MS, options->seed);
	redis->state = BROKER_CONNECTING;
	metrics_set(redis->metrics, METRIC_REDIS_READY, 0);
}

int redis_broker_new(struct event_base *base, const struct redis_options *options,
	const struct broker_listener *listener, struct log *log, struct metrics *metrics,
	struct broker **brokerp)
{
	struct redis_broker *redis;
	int r = -ENOMEM;

	if (!options->url || (!options->url->host && !options->url->unix_path) || !options->node_id ||
		!options->channel_prefix)
		return -EINVAL;
	redis = calloc(1, sizeof(*redis));
	if (!redis)
		return -ENOMEM;
	redis->broker.ops = &redis_ops;
	redis->base = base;
	redis->listener = *listener;
	redis->log = log;
	redis->metrics = metrics;
	redis_configure(redis, options);
	redis->redial_timer = evtimer_new(base, on_redial, redis);
	redis->probe_timer = evtimer_new(base, on_probe_timer, redis);
	if (!redis->redial_timer || !redis->probe_timer)
		goto fail;
	r = redis_url_copy(options->url, &redis->url);
	if (r < 0)
		goto fail;
	r = redis_names(redis, options);
	if (r == 0)
		r = redis_make_subscriber(redis, options->channel_prefix);
	if (r < 0)
		goto fail;
	r = redis_nodes_init(&redis->nodes, log, options->channel_prefix, options->node_id);
	if (r < 0)
		goto fail;
	r = redis_library_new(log, buf_slice(&redis->address), on_read_only, redis, &redis->library);
	if (r < 0)
		goto fail;
	redis->logs = (struct redis_log){redis->library, metrics, redis->payload_bytes_max};
	timer_set(redis->redial_timer, 0);
	*brokerp = &redis->broker;
	return 0;
fail:
	redis_free(&redis->broker);
	return r;
}
