/* Clients: all clients of one worker, and what they share; see the header. */

#include "client/clients.h"

#include <errno.h>

#include "client/actions.h"
#include "client/client.h"
#include "client/delivery.h"
#include "client/lease.h"
#include "client/owed.h"
#include "client/presence.h"
#include "client/recovery.h"
#include "client/slow.h"
#include "client/socket.h"
#include "core/log.h"
#include "hub/hub.h"
#include "mail/confirmation.h"
#include "metrics/metrics.h"
#include "protocol/message.h"
#include "protocol/reply.h"
#include "route/route.h"

static struct client *subscriber_client(struct hub_subscriber *subscriber)
{
	return list_entry(subscriber, struct client, subscriber);
}

static void unpark(struct client *client)
{
	list_remove(&client->due);
	if (!client->held)
		return;
	client_let_in(client);
	client->clients->listener.ready(client->clients->listener.arg, client->socket);
}

void clients_unpark_all(struct clients *clients)
{
	while (!list_empty(&clients->parked))
		unpark(list_entry(clients->parked.next, struct client, due));
}

/* The client of this subscription misses events: tells it, or closes it. */
static void tell_gap(const struct hub_subscription *subscription, struct message *told, bool close_others)
{
	struct client *client = subscriber_client(subscription->subscriber);

	if (client->aware) {
		client_push(client, message_ref(told));
		if (client_is_live(client))
			delivery_note_position(
				client, hub_subscription_channel(subscription), message_pos(told));
	} else if (close_others && client->state == CLIENT_PARKED)
		client->doomed =
			CLOSE_GAP; /* once it is open: no close frame goes before the handshake's answer */
	else if (close_others)
		client_close(client, CLOSE_GAP);
}

/* May events have been published after its `open` that the worker was never handed? */
static bool came_before(const struct hub_subscription *subscription, const struct confirmation *confirmation)
{
	const struct client *client = subscriber_client(subscription->subscriber);

	return confirmation->told && client->let_in_ms && !subscription->muted && !owed_made(subscription) &&
	       (int32_t)((uint32_t)confirmation->from_ms - client->let_in_ms) >= 0;
}

static void on_confirmed(void *arg, struct hub_subscription *subscription)
{
	struct client *client = subscriber_client(subscription->subscriber);
	const struct clients *clients = arg;

	if (came_before(subscription, clients->confirmation)) {
		hub_flush(clients->hub); /* the events before the resync are delivered before it */
		tell_gap(subscription, clients->confirmation->told, clients->confirmation->close_others);
		if (client_is_live(client) && subscription->owed)
			owed_confirmed(client, subscription);
	} else if (client->state == CLIENT_PARKED && --client->n_unconfirmed == 0) {
		unpark(client);
	} else if (subscription->owed) {
		owed_confirmed(client, subscription);
	}
}

static void on_joined(void *arg, struct hub_subscription *subscription)
{
	(void)arg;
	presence_came(subscriber_client(subscription->subscriber), subscription);
}

static void on_left(void *arg, struct hub_subscription *subscription)
{
	(void)arg;
	presence_left(subscriber_client(subscription->subscriber), subscription);
}

static void on_deliver(
	void *arg, struct hub_subscriber *subscriber, const struct hub_batch *batch, bool alone)
{
	(void)arg;
	delivery_batch(subscriber_client(subscriber), batch, alone);
}

static void on_flushed(void *arg)
{
	struct clients *clients = arg;

	if (clients->listener.submit)
		clients->listener.submit(clients->listener.arg);
	delivery_time_settle(clients); /* the batches go now */
}

int clients_init(struct clients *clients, const struct clients_listener *listener,
	const struct socket_ops *ops, const struct client_limits *limits, struct route_table *routes,
	uint64_t first_id, uint64_t id_step, struct log *log, struct metrics *metrics)
{
	struct hub_listener up = {clients, listener->wish, on_confirmed, on_deliver, on_flushed,
		&clients->maker, offsetof(struct client, rights), listener->arg, on_joined, on_left};
	int r;

	*clients = (struct clients){
		.listener = *listener,
		.ops = ops,
		.log = log,
		.metrics = metrics,
		.limits = *limits,
		.next_id = first_id,
		.id_step = id_step,
	};
	list_init(&clients->all);
	list_init(&clients->parked);
	list_init(&clients->blocked);
	list_init(&clients->closing);
	list_init(&clients->flush);
	list_init(&clients->subscribing);
	list_init(&clients->recovering);
	list_init(&clients->pressing);
	list_init(&clients->orders);
	list_init(&clients->roll_calls);
	expiry_init(&clients->expiry, 0);
	keepalive_init(&clients->keepalive, limits->ping_interval_ms, limits->pong_timeout_ms);
	r = form_maker_init(&clients->maker, limits->deflate_bytes_min);
	clients->hub = hub_new(&up);
	if (r < 0 || !clients->hub) {
		clients_deinit(clients);
		return -ENOMEM;
	}
	clients->routes = route_table_ref(routes);
	return 0;
}

void clients_configure(
	struct clients *clients, const struct client_limits *limits, struct route_table *routes)
{
	struct route_table *old = clients->routes;

