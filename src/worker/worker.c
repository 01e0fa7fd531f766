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

#include "client/census.h"
#include "client/client.h"
#include "client/clients.h"
#include "client/orders.h"
#include "client/slow.h"
#include "config/config.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/mailbox.h"
#include "hub/hub.h"
#include "mail/census.h"
#include "mail/confirmation.h"
#include "mail/join.h"
#include "mail/order.h"
#include "mail/presence.h"
#include "mail/survey.h"
#include "mail/ticket.h"
#include "metrics/loop_lag.h"
#include "metrics/metrics.h"
#include "protocol/message.h"
#include "worker/backlog.h"
#include "worker/worker_mail.h"
#include "worker/worker_private.h"
#include "worker/worker_settings.h"
#include "ws/ws_server.h"

enum {
	TICK_MS = 250,         /* deadlines of clients are seconds */
	EVENTS_AT_ONCE = 64,   /* between two looks at the clock */
	TURN_BYTES = 16 << 20, /* for all sockets together: some 20 ms of the kernel's time */
	MAIL_US = 20000,       /* time for mail in one turn, before sockets are served again */
	ROUND_US = 10000,      /* time for sockets where mail gave way to them: half of what it had */
	POLL_US = 10000,       /* time for sockets, before the loop looks for timers and what else is ready */
	PASSED_LOG_MS = 10000, /* between two lines about events that were passed over */
	ORDER_PAUSE_US = 1000, /* between two steps of an order */
	DRAIN_TICK_MS = 50,    /* a stream of clients, not waves */
	SILENT_MS = 1000, /* for connections that have sent no request yet, after the last client had to go */
};

/* The two priorities of the loop. A storm of handshakes must not delay events, so mail and ticks go first.
 * libevent gives sockets, listeners and lws' timer the middle of two, which is the second. */
enum {
	PRIORITY_MAIL,
	PRIORITY_SOCKETS,
	N_PRIORITIES,
};

/* --- mail from the bus --- */

/* Is this enough for one turn? Clients that send something wait until the turn is over. */
static bool is_enough(const struct worker *worker)
{
	return hub_noted_bytes(worker->clients.hub) >= TURN_BYTES ||
	       clock_monotonic_us() >= worker->enough_us;
}

/* A row of events that were passed over is told to the clients of its channel. */
static void end_passed(struct worker *worker)
{
	if (!worker->passed)
		return;
	clients_pass_over(&worker->clients, worker->passed, worker->n_passed);
	message_unref(worker->passed);
	worker->passed = NULL;
	worker->n_passed = 0;
}

/* A run of events of one channel makes one call: visiting each client for each event would be as slow as
 * delivering. Takes over the reference. */
static void pass_over(struct worker *worker, struct message *event)
{
	const struct message *last = worker->passed;

	if (last && (last->channel_hash != event->channel_hash || last->channel_len != event->channel_len ||
			    memcmp(last->channel, event->channel, event->channel_len) != 0 ||
			    last->is_entry != event->is_entry))
		end_passed(worker);
	if (!worker->first_passed)
		worker->first_passed = message_ref(event);
	message_unref(worker->passed);
	worker->passed = event;
	worker->n_passed++;
	worker->n_passed_all++;
}

/* Takes over the references. */
static void take_some(struct worker *worker, struct message **events, uint32_t n)
{
	uint64_t bytes = 0;

	clients_expect(&worker->clients, events, n);
	for (uint32_t i = 0; i < n; i++) {
		bytes += backlog_event_bytes(events[i]);
		if (!worker->backlog.passes || backlog_keeps(&worker->backlog, events[i]))
			clients_deliver(&worker->clients, events[i]);
		else
			pass_over(worker, events[i]);
	}
	backlog_taken(&worker->backlog, bytes);
}

/* Decides whether the worker passes over events of this mail and the mail behind it. */
static void look_at_backlog(struct worker *worker, const struct worker_mail *mail)
{
	bool passed = worker->backlog.passes;

	if (backlog_passes(&worker->backlog) == passed)
		return;
	if (passed)
		backlog_forget(&worker->backlog);
	else
		backlog_learn(&worker->backlog, mail);
}

/* As many as the turn has time for. False: the mail has more of them. */
static bool take_events(struct worker *worker, struct worker_mail *mail)
{
	while (mail->n_taken < mail->n_events) {
		struct message **events = mail->events + mail->n_taken;
		uint32_t n = mail->n_events - mail->n_taken;

		if (n > EVENTS_AT_ONCE)
			n = EVENTS_AT_ONCE;
		look_at_backlog(worker, mail);
		take_some(worker, events, n);
		mail->n_taken += n;
		if (is_enough(worker))
			break;
	}
	return mail->n_taken == mail->n_events;
}

