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
#include "recovery.h"

enum {
	UNANSWERED_SPARE = 16, /* for who may have one subscription, and says so again and again */
};

/* One subscribe that is answered once the node's own subscription is confirmed. Owned by the subscription. */
struct owed_answer {
	struct list link;         /* in clients.subscribing */
	struct owed_answer *next; /* of the same subscription, older */
	uint64_t deadline_ms;
	struct client *client;
	struct hub_subscription *subscription;
	bool subscribed; /* this one made the subscription; without a confirmation it goes again */
	bool recover;    /* it wanted a history, and the channel keeps none */
	size_t id_len;
	char id[COMMAND_ID_MAX];
};

static const struct slice absent = {0};

static struct slice command_channel(const struct command *command)
{
	return (struct slice){command->channel, command->channel_len};
}

static void push_refusal(struct client *client, struct slice id, const char *code, const char *message,
	struct slice channel, uint64_t retry_ms)
{
	metrics_add(client->clients->metrics, METRIC_CLIENT_ERRORS, 1);
	client_push(client, reply_error(id, code, message, channel, retry_ms, client->clients->wall_ms));
}

static void push_error(
	struct client *client, struct slice id, const char *code, const char *message, struct slice channel)
{
	push_refusal(client, id, code, message, channel, 0);
}

/* What may go well after a while. */
static void push_retry(
	struct client *client, struct slice id, const char *code, const char *message, struct slice channel)
{
	push_refusal(client, id, code, message, channel, CLIENT_RETRY_MS);
}

static void push_subscribed(struct client *client, struct slice id, struct slice channel)
{
	client_push(client, reply_subscribed(id, channel, client->clients->wall_ms));
}

static struct slice owed_id(const struct owed_answer *owed)
{
	return (struct slice){owed->id_len ? owed->id : NULL, owed->id_len};
}

static void push_owed(struct client *client, const struct owed_answer *owed, struct slice channel)
{
	const struct reply_recovery none = {0};

	if (owed->recover)
		client_push(client, reply_recovered(owed_id(owed), channel, &none, client->clients->wall_ms));
	else
		push_subscribed(client, owed_id(owed), channel);
}

/* Takes the owed answers away from the subscription, oldest first. */
static struct owed_answer *take_owed(struct hub_subscription *subscription)
{
	struct owed_answer *owed = subscription->owed, *oldest_first = NULL;

	while (owed) {
		struct owed_answer *next = owed->next;

		list_remove(&owed->link);
		owed->client->n_unanswered--;
		owed->next = oldest_first;
		oldest_first = owed;
		owed = next;
	}
	subscription->owed = NULL;
	return oldest_first;
}

static void free_owed(struct owed_answer *owed)
{
	while (owed) {
		struct owed_answer *next = owed->next;

		free(owed);
		owed = next;
	}
}

void verbs_forget(struct hub_subscription *subscription)
{
	free_owed(take_owed(subscription));
}

void verbs_subscribed(struct client *client, struct hub_subscription *subscription)
{
	char name[ROUTE_CHANNEL_MAX];
	struct slice channel = hub_subscription_channel(subscription);
	struct owed_answer *owed = take_owed(subscription);

	/* Pushing may close the client, and with it the subscription goes: nothing of it is touched
	 * afterwards. */
	memcpy(name, channel.data, channel.len);
	channel.data = name;
	for (struct owed_answer *one = owed; one; one = one->next)
		push_owed(client, one, channel);
	free_owed(owed);
}

