/* Worker: one data thread; see the header. */

#include "worker/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "client/client.h"
#include "client/clients.h"
#include "client/orders.h"
#include "client/slow.h"
#include "config/config.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/mailbox.h"
#include "core/priority.h"
#include "mail/order.h"
#include "metrics/loop_lag.h"
#include "metrics/metrics.h"
#include "protocol/message.h"
#include "worker/worker_asks.h"
#include "worker/worker_inbox.h"
#include "worker/worker_mail.h"
#include "worker/worker_private.h"
#include "worker/worker_settings.h"
#include "ws/ws_server.h"

enum {
	TICK_MS = 250,         /* deadlines of clients are seconds */
	POLL_US = 10000,       /* time for sockets, before the loop looks for timers and what else is ready */
	ORDER_PAUSE_US = 1000, /* between two steps of an order */
	DRAIN_TICK_MS = 50,    /* a stream of clients, not waves */
	SILENT_MS = 1000, /* for connections that have sent no request yet, after the last client had to go */
};

/* Without memory for it the next tick tries again. */
static void begin_drain_tick(struct worker *worker)
{
	struct timeval interval = {0, DRAIN_TICK_MS * 1000};

	if (worker->clients.drain.begun && !event_pending(worker->drain_tick, EV_TIMEOUT, NULL))
		(void)event_add(worker->drain_tick, &interval);
}

void worker_drain(struct worker *worker, uint64_t time_ms, uint64_t seed)
{
	worker->silent_ms = worker->clients.now_ms + time_ms + SILENT_MS;
	ws_server_drain(worker->server);
	clients_drain(&worker->clients, time_ms, seed);
	begin_drain_tick(worker);
}

void worker_carry_out_orders(struct worker *worker, long us)
{
	const struct timeval pause = {0, us};

	/* Without memory for it the next order, or the next tick, goes on. */
	(void)event_add(worker->order_timer, &pause);
}

void worker_refresh_time(struct worker *worker)
{
	clients_set_time(&worker->clients, clock_monotonic_ms(), clock_wall_ms());
}

static void on_tick(evutil_socket_t fd, short events, void *arg)
{
	struct worker *worker = arg;

	(void)fd;
	(void)events;
	worker_refresh_time(worker);
	metrics_set(&worker->metrics, METRIC_LOOP_LAG,
		loop_lag_tick(&worker->lag, clock_monotonic_us(), TICK_MS * 1000));
	clients_tick(&worker->clients);
	if (!list_empty(&worker->clients.orders))
		worker_carry_out_orders(worker, 0);
	begin_drain_tick(worker);
	slow_shed(&worker->clients, atomic_exchange_explicit(&worker->shed_bytes, 0, memory_order_relaxed));
	worker_inbox_log_passed(worker);
	event_base_loopbreak(worker->base); /* there are turns, however long something is ready */
}

static void on_drain_tick(evutil_socket_t fd, short events, void *arg)
{
	struct worker *worker = arg;

	(void)fd;
	(void)events;
	worker_refresh_time(worker);
	clients_drain_tick(&worker->clients);
}

static void on_order_timer(evutil_socket_t fd, short events, void *arg)
{
	struct worker *worker = arg;
	struct order_part *part;
	bool goes_on;

	(void)fd;
	(void)events;
	worker_refresh_time(worker);
	goes_on = orders_step(&worker->clients, &part);
	if (part)
		worker->listener.ordered(worker->listener.arg, part);
	if (goes_on)
		worker_carry_out_orders(worker, ORDER_PAUSE_US);
}

static bool is_drained(const struct worker *worker)
{
	if (!worker->clients.drain.begun || worker->clients.n_clients)
		return false;
	return ws_server_drained(worker->server) || worker->clients.now_ms >= worker->silent_ms;
}

void worker_turn(struct worker *worker)
{
	clients_turn(&worker->clients);
	ws_server_turn(worker->server);
	log_flush(worker->log);
	metrics_set(&worker->metrics, METRIC_LOG_SUPPRESSED, log_n_suppressed(worker->log));
	atomic_store_explicit(&worker->turned_ms, worker->clients.now_ms, memory_order_relaxed);
	worker->row_us = 0;
	if (is_drained(worker))
		atomic_store_explicit(&worker->drained, true, memory_order_relaxed);
}

