/*
 * Redis shard: a server, wherever it is at the moment. See shard.h.
 */

#include "broker/redis/shard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/redis/sentinels.h"
#include "broker/redis/server.h"
#include "broker/redis/settings.h"
#include "broker/redis/timer.h"
#include "channel_log/envelope.h"
#include "core/clock.h"
#include "core/log.h"

enum {
	FORMER_MS =
		30000, /* Sentinel turns an old primary into a replica after 11 s, and closes its clients then */
	UNHEARD_MS = 2000, /* with no answer of a sentinel for so long the server is dialled where it was */
};

/* A server, and which address it has. */
struct seat {
	struct redis_shard *shard;
	struct redis_server *server; /* NULL: there is none */
	struct redis_vote at;        /* port 0: no sentinel has named it */
};

struct redis_shard {
	struct event_base *base;
	struct broker_listener events;
	struct redis_server_listener listener;
	struct log *log;
	struct metrics *metrics;
	struct redis_settings settings;

	struct redis_sentinels sentinels;
	/* Where each stands changes: a seat is what its listeners know. */
	struct seat *server, *next, *former;
	struct seat seats[3];
	struct event *former_timer;
	uint64_t n_plain, n_entries; /* of the former one, since it is that */
	uint64_t lost_ms;            /* when the server was lost, or made */
};

struct redis_server *redis_shard_server(const struct redis_shard *shard)
{
	return shard->server->server;
}

static void seat_free(struct seat *seat)
{
	redis_server_free(seat->server);
	seat->server = NULL;
	seat->at = (struct redis_vote){0};
}

/* --- what the servers say --- */

static void on_event(void *arg, struct slice channel, struct slice payload)
{
	struct seat *seat = arg;
	struct redis_shard *shard = seat->shard;

	if (seat == shard->next)
		return;
	if (seat == shard->former) {
		struct envelope envelope;

		if (envelope_parse(payload, &envelope) == 0) {
			shard->n_entries++;
			return;
		}
		shard->n_plain++;
	}
	shard->events.event(shard->events.arg, channel, payload);
}

static void on_drained(void *arg)
{
	struct seat *seat = arg;

	if (seat != seat->shard->next)
		seat->shard->events.drained(seat->shard->events.arg);
}

static void on_subscribed(void *arg, struct slice channel)
{
	struct seat *seat = arg;

	if (seat == seat->shard->server)
		seat->shard->events.subscribed(seat->shard->events.arg, channel);
}

static void on_lost(void *arg, struct slice channel)
{
	struct seat *seat = arg;

	if (seat == seat->shard->server)
		seat->shard->events.lost(seat->shard->events.arg, channel);
}

static void on_measured(void *arg, struct redis_server *server, uint64_t took_us)
{
	struct seat *seat = arg;

	if (seat == seat->shard->server)
		seat->shard->listener.measured(seat->shard->listener.arg, server, took_us);
}

static void let_former_go(struct redis_shard *shard)
{
	struct slice where;

	if (!shard->former->server)
		return;
	where = redis_server_address(shard->former->server);
	log_info(shard->log, "redis: the former primary is let go", log_slice("redis", where),
		log_uint("plain_events", shard->n_plain), log_uint("dropped_entries", shard->n_entries));
	seat_free(shard->former);
}

static void on_former_time(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	let_former_go(arg);
}

/* The next one is ready: it takes over. Its channels are announced when this has returned. */
static void take_over(struct redis_shard *shard)
{
	struct seat *old = shard->server, *spare = shard->former;
	bool was_ready = redis_server_is_ready(old->server);

	let_former_go(shard);
	if (old->at.port)
		log_warn(shard->log, "redis: the sentinels name another primary",
			log_slice("redis", redis_server_address(shard->next->server)),
			log_slice("before", redis_server_address(old->server)));
	else
		log_info(shard->log, "redis: the sentinels name the primary",
			log_slice("redis", redis_server_address(shard->next->server)));
	was_ready = was_ready && !FAULT_OFF(&shard->settings.options, linger);
	if (was_ready)
		redis_server_retire(old->server);
	else
		seat_free(old);
	shard->server = shard->next;
	shard->next = was_ready ? spare : old;
	shard->former = was_ready ? old : spare;
	shard->n_plain = shard->n_entries = 0;
	if (was_ready)
		redis_timer_set(shard->former_timer, FORMER_MS);
}

