/* A worker's inbox, taken in turns; see the header. */

#include "worker/worker_inbox.h"

#include <errno.h>
#include <string.h>

#include <event2/event.h>

#include "client/census.h"
#include "client/clients.h"
#include "client/orders.h"
#include "core/clock.h"
#include "core/mailbox.h"
#include "hub/hub.h"
#include "mail/census.h"
#include "mail/confirmation.h"
#include "mail/survey.h"
#include "mail/ticket.h"
#include "protocol/message.h"
#include "worker/backlog.h"
#include "worker/worker_mail.h"
#include "worker/worker_private.h"
#include "worker/worker_settings.h"
#include "ws/ws_server.h"

enum {
	EVENTS_AT_ONCE = 64,   /* between two looks at the clock */
	TURN_BYTES = 16 << 20, /* for all sockets together: some 20 ms of the kernel's time */
	MAIL_US = 20000,       /* time for mail in one turn, before sockets are served again */
	ROUND_US = 10000,      /* time for sockets where mail gave way to them: half of what it had */
	LONG_US = 2000,        /* so long a turn keeps the bus waiting, where it shares the loop */
	PASSED_LOG_MS = 10000, /* between two lines about events that were passed over */
};

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
		worker_carry_out_orders(worker, 0);
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
	else if (mail->kind == WORKER_TOLD)
		clients_tell(&worker->clients, channel, mail->hash, mail->events[0]);
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
	case WORKER_TOLD:
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
		worker_drain(worker, mail->drain_ms, mail->seed);
		break;
	case WORKER_STOP:
		worker->stopped = true;
		break;
	}
	worker_mail_free(mail);
}

static void take_inbox(struct worker *worker)
{
	worker->waiting = mailbox_take(worker->inbox);
	if (worker->backlog.passes)
		backlog_learn(&worker->backlog, (struct worker_mail *)worker->waiting);
}

/* The bus has as long as this worker had, or Redis, which keeps what is not read, would give the gateway up.
 * What is too much for the worker is passed over in its own inbox. */
static void let_bus_catch_up(struct worker *worker, uint64_t began_us)
{
	uint64_t now_us = clock_monotonic_us(), until_us = now_us + (now_us - began_us);

	if (!worker->shares_loop || now_us < began_us + LONG_US)
		return;
	while (worker->listener.look(worker->listener.arg) && clock_monotonic_us() < until_us)
		;
}

/*
 * All arrived mail is taken before anything is written, so that each client gets one write. But a publisher
 * may be faster than the fan-out, and clients that send something would wait until it stops. So there is a
 * bound, and the rest waits for the next turn.
 */
static void take_mail(struct worker *worker)
{
	uint64_t began_us = clock_monotonic_us();

	worker_refresh_time(worker);
	if (!worker->waiting)
		take_inbox(worker);
	worker->enough_us = began_us + MAIL_US;
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
	let_bus_catch_up(worker, began_us);
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
	else if (worker->shares_loop)
		event_active(worker->mail_event, EV_READ, 0); /* what came meanwhile has woken nobody */
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

void worker_inbox_pause(struct worker *worker)
{
	if (event_pending(worker->mail_event, EV_READ, NULL)) {
		take_mail(worker);
		if (worker->waiting)
			give_way(worker);
	} else if (clock_monotonic_us() >= worker->round_end_us) {
		on_behind(-1, 0, worker);
	}
}

void worker_inbox_log_passed(struct worker *worker)
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

/* Not while mail waits behind sockets: then on_behind() takes it. */
static void wake(void *arg)
{
	struct worker *worker = arg;

	if (event_pending(worker->mail_event, EV_READ, NULL))
		event_active(worker->mail_event, EV_READ, 0);
}

/* On a loop that it shares it has the priority of what brings it, the bus' links to Redis: so a lone event
 * is sent in the turn in which it came. */
static struct event *new_mail_event(struct worker *worker)
{
	enum priority priority = worker->shares_loop ? PRIORITY_LAST : PRIORITY_FIRST;

	if (worker->shares_loop)
		mailbox_wake_by(worker->inbox, wake, worker);
	return worker_event(worker, priority, mailbox_fd(worker->inbox), EV_READ | EV_PERSIST, on_mail);
}

int worker_inbox_open(struct worker *worker)
{
	worker->inbox = mailbox_new();
	if (!worker->inbox)
		return -ENOMEM;
	backlog_init(&worker->backlog, WORKER_BACKLOG_BYTES);
	worker->passed_limit = (struct log_limit){.burst = 1, .interval_ms = PASSED_LOG_MS};
	worker->mail_event = new_mail_event(worker);
	worker->behind_event = worker_event(worker, PRIORITY_LAST, -1, 0, on_behind);
	if (!worker->mail_event || !worker->behind_event || event_add(worker->mail_event, NULL) < 0)
		return -ENOMEM;
	return 0;
}

static void free_mail(struct mail *mail)
{
	while (mail) {
		struct mail *next = mail->next;

		worker_mail_free((struct worker_mail *)mail);
		mail = next;
	}
}

void worker_inbox_close(struct worker *worker)
{
	if (worker->mail_event)
		event_free(worker->mail_event);
	if (worker->behind_event)
		event_free(worker->behind_event);
	free_mail(worker->waiting);
	if (worker->inbox)
		free_mail(mailbox_take(worker->inbox));
	mailbox_free(worker->inbox);
	backlog_deinit(&worker->backlog);
	message_unref(worker->first_passed);
}