static void on_pause(void *arg)
{
	struct worker *worker = arg;

	if (worker->shares_loop)
		(void)worker->listener.look(worker->listener.arg);
	worker_inbox_pause(worker); /* what was said meanwhile goes out */
	worker_turn(worker);
	if (worker->stopped)
		event_base_loopbreak(worker->base);
}

static void *run(void *arg)
{
	struct worker *worker = arg;

	while (!worker->stopped) {
		event_base_loop(worker->base, EVLOOP_ONCE);
		worker_turn(worker);
	}
	return NULL;
}

/* --- building and ending --- */

struct event_base *worker_base_new(bool priorities)
{
	struct event_config *config = event_config_new();
	struct timeval slice = {0, POLL_US};
	struct event_base *base;

	if (!config)
		return NULL;
	/* lws asks for and waives writability many times a turn: only the outcome goes to the kernel. Safe
	   because no descriptor is duplicated. */
	event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	if (priorities)
		event_config_set_max_dispatch_interval(config, &slice, -1, PRIORITY_LAST);
	base = event_base_new_with_config(config);
	event_config_free(config);
	if (base && priorities && event_base_priority_init(base, N_PRIORITIES) < 0) {
		event_base_free(base);
		return NULL;
	}
	return base;
}

struct event *worker_event(struct worker *worker, enum priority priority, int fd, short events,
	void (*callback)(int, short, void *))
{
	struct event *event = event_new(worker->base, fd, events, callback, worker);

	if (event)
		event_priority_set(event, priority);
	return event;
}

static int make_loop(struct worker *worker, const struct worker_options *options)
{
	struct timeval interval = {0, TICK_MS * 1000};
	int r;

	worker->shares_loop = options->base != NULL;
	worker->base = worker->shares_loop ? options->base : worker_base_new(!FAULT_OFF(options, priorities));
	if (!worker->base)
		return -ENOMEM;
	r = worker_inbox_open(worker);
	if (r < 0)
		return r;
	worker->tick = worker_event(worker, PRIORITY_FIRST, -1, EV_PERSIST, on_tick);
	worker->drain_tick = worker_event(worker, PRIORITY_FIRST, -1, EV_PERSIST, on_drain_tick);
	worker->order_timer = worker_event(worker, PRIORITY_LAST, -1, 0, on_order_timer);
	if (!worker->tick || !worker->drain_tick || !worker->order_timer ||
		event_add(worker->tick, &interval) < 0)
		return -ENOMEM;
	return 0;
}

static int make_clients(
	struct worker *worker, const struct worker_settings *settings, const struct worker_options *options)
{
	struct clients_listener up = worker_clients_listener(worker);
	int r;

	r = clients_init(&worker->clients, &up, options->tls_keys ? &ws_tls_socket_ops : &ws_socket_ops,
		&settings->limits, settings->routes, worker->index + 1, options->config->workers, worker->log,
		&worker->metrics);
	worker->clients_ready = r == 0;
	worker->clients.worker = worker->index;
	if (r == 0)
		worker_refresh_time(worker);
	return r;
}

static int make_server(struct worker *worker, const struct worker_options *options,
	struct worker_settings *settings, struct buf *error)
{
	struct ws_server_options server = {
		.base = worker->base,
		.host = options->host,
		.port = options->port,
		.clients = &worker->clients,
		.rules = &settings->handshakes,
		.tls_keys = options->tls_keys,
		.tls_least = options->config->tls_min_version,
		.places = options->places,
		.log = worker->log,
		.metrics = &worker->metrics,
		.head_bytes_max = options->config->handshake_bytes_max,
		.proxy_protocol = options->config->proxy_protocol,
		.use_uring = options->config->io_uring,
		.listener = {worker, worker_ask_ticket, worker_ask_keys, on_pause},
	};

	if (FAULT_OFF(options, priorities))
		server.listener.pause = NULL;
	return ws_server_new(&server, &worker->server, error);
}