static void on_changed(void *arg, struct redis_server *server, const char *reason)
{
	struct seat *seat = arg;
	struct redis_shard *shard = seat->shard;
	bool ready = redis_server_is_ready(server);

	if (seat == shard->former) {
		redis_timer_set(shard->former_timer, 0); /* not from inside its own call */
		return;
	}
	if (seat == shard->next) {
		if (!ready)
			return;
		take_over(shard);
	}
	if (!ready) {
		shard->lost_ms = clock_monotonic_ms();
		redis_sentinels_ask(&shard->sentinels);
	}
	shard->listener.changed(shard->listener.arg, server, reason);
}

/* A sentinel with an older configuration than the one that we follow does not count, not even alone. */
static const struct redis_vote *primary(const struct redis_shard *shard, uint64_t since_ms)
{
	return redis_sentinels_primary(&shard->sentinels, since_ms, shard->server->at.epoch);
}

/* A lost server: ask, then dial. The next one was named a moment ago. */
static bool may_dial(void *arg)
{
	struct seat *seat = arg;
	struct redis_shard *shard = seat->shard;
	const struct redis_vote *vote;

	if (shard->settings.element.kind != REDIS_SENTINEL || seat == shard->next)
		return true;
	if (!seat->at.port)
		return false;
	vote = primary(shard, shard->lost_ms + 1);
	if (vote)
		return redis_vote_same(vote, &seat->at);
	redis_sentinels_ask(&shard->sentinels);
	return clock_monotonic_ms() - shard->lost_ms >= UNHEARD_MS;
}

static void on_clustered(void *arg)
{
	struct seat *seat = arg;

	seat->shard->listener.clustered(seat->shard->listener.arg);
}

static const char *on_slots(void *arg, const struct redis_reply *slots)
{
	struct seat *seat = arg;

	return seat->shard->listener.stranger(seat->shard->listener.arg, slots);
}

/* --- servers --- */

static int make_server(struct redis_shard *shard, struct seat *seat, const struct redis_url *url)
{
	const struct broker_listener events = {seat, on_event, on_drained, on_subscribed, on_lost, NULL};
	const struct redis_server_listener listener = {.arg = seat,
		.changed = on_changed,
		.measured = on_measured,
		.may_dial = may_dial,
		.clustered = shard->listener.clustered ? on_clustered : NULL,
		.stranger = shard->listener.stranger ? on_slots : NULL};

	shard->settings.options.seed++;
	return redis_server_new(shard->base, url, &shard->settings.options, &events, &listener, shard->log,
		shard->metrics, &seat->server);
}

static void make_next(struct redis_shard *shard, const struct redis_vote *vote)
{
	struct redis_url url = shard->settings.element.server; /* its texts are borrowed: they are copied */
	struct seat *seat = shard->next;

	seat_free(seat);
	seat->at = *vote;
	url.host = seat->at.host;
	url.port = vote->port;
	if (make_server(shard, seat, &url) < 0 || redis_server_adopt(seat->server, shard->server->server) < 0)
		seat_free(seat); /* out of memory: the next answer tries again */
}

/* Nobody names a server, or the named one cannot be reached: what is said of the one that is missed. */
static void say_why(struct redis_shard *shard, const struct redis_vote *vote)
{
	struct redis_server *server = shard->server->server;
	const char *why = vote ? NULL : redis_sentinels_reason(&shard->sentinels);
	bool is_tried = vote && shard->next->server && redis_vote_same(vote, &shard->next->at);
	const char *fault = is_tried ? redis_server_fault(shard->next->server) : NULL;
	char text[600];

	if (redis_server_is_ready(server))
		return;
	if (fault) {
		snprintf(text, sizeof(text),
			strstr(fault, "connecting failed") || strstr(fault, "in time")
				? "Sentinel names %s:%u, which does not answer here: set replica-announce-ip "
				  "(%s)"
				: "Sentinel names %s:%u: %s",
			vote->host, vote->port, fault);
		redis_server_held(server, text);
	} else if (why && !shard->server->at.port) {
		redis_server_held(server, why);
	}
}

static void on_counted(void *arg)
{
	struct redis_shard *shard = arg;
	const struct redis_vote *vote = primary(shard, 0);

	say_why(shard, vote);
	if (!vote)
		return;
	if (shard->server->at.port && redis_vote_same(vote, &shard->server->at)) {
		shard->server->at.epoch = vote->epoch;
		if (shard->next->server)
			seat_free(shard->next);
		return;
	}
	if (!shard->next->server || !redis_vote_same(vote, &shard->next->at))
		make_next(shard, vote);
}

/* --- channels and settings: of the server of the moment, and of those beside it --- */

int redis_shard_subscribe(struct redis_shard *shard, struct slice channel)
{
	int r = redis_server_subscribe(shard->server->server, REDIS_CLASSIC, channel);

	if (r == 0 && shard->next->server &&
		redis_server_subscribe(shard->next->server, REDIS_CLASSIC, channel) < 0)
		seat_free(shard->next); /* it would lack the channel; the next answer makes another */
	return r;
}