static void configure(struct worker *worker, struct worker_settings *settings)
{
	log_set_level(worker->log, settings->log_level);
	clients_configure(&worker->clients, &settings->limits, settings->routes);
	ws_server_configure(worker->server, &settings->handshakes);
}

static void take_keys(struct worker *worker, struct worker_mail *mail)
{
	switch (mail->keys_news) {
	case WORKER_KEYS_FETCHING:
		ws_server_keys_fetching(worker->server);
		break;
	case WORKER_KEYS_FETCHED:
		ws_server_keys_fetched(worker->server);
		break;
	case WORKER_KEYS_CHANGED:
		ws_server_set_verifier(worker->server, mail->verifier);
		mail->verifier = NULL;
		break;
	}
}

/* Without memory for it the next tick tries again. */
static void begin_drain_tick(struct worker *worker)
{
	struct timeval interval = {0, DRAIN_TICK_MS * 1000};

	if (worker->clients.drain.begun && !event_pending(worker->drain_tick, EV_TIMEOUT, NULL))
		(void)event_add(worker->drain_tick, &interval);
}

static void drain(struct worker *worker, uint64_t time_ms, uint64_t seed)
{
	worker->silent_ms = worker->clients.now_ms + time_ms + SILENT_MS;
	ws_server_drain(worker->server);
	clients_drain(&worker->clients, time_ms, seed);
	begin_drain_tick(worker);
}

/* Orders are carried out behind sockets, so that a large one holds nothing up. */
static void carry_out_later(struct worker *worker, long us)
{
	const struct timeval pause = {0, us};

	/* Without memory for it the next order, or the next tick, goes on. */
	(void)event_add(worker->order_timer, &pause);
}

/* Takes what is freed with what it carries. False: it is other mail. */
static bool take_carrier(struct worker *worker, struct worker_mail *mail)
{
	switch (mail->kind) {
	case WORKER_JOINED:
		clients_joined(&worker->clients, mail->join);
		return true;
	case WORKER_SURVEY:
		census_take(&worker->clients, &mail->survey->survey->question, &mail->survey->census);
		worker->listener.surveyed(worker->listener.arg, mail->survey);
		return true;
	case WORKER_ORDER:
		orders_take(&worker->clients, mail->order);
		carry_out_later(worker, 0);
		return true;
	case WORKER_TICKET:
		ws_server_ticket(worker->server, mail->ticket);
		return true;
	case WORKER_ROLL:
		clients_told_roll(&worker->clients, mail->roll_call);
		return true;
	default:
		return false;
	}
}

/* What is about one channel, and has its place among the events. */
static void take_about(struct worker *worker, struct worker_mail *mail)
{
	struct slice channel = {mail->channel, mail->channel_len};

	if (mail->kind == WORKER_CONFIRM)
		clients_confirm(&worker->clients, channel, mail->hash, &mail->confirmation);
	else if (mail->kind == WORKER_CHANNEL_LOST)
		clients_channel_lost(&worker->clients, channel, mail->hash);
	else if (mail->kind == WORKER_RESYNC)
		clients_resync(&worker->clients, channel, mail->hash, mail->events[0], mail->close_others);
	else
		clients_late(&worker->clients, channel, mail->hash, mail->events[0], mail->era);
	if (mail->kind != WORKER_CONFIRM && mail->kind != WORKER_CHANNEL_LOST)
		backlog_taken(&worker->backlog, mail->bytes);
}

static void take(struct worker *worker, struct worker_mail *mail)
{
	if (take_carrier(worker, mail))
		return;
	switch (mail->kind) {
	case WORKER_EVENTS: /* see take_events() */
	case WORKER_JOINED:
	case WORKER_SURVEY:
	case WORKER_ORDER:
	case WORKER_TICKET:
	case WORKER_ROLL:
		break;
	case WORKER_CONNECTED:
		clients_connected(&worker->clients, mail->connected);
		break;
	case WORKER_ANSWER:
		clients_answered(&worker->clients, &mail->answer);
		break;
	case WORKER_CONFIRM:
	case WORKER_CHANNEL_LOST:
	case WORKER_RESYNC:
	case WORKER_LATE:
		take_about(worker, mail);
		break;
	case WORKER_CONFIGURE:
		configure(worker, mail->settings);
		break;
	case WORKER_TLS_KEYS:
		ws_server_set_tls_keys(worker->server, mail->tls_keys);
		break;
	case WORKER_KEYS:
		take_keys(worker, mail);
		break;
	case WORKER_REVOCATIONS:
		ws_server_set_revocations(worker->server, mail->revocations);
		mail->revocations = NULL;
		break;
	case WORKER_DRAIN:
		drain(worker, mail->drain_ms, mail->seed);
		break;
	case WORKER_STOP:
		worker->stopped = true;
		break;
	}
	worker_mail_free(mail);
}