int worker_new(const struct worker_options *options, struct worker **workerp, struct buf *error)
{
	struct worker *worker = aligned_alloc(_Alignof(struct worker), sizeof(*worker));
	struct worker_settings *settings = NULL;
	int r;

	if (!worker)
		return -ENOMEM;
	memset(worker, 0, sizeof(*worker));
	worker->index = options->index;
	worker->listener = options->listener;
	worker->log =
		log_new_queued(options->log_writer, options->config->log_level, options->config->log_format);
	r = worker->log ? make_loop(worker, options) : -ENOMEM;
	if (r == 0)
		r = worker_settings_new(options->config, options->verifier, &settings, error);
	if (r == 0)
		r = make_clients(worker, settings, options);
	if (r == 0)
		r = make_server(worker, options, settings, error);
	worker_settings_free(settings);
	if (r < 0)
		goto fail;
	*workerp = worker;
	return 0;

fail:
	worker_free(worker);
	return r;
}

int worker_start(struct worker *worker)
{
	char name[16]; /* the length of a thread's name in the kernel, with its NUL */
	sigset_t all, before;
	int r;

	atomic_store_explicit(
		&worker->turned_ms, clock_monotonic_ms(), memory_order_relaxed); /* it lives from now on */
	loop_lag_start(&worker->lag, clock_monotonic_us(), TICK_MS * 1000);
	if (worker->shares_loop)
		return 0;
	/* Signals are the bus thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&worker->thread, NULL, run, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	worker->started = r == 0;
	if (r == 0) {
		snprintf(name, sizeof(name), "tg-worker-%u", worker->index % WORKERS_MAX);
		pthread_setname_np(worker->thread, name);
	}
	return r;
}

/* To the bus, which is waiting for them. */
static void give_orders_back(struct worker *worker)
{
	struct order_part *part;

	while (worker->clients_ready && (part = orders_give_up(&worker->clients)))
		order_return(part);
}

void worker_free(struct worker *worker)
{
	if (!worker)
		return;
	if (worker->started) {
		static const struct timespec no_memory_rest = {0, 10000000};
		struct worker_mail *stop;

		while (!(stop = worker_mail_new(WORKER_STOP, NULL, 0)))
			nanosleep(&no_memory_rest, NULL); /* the thread must end before its memory does */
		mailbox_push(worker->inbox, &stop->mail);
		pthread_join(worker->thread, NULL);
	}
	worker_mail_free(worker->outgoing);
	worker_mail_free(worker->prepared);
	ws_server_free(worker->server); /* ends the clients that are left */
	give_orders_back(worker);
	if (worker->clients_ready)
		clients_deinit(&worker->clients);
	if (worker->tick)
		event_free(worker->tick);
	if (worker->drain_tick)
		event_free(worker->drain_tick);
	if (worker->order_timer)
		event_free(worker->order_timer);
	worker_inbox_close(worker);
	if (worker->base && !worker->shares_loop)
		event_base_free(worker->base);
	log_free(worker->log);
	free(worker);
}

/* --- questions of other threads --- */

uint16_t worker_port(const struct worker *worker)
{
	return ws_server_port(worker->server);
}

const struct metrics *worker_metrics(const struct worker *worker)
{
	return &worker->metrics;
}

bool worker_alive(const struct worker *worker, uint64_t now_ms)
{
	return atomic_load_explicit(&worker->turned_ms, memory_order_relaxed) + WORKER_STUCK_MS > now_ms;
}

uint64_t worker_late_ms(const struct worker *worker, uint64_t now_ms)
{
	uint64_t due_ms = atomic_load_explicit(&worker->turned_ms, memory_order_relaxed) + TICK_MS;

	return now_ms > due_ms ? now_ms - due_ms : 0;
}

uint64_t worker_backlog_bytes(const struct worker *worker)
{
	return backlog_bytes(&worker->backlog);
}

void worker_shed(struct worker *worker, uint64_t bytes)
{
	atomic_store_explicit(&worker->shed_bytes, bytes, memory_order_relaxed);
}

bool worker_drained(const struct worker *worker)
{
	return atomic_load_explicit(&worker->drained, memory_order_relaxed);
}
