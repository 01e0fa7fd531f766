/* Owed: the answers that a client waits for; see the header. */

#include "client/owed.h"

#include <stdlib.h>
#include <string.h>

#include "client/answer.h"
#include "client/client.h"
#include "client/clients.h"
#include "protocol/command.h"
#include "protocol/reply.h"
#include "route/route.h"

enum {
	/* for a client that may have one subscription and says the same subscribe again and again */
	UNANSWERED_SPARE = 16,
};

/* A subscribe that will be answered once the node's own subscription is confirmed. Owned by
 * the subscription. */
struct owed_answer {
	struct list link;         /* in clients.subscribing */
	struct owed_answer *next; /* of the same subscription, older */
	uint64_t deadline_ms;
	struct client *client;
	struct hub_subscription *subscription;
	bool made;    /* this command made the subscription, which goes again without a confirmation */
	bool recover; /* it wanted a history, but the channel keeps none */
	size_t id_len;
	char id[COMMAND_ID_MAX];
};

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
		answer_subscribed(client, owed_id(owed), channel);
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

void owed_forget(struct hub_subscription *subscription)
{
	free_owed(take_owed(subscription));
}

/* Pushing may close the client, and with it the subscription goes: nothing of it is touched afterwards, and
 * its name is kept. */
static struct slice keep_name(const struct hub_subscription *subscription, char name[ROUTE_CHANNEL_MAX])
{
	struct slice channel = hub_subscription_channel(subscription);

	memcpy(name, channel.data, channel.len);
	channel.data = name;
	return channel;
}

void owed_confirmed(struct client *client, struct hub_subscription *subscription)
{
	char name[ROUTE_CHANNEL_MAX];
	struct slice channel = keep_name(subscription, name);
	struct owed_answer *owed = take_owed(subscription);

	for (struct owed_answer *one = owed; one; one = one->next)
		push_owed(client, one, channel);
	free_owed(owed);
}

void owed_unavailable(struct client *client, struct hub_subscription *subscription)
{
	char name[ROUTE_CHANNEL_MAX];
	struct slice channel = keep_name(subscription, name);
	struct owed_answer *owed = take_owed(subscription);

	if (owed->made && !subscription->recovery)
		hub_unsubscribe(client->clients->hub, subscription);
	for (struct owed_answer *one = owed; one; one = one->next)
		answer_retry(client, owed_id(one), "unavailable", "the channel cannot be joined right now",
			channel);
	free_owed(owed);
}

void owed_tick(struct clients *clients)
{
	while (!list_empty(&clients->subscribing)) {
		struct owed_answer *owed = list_entry(clients->subscribing.next, struct owed_answer, link);

		if (owed->deadline_ms > clients->now_ms)
			return;
		owed_unavailable(owed->client, owed->subscription);
	}
}

/* Remembers to answer. NULL: without memory for it the client is closed. */
static struct owed_answer *owe(
	struct client *client, struct hub_subscription *subscription, struct slice id, bool made)
{
	struct clients *clients = client->clients;
	struct owed_answer *owed = calloc(1, sizeof(*owed));

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
	owed->made = made;
	client->n_unanswered++;
	owed->next = subscription->owed;
	subscription->owed = owed;
	list_push_back(&clients->subscribing, &owed->link);
	return owed;
}

void owed_add(struct client *client, struct hub_subscription *subscription, struct slice id, bool made)
{
	(void)owe(client, subscription, id, made);
}

void owed_add_without_history(struct client *client, struct hub_subscription *subscription, struct slice id)
{
	struct owed_answer *owed = owe(client, subscription, id, true);

	if (owed)
		owed->recover = true;
}

bool owed_made(const struct hub_subscription *subscription)
{
	const struct owed_answer *owed = subscription->owed;

	while (owed && owed->next)
		owed = owed->next;
	return owed && owed->made;
}

/*
 * While Redis does not answer, each subscribe is remembered until its time is over. The bound fits an honest
 * client: all channels that it may subscribe to, and all of them once more.
 */
bool owed_has_room(const struct client *client)
{
	return client->n_unanswered < 2 * client->clients->limits.subscriptions_max + UNANSWERED_SPARE;
}

bool owed_may_ask(struct client *client)
{
	const struct clients *clients = client->clients;
	struct bucket_rate rate =
		bucket_rate(1, CLIENT_ASK_MS, 2 * clients->limits.subscriptions_max + CLIENT_ASKS_MORE);

	return bucket_take(&client->asks, &rate, clients->now_ms);
}