static void refresh_time(struct worker *worker)
{
	clients_set_time(&worker->clients, clock_monotonic_ms(), clock_wall_ms());
}

static void take_inbox(struct worker *worker)
{
	worker->waiting = mailbox_take(worker->inbox);
	if (worker->backlog.passes)
		backlog_learn(&worker->backlog, (struct worker_mail *)worker->waiting);
}

/*
 * All arrived mail is taken before anything is written, so that each client gets one write. But a publisher
 * may be faster than the fan-out, and clients that send something would wait until it stops. So there is a
 * bound, and the rest waits for the next turn.
 */
static void take_mail(struct worker *worker)
{
	refresh_time(worker);
	if (!worker->waiting)
		take_inbox(worker);
	worker->enough_us = clock_monotonic_us() + MAIL_US;
	while (worker->waiting) {
		struct worker_mail *mail = (struct worker_mail *)worker->waiting;

		if (mail->kind == WORKER_EVENTS && !take_events(worker, mail))
			break;
		if (mail->kind != WORKER_EVENTS)
			end_passed(worker); /* this mail may change who gets which events */
		worker->waiting = mail->mail.next;
		take(worker, mail);
		if (is_enough(worker))
			break;
	}
	end_passed(worker);
	clients_turn(&worker->clients);
}

/* The next mail waits until the sockets that are ready by now were served, or have had their time: in a storm
 * of connections there are thousands. */
static void give_way(struct worker *worker)
{
	event_del(worker->mail_event);
	event_active(worker->behind_event, EV_READ, 0);
	worker->round_end_us = clock_monotonic_us() + ROUND_US;
}

static void on_behind(evutil_socket_t fd, short events, void *arg)
{
	struct worker *worker = arg;

	(void)fd;
	(void)events;
	event_del(worker->behind_event);
	/* Without memory for it the mail waits for another round of the sockets. */
	if (event_add(worker->mail_event, NULL) < 0) {
		give_way(worker);
		return;
	}
	worker->row_us = 0;
	take_mail(worker);
	if (worker->waiting)
		give_way(worker);
}

/*
 * Mail comes before sockets. But where each mail is behind the one before it, the loop would never come to
 * the sockets, so after MAIL_US of such a row they have a round.
 */
static void on_mail(evutil_socket_t fd, short events, void *arg)
{
	struct worker *worker = arg;
	uint64_t n_served = ws_server_n_served(worker->server), began_us = clock_monotonic_us();

	(void)fd;
	(void)events;
	take_mail(worker);
	if (worker->row_served != n_served)
		worker->row_us = 0;
	worker->row_served = n_served;
	worker->row_us += clock_monotonic_us() - began_us;
	if (worker->waiting || worker->row_us >= MAIL_US)
		give_way(worker);
}

/* --- the loop --- */

static void log_passed(struct worker *worker)
{
	const struct message *first = worker->first_passed;
	uint64_t suppressed;

	if (!first ||
		!log_limit_allow(worker->log, &worker->passed_limit, worker->clients.now_ms, &suppressed))
		return;
	log_warn(worker->log, "events passed over: this worker cannot keep up",
		log_uint("worker", worker->index), log_uint("n", worker->n_passed_all),
		log_mem("channel", first->channel, first->channel_len));
	message_unref(worker->first_passed);
	worker->first_passed = NULL;
	worker->n_passed_all = 0;
}

static void on_tick(evutil_socket_t fd, short events, void *arg)
{
	struct worker *worker = arg;

	(void)fd;
	(void)events;
	refresh_time(worker);
	metrics_set(&worker->metrics, METRIC_LOOP_LAG,
		loop_lag_tick(&worker->lag, clock_monotonic_us(), TICK_MS * 1000));
	clients_tick(&worker->clients);
	if (!list_empty(&worker->clients.orders))
		carry_out_later(worker, 0);
	begin_drain_tick(worker);
	slow_shed(&worker->clients, atomic_exchange_explicit(&worker->shed_bytes, 0, memory_order_relaxed));
	log_passed(worker);
}

