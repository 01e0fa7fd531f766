/* Slow: what happens to a client that does not read as fast as events come; see the header. */

#include "client/slow.h"

#include "client/client.h"
#include "client/clients.h"
#include "metrics/metrics.h"
#include "protocol/message.h"
#include "route/route.h"

enum {
	ANSWER_AGE_MS = 60000, /* on routes that close no client for the age of an event */
	SHED_CLASSES = 48,     /* of queues by their size, in powers of two; no queue is larger */
};

/* Events that it never gets. */
static void count_dropped(struct client *client, uint32_t n)
{
	static const enum metric metrics[] = {
#define SLOW_POLICY(id, name, sentence) [SLOW_##id] = METRIC_DROPPED_##id,
#include "route/slow_policy.def"
#undef SLOW_POLICY
	};

	if (!n)
		return;
	client->n_dropped += n;
	metrics_add(client->clients->metrics, metrics[route_slow(client->rights.route)->policy], n);
}

/* Drops events, the oldest first, until the message is taken or no event may give way any more. */
static int push_over(struct client *client, struct message *message, size_t bytes_max)
{
	uint32_t n_dropped = 0;
	int r = OUTBOX_FULL;

	while (r == OUTBOX_FULL && outbox_drop_oldest_event(&client->outbox)) {
		n_dropped++;
		r = outbox_push(&client->outbox, message, bytes_max, &client->clients->queued_bytes);
	}
	if (r == OUTBOX_FULL)
		n_dropped += message_is_event(message);
	count_dropped(client, n_dropped);
	return r == OUTBOX_FULL ? SLOW_OVER : r;
}

int slow_queue(struct client *client, struct message *message)
{
	const struct route_slow *slow = route_slow(client->rights.route);
	size_t bytes_max = slow->bytes_max ? slow->bytes_max : client->clients->limits.outbox_bytes_max;
	int r;

	if (slow->policy == SLOW_LATEST_BY_KEY && client->blocked) {
		r = outbox_drop_same_key(&client->outbox, message);
		if (r < 0)
			return r;
		count_dropped(client, (uint32_t)r);
	}
	r = outbox_push(&client->outbox, message, bytes_max, &client->clients->queued_bytes);
	if (r != OUTBOX_FULL)
		return r;
	if (client->state == CLIENT_OPEN && !client->blocked && !outbox_empty(&client->outbox))
		return SLOW_FLUSH;
	if (slow->policy != SLOW_DISCONNECT)
		return push_over(client, message, bytes_max);
	count_dropped(client, message_is_event(message));
	return SLOW_OVER;
}

int slow_queue_promised(struct client *client, struct message *message)
{
	return outbox_push_promised(&client->outbox, message, &client->clients->queued_bytes);
}

void slow_enter(struct client *client)
{
	client->blocked_ms = client->clients->now_ms;
	if (client->state == CLIENT_OPEN && !list_linked(&client->due))
		list_push_back(&client->clients->blocked, &client->due);
}

void slow_leave(struct client *client)
{
	if (client->state == CLIENT_OPEN)
		list_remove(&client->due);
}

void slow_give_up(struct client *client)
{
	count_dropped(client, outbox_n_events(&client->outbox));
}

void slow_pass_over(struct client *client, uint32_t n, bool entries)
{
	bool must_know = route_slow(client->rights.route)->policy == SLOW_DISCONNECT &&
			 client->state != CLIENT_PARKED; /* a parked client has not been let in yet */

	if (!client_is_live(client) || client->doomed)
		return;
	count_dropped(client, n);
	if (must_know || (entries && client->aware))
		client_close(client, CLOSE_SLOW);
}

/* The time since when the event waits. A replayed event is older than its wait, which counts from the last
 * time that the socket took bytes. */
static uint64_t waits_since_ms(const struct client *client, const struct message *event)
{
	if (event->arrived_us <= outbox_replayed_us(&client->outbox))
		return client->blocked_ms;
	return event->arrived_us / 1000;
}

/* Has the oldest event waited for longer than its route allows? */
static bool too_old(struct client *client, const struct route_slow *slow)
{
	const struct message *oldest = outbox_oldest_event(&client->outbox);

	if (!oldest || slow->age_max_ms == SLOW_AGE_NONE)
		return false;
	return waits_since_ms(client, oldest) + slow->age_max_ms < client->clients->now_ms;
}

/* Answers are not dropped: a client that asks and does not read is closed once its socket has taken no bytes
 * for this time. */
static bool leaves_answers(const struct client *client, const struct route_slow *slow)
{
	bool patient = slow->policy != SLOW_DISCONNECT || slow->age_max_ms == SLOW_AGE_NONE;
	uint64_t age_max_ms = patient ? ANSWER_AGE_MS : slow->age_max_ms;

	return client->outbox.n > outbox_n_events(&client->outbox) &&
	       client->blocked_ms + age_max_ms < client->clients->now_ms;
}

static void tick_one(struct client *client)
{
	const struct route_slow *slow = route_slow(client->rights.route);
	uint32_t n_dropped = 0;

	if (leaves_answers(client, slow)) {
		client_close(client, CLOSE_SLOW);
		return;
	}

	if (slow->policy == SLOW_DISCONNECT || outbox_promised_bytes(&client->outbox)) {
		if (too_old(client, slow))
			client_close(client, CLOSE_SLOW);
		return;
	}
	for (; too_old(client, slow); n_dropped++)
		outbox_drop_oldest_event(&client->outbox);
	count_dropped(client, n_dropped);
}

static unsigned int size_class(const struct client *client)
{
	unsigned int class = 63 - (unsigned int)__builtin_clzll((uint64_t)client->outbox.bytes | 1);

	return class < SHED_CLASSES ? class : SHED_CLASSES - 1;
}

/* The socket of a client that does not read holds megabytes of the kernel's memory. */
static void shed_one(struct client *client)
{
	struct clients *clients = client->clients;

	client_close(client, CLOSE_SHED);
	if (client->state != CLIENT_CLOSING)
		return;
	/* Before all others: some of them may be aborted a moment late. */
	client->deadline_ms = clients->now_ms + SLOW_SHED_MS;
	list_remove(&client->due);
	list_push_front(&clients->closing, &client->due);
}

/* Nothing is allocated: the sizes are counted by powers of two, and those of the highest go first. */
void slow_shed(struct clients *clients, uint64_t bytes)
{
	uint64_t waiting[SHED_CLASSES] = {0}, above = 0;
	unsigned int least = SHED_CLASSES;
	struct list *next;

	if (!bytes)
		return;
	for (struct list *link = clients->blocked.next; link != &clients->blocked; link = link->next) {
		const struct client *client = list_entry(link, struct client, due);

		waiting[size_class(client)] += client->outbox.bytes;
	}
	while (least && above < bytes)
		above += waiting[--least];
	/* Of the lowest of these classes not all have to go. */
	for (struct list *link = clients->blocked.next; link != &clients->blocked; link = next) {
		struct client *client = list_entry(link, struct client, due);
		uint64_t own = client->outbox.bytes;

		next = link->next;
		if (size_class(client) < least || !own)
			continue;
		if (size_class(client) == least && above >= bytes + own) {
			above -= own;
			continue;
		}
		shed_one(client);
	}
}

void slow_tick(struct clients *clients)
{
	struct list *next;

	for (struct list *link = clients->blocked.next; link != &clients->blocked; link = next) {
		next = link->next; /* only a client that is closed leaves the list */
		tick_one(list_entry(link, struct client, due));
	}
}
