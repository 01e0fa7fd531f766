/* Verbs: what a client may ask, one row each. */

#include "verbs.h"

#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "client/clients.h"
#include "metrics/metrics.h"
#include "protocol/command.h"
#include "protocol/reply.h"
#include "route/route.h"

/* A subscribe that is answered once the node's own subscription is confirmed. Owned by the subscription. */
struct owed_answer {
	struct list link; /* in clients.subscribing */
	uint64_t deadline_ms;
	struct client *client;
	struct hub_subscription *subscription;
	size_t id_len;
	char id[COMMAND_ID_MAX];
};

static const struct slice absent = {0};

static struct slice command_channel(const struct command *command)
{
	return (struct slice){command->channel, command->channel_len};
}

static void push_error(
	struct client *client, struct slice id, const char *code, const char *message, struct slice channel)
{
	metrics_add(client->clients->metrics, METRIC_CLIENT_ERRORS, 1);
	client_push(client, reply_error(id, code, message, channel, 0, client->clients->wall_ms));
}

static void push_subscribed(struct client *client, struct slice id, struct slice channel)
{
	client_push(client, reply_subscribed(id, channel, client->clients->wall_ms));
}

void verbs_forget(struct hub_subscription *subscription)
{
	struct owed_answer *owed = subscription->owed;

	if (!owed)
		return;
	list_remove(&owed->link);
	free(owed);
	subscription->owed = NULL;
}

void verbs_subscribed(struct client *client, struct hub_subscription *subscription)
{
	struct owed_answer *owed = subscription->owed;

	push_subscribed(client, (struct slice){owed->id_len ? owed->id : NULL, owed->id_len},
		hub_subscription_channel(subscription));
	verbs_forget(subscription);
}

void verbs_unavailable(struct client *client, struct hub_subscription *subscription)
{
	struct owed_answer *owed = subscription->owed;
	struct slice id = {owed->id_len ? owed->id : NULL, owed->id_len};

	metrics_add(client->clients->metrics, METRIC_CLIENT_ERRORS, 1);
	client_push(client,
		reply_error(id, "unavailable", "the channel cannot be joined right now",
			hub_subscription_channel(subscription), CLIENT_RETRY_MS, client->clients->wall_ms));
	verbs_forget(subscription);
	hub_unsubscribe(client->clients->hub, subscription);
}

void verbs_tick(struct clients *clients)
{
	while (!list_empty(&clients->subscribing)) {
		struct owed_answer *owed = list_entry(clients->subscribing.next, struct owed_answer, link);

		if (owed->deadline_ms > clients->now_ms)
			return;
		verbs_unavailable(owed->client, owed->subscription);
	}
}

/* Remembers to answer. Without memory for it the peer is told at once that it cannot be. */
static void owe_answer(struct client *client, struct hub_subscription *subscription, struct slice id)
{
	struct clients *clients = client->clients;
	struct owed_answer *owed = calloc(1, sizeof(struct owed_answer));

	if (!owed) {
		client_close(client, CLOSE_INTERNAL);
		return;
	}
	owed->client = client;
	owed->subscription = subscription;
	owed->deadline_ms = clients->now_ms + CLIENT_SUBSCRIBE_MS;
	if (id.data)
		memcpy(owed->id, id.data, id.len); /* COMMAND_ID_MAX was checked with the command */
	owed->id_len = id.len;
	subscription->owed = owed;
	list_push_back(&clients->subscribing, &owed->link);
}

static void run_subscribe(struct client *client, const struct command *command)
{
	struct clients *clients = client->clients;
	struct slice channel = command_channel(command);
	struct hub_subscription *subscription;
	int r;

	/* A name that cannot exist and one that is not allowed get the same answer: names cannot be probed.
	 */
	if (!route_channel_valid(channel.data, channel.len) ||
		!route_may_subscribe(client->routes, client->route, channel.data, channel.len)) {
		push_error(client, command->id, "forbidden",
			"this connection may not subscribe to that channel", absent);
		return;
	}
	if (client->subscriber.n >= clients->limits.subscriptions_max &&
		!hub_find(clients->hub, &client->subscriber, channel)) {
		push_error(client, command->id, "too_many_subscriptions",
			"this connection has as many subscriptions as it may have", channel);
		return;
	}
	r = hub_subscribe(clients->hub, &client->subscriber, channel, &subscription);
	if (r < 0)
		client_close(client, CLOSE_INTERNAL);
	else if (subscription->joined || subscription->owed || r == HUB_ALREADY)
		push_subscribed(client, command->id, channel);
	else
		owe_answer(client, subscription, command->id);
}

static void run_unsubscribe(struct client *client, const struct command *command)
{
	struct clients *clients = client->clients;
	struct slice channel = command_channel(command);
	struct hub_subscription *subscription = hub_find(clients->hub, &client->subscriber, channel);

	if (!route_channel_valid(channel.data, channel.len)) {
		push_error(client, command->id, "forbidden", "there is no such channel", absent);
		return;
	}
	if (subscription) {
		verbs_forget(subscription);
		hub_unsubscribe(clients->hub, subscription);
	}
	client_push(client, reply_unsubscribed(command->id, channel, clients->wall_ms));
}

static void run_ping(struct client *client, const struct command *command)
{
	client_push(client, reply_pong(command->id, client->clients->wall_ms));
}

static void run_action(struct client *client, const struct command *command)
{
	push_error(client, command->id, "unsupported", "this gateway does not carry actions to a backend",
		absent);
}

void verbs_run(struct client *client, const struct command *command)
{
	static void (*const verbs[])(struct client *, const struct command *) = {
		[COMMAND_SUBSCRIBE] = run_subscribe,
		[COMMAND_UNSUBSCRIBE] = run_unsubscribe,
		[COMMAND_PING] = run_ping,
		[COMMAND_ACTION] = run_action,
	};

	verbs[command->type](client, command);
}
