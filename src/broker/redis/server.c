/*
 * Redis server: one Redis, from its address to events that are proven to flow. See server.h; its
 * links are in server_links.c, and what is asked of it is in server_calls.c.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/redis/error.h"
#include "broker/redis/library.h"
#include "broker/redis/link.h"
#include "broker/redis/server_private.h"
#include "broker/redis/timer.h"
#include "channel_log/envelope.h"
#include "core/clock.h"
#include "core/log.h"
#include "metrics/metrics.h"

enum {
	PAYLOAD_BYTES_MAX = 256 * 1024, /* docs/limits.md, Redis */
	DIAL_TIMEOUT_MS = 2000,
	HELD_MS = 250,        /* until it is asked again whether the server may be dialled */
	PROBE_IDLE_MS = 4000, /* docs/recovery-protocol.md R10: a frozen Redis is noticed in 8 s, where 9 are
				 promised */
	PROBE_TIMEOUT_MS = 2000, /* docs/recovery-protocol.md R10 */
	BACKOFF_BASE_MS = 50,
	BACKOFF_CAP_MS = 1000,  /* events must flow within 2 s after Redis is back */
	BACKOFF_SLOW_MS = 5000, /* a password does not mend itself */
	STEADY_MS = 5000,       /* ready for so long: the next outage starts with short waits */
	RETRY_PER_PROBE =
		64, /* refused channels asked for again with each echo: rights may have been mended */
};

/* --- ready, and lost --- */

static void server_redial(struct redis_server *server, enum redis_link_end end)
{
	uint32_t wait_ms = backoff_next(&server->backoff);

	if (FAULT_OFF(server, redial) && server->outage.n_attempts)
		return;
	if (end == REDIS_LINK_REFUSED)
		wait_ms = backoff_slow(&server->backoff, BACKOFF_SLOW_MS);
	redis_timer_set(server->redial_timer, wait_ms);
}

/* It was ready. */
static void server_outage(struct redis_server *server, uint64_t now_ms)
{
	if (now_ms - server->outage.since_ms >= STEADY_MS)
		backoff_reset(&server->backoff);
	redis_outage_begin(&server->outage, now_ms);
	metrics_add(server->metrics, METRIC_REDIS_RECONNECTS, 1);
	server->n_reconnects++;
	server->ready = false;
	redis_subscriber_tell_lost(&server->subscriber);
	server->listener.changed(server->listener.arg, server, redis_outage_reason(&server->outage));
}

/* Another server took over, and now this one's subscriber is gone, too. */
static void server_ended(struct redis_server *server)
{
	redis_subscriber_lost(&server->subscriber);
	server->listener.changed(server->listener.arg, server, redis_outage_reason(&server->outage));
}

void redis_server_lost(struct redis_server *server, enum redis_link_end end, const char *reason)
{
	struct redis_link *commander = server->commander;
	uint64_t now_ms = clock_monotonic_ms();

	server->commander = NULL;
	server->can_command = false;
	server->is_stranger = end == REDIS_LINK_STRANGER;
	redis_outage_because(&server->outage, reason); /* which may be the link's, or the prover's */
	if (server->retired) {
		server_ended(server);
		return;
	}
	redis_prover_stop(&server->prover);
	redis_subscriber_lost(&server->subscriber);
	if (server->ready)
		server_outage(server, now_ms);
	else
		redis_outage_goes_on(&server->outage, now_ms);
	server_redial(server, end);
	/* Last, because it tells those who wait for an answer, and they may call us. */
	redis_library_lost(server->library, false);
	redis_errands_cancel(&server->errands);
	redis_link_abandon(commander);
}

static void on_proven(void *arg)
{
	struct redis_server *server = arg;

	if (!server->ready) {
		redis_outage_end(&server->outage, clock_monotonic_ms(), redis_server_n_channels(server));
		server->ready = true;
		server->listener.changed(server->listener.arg, server, "a published probe came back");
		redis_subscriber_proven(&server->subscriber);
	}
	for (int i = 0; i < N_REDIS_HEARINGS; i++)
		redis_channels_retry(&server->subscriber.sets[i], RETRY_PER_PROBE);
	if (server->loads_library)
		redis_library_poke(server->library);
}

static void on_measured(void *arg, uint64_t took_us)
{
	struct redis_server *server = arg;

	server->probe_us = took_us;
	server->listener.measured(server->listener.arg, server, took_us);
}

