/* Node: see the header. */

#include "node.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "core/map.h"
#include "mail/join.h"
#include "mail/ticket.h"
#include "mail/wish.h"
#include "protocol/message.h"
#include "route/route.h"
#include "support/fake_clock.h"
#include "support/fake_log.h"
#include "worker/worker.h"

#define CHANNEL "x"

static struct slice channel(void)
{
	return slice_of(CHANNEL);
}

static uint64_t channel_hash(void)
{
	return map_hash(CHANNEL, strlen(CHANNEL));
}

void node_complain(struct node *node, const char *format, ...)
{
	va_list args;

	if (*node->complaint)
		return;
	va_start(args, format);
	vsnprintf(node->complaint, sizeof(node->complaint), format, args);
	va_end(args);
}

/* --- the worker's inbox; stands in the place of src/worker: the linker finds these first --- */

static void post(struct worker *worker, struct node_mail mail)
{
	size_t at = worker->n_queue - worker->n_outgoing;

	if (worker->n_queue == NODE_QUEUE)
		abort(); /* no run is so long */
	memmove(&worker->queue[at + 1], &worker->queue[at], worker->n_outgoing * sizeof(mail));
	worker->queue[at] = mail;
	worker->n_queue++;
}

int worker_post_event(struct worker *worker, struct message *event)
{
	if (worker->n_queue == NODE_QUEUE)
		abort();
	worker->queue[worker->n_queue++] =
		(struct node_mail){.kind = MAIL_EVENT, .message = message_ref(event)};
	worker->n_outgoing++;
	return 0;
}

void worker_post_flush(struct worker *worker)
{
	worker->n_outgoing = 0;
}

void worker_post_confirm(
	struct worker *worker, struct slice name, uint64_t hash, const struct confirmation *confirmation)
{
	(void)name;
	(void)hash;
	post(worker, (struct node_mail){.kind = MAIL_CONFIRM,
			     .message = confirmation->told ? message_ref(confirmation->told) : NULL,
			     .confirmation = *confirmation});
}

void worker_post_channel_lost(struct worker *worker, struct slice channel, uint64_t hash)
{
	(void)worker; /* one server: none is lost alone */
	(void)channel;
	(void)hash;
}

void worker_post_told(struct worker *worker, struct slice channel, uint64_t hash, struct message *told)
{
	(void)worker; /* one server: all of it is away, or nothing */
	(void)channel;
	(void)hash;
	(void)told;
}

void worker_post_answer(struct worker *worker, const struct action_answer *answer)
{
	(void)worker; /* no route of these tests carries actions: tests/integration/test_actions.py does */
	(void)answer;
}

void worker_post_roll(struct worker *worker, struct roll_call *call)
{
	(void)worker; /* nobody asks who is there, either: tests/integration/test_presence.py does */
	(void)call;
}

void worker_post_joined(struct worker *worker, struct join *join)
{
	post(worker, (struct node_mail){.kind = MAIL_JOINED, .join = join});
}

void worker_post_resync(
	struct worker *worker, struct slice name, uint64_t hash, struct message *told, bool close_others)
{
	(void)name;
	(void)hash;
	post(worker,
		(struct node_mail){.kind = MAIL_RESYNC, .message = message_ref(told), .flag = close_others});
}

int worker_post_late(
	struct worker *worker, struct slice name, uint64_t hash, struct message *event, uint16_t era)
{
	(void)name;
	(void)hash;
	post(worker, (struct node_mail){.kind = MAIL_LATE, .message = message_ref(event), .era = era});
	return 0;
}

void worker_post_ticket(struct worker *worker, struct ticket *ticket)
{
	(void)worker;
	ticket_free(ticket);
}

int worker_post_revocations(struct worker *worker, struct revocations *revocations)
{
	(void)worker;
	(void)revocations;
	return 0;
}

int worker_post_order(struct worker *worker, struct order_part *part)
{
	(void)worker;
	(void)part;
	return -ENOMEM; /* nobody commands here */
}

int worker_post_survey(struct worker *worker, struct survey_part *part)
{
	(void)worker;
	(void)part;
	return -ENOMEM; /* nobody asks here */
}

void worker_post_connected(struct worker *worker, bool connected)
{
	post(worker, (struct node_mail){.kind = MAIL_CONNECTED, .flag = connected});
}

static void take_mail(struct node *node, struct node_mail *mail)
{
	switch (mail->kind) {
	case MAIL_EVENT:
		clients_deliver(&node->clients, mail->message);
		return; /* with the reference */
	case MAIL_CONFIRM:
		clients_confirm(&node->clients, channel(), channel_hash(), &mail->confirmation);
		break;
	case MAIL_CONNECTED:
		clients_connected(&node->clients, mail->flag);
		break;
	case MAIL_JOINED:
		clients_joined(&node->clients, mail->join);
		break;
	case MAIL_RESYNC:
		clients_resync(&node->clients, channel(), channel_hash(), mail->message, mail->flag);
		break;
	case MAIL_LATE:
		clients_late(&node->clients, channel(), channel_hash(), mail->message, mail->era);
		break;
	}
	message_unref(mail->message);
}