	clients->limits = *limits;
	clients->routes = route_table_ref(routes);
	presence_configured(clients, old);
	route_table_unref(old);
	keepalive_set(
		&clients->keepalive, limits->ping_interval_ms, limits->pong_timeout_ms, clients->now_ms);
	form_maker_configure(&clients->maker, limits->deflate_bytes_min);
}

void clients_deinit(struct clients *clients)
{
	actions_deinit(clients);
	hub_free(clients->hub);
	form_maker_deinit(&clients->maker);
	route_table_unref(clients->routes);
	*clients = (struct clients){0};
}

void clients_set_time(struct clients *clients, uint64_t now_ms, uint64_t wall_ms)
{
	clients->now_ms = now_ms;
	clients->wall_ms = wall_ms;
}

void clients_expect(struct clients *clients, struct message *const *events, uint32_t n)
{
	hub_expect(clients->hub, events, n);
}

void clients_deliver(struct clients *clients, struct message *event)
{
	if (hub_deliver(clients->hub, event) < 0)
		log_error(clients->log, "event lost: out of memory");
}

void clients_sent(struct clients *clients, const void *cookie, uint32_t n_clients)
{
	const struct hub_batch *batch = cookie;

	clients_count_sent(clients, (uint64_t)batch->n * n_clients, (uint64_t)batch->len * n_clients);
	delivery_time_batch(clients, batch, n_clients);
}

struct passed_over {
	uint32_t n;
	bool entries;
};

static void on_passed_over(void *arg, struct hub_subscription *subscription)
{
	const struct passed_over *passed = arg;

	/* A muted subscription would not have heard them. */
	if (!subscription->muted || (subscription->hears_plain && !passed->entries))
		slow_pass_over(subscriber_client(subscription->subscriber), passed->n, passed->entries);
}

void clients_pass_over(struct clients *clients, const struct message *event, uint32_t n)
{
	struct passed_over passed = {n, event->is_entry};

	hub_each(clients->hub, (struct slice){event->channel, event->channel_len}, event->channel_hash,
		on_passed_over, &passed);
}

void clients_confirm(
	struct clients *clients, struct slice channel, uint64_t hash, const struct confirmation *confirmation)
{
	clients->confirmation = confirmation;
	hub_confirm(clients->hub, channel, hash, confirmation->generation);
	clients->confirmation = NULL;
}

void clients_channel_lost(struct clients *clients, struct slice channel, uint64_t hash)
{
	hub_channel_lost(clients->hub, channel, hash);
}

/* Tells all clients that know recovery. */
static void tell_degraded(struct clients *clients, bool degraded)
{
	struct message *message = degraded ? reply_degraded((struct slice){0}, clients->wall_ms)
					   : reply_restored((struct slice){0}, clients->wall_ms);

	clients->degraded = degraded;
	for (struct list *link = clients->all.next; message && link != &clients->all; link = link->next) {
		struct client *client = list_entry(link, struct client, link);

		if (client->aware)
			client_push(client, message_ref(message));
	}
	message_unref(message);
}

void clients_answered(struct clients *clients, const struct action_answer *answer)
{
	actions_answered(clients, answer);
}

void clients_told_roll(struct clients *clients, struct roll_call *call)
{
	presence_answered(clients, call);
}

void clients_joined(struct clients *clients, struct join *join)
{
	recovery_answered(clients, join);
}

/* One resync, for one subscription after the other. */
struct resync {
	struct message *told;
	bool close_others;
};

static void on_resync(void *arg, struct hub_subscription *subscription)
{
	struct client *client = subscriber_client(subscription->subscriber);
	const struct resync *resync = arg;

	/* Was it told yet, by its handshake or an answer, that it hears everything? */
	bool promised = (client->let_in_ms && !owed_made(subscription)) ||
			(subscription->confirmed && client->state != CLIENT_PARKED);

	/* Not while it waits for an answer about its position, which comes after this and takes it into
	 * account. */
	if (promised && !subscription->muted)
		tell_gap(subscription, resync->told, resync->close_others);
}

void clients_resync(
	struct clients *clients, struct slice channel, uint64_t hash, struct message *told, bool close_others)
{
	struct resync resync = {told, close_others};

	hub_flush(clients->hub); /* the events before it are delivered before it */
	hub_each(clients->hub, channel, hash, on_resync, &resync);
}

static void on_told(void *arg, struct hub_subscription *subscription)
{
	struct client *client = subscriber_client(subscription->subscriber);

	if (client->aware && client->state != CLIENT_PARKED)
		client_push(client, message_ref(arg));
}

void clients_tell(struct clients *clients, struct slice channel, uint64_t hash, struct message *told)
{
	hub_flush(clients->hub);
	hub_each(clients->hub, channel, hash, on_told, told);
}

struct late {
	struct message *event;
	uint16_t era;
};

static void on_late(void *arg, struct hub_subscription *subscription)
{
	const struct late *late = arg;

	bool was_told = subscription->era && (int16_t)(subscription->era - late->era) >= 0;

	if (!subscription->muted && !was_told)
		client_push(subscriber_client(subscription->subscriber), message_ref(late->event));
}