static void on_drain_tick(evutil_socket_t fd, short events, void *arg)
{
	struct worker *worker = arg;

	(void)fd;
	(void)events;
	refresh_time(worker);
	clients_drain_tick(&worker->clients);
}

static void on_order_timer(evutil_socket_t fd, short events, void *arg)
{
	struct worker *worker = arg;
	struct order_part *part;
	bool goes_on;

	(void)fd;
	(void)events;
	refresh_time(worker);
	goes_on = orders_step(&worker->clients, &part);
	if (part)
		worker->listener.ordered(worker->listener.arg, part);
	if (goes_on)
		carry_out_later(worker, ORDER_PAUSE_US);
}

static bool is_drained(const struct worker *worker)
{
	if (!worker->clients.drain.begun || worker->clients.n_clients)
		return false;
	return ws_server_drained(worker->server) || worker->clients.now_ms >= worker->silent_ms;
}

static void turn(struct worker *worker)
{
	clients_turn(&worker->clients);
	ws_server_turn(worker->server);
	log_flush(worker->log);
	metrics_set(&worker->metrics, METRIC_BACKLOG_BYTES, backlog_bytes(&worker->backlog));
	metrics_set(&worker->metrics, METRIC_LOG_SUPPRESSED, log_n_suppressed(worker->log));
	atomic_store_explicit(&worker->turned_ms, worker->clients.now_ms, memory_order_relaxed);
	worker->row_us = 0;
	if (is_drained(worker))
		atomic_store_explicit(&worker->drained, true, memory_order_relaxed);
}

/* Sockets were served for a while. Mail goes before the rest of them, and what was said meanwhile goes out.
 * To ask the kernel for mail would be slow: it would tell of all sockets that are ready once more. */
static void on_pause(void *arg)
{
	struct worker *worker = arg;

	if (event_pending(worker->mail_event, EV_READ, NULL)) {
		take_mail(worker);
		if (worker->waiting)
			give_way(worker);
	} else if (clock_monotonic_us() >= worker->round_end_us) {
		on_behind(-1, 0, worker);
	}
	turn(worker);
	if (worker->stopped)
		event_base_loopbreak(worker->base);
}

static void *run(void *arg)
{
	struct worker *worker = arg;

	while (!worker->stopped) {
		event_base_loop(worker->base, EVLOOP_ONCE);
		turn(worker);
	}
	return NULL;
}

/* --- what its clients ask for --- */

static void on_wish(void *arg, const struct wish *wish)
{
	struct worker *worker = arg;

	worker->listener.wish(worker->listener.arg, worker->index, wish);
}

static void on_join(void *arg, struct join *join)
{
	struct worker *worker = arg;

	join->carrier = worker_mail_new(WORKER_JOINED, NULL, 0);
	if (!join->carrier) {
		join->r = -ENOMEM;
		clients_joined(&worker->clients, join);
		return;
	}
	worker->listener.join(worker->listener.arg, join);
}

static void on_spent(void *arg, struct credit *credit)
{
	struct worker *worker = arg;

	worker->listener.spent(worker->listener.arg, credit);
}

static int on_ticket(void *arg, struct slice name, void *owner, struct ticket **ticketp)
{
	struct worker *worker = arg;
	struct ticket *ticket = ticket_new(worker->index, name, owner);

	if (!ticket)
		return -ENOMEM;
	ticket->carrier = worker_mail_new(WORKER_TICKET, NULL, 0);
	if (!ticket->carrier) {
		ticket_free(ticket);
		return -ENOMEM;
	}
	*ticketp = ticket;
	worker->listener.ticket(worker->listener.arg, ticket);
	return 0;
}

static int on_keys(void *arg)
{
	struct worker *worker = arg;

	return worker->listener.keys(worker->listener.arg);
}

static void on_ready(void *arg, void *socket)
{
	(void)arg;
	ws_server_answer(socket);
}

static void on_act(void *arg, struct action *action)
{
	struct worker *worker = arg;

	worker->listener.act(worker->listener.arg, action);
}

static void on_presence(void *arg, struct presence_change *change)
{
	struct worker *worker = arg;

	worker->listener.presence(worker->listener.arg, change);
}

static int on_roll_call(void *arg, struct roll_call *call)
{
	struct worker *worker = arg;

	call->carrier = worker_mail_new(WORKER_ROLL, NULL, 0);
	if (!call->carrier)
		return -ENOMEM;
	worker->listener.roll_call(worker->listener.arg, call);
	return 0;
}

static void on_submit(void *arg)
{
	struct worker *worker = arg;

	ws_server_submit(worker->server);
}