void node_turn_worker(struct node *node, unsigned int n)
{
	struct worker *worker = &node->worker;

	for (; n && worker->n_queue > worker->n_outgoing; n--) {
		struct node_mail mail = worker->queue[0];

		memmove(&worker->queue[0], &worker->queue[1], --worker->n_queue * sizeof(mail));
		take_mail(node, &mail);
	}
	clients_turn(&node->clients);
}

static void on_wish(void *arg, const struct wish *wish)
{
	struct node *node = arg;

	bus_worker_listener(node->bus).wish(node->bus, 0, wish);
}

static void on_spent(void *arg, struct credit *credit)
{
	struct node *node = arg;

	bus_worker_listener(node->bus).spent(node->bus, credit);
}

static void on_join(void *arg, struct join *join)
{
	struct node *node = arg;

	bus_worker_listener(node->bus).join(node->bus, join);
}

static void on_ready(void *arg, void *socket)
{
	(void)arg;
	peer_open(socket);
}

static uint64_t on_now_us(void *arg)
{
	(void)arg;
	return fake_clock_ms * 1000;
}

/* --- Redis --- */

static int paper_subscribe(struct broker *broker, struct slice name)
{
	(void)name;
	((struct node *)broker)->is_wanted = true;
	return 0;
}

static void paper_unsubscribe(struct broker *broker, struct slice name)
{
	struct node *node = (struct node *)broker;

	(void)name;
	node->is_wanted = node->is_subscribed = false;
	node->n_pushes = 0;
}

static enum broker_state paper_state(const struct broker *broker)
{
	return ((const struct node *)broker)->is_away ? BROKER_CONNECTING : BROKER_READY;
}

static int paper_log_read(struct broker *broker, struct slice name, uint64_t from, uint32_t count,
	uint64_t ttl_ms, broker_log_read_fn done, void *arg)
{
	struct node *node = (struct node *)broker;

	(void)name;
	(void)ttl_ms;
	if (node->is_away || node->n_reads == NODE_READS)
		return -ENOTCONN;
	node->reads[node->n_reads++] =
		(struct node_read){.from = from, .count = count, .done = done, .arg = arg};
	return 0;
}

static const struct broker_ops paper_ops = {
	.subscribe = paper_subscribe,
	.unsubscribe = paper_unsubscribe,
	.state = paper_state,
	.log_read = paper_log_read,
};

bool node_has_history(const struct node *node)
{
	struct bus_view view;

	return bus_look(node->bus, channel(), &view) && view.channel_log;
}

void node_publish(struct node *node)
{
	if (node->top == NODE_ENTRIES)
		return;
	node->top++;
	node->excused[node->top] = !node->keeps_history;
	if (node->is_subscribed)
		node->pushes[node->n_pushes++] = node->top;
}

static void push_entry(struct node *node, unsigned int number)
{
	char text[FAKE_LOG_PUSH_MAX];
	size_t len = fake_log_push(&fake_log_epoch, number, text);

	node->up.event(node->up.arg, channel(), (struct slice){text, len});
	node->up.drained(node->up.arg);
}

void node_push(struct node *node)
{
	unsigned int what;

	node_turn_bus(node); /* its mail waits for no more than a turn of its loop */
	if (!node->n_pushes)
		return; /* or it has just left the channel */
	what = node->pushes[0];
	memmove(&node->pushes[0], &node->pushes[1], --node->n_pushes * sizeof(what));
	if (what == NODE_ACKNOWLEDGEMENT) {
		if (node->is_verbose)
			printf("          ack\n");
		node->up.subscribed(node->up.arg, channel());
	} else {
		if (node->is_verbose)
			printf("          push %u hist %d\n", what, node_has_history(node));
		push_entry(node, what);
	}
}

void node_subscribe(struct node *node)
{
	if (node->is_away || node->is_subscribed || !node->is_wanted)
		return;
	node->is_subscribed = true;
	node->pushes[node->n_pushes++] = NODE_ACKNOWLEDGEMENT;
}

void node_execute(struct node *node)
{
	for (size_t i = 0; i < node->n_reads; i++) {
		if (node->reads[i].executed)
			continue;
		node->reads[i].executed = true;
		node->reads[i].top = node->top;
		return;
	}
}

static void finish_read(struct node *node, int r)
{
	static char texts[NODE_ENTRIES + 1][FAKE_LOG_PAYLOAD_MAX];
	struct broker_log_entry entries[NODE_ENTRIES + 1];
	struct node_read read = node->reads[0];
	struct position top = {fake_log_epoch, read.top, fake_log_tag(read.top)};
	size_t n = 0;

	memmove(&node->reads[0], &node->reads[1], --node->n_reads * sizeof(read));
	for (uint64_t i = read.from ? read.from : 1; r == 0 && i <= read.top && n < read.count; i++, n++)
		entries[n] = (struct broker_log_entry){
			i, fake_log_tag(i), {texts[i], fake_log_payload(i, texts[i])}};
	if (node->is_verbose)
		printf("          read from %llu +%u r %d top %llu\n", (unsigned long long)read.from,
			read.count, r, (unsigned long long)top.offset);
	read.done(read.arg, r, r ? NULL : &top, r ? NULL : entries, n);
}