void clients_late(
	struct clients *clients, struct slice channel, uint64_t hash, struct message *event, uint16_t era)
{
	struct late late = {event, era};

	hub_flush(clients->hub);
	hub_each(clients->hub, channel, hash, on_late, &late);
}

void clients_connected(struct clients *clients, bool connected)
{
	clients->connected = connected;
	clients->lost_ms = connected ? 0 : clients->now_ms;
	if (connected && clients->degraded)
		tell_degraded(clients, false);
	if (connected)
		return;
	hub_lost(clients->hub);
	/* Peers need not wait for a broker that is away: they are served when it is back. */
	clients_unpark_all(clients);
}

/* Closes a client that failed while the hub was handing out, when it could not be closed. */
static void close_doomed(struct client *client)
{
	enum close_reason reason = client->doomed;

	client->doomed = 0;
	if (client->state == CLIENT_CLOSING) {
		outbox_deinit(&client->outbox); /* not even the close frame could be sent */
		client->clients->ops->abort(client->socket);
		return;
	}
	client_close(client, reason);
}

static void flush_clients(struct clients *clients)
{
	while (!list_empty(&clients->flush)) {
		struct client *client = list_entry(clients->flush.next, struct client, flush);

		list_remove(&client->flush);
		if (client->doomed)
			close_doomed(client);
		delivery_flush(client);
		if (client_is_answered(client))
			client_close(client, CLOSE_ANSWERED);
	}
}

void clients_turn(struct clients *clients)
{
	hub_flush(clients->hub);
	flush_clients(clients);
	if (clients->n_sent) {
		metrics_add(clients->metrics, METRIC_MESSAGES_OUT, clients->n_sent);
		metrics_add(clients->metrics, METRIC_BYTES_OUT, clients->sent_bytes);
		clients->n_sent = 0;
		clients->sent_bytes = 0;
	}
	delivery_time_turned(clients);
	metrics_set(clients->metrics, METRIC_QUEUED_BYTES, clients->queued_bytes);
	metrics_set(clients->metrics, METRIC_SUBSCRIPTIONS, hub_n_subscriptions(clients->hub));
}

static struct client *keepalive_client(struct keepalive_link *link)
{
	return list_entry(link, struct client, keepalive);
}

static void ask_for_life(struct client *client)
{
	struct keepalive_link *link = &client->keepalive;
	uint32_t n;

	if (client->transport == TRANSPORT_WEBSOCKET) {
		n = client->clients->ops->n_unacked(client->socket, &link->n_acked);
		link->n_before_ping = link->n_acked + n;
	}
	delivery_ping(client);
	if (client->transport != TRANSPORT_WEBSOCKET)
		client_heard(client); /* its kernel answers: see ws/sse_stream.c */
}

/*
 * Has the peer, since that was last looked at, taken bytes that were sent before the ping? The ping stands
 * behind them, and on a slow line the peer may take long to get there. Bytes behind the ping do not count: a
 * peer that takes those has the ping, too.
 */
static bool takes_on(struct client *client)
{
	struct keepalive_link *link = &client->keepalive;
	uint32_t n_acked = link->n_acked;

	if ((int32_t)(link->n_before_ping - n_acked) <= 0)
		return false;
	(void)client->clients->ops->n_unacked(client->socket, &link->n_acked);
	return link->n_acked != n_acked;
}

static void tick_keepalive(struct clients *clients)
{
	struct keepalive_link *link;

	while ((link = keepalive_next_dead(&clients->keepalive, clients->now_ms))) {
		if (takes_on(keepalive_client(link)))
			keepalive_expect(&clients->keepalive, link, clients->now_ms);
		else
			client_close(keepalive_client(link), CLOSE_NO_PONG);
	}
	while ((link = keepalive_next_ping(&clients->keepalive, clients->now_ms)))
		ask_for_life(keepalive_client(link));
}

/* The first client whose deadline has passed, or NULL. */
static struct client *first_due(struct clients *clients, struct list *queue)
{
	struct client *client;

	if (list_empty(queue))
		return NULL;
	client = list_entry(queue->next, struct client, due);
	return client->deadline_ms <= clients->now_ms ? client : NULL;
}

void clients_tick(struct clients *clients)
{
	struct client *client;

	hub_tidy(clients->hub);
	tick_keepalive(clients);
	lease_tick(clients);
	owed_tick(clients);
	recovery_tick(clients);
	actions_tick(clients);
	if (clients->lost_ms && !clients->degraded &&
		clients->now_ms - clients->lost_ms >= CLIENT_DEGRADED_MS)
		tell_degraded(clients, true);
	slow_tick(clients);
	while ((client = first_due(clients, &clients->parked)))
		unpark(client);
	while ((client = first_due(clients, &clients->closing))) {
		list_remove(&client->due);
		clients->ops->abort(client->socket);
	}
}

void clients_abort_all(struct clients *clients)
{
	for (struct list *link = clients->all.next; link != &clients->all; link = link->next)
		clients->ops->abort(list_entry(link, struct client, link)->socket);
}
