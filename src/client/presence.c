/* Presence: tells the bus which users are on which channels; see the header. */

#include "client/presence.h"

#include <errno.h>

#include "auth/identity.h"
#include "client/answer.h"
#include "client/client.h"
#include "client/clients.h"
#include "client/owed.h"
#include "core/buf.h"
#include "mail/presence.h"
#include "protocol/command.h"
#include "protocol/reply.h"
#include "route/route.h"

/* A JSON object of the user, and what the route tells of it; nothing for a connection without one. */
static void write_user(const struct client *client, const struct route_presence *presence, struct buf *out)
{
	struct slice user = rights_user(&client->rights), info = {0};

	if (!user.len)
		return;
	buf_append_str(out, "{\"user\":");
	buf_append_json_string(out, user.data, user.len);
	if (presence->info) /* behind the '=' of its name: see route_table_claims() */
		info = identity_claim(rights_identity(&client->rights), presence->info - 1);
	if (info.data) {
		buf_append_str(out, ",\"info\":");
		buf_append_json_string(out, info.data, info.len);
	}
	buf_append_char(out, '}');
}

/* Without memory for it the bus never hears of this connection, neither that it came nor that it left. */
static bool say(struct client *client, struct slice channel, struct slice text, bool is_here)
{
	const struct clients_listener *up = &client->clients->listener;
	struct presence_change *change =
		presence_change_new(channel, rights_user(&client->rights), text, is_here);

	if (change)
		up->presence(up->arg, change);
	return change;
}

void presence_came(struct client *client, struct hub_subscription *subscription)
{
	const struct route_table *routes = client->clients->routes;
	struct slice channel;
	const struct route_presence *presence;
	struct buf text = {0};

	if (client->state != CLIENT_OPEN || subscription->present || !route_table_keeps_presence(routes))
		return;
	channel = hub_subscription_channel(subscription);
	presence = route_table_presence(routes, channel);
	if (!presence)
		return;
	write_user(client, presence, &text);
	subscription->present = !text.failed && say(client, channel, buf_slice(&text), true);
	buf_deinit(&text);
}

void presence_opened(struct client *client)
{
	if (!route_table_keeps_presence(client->clients->routes))
		return;
	for (struct hub_subscription *s = client->subscriber.first; s; s = s->next)
		presence_came(client, s);
}

void presence_left(struct client *client, struct hub_subscription *subscription)
{
	struct slice channel = hub_subscription_channel(subscription);

	subscription->present = false;
	/* One user too many until the next start, if there is no memory for it. */
	(void)say(client, channel, (struct slice){0}, false);
}

void presence_configured(struct clients *clients, const struct route_table *old)
{
	const struct route_table *new = clients->routes;

	if (!route_table_keeps_presence(old) && !route_table_keeps_presence(new))
		return;
	for (struct list *link = clients->all.next; link != &clients->all; link = link->next) {
		struct client *client = list_entry(link, struct client, link);

		for (struct hub_subscription *s = client->subscriber.first; s; s = s->next) {
			if (!s->present)
				presence_came(client, s);
			else if (!route_table_presence(new, hub_subscription_channel(s)))
				presence_left(client, s);
		}
	}
}

/* --- questions --- */

/* May it ask that, now? If not, it was told why. */
static bool may_ask(struct client *client, const struct command *command, struct slice channel)
{
	rights_follow(&client->rights, client->clients->routes);
	if (!rights_may_subscribe(&client->rights, channel)) {
		answer_error(client, command->id, "forbidden", "this connection may not know who is there",
			(struct slice){0});
		client_failed(client);
	} else if (!route_table_presence(client->clients->routes, channel)) {
		answer_error(client, command->id, "unsupported",
			"this gateway does not keep who is on that channel", channel);
	} else if (client->asks_presence) {
		answer_retry(
			client, command->id, "busy", "this connection has asked that a moment ago", channel);
	} else if (!owed_may_ask(client)) {
		answer_retry(client, command->id, "rate", "this connection asks too often", channel);
		client_failed(client);
	} else {
		return true;
	}
	return false;
}

void presence_ask(struct client *client, const struct command *command)
{
	struct clients *clients = client->clients;
	struct slice channel = {command->channel, command->channel_len};
	struct roll_call *call;

	if (!may_ask(client, command, channel))
		return;
	call = roll_call_new(clients->worker, channel, command->id, client);
	if (!call || clients->listener.roll_call(clients->listener.arg, call) < 0) {
		roll_call_free(call);
		answer_retry(client, command->id, "unavailable", "the gateway is out of memory", channel);
		return;
	}
	list_push_back(&clients->roll_calls, &call->owned);
	client->asks_presence = true;
}

static void tell_roll(struct client *client, const struct roll_call *call)
{
	const struct roll *roll = call->roll;
	const struct reply_roll told = {
		roll->n_users, roll->n_anonymous, roll->names, {roll->text, roll->len}};

	client_push(client,
		reply_presence(roll_call_id(call), roll_call_channel(call), &told, client->clients->wall_ms));
}

void presence_answered(struct clients *clients, struct roll_call *call)
{
	struct client *client = call->owner;

	(void)clients;
	list_remove(&call->owned);
	if (client) {
		client->asks_presence = false;
		if (call->r == 0)
			tell_roll(client, call);
		else
			answer_retry(client, roll_call_id(call), "unavailable",
				"who is there cannot be looked up right now", roll_call_channel(call));
	}
	roll_call_free(call);
}

void presence_forget(struct client *client)
{
	struct clients *clients = client->clients;

	if (!client->asks_presence)
		return;
	client->asks_presence = false;
	for (struct list *link = clients->roll_calls.next; link != &clients->roll_calls; link = link->next) {
		struct roll_call *call = list_entry(link, struct roll_call, owned);

		if (call->owner == client)
			call->owner = NULL;
	}
}