static uint64_t on_now_us(void *arg)
{
	(void)arg;
	return clock_monotonic_us();
}

/* --- building and ending --- */

static int make_base(struct worker *worker, const struct worker_options *options)
{
	struct event_config *config = event_config_new();
	struct timeval slice = {0, POLL_US};

	(void)options; /* only tests of faults look at it */
	if (!config)
		return -ENOMEM;
	/* lws asks for and waives writability many times a turn: only the outcome goes to the kernel. Safe
	   because no descriptor is duplicated. */
	event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	if (!FAULT_OFF(options, priorities))
		event_config_set_max_dispatch_interval(config, &slice, -1, PRIORITY_SOCKETS);
	worker->base = event_base_new_with_config(config);
	event_config_free(config);
	if (!worker->base)
		return -ENOMEM;
	if (!FAULT_OFF(options, priorities) && event_base_priority_init(worker->base, N_PRIORITIES) < 0)
		return -ENOMEM;
	return 0;
}

/* One that goes before sockets. NULL when out of memory. */
static struct event *urgent_event(struct worker *worker, int fd, short events, event_callback_fn callback)
{
	struct event *event = event_new(worker->base, fd, events, callback, worker);

	if (event)
		event_priority_set(event, PRIORITY_MAIL);
	return event;
}

static int make_loop(struct worker *worker, const struct worker_options *options)
{
	struct timeval interval = {0, TICK_MS * 1000};
	int r = make_base(worker, options);

	if (r < 0)
		return r;
	worker->inbox = mailbox_new();
	if (!worker->inbox)
		return -ENOMEM;
	worker->mail_event = urgent_event(worker, mailbox_fd(worker->inbox), EV_READ | EV_PERSIST, on_mail);
	worker->behind_event = event_new(worker->base, -1, 0, on_behind, worker);
	worker->tick = urgent_event(worker, -1, EV_PERSIST, on_tick);
	worker->drain_tick = urgent_event(worker, -1, EV_PERSIST, on_drain_tick);
	worker->order_timer = event_new(worker->base, -1, 0, on_order_timer, worker);
	if (!worker->mail_event || !worker->behind_event || !worker->tick || !worker->drain_tick ||
		!worker->order_timer || event_add(worker->mail_event, NULL) < 0 ||
		event_add(worker->tick, &interval) < 0)
		return -ENOMEM;
	return 0;
}

static int on_identify(
	void *arg, const struct client *client, struct slice token, struct identity **identityp)
{
	struct worker *worker = arg;

	return ws_server_identify(worker->server, client, token, identityp);
}

static int make_clients(
	struct worker *worker, const struct worker_settings *settings, const struct worker_options *options)
{
	struct clients_listener up = {worker, on_wish, on_ready, on_join, on_spent, on_act, on_presence,
		on_roll_call, on_submit, on_now_us, on_identify};
	int r;

	r = clients_init(&worker->clients, &up, options->tls_keys ? &ws_tls_socket_ops : &ws_socket_ops,
		&settings->limits, settings->routes, worker->index + 1, options->config->workers, worker->log,
		&worker->metrics);
	worker->clients_ready = r == 0;
	worker->clients.worker = worker->index;
	if (r == 0)
		refresh_time(worker);
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
		.listener = {worker, on_ticket, on_keys, on_pause},
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
	backlog_init(&worker->backlog, WORKER_BACKLOG_BYTES);
	worker->passed_limit = (struct log_limit){.burst = 1, .interval_ms = PASSED_LOG_MS};
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

static void free_mail(struct mail *mail)
{
	while (mail) {
		struct mail *next = mail->next;

		worker_mail_free((struct worker_mail *)mail);
		mail = next;
	}
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
	if (worker->mail_event)
		event_free(worker->mail_event);
	if (worker->behind_event)
		event_free(worker->behind_event);
	if (worker->tick)
		event_free(worker->tick);
	if (worker->drain_tick)
		event_free(worker->drain_tick);
	if (worker->order_timer)
		event_free(worker->order_timer);
	free_mail(worker->waiting);
	if (worker->inbox)
		free_mail(mailbox_take(worker->inbox));
	mailbox_free(worker->inbox);
	if (worker->base)
		event_base_free(worker->base);
	backlog_deinit(&worker->backlog);
	message_unref(worker->first_passed);
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

void worker_shed(struct worker *worker, uint64_t bytes)
{
	atomic_store_explicit(&worker->shed_bytes, bytes, memory_order_relaxed);
}

bool worker_drained(const struct worker *worker)
{
	return atomic_load_explicit(&worker->drained, memory_order_relaxed);
}
