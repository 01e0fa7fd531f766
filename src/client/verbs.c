/* Verbs: the commands of a client, one row each. */

#include "client/verbs.h"

#include <string.h>

#include "client/actions.h"
#include "client/answer.h"
#include "client/client.h"
#include "client/clients.h"
#include "client/owed.h"
#include "client/presence.h"
#include "client/recovery.h"
#include "client/renewal.h"
#include "protocol/command.h"
#include "protocol/json.h"
#include "protocol/reply.h"
#include "route/route.h"

static const struct slice absent = {0};

#define MAY_NOT "this connection may not subscribe to that channel"

static struct slice command_channel(const struct command *command)
{
	return (struct slice){command->channel, command->channel_len};
}

/* A subscribe, with the history that it wants. */
struct request {
	struct slice id;
	bool recovers;
	struct since since; /* if it does */
};

/* Where the client was, or that it wants to know where it is. */
static struct request read_request(const struct command *command)
{
	struct request request = {
		.id = command->id, .recovers = command->recover, .since = {.kind = SINCE_NOW}};
	char text[POSITION_TEXT_MAX + 1];
	long len;

	if (!command->since.data)
		return request;
	len = json_is_string(command->since) ? json_unescape(command->since, text, sizeof(text)) : -1;
	request.recovers = true;
	request.since = len < 0 ? (struct since){.kind = SINCE_MALFORMED}
				: since_parse((struct slice){text, (size_t)len});
	return request;
}

/* May the client have one more subscription, and wait for one more answer? If not, it was told why. */
static bool has_room(struct client *client, const struct hub_subscription *subscription, struct slice id,
	struct slice channel)
{
	if (client->subscriber.n >= client->clients->limits.subscriptions_max && !subscription) {
		answer_error(client, id, "too_many_subscriptions",
			"this connection has as many subscriptions as it may have", channel);
		return false;
	}
	if (owed_has_room(client))
		return true;
	answer_error(client, id, "busy", "this connection waits for as many answers as it may", channel);
	return false;
}

/* May the client have one more subscription, and ask the node for it? If not, it was told why. */
static bool may_subscribe(struct client *client, const struct request *request, struct slice channel)
{
	const struct hub_subscription *subscription =
		hub_find(client->clients->hub, &client->subscriber, channel);

	if (!has_room(client, subscription, request->id, channel))
		return false;
	if ((!subscription || !subscription->confirmed || request->recovers) && !owed_may_ask(client)) {
		answer_retry(client, request->id, "rate", "this connection subscribes too often", channel);
		client_failed(client);
		return false;
	}
	return true;
}

/* The client has the subscription from now on, and is answered at once or later. NULL: it was closed. */
static struct hub_subscription *join(
	struct client *client, const struct request *request, struct slice channel)
{
	struct hub_subscription *subscription;
	int r = hub_subscribe(client->clients->hub, &client->subscriber, channel, &subscription);

	if (r < 0)
		client_close(client, CLOSE_INTERNAL);
	else if (request->recovers && subscription->recovery && !recovery_is_late(subscription))
		answer_error(client, request->id, "busy", "the channel is being recovered already", channel);
	else if (request->recovers)
		recovery_begin(client, subscription, &request->since, request->id, false);
	else if (subscription->confirmed)
		answer_subscribed(client, request->id, channel);
	else
		owed_add(client, subscription, request->id, r == 0);
	return client->state == CLIENT_OPEN ? hub_find(client->clients->hub, &client->subscriber, channel)
					    : NULL;
}

/* Subscribes to a valid channel that this connection may have, and answers now or later. */
static void subscribe(struct client *client, const struct request *request, struct slice channel)
{
	if (may_subscribe(client, request, channel))
		(void)join(client, request, channel);
}