void redis_shard_unsubscribe(struct redis_shard *shard, struct slice channel)
{
	for (size_t i = 0; i < 3; i++)
		if (shard->seats[i].server)
			redis_server_unsubscribe(shard->seats[i].server, REDIS_CLASSIC, channel);
}

void redis_shard_set_payload_max(struct redis_shard *shard, size_t payload_bytes_max)
{
	shard->settings.options.payload_bytes_max = payload_bytes_max;
	for (size_t i = 0; i < 3; i++)
		if (shard->seats[i].server)
			redis_server_set_payload_max(shard->seats[i].server, payload_bytes_max);
}

void redis_shard_set_loads_library(struct redis_shard *shard, bool loads_library)
{
	shard->settings.options.loads_library = loads_library;
	for (size_t i = 0; i < 3; i++)
		if (shard->seats[i].server)
			redis_server_set_loads_library(shard->seats[i].server, loads_library);
}

void redis_shard_measure(const struct redis_shard *shard, struct broker_shard *out)
{
	redis_server_measure(shard->server->server, out);
	out->n_sentinels = (unsigned int)shard->sentinels.n;
	out->n_sentinels_answering = (unsigned int)redis_sentinels_n_voting(&shard->sentinels);
}

void redis_shard_describe(const struct redis_shard *shard, struct buf *out)
{
	redis_server_describe(shard->server->server, out);
	if (shard->settings.element.kind != REDIS_SENTINEL)
		return;
	buf_append_str(out, ",\"master\":");
	buf_append_json_string(out, shard->settings.element.master, strlen(shard->settings.element.master));
	buf_printf(out, ",\"n_sentinels\":%zu,\"n_sentinels_voting\":%zu", shard->sentinels.n,
		redis_sentinels_n_voting(&shard->sentinels));
}

/* --- the shard itself --- */

void redis_shard_stop(struct redis_shard *shard)
{
	for (size_t i = 0; i < 3; i++)
		if (shard->seats[i].server)
			redis_server_stop(shard->seats[i].server);
}

void redis_shard_free(struct redis_shard *shard)
{
	if (!shard)
		return;
	redis_shard_stop(shard);
	redis_sentinels_deinit(&shard->sentinels);
	for (size_t i = 0; i < 3; i++)
		seat_free(&shard->seats[i]);
	if (shard->former_timer)
		event_free(shard->former_timer);
	redis_settings_deinit(&shard->settings);
	free(shard);
}

/* Until a sentinel has named the primary there is a server without an address, which is not dialled. */
static int make_first(struct redis_shard *shard)
{
	struct redis_url url = shard->settings.element.server;
	struct buf text = {0};
	int r;

	if (shard->settings.element.kind == REDIS_SINGLE)
		return make_server(shard, shard->server, &url);
	redis_element_describe(&shard->settings.element, &text);
	url.host = (char *)buf_text(&text);
	r = url.host ? make_server(shard, shard->server, &url) : -ENOMEM;
	buf_deinit(&text);
	if (r < 0)
		return r;
	shard->sentinels = (struct redis_sentinels){
		.listener = {shard, on_counted},
		.base = shard->base,
		.tls = shard->settings.options.tls,
		.element = &shard->settings.element,
		.client_name = buf_text(&shard->settings.client_name),
	};
	return redis_sentinels_start(&shard->sentinels);
}

int redis_shard_new(struct event_base *base, const struct redis_element *element,
	const struct redis_options *options, const struct broker_listener *events,
	const struct redis_server_listener *listener, struct log *log, struct metrics *metrics,
	struct redis_shard **shardp)
{
	struct redis_shard *shard = calloc(1, sizeof(*shard));
	int r;

	if (!shard)
		return -ENOMEM;
	shard->base = base;
	shard->events = *events;
	shard->listener = *listener;
	shard->log = log;
	shard->metrics = metrics;
	for (size_t i = 0; i < 3; i++)
		shard->seats[i].shard = shard;
	shard->server = &shard->seats[0];
	shard->next = &shard->seats[1];
	shard->former = &shard->seats[2];
	r = redis_settings_init(&shard->settings, element, options);
	shard->settings.options.wants_primary = element->kind == REDIS_SENTINEL;
	shard->former_timer = evtimer_new(base, on_former_time, shard);
	if (r == 0 && !shard->former_timer)
		r = -ENOMEM;
	if (r == 0)
		r = make_first(shard);
	if (r < 0) {
		redis_shard_free(shard);
		return r;
	}
	*shardp = shard;
	return 0;
}