void verbs_unavailable(struct client *client, struct hub_subscription *subscription)
{
	char name[ROUTE_CHANNEL_MAX];
	struct slice channel = hub_subscription_channel(subscription);
	struct owed_answer *owed = take_owed(subscription);

	memcpy(name, channel.data, channel.len);
	channel.data = name;
	if (owed->subscribed && !subscription->recovery)
		hub_unsubscribe(client->clients->hub, subscription);
	for (struct owed_answer *one = owed; one; one = one->next)
		push_retry(client, owed_id(one), "unavailable", "the channel cannot be joined right now",
			channel);
	free_owed(owed);
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

/* Remembers to answer. NULL: without memory for it the client is closed. */
static struct owed_answer *owe_answer(
	struct client *client, struct hub_subscription *subscription, struct slice id, bool subscribed)
{
	struct clients *clients = client->clients;
	struct owed_answer *owed = calloc(1, sizeof(struct owed_answer));

	if (!owed) {
		client_close(client, CLOSE_INTERNAL);
		return NULL;
	}
	owed->client = client;
	owed->subscription = subscription;
	owed->deadline_ms = clients->now_ms + CLIENT_SUBSCRIBE_MS;
	if (id.data)
		memcpy(owed->id, id.data, id.len); /* COMMAND_ID_MAX was checked with the command */
	owed->id_len = id.len;
	owed->subscribed = subscribed;
	client->n_unanswered++;
	owed->next = subscription->owed;
	subscription->owed = owed;
	list_push_back(&clients->subscribing, &owed->link);
	return owed;
}

void verbs_owe_without_history(struct client *client, struct hub_subscription *subscription, struct slice id)
{
	struct owed_answer *owed = owe_answer(client, subscription, id, true);

	if (owed)
		owed->recover = true;
}

/* Did it say where it was (data.since), or that it wants to know where it is (data.recover)? */
static bool wants_recovery(const struct command *command, struct since *since)
{
	struct json_member members[] = {{.name = "since"}, {.name = "recover"}};
	char text[POSITION_TEXT_MAX + 1];
	bool is_object;
	long len;

	if (!command->data.data ||
		json_check(command->data.data, command->data.len, COMMAND_DEPTH_MAX, members, 2, &is_object))
		return false;
	*since = (struct since){.kind = SINCE_NOW};
	if (!members[0].value.data)
		return members[1].value.len == 4 && !memcmp(members[1].value.data, "true", 4);
	len = json_is_string(members[0].value) ? json_unescape(members[0].value, text, sizeof(text)) : -1;
	*since = len < 0 ? (struct since){.kind = SINCE_MALFORMED}
			 : since_parse((struct slice){text, (size_t)len});
	return true;
}

/*
 * The table may have been replaced since the connection was made. What it may subscribe to is what the newest
 * says, as long as that has its route unchanged. Looked at here and not with the reload: who asks pays for
 * it.
 */
static void follow_routes(struct client *client)
{
	struct route_table *newest = client->clients->routes;
	const struct route *route;

	if (client->routes == newest)
		return;
	route = route_table_find(newest, route_path(client->route));
	if (!route || !route_serves_alike(route, client->route))
		return;
	client->route = route;
	route_table_unref(client->routes);
	client->routes = route_table_ref(newest);
}

/*
 * While Redis does not answer, each subscribe is remembered until its time is over, as a client sends them.
 * Those of a client that means well fit: all that it may subscribe to, and all of it once more.
 */
static uint32_t unanswered_max(const struct clients *clients)
{
	return 2 * clients->limits.subscriptions_max + UNANSWERED_SPARE;
}

/*
 * May it ask the node for something more? A subscribe that is not answered at once is work for the bus and
 * for Redis, and the channel lingers when it is left. A connection that subscribes and leaves in turn would
 * queue more of that than all others together: so it has a burst, and then a steady rate.
 */
static bool may_ask(struct client *client)
{
	const struct clients *clients = client->clients;
	uint64_t burst_ms =
		(2 * (uint64_t)clients->limits.subscriptions_max + CLIENT_ASKS_MORE) * CLIENT_ASK_MS;

	if (client->asks_ms < clients->now_ms)
		client->asks_ms = clients->now_ms;
	if (client->asks_ms + CLIENT_ASK_MS > clients->now_ms + burst_ms)
		return false;
	client->asks_ms += CLIENT_ASK_MS;
	return true;
}

/* Is there room for one more, and for what it asks of the node? False: it was told why not. */
static bool may_subscribe(struct client *client, const struct command *command, struct slice channel)
{
	const struct clients *clients = client->clients;
	const struct hub_subscription *subscription = hub_find(clients->hub, &client->subscriber, channel);
	struct since since;

	if (client->subscriber.n >= clients->limits.subscriptions_max && !subscription) {
		push_error(client, command->id, "too_many_subscriptions",
			"this connection has as many subscriptions as it may have", channel);
		return false;
	}
	if (client->n_unanswered >= unanswered_max(clients)) {
		push_error(client, command->id, "busy", "this connection waits for as many answers as it may",
			channel);
		return false;
	}
	if ((!subscription || !subscription->joined || wants_recovery(command, &since)) && !may_ask(client)) {
		push_retry(client, command->id, "rate", "this connection subscribes too often", channel);
		return false;
	}
	return true;
}

/* Subscribes to a valid channel that this connection may have, and answers now or later. */
static void subscribe(struct client *client, const struct command *command, struct slice channel)
{
	struct clients *clients = client->clients;
	struct hub_subscription *subscription;
	struct since since;
	int r;

	if (!may_subscribe(client, command, channel))
		return;
	r = hub_subscribe(clients->hub, &client->subscriber, channel, &subscription);
	if (r < 0)
		client_close(client, CLOSE_INTERNAL);
	else if (wants_recovery(command, &since) && subscription->recovery && !recovery_is_late(subscription))
		push_error(client, command->id, "busy", "the channel is being recovered already", channel);
	else if (wants_recovery(command, &since))
		recovery_begin(client, subscription, &since, command->id, false);
	else if (subscription->joined)
		push_subscribed(client, command->id, channel);
	else
		(void)owe_answer(client, subscription, command->id, r == 0);
}

/* Without a channel it means those that the route joins: what clients say that know of one channel only. */
static void subscribe_to_route(struct client *client, const struct command *command)
{
	char name[ROUTE_CHANNEL_MAX + 1];
	struct route_match match;

	route_rematch(client->route, client->ids ? client->ids : "", &match);
	if (route_n_channels(match.route) == 0)
		push_error(client, command->id, command_error_code(COMMAND_MISSING_CHANNEL),
			command_error_message(COMMAND_MISSING_CHANNEL), absent);
	for (size_t i = 0; i < route_n_channels(match.route) && client->state == CLIENT_OPEN; i++)
		subscribe(client, command, (struct slice){name, route_channel(&match, i, name)});
}

static void run_subscribe(struct client *client, const struct command *command)
{
	struct slice channel = command_channel(command);

	follow_routes(client);
	if (!channel.len)
		subscribe_to_route(client, command);
	/* A name that cannot exist and one that is not allowed get the same answer: names cannot be probed.
	 */
	else if (!route_channel_valid(channel.data, channel.len) ||
		 !route_may_subscribe_own(client->routes, client->route, client->ids ? client->ids : "",
			 channel.data, channel.len))
		push_error(client, command->id, "forbidden",
			"this connection may not subscribe to that channel", absent);
	else
		subscribe(client, command, channel);
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
	/* Who subscribed a moment ago and was not answered yet is answered first: nothing that is asked goes
	 * unanswered. */
	if (subscription && subscription->owed) {
		verbs_subscribed(client, subscription);
		subscription = hub_find(
			clients->hub, &client->subscriber, channel); /* gone if that closed the client */
	}
	if (subscription && subscription->recovery) {
		recovery_give_up(client, subscription);
		subscription = hub_find(clients->hub, &client->subscriber, channel);
	}
	if (subscription)
		hub_unsubscribe(clients->hub, subscription);
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