bool verbs_grant(struct client *client, struct slice channel)
{
	const struct request request = {0};
	struct hub_subscription *subscription = hub_find(client->clients->hub, &client->subscriber, channel);

	if (!has_room(client, subscription, absent, channel))
		return false;
	subscription = join(client, &request, channel);
	if (subscription)
		subscription->granted = true;
	return subscription;
}

static void forbid(struct client *client, struct slice id, const char *message)
{
	answer_error(client, id, "forbidden", message, absent);
	client_failed(client);
}

/* Without a channel, a subscribe means the channels that the route joins: clients that know only
 * one channel say this. */
static void subscribe_to_route(struct client *client, const struct request *request)
{
	char name[ROUTE_CHANNEL_MAX + 1];
	struct route_match match;

	rights_match(&client->rights, &match);
	if (route_n_channels(match.route) == 0)
		answer_error(client, request->id, command_error_code(COMMAND_MISSING_CHANNEL),
			command_error_message(COMMAND_MISSING_CHANNEL), absent);
	for (size_t i = 0; i < route_n_channels(match.route) && client->state == CLIENT_OPEN; i++) {
		struct slice channel = {name, route_channel(&match, i, name)};

		/* A token that was renewed since may not have them. */
		if (rights_may_subscribe(&client->rights, channel))
			subscribe(client, request, channel);
		else
			forbid(client, request->id, MAY_NOT);
	}
}

static void run_subscribe(struct client *client, const struct command *command)
{
	struct slice channel = command_channel(command);
	struct request request = read_request(command);

	/* Checked here and not at a reload: so only clients that ask pay for it. */
	rights_follow(&client->rights, client->clients->routes);
	if (!channel.len)
		subscribe_to_route(client, &request);
	else if (!rights_may_subscribe(&client->rights, channel))
		forbid(client, command->id, MAY_NOT);
	else
		subscribe(client, &request, channel);
}

static void leave(struct client *client, struct slice id, struct slice channel)
{
	struct hub *hub = client->clients->hub;
	struct hub_subscription *subscription = hub_find(hub, &client->subscriber, channel);

	/* A subscribe from a moment ago that is not answered yet is answered first: every
	 * command gets an answer. */
	if (subscription && subscription->owed) {
		owed_confirmed(client, subscription);
		subscription =
			hub_find(hub, &client->subscriber, channel); /* gone if that closed the client */
	}
	if (subscription && subscription->recovery) {
		recovery_give_up(client, subscription);
		subscription = hub_find(hub, &client->subscriber, channel);
	}
	if (subscription)
		hub_unsubscribe(hub, subscription);
	client_push(client, reply_unsubscribed(id, channel, client->clients->wall_ms));
}

static void run_unsubscribe(struct client *client, const struct command *command)
{
	struct slice channel = command_channel(command);

	if (route_channel_valid(channel.data, channel.len))
		leave(client, command->id, channel);
	else
		forbid(client, command->id, "there is no such channel");
}

bool verbs_take_away(struct client *client, struct slice channel)
{
	if (!hub_find(client->clients->hub, &client->subscriber, channel))
		return false;
	leave(client, absent, channel);
	return true;
}

static void run_auth(struct client *client, const struct command *command)
{
	renewal_run(client, command->id, command->token);
}

static void run_ping(struct client *client, const struct command *command)
{
	client_push(client, reply_pong(command->id, client->clients->wall_ms));
}

static void run_action(struct client *client, const struct command *command)
{
	actions_begin(client, command);
}

static void run_presence(struct client *client, const struct command *command)
{
	presence_ask(client, command);
}

void verbs_run(struct client *client, const struct command *command)
{
	static void (*const verbs[])(struct client *, const struct command *) = {
		[COMMAND_SUBSCRIBE] = run_subscribe,
		[COMMAND_UNSUBSCRIBE] = run_unsubscribe,
		[COMMAND_AUTH] = run_auth,
		[COMMAND_PING] = run_ping,
		[COMMAND_ACTION] = run_action,
		[COMMAND_PRESENCE] = run_presence,
	};

	verbs[command->type](client, command);
}
