/* Renewal: a client shows a newer token; see the header. */

#include "client/renewal.h"

#include <errno.h>
#include <string.h>

#include "client/answer.h"
#include "client/client.h"
#include "client/clients.h"
#include "client/lease.h"
#include "client/owed.h"
#include "client/recovery.h"
#include "protocol/reply.h"
#include "route/route.h"

static const struct slice absent = {0};

/* What was asked for a moment ago is answered before the subscription ends: every command gets an answer. */
static void end_subscription(
	struct client *client, struct hub_subscription *subscription, struct slice channel)
{
	struct hub *hub = client->clients->hub;

	if (subscription->owed) {
		owed_unavailable(client, subscription);
		subscription = hub_find(hub, &client->subscriber, channel);
	}
	if (subscription && subscription->recovery) {
		recovery_give_up(client, subscription);
		subscription = hub_find(hub, &client->subscriber, channel);
	}
	if (subscription)
		hub_unsubscribe(hub, subscription);
	client_push(client, reply_revoked(channel, client->clients->wall_ms));
}

static void end_what_is_lost(struct client *client)
{
	struct hub_subscription *next;
	char name[ROUTE_CHANNEL_MAX + 1];

	/* A client that is closed meanwhile has none of them any more. */
	for (struct hub_subscription *s = client->subscriber.first; s && client->state == CLIENT_OPEN;
		s = next) {
		struct slice channel = hub_subscription_channel(s);

		next = s->next;
		if (s->granted || rights_may_subscribe(&client->rights, channel))
			continue;
		memcpy(name, channel.data, channel.len); /* the channel goes with its last subscription */
		end_subscription(client, s, (struct slice){name, channel.len});
	}
}

static void take_identity(struct client *client, struct slice id, struct identity *identity)
{
	if (rights_renew(&client->rights, identity) != 0) {
		client_close(client, CLOSE_TOKEN_INVALID);
		return;
	}
	rights_follow(&client->rights, client->clients->routes);
	lease_run(client);
	client_push(client, reply_authenticated(id, lease_left_ms(client), client->clients->wall_ms));
	end_what_is_lost(client);
}

static void refuse(struct client *client, struct slice id, int outcome)
{
	if (outcome == CLIENT_TOKEN_LATER) {
		answer_retry(client, id, "keys_refreshing", "the key to that token is being fetched", absent);
		return;
	}
	if (outcome == CLIENT_TOKEN_EXPIRED)
		answer_error(client, id, "token_expired",
			"that token has expired; the one before still holds", absent);
	else
		answer_error(client, id, "token_invalid",
			"that token is not good; the one before still holds", absent);
	client_failed(client);
}

/* May the client show a token? If not, it was told why. */
static bool may_renew(struct client *client, struct slice id)
{
	if (!client->clients->limits.takes_tokens)
		answer_error(
			client, id, "unsupported", "this gateway has no keys to check a token with", absent);
	else if (!client->lease)
		answer_error(client, id, "forbidden",
			"this connection came without a token and stays so: open another one with it",
			absent);
	else if (!lease_may_renew(client))
		answer_retry(client, id, "rate", "this connection shows tokens too often", absent);
	else
		return true;
	return false;
}

/* A token has no character that JSON would escape; with one it would be malformed. */
static struct slice bare(struct slice token)
{
	return (struct slice){token.data + 1, token.len - 2};
}

void renewal_run(struct client *client, struct slice id, struct slice token)
{
	const struct clients_listener *up = &client->clients->listener;
	struct identity *identity = NULL;
	int r;

	if (!may_renew(client, id))
		return;
	r = up->identify(up->arg, client, bare(token), &identity);
	if (r == 0)
		take_identity(client, id, identity);
	else if (r < 0)
		client_close(client, CLOSE_INTERNAL);
	else if (r == CLIENT_TOKEN_REVOKED)
		client_close(client, CLOSE_TOKEN_REVOKED);
	else
		refuse(client, id, r);
}