static void on_missed(void *arg, const char *reason)
{
	redis_server_lost(arg, REDIS_LINK_LOST, reason);
}

/* --- dialled again --- */

static void on_redial(evutil_socket_t fd, short what, void *arg)
{
	struct redis_server *server = arg;
	int r;

	(void)fd;
	(void)what;
	if (server->listener.may_dial && !server->listener.may_dial(server->listener.arg)) {
		redis_timer_set(server->redial_timer, HELD_MS);
		return;
	}
	server->outage.n_attempts++;
	r = redis_server_dial(server);
	if (r < 0)
		redis_server_lost(server, REDIS_LINK_LOST, strerror(-r));
}

/* --- another takes over --- */

bool redis_server_walk(const struct redis_server *server, struct map_entry **atp, struct slice *channelp)
{
	return redis_channels_walk(&server->subscriber.sets[REDIS_CLASSIC], atp, channelp);
}

int redis_server_adopt(struct redis_server *server, const struct redis_server *other)
{
	struct map_entry *at = NULL;
	struct slice channel;
	int r = 0;

	while (r == 0 && redis_server_walk(other, &at, &channel))
		r = redis_server_subscribe(server, REDIS_CLASSIC, channel);
	return r;
}

void redis_server_retire(struct redis_server *server)
{
	struct redis_link *commander = server->commander;
	struct map_entry *at = NULL;
	struct slice channel;

	server->retired = true;
	server->ready = server->can_command = false;
	server->commander = NULL;
	redis_prover_stop(&server->prover);
	while (redis_server_walk(server, &at, &channel))
		server->subscriber.events.lost(server->subscriber.events.arg, channel);
	redis_library_lost(server->library, false);
	redis_errands_cancel(&server->errands);
	redis_link_abandon(commander);
}

void redis_server_held(struct redis_server *server, const char *reason)
{
	server->outage.n_attempts++;
	redis_outage_because(&server->outage, reason);
	redis_outage_goes_on(&server->outage, clock_monotonic_ms());
}

const char *redis_server_fault(struct redis_server *server)
{
	bool was_dialled = server->outage.n_attempts > 1; /* the first may be under way */

	return server->ready || !was_dialled ? NULL : redis_outage_reason(&server->outage);
}

/* --- the channels --- */

bool redis_server_is_ready(const struct redis_server *server)
{
	return server && server->ready;
}

bool redis_server_is_stranger(const struct redis_server *server)
{
	return server->is_stranger;
}

int redis_server_subscribe(struct redis_server *server, enum redis_hearing hearing, struct slice channel)
{
	return redis_subscriber_want(&server->subscriber, hearing, channel);
}

void redis_server_hurry(struct redis_server *server, struct slice channel)
{
	redis_subscriber_hurry(&server->subscriber, channel);
}

bool redis_server_look(struct redis_server *server)
{
	bool more;

	if (!server)
		return false;
	more = redis_link_look(server->subscriber.link);
	return redis_link_look(server->commander) || more; /* the first may have ended the second */
}

void redis_server_unsubscribe(struct redis_server *server, enum redis_hearing hearing, struct slice channel)
{
	redis_subscriber_unwant(&server->subscriber, hearing, channel);
}

/* --- the server itself --- */

struct slice redis_server_probe_channel(const struct redis_server *server)
{
	return buf_slice(&server->probe_channel);
}

struct slice redis_server_address(const struct redis_server *server)
{
	return buf_slice(&server->address);
}

size_t redis_server_n_channels(const struct redis_server *server)
{
	return server->subscriber.sets[REDIS_CLASSIC].n_wanted +
	       server->subscriber.sets[REDIS_SHARDED].n_wanted;
}

void redis_server_measure(const struct redis_server *server, struct broker_shard *out)
{
	out->address = redis_server_address(server);
	out->ready = server->ready;
	out->n_channels = redis_server_n_channels(server);
	out->probe_us = server->probe_us;
	out->n_reconnects = server->n_reconnects;
}

struct slice redis_server_complaint(const struct redis_server *server)
{
	return redis_library_refusal(server->library);
}

