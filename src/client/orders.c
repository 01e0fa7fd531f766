/* Orders: what backends and operators want done to a worker's clients; see the header. */

#include "client/orders.h"

#include <string.h>

#include "auth/identity.h"
#include "auth/revocations.h"
#include "client/client.h"
#include "client/clients.h"
#include "client/lease.h"
#include "client/verbs.h"
#include "mail/order.h"
#include "route/route.h"

static bool is_user(const struct client *client, const struct order_text *text)
{
	const struct identity *identity = rights_identity(&client->rights);

	return identity && slice_is(text->name, identity_user(identity)) &&
	       (!text->is_dated || revocation_is_older(identity, text->issued_before_ms));
}

static bool is_revoked(const struct client *client, const struct revocations *revoked)
{
	const struct identity *identity = rights_identity(&client->rights);

	return identity && revocations_have(revoked, identity, (int64_t)client->clients->wall_ms);
}

static bool is_token(const struct client *client, struct slice name)
{
	const struct identity *identity = rights_identity(&client->rights);

	return identity && name.len && slice_is(name, identity_token(identity));
}

static bool concerns(const struct order_text *text, const struct client *client)
{
	const struct clients *clients = client->clients;

	switch (text->target) {
	case ORDER_CONNECTION:
		return client->id == text->conn;
	case ORDER_USER:
		return is_user(client, text);
	case ORDER_TOKEN:
		return is_token(client, text->name);
	case ORDER_CHANNEL:
		return hub_find(clients->hub, &client->subscriber, text->name);
	case ORDER_ROUTE:
		return slice_is(text->name, route_path(client->rights.route));
	case ORDER_REVOKED:
		return is_revoked(client, text->revoked);
	}
	return false;
}

/* False: it did not come to that. */
static bool carry_out(const struct order_text *text, struct client *client)
{
	/* Nothing is said before the handshake's answer, and a client cannot have asked before it either. */
	if (text->verb != ORDER_DISCONNECT && client->state != CLIENT_OPEN)
		return false;
	switch (text->verb) {
	case ORDER_DISCONNECT:
		client_dismiss(client, text->reason, text->code, text->words);
		return true;
	case ORDER_SUBSCRIBE:
		/* A POST is no second pair of ears: the stream beside it hears that channel. */
		return client->transport != TRANSPORT_POST && verbs_grant(client, text->channel);
	case ORDER_UNSUBSCRIBE:
		return verbs_take_away(client, text->channel);
	case ORDER_REFRESH:
		return lease_refresh(client);
	}
	return false;
}

static bool is_revocation(const struct order_part *part)
{
	return part->order->text.reason == CLOSE_TOKEN_REVOKED;
}

/* Behind the one that has begun, and other revocations: which of these closes a client is counted. */
static void push_revocation(struct clients *clients, struct order_part *part)
{
	struct list *at = clients->orders.next->next;

	while (at != &clients->orders && is_revocation(list_entry(at, struct order_part, link)))
		at = at->next;
	list_push_back(at, &part->link); /* before it */
}

void orders_take(struct clients *clients, struct order_part *part)
{
	part->end_id = clients->next_id;
	if (is_revocation(part) && !list_empty(&clients->orders))
		push_revocation(clients, part);
	else
		list_push_back(&clients->orders, &part->link);
	if (clients->orders.next == &part->link)
		clients->order_at = clients->all.next;
}

void orders_pass_by(struct client *client)
{
	if (client->clients->order_at == &client->link)
		client->clients->order_at = client->link.next;
}

/* The next client that the order may concern, or NULL. Ids are given in the order of the list, so behind the
 * one connection that an order names there is nobody else for it. */
static struct client *next_client(struct clients *clients, const struct order_part *part)
{
	const struct order_text *text = &part->order->text;
	struct client *client;

	if (clients->order_at == &clients->all)
		return NULL;
	client = list_entry(clients->order_at, struct client, link);
	if (client->id >= part->end_id || (text->target == ORDER_CONNECTION && client->id > text->conn))
		return NULL;
	clients->order_at = client->link.next;
	return client;
}

static struct order_part *first_part(const struct clients *clients)
{
	return list_empty(&clients->orders) ? NULL
					    : list_entry(clients->orders.next, struct order_part, link);
}

static void leave_queue(struct clients *clients, struct order_part *part)
{
	list_remove(&part->link);
	clients->order_at = list_empty(&clients->orders) ? NULL : clients->all.next;
}

bool orders_step(struct clients *clients, struct order_part **donep)
{
	struct order_part *part = first_part(clients);
	unsigned int n_seen = 0, n_done = 0;
	struct client *client = NULL;

	*donep = NULL;
	if (!part)
		return false;
	hub_flush(clients->hub); /* the events before it are delivered before it */
	while (n_seen++ < ORDERS_LOOKED_AT && n_done < ORDERS_CARRIED_OUT &&
		(client = next_client(clients, part)))
		if (client_is_live(client) && concerns(&part->order->text, client))
			n_done += carry_out(&part->order->text, client);
	part->n += n_done;
	if (client)
		return true;
	leave_queue(clients, part);
	*donep = part;
	return !list_empty(&clients->orders);
}

struct order_part *orders_give_up(struct clients *clients)
{
	struct order_part *part = first_part(clients);

	if (part)
		leave_queue(clients, part);
	return part;
}