void node_answer(struct node *node)
{
	if (node->n_reads && node->reads[0].executed)
		finish_read(node, 0);
}

void node_cut(struct node *node)
{
	if (node->is_away)
		return;
	node->is_away = true;
	node->is_subscribed = false;
	for (size_t i = 0; i < node->n_pushes && !node_has_history(node); i++)
		node->excused[node->pushes[i]] = true;
	node->n_pushes = 0;
	while (node->n_reads)
		finish_read(node, -EIO);
	if (node->is_wanted)
		node->up.lost(node->up.arg, channel());
	node->up.state(node->up.arg, BROKER_CONNECTING, "");
}

void node_link(struct node *node)
{
	if (!node->is_away)
		return;
	node_turn_bus(node);
	node->is_away = false;
	node->up.state(node->up.arg, BROKER_READY, "");
}

/* --- a node --- */

static struct route_table *make_routes(const struct node *node)
{
	static const char *const name = CHANNEL;
	const struct route_spec spec = {.path = "/ws/x",
		.channels = &name,
		.n_channels = 1,
		.slow = {.policy = node->drops_oldest ? SLOW_DROP_OLDEST : SLOW_DISCONNECT},
		.history = {.size = node->keeps_history ? 1000 : 0,
			.ttl_ms = node->keeps_history ? 86400000 : 0,
			.close_on_gap = node->keeps_history}};
	struct route_table *table = route_table_new();
	struct buf error = {0};

	if (!table || route_table_add(table, &spec, &error) != 0)
		abort();
	return table;
}

static void set_routes(struct node *node)
{
	struct route_table *table = make_routes(node);

	bus_set_routes(node->bus, table);
	clients_configure(&node->clients, &node->clients.limits, table);
	route_table_unref(table);
}

void node_reload(struct node *node)
{
	while (node->n_pushes && node->pushes[0] <= node->top_at_reload) /* none is late by two of them */
		node_push(node);
	node->top_at_reload = node->top;
	node->keeps_history = !node->keeps_history;
	set_routes(node);
}

void node_turn_bus(struct node *node)
{
	event_base_loop(node->base, EVLOOP_NONBLOCK);
}

void node_pass(struct node *node, unsigned int ms)
{
	while (node->n_pushes) /* long enough for what is under way to arrive */
		node_push(node);
	fake_clock_ms += ms;
	node_turn_bus(node);
	clients_set_time(&node->clients, fake_clock_ms, fake_clock_ms);
	clients_tick(&node->clients);
	clients_turn(&node->clients);
}

void node_init(struct node *node, uint64_t seed)
{
	const struct client_limits limits = {.message_bytes_max = 1000,
		.outbox_bytes_max = 300 + seed % 7 * 300,
		.subscriptions_max = 4,
		.ping_interval_ms = UINT64_C(1) << 40, /* no peer answers pings */
		.pong_timeout_ms = 10000};
	const struct clients_listener listener = {
		node, on_wish, on_ready, on_join, on_spent, NULL, NULL, NULL, NULL, NULL, on_now_us, NULL};
	struct route_table *table;

	memset(node, 0, sizeof(*node));
	node->keeps_history = seed % 4;
	node->drops_oldest = seed / 4 % 2;
	node->broker.ops = &paper_ops;
	node->base = event_base_new();
	node->bus = bus_new(node->base, NULL, &node->metrics);
	table = make_routes(node);
	if (!node->bus || clients_init(&node->clients, &listener, &peer_ops, &limits, table, 1, 1, NULL,
				  &node->metrics) < 0)
		abort();
	route_table_unref(table);
	node->up = bus_broker_listener(node->bus);
	node->workers[0] = &node->worker;
	bus_connect(node->bus, &node->broker, node->workers, 1);
	set_routes(node);
	clients_set_time(&node->clients, fake_clock_ms, fake_clock_ms);
	for (int i = 0; i < NODE_PEERS; i++)
		node->peers[i].node = node;
}

void node_deinit(struct node *node)
{
	for (int i = 0; i < NODE_PEERS; i++) {
		peer_leave(&node->peers[i]);
		buf_deinit(&node->peers[i].wire);
	}
	while (node->n_reads)
		finish_read(node, -EIO);
	worker_post_flush(&node->worker);
	node_turn_worker(node, NODE_QUEUE);
	node_turn_bus(node);
	node_turn_worker(node, NODE_QUEUE);
	bus_free(node->bus);
	clients_deinit(&node->clients);
	event_base_free(node->base);
}