void redis_server_describe(const struct redis_server *server, struct buf *out)
{
	struct slice complaint = redis_server_complaint(server);

	buf_printf(out, "\"state\":\"%s\",\"address\":", server->ready ? "ready" : "connecting");
	buf_append_json_string(out, server->address.data, server->address.len);
	buf_printf(out, ",\"since_ms\":%llu,\"n_channels\":%zu,\"n_reconnects\":%llu",
		(unsigned long long)(clock_monotonic_ms() - server->outage.since_ms),
		redis_server_n_channels(server), (unsigned long long)server->n_reconnects);
	if (server->ready && server->probe_us)
		buf_printf(out, ",\"probe_seconds\":%.6f", (double)server->probe_us / 1e6);
	if (complaint.len) {
		buf_append_str(out, ",\"history_refused\":");
		buf_append_json_string(out, complaint.data, complaint.len);
	}
	if (!server->ready) {
		buf_append_str(out, ",\"reason\":");
		buf_append_json_string(out, server->outage.reason.data, server->outage.reason.len);
		buf_printf(out, ",\"n_attempts\":%llu", (unsigned long long)server->outage.n_attempts);
	}
}

void redis_server_set_payload_max(struct redis_server *server, size_t payload_bytes_max)
{
	server->payload_bytes_max = server->logs.payload_bytes_max = payload_bytes_max;
	server->subscriber.payload_bytes_max = payload_bytes_max;
	if (server->subscriber.link)
		redis_link_set_bulk_max(server->subscriber.link, payload_bytes_max + ENVELOPE_HEAD_MAX);
	if (server->commander)
		redis_link_set_bulk_max(server->commander, payload_bytes_max + ENVELOPE_HEAD_MAX);
}

void redis_server_set_loads_library(struct redis_server *server, bool loads_library)
{
	server->loads_library = loads_library;
	if (loads_library && server->ready)
		redis_library_poke(server->library);
}

void redis_server_hear_sharded(struct redis_server *server, const struct redis_sharded_listener *listener)
{
	server->subscriber.sharded = *listener;
}

void redis_server_set_sharded(struct redis_server *server, bool sharded)
{
	server->publications.errands = &server->errands;
	server->publications.sharded = sharded;
	redis_library_route(server->library, &server->errands, sharded);
}

int redis_server_ask(
	struct redis_server *server, const struct slice *argv, size_t n, redis_answer_fn fn, void *arg)
{
	return server->can_command ? redis_link_ask(server->commander, argv, n, fn, arg) : -ENOTCONN;
}

struct redis_link *redis_server_commander(struct redis_server *server)
{
	return redis_server_is_ready(server) ? server->commander : NULL;
}

void redis_server_lacks_library(struct redis_server *server)
{
	redis_library_missed(server->library);
}

void redis_server_stop(struct redis_server *server)
{
	struct redis_link *commander = server->commander, *hearing = server->subscriber.link;

	server->publications.cancelled = server->tickets.cancelled = true;
	server->revocations.cancelled = true;
	server->subscriber.listening = false;
	/* So that nobody who is told now can ask again. */
	server->ready = server->can_command = false;
	server->commander = server->subscriber.link = NULL;
	if (server->library)
		redis_library_lost(server->library, true);
	redis_errands_cancel(&server->errands);
	redis_link_free(commander);
	redis_link_free(hearing);
}

void redis_server_free(struct redis_server *server)
{
	if (!server)
		return;
	redis_server_stop(server);
	redis_subscriber_deinit(&server->subscriber);
	redis_library_free(server->library);
	redis_nodes_deinit(&server->nodes);
	redis_tickets_deinit(&server->tickets);
	redis_revocations_deinit(&server->revocations);
	redis_leases_deinit(&server->leases);
	redis_prover_deinit(&server->prover);
	if (server->redial_timer)
		event_free(server->redial_timer);
	redis_url_deinit(&server->url);
	buf_deinit(&server->address);
	buf_deinit(&server->client_name);
	buf_deinit(&server->probe_channel);
	redis_outage_deinit(&server->outage);
	free(server);
}

static int server_names(
	struct redis_server *server, const struct redis_url *url, const struct redis_options *options)
{
	int r = redis_url_copy(url, &server->url);

	if (r < 0)
		return r;
	redis_url_describe(&server->url, &server->address);
	buf_printf(&server->client_name, "tidegate-%s", options->node_id);
	buf_printf(&server->probe_channel, "%stidegate:probe:%s", options->channel_prefix, options->node_id);
	if (options->router) { /* what is published on one server of a cluster is heard on all */
		buf_append_char(&server->probe_channel, ':');
		buf_append(&server->probe_channel, server->address.data, server->address.len);
	}
	if (server->address.failed || server->client_name.failed || server->probe_channel.failed)
		return -ENOMEM;
	return redis_outage_init(
		&server->outage, server->log, buf_slice(&server->address), clock_monotonic_ms());
}

