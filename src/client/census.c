/* Census: a copy of what one worker knows about its clients and channels; see the header. */

#include "client/census.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "client/clients.h"
#include "core/ip.h"
#include "core/map.h"
#include "core/top.h"
#include "hub/hub.h"
#include "mail/census.h"
#include "mail/disconnects.h"
#include "route/route.h"

/* The walk over clients or channels. */
struct walk {
	const struct census_question *question;
	struct census *census;
	struct top top;
};

static struct slice question_text(const struct census_question *question)
{
	return (struct slice){question->text, question->text_len};
}

static void consider(struct walk *walk, const struct client *client)
{
	const struct census_question *question = walk->question;
	uint64_t rank = question->order == CENSUS_BY_QUEUED ? client->outbox.bytes : client->opened_ms;

	if (*question->route && strcmp(route_path(client->rights.route), question->route) != 0)
		return;
	walk->census->n++;
	top_offer(&walk->top, rank, client->id, client);
}

static void consider_subscription(void *arg, struct hub_subscription *subscription)
{
	consider(arg, list_entry(subscription->subscriber, struct client, subscriber));
}

static const char *state_name(uint8_t state)
{
	static const char *const names[] = {
		[CLIENT_NONE] = "none",
		[CLIENT_PARKED] = "opening",
		[CLIENT_OPEN] = "open",
		[CLIENT_CLOSING] = "closing",
	};

	return names[state];
}

static void describe(struct census *census, const struct client *client, struct census_connection *row)
{
	const char *route = route_path(client->rights.route);

	*row = (struct census_connection){
		.id = client->id,
		.open_ms = client->opened_ms ? client->clients->now_ms - client->opened_ms : 0,
		.n_received = client->n_received,
		.n_sent = client->n_sent,
		.n_dropped = client->n_dropped,
		.queued_bytes = client->outbox.bytes,
		.n_subscriptions = client->subscriber.n,
		.route_len = (uint32_t)strlen(route),
		.route_at = census->text.len,
		.state = state_name(client->state),
		.blocked = client->blocked,
		.aware = client->aware,
		.deflates = client->subscriber.form == FORM_DEFLATED,
		.transport = client->transport,
	};
	ip_print(&client->remote, row->remote);
	buf_append(&census->text, route, row->route_len);
}

static void copy_top(const struct top *top, struct census *census)
{
	census->connections = calloc(top->n ? top->n : 1, sizeof(*census->connections));
	if (!census->connections) {
		census->r = -ENOMEM;
		return;
	}
	for (uint32_t i = 0; i < top->n; i++) {
		describe(census, top->picks[i].item, &census->connections[i]);
		census->connections[i].rank = top->picks[i].rank;
	}
	census->n_connections = top->n;
}

static void take_connections(struct clients *clients, struct walk *walk)
{
	struct slice channel = question_text(walk->question);

	walk->census->r = top_init(&walk->top, walk->question->limit);
	if (walk->census->r < 0)
		return;
	if (channel.len)
		hub_each(clients->hub, channel, map_hash(channel.data, channel.len), consider_subscription,
			walk);
	for (struct list *link = clients->all.next; !channel.len && link != &clients->all; link = link->next)
		consider(walk, list_entry(link, struct client, link));
	copy_top(&walk->top, walk->census);
	top_deinit(&walk->top);
}

static void add_channel(struct census *census, struct slice name, uint64_t hash, uint32_t n_subscribers)
{
	census->channels[census->n_channels++] = (struct census_channel){
		.hash = hash,
		.n_subscribers = n_subscribers,
		.name_len = (uint32_t)name.len,
		.name_at = census->text.len,
	};
	buf_append(&census->text, name.data, name.len);
}

static void consider_channel(void *arg, struct slice name, uint64_t hash, uint32_t n_subscribers)
{
	struct walk *walk = arg;
	struct slice match = question_text(walk->question);

	if (!match.len || memmem(name.data, name.len, match.data, match.len))
		add_channel(walk->census, name, hash, n_subscribers);
}

/* Makes room for all channels in advance: a walk must not stop to grow. */
static bool reserve_channels(struct census *census, size_t n)
{
	census->channels = malloc((n ? n : 1) * sizeof(*census->channels));
	if (!census->channels)
		census->r = -ENOMEM;
	return census->channels;
}

static void take_channels(struct clients *clients, struct walk *walk)
{
	if (!reserve_channels(walk->census, hub_n_channels(clients->hub)))
		return;
	hub_each_channel(clients->hub, consider_channel, walk);
	walk->census->n = walk->census->n_channels;
}

static struct client *find_client(const struct clients *clients, uint64_t id)
{
	for (struct list *link = clients->all.next; link != &clients->all; link = link->next) {
		struct client *client = list_entry(link, struct client, link);

		if (client->id == id)
			return client;
	}
	return NULL;
}

static void take_connection(const struct clients *clients, uint64_t id, struct census *census)
{
	const struct client *client = find_client(clients, id);

	if (!client)
		return;
	census->n = 1;
	census->connections = calloc(1, sizeof(*census->connections));
	if (!census->connections || !reserve_channels(census, client->subscriber.n)) {
		census->r = -ENOMEM;
		return;
	}
	describe(census, client, census->connections);
	census->n_connections = 1;
	for (struct hub_subscription *s = client->subscriber.first; s; s = s->next)
		add_channel(census, hub_subscription_channel(s), 0, 0);
}

static void take_disconnects(const struct clients *clients, struct census *census)
{
	census->disconnects = malloc(sizeof(*census->disconnects));
	if (census->disconnects)
		*census->disconnects = clients->disconnects;
	else
		census->r = -ENOMEM;
}

void census_take(struct clients *clients, const struct census_question *question, struct census *census)
{
	struct walk walk = {.question = question, .census = census};
	struct slice text = question_text(question);

	switch (question->subject) {
	case CENSUS_CHANNELS:
		take_channels(clients, &walk);
		break;
	case CENSUS_CHANNEL:
		census->n = hub_n_subscribers(clients->hub, text, map_hash(text.data, text.len));
		break;
	case CENSUS_CONNECTIONS:
		take_connections(clients, &walk);
		break;
	case CENSUS_CONNECTION:
		take_connection(clients, question->id, census);
		break;
	case CENSUS_DISCONNECTS:
		take_disconnects(clients, census);
		break;
	}
	if (census->text.failed)
		census->r = -ENOMEM;
}