static int server_hearing(struct redis_server *server, const struct broker_listener *events,
	const struct redis_options *options)
{
	int r;

	server->subscriber = (struct redis_subscriber){
		.listener = redis_server_ears(server),
		.events = *events,
		.log = server->log,
		.metrics = server->metrics,
		.probe_channel = buf_slice(&server->probe_channel),
		.payload_bytes_max = server->payload_bytes_max,
#ifdef TIDEGATE_FAULT_CONTROLS
		.fault_off = options->fault_off,
#endif
	};
	r = redis_subscriber_init(&server->subscriber, server->base, options->channel_prefix);
	if (r < 0)
		return r;
	server->prover = (struct redis_prover){
		.listener = {server, on_proven, on_measured, on_missed},
		.channel = buf_slice(&server->probe_channel),
		.probe.idle_ms = options->probe_idle_ms ? options->probe_idle_ms : PROBE_IDLE_MS,
		.probe.timeout_ms = options->probe_timeout_ms ? options->probe_timeout_ms : PROBE_TIMEOUT_MS,
#ifdef TIDEGATE_FAULT_CONTROLS
		.fault_off = options->fault_off,
#endif
	};
	return redis_prover_init(&server->prover, server->base);
}

static int server_commands(struct redis_server *server, const struct redis_options *options)
{
	int r = redis_nodes_init(&server->nodes, server->log, options->channel_prefix, options->node_id);

	if (r == 0)
		r = redis_tickets_init(&server->tickets, server->log, options->channel_prefix);
	if (r == 0)
		r = redis_revocations_init(&server->revocations, server->log, options->channel_prefix);
	if (r < 0)
		return r;
	r = redis_library_new(
		server->log, buf_slice(&server->address), redis_server_read_only, server, &server->library);
	if (r < 0)
		return r;
	r = redis_leases_init(&server->leases, server->library, options->channel_prefix);
	if (r < 0)
		return r;
	server->publications = (struct redis_publications){
		.log = server->log, .refused_limit = {.burst = 5, .interval_ms = 10 * 1000}};
	redis_server_set_sharded(server, options->sharded);
	server->nodes.errands = server->tickets.errands = server->revocations.errands = &server->errands;
	server->logs = (struct redis_log){server->library, server->metrics, server->payload_bytes_max};
	return 0;
}

static void server_configure(struct redis_server *server, const struct redis_options *options)
{
	server->payload_bytes_max =
		options->payload_bytes_max ? options->payload_bytes_max : PAYLOAD_BYTES_MAX;
	server->tls = options->tls;
	server->loads_library = options->loads_library;
	server->wants_primary = options->wants_primary;
	server->dial_timeout_ms = options->dial_timeout_ms ? options->dial_timeout_ms : DIAL_TIMEOUT_MS;
	backoff_init(&server->backoff, BACKOFF_BASE_MS, BACKOFF_CAP_MS, options->seed);
#ifdef TIDEGATE_FAULT_CONTROLS
	server->fault_off = options->fault_off;
#endif
}

int redis_server_new(struct event_base *base, const struct redis_url *url,
	const struct redis_options *options, const struct broker_listener *events,
	const struct redis_server_listener *listener, struct log *log, struct metrics *metrics,
	struct redis_server **serverp)
{
	struct redis_server *server = calloc(1, sizeof(*server));
	int r = -ENOMEM;

	if (!server)
		return -ENOMEM;
	server->base = base;
	server->listener = *listener;
	server->log = log;
	server->metrics = metrics;
	server_configure(server, options);
	redis_errands_init(&server->errands, base, options->router);
	server->redial_timer = evtimer_new(base, on_redial, server);
	if (!server->redial_timer)
		goto fail;
	r = server_names(server, url, options);
	if (r == 0)
		r = server_hearing(server, events, options);
	if (r == 0)
		r = server_commands(server, options);
	if (r < 0)
		goto fail;
	redis_timer_set(server->redial_timer, 0);
	*serverp = server;
	return 0;
fail:
	redis_server_free(server);
	return r;
}
