/* Recovery: gives a client the events that it missed, then goes on live; see the header. */

#include "client/recovery.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/answer.h"
#include "client/client.h"
#include "client/clients.h"
#include "client/delivery.h"
#include "client/owed.h"
#include "mail/join.h"
#include "metrics/metrics.h"
#include "protocol/command.h"
#include "protocol/message.h"
#include "protocol/reply.h"
#include "route/route.h"

/* A join under way. It outlives its client, which is NULL then, until the join is back. */
struct recovery {
	struct list due;   /* in clients.recovering, then in clients.pressing, until it is answered or late */
	struct list aside; /* in client.aside while its join waits for its turn; and once it is given up */
	uint64_t deadline_ms;
	struct client *client;
	struct client *asker; /* the client that counts it, while it is there */
	struct hub_subscription *subscription;
	struct join *join; /* the join that owns it and frees it */
	bool patient;
	bool uncounted; /* its join goes out of turn: it is not one of client.n_joins */
	bool late;
	size_t id_len;
	char id[COMMAND_ID_MAX];
};

static const char unreadable[] = "the history of the channel cannot be read right now";

/* It is on its way to the bus. */
static void send_join(struct recovery *recovery)
{
	struct clients *clients = recovery->asker->clients;

	recovery->asker->n_joins += !recovery->uncounted;
	clients->listener.join(clients->listener.arg, recovery->join);
}

/*
 * The bus answers joins in the order in which they come. So that many joins of one client do not delay those
 * of others, a client has only a few under way; the rest wait with the client, and vanish with it at no cost.
 * The joins of a handshake, for the few channels of its route, go at once. A join that has waited for half of
 * its time goes as well (recovery_tick): the few may be for logs that cannot be read.
 */
static void send_join_in_turn(struct recovery *recovery)
{
	struct client *client = recovery->asker;

	if (recovery->uncounted || client->n_joins < CLIENT_JOINS_MAX)
		send_join(recovery);
	else
		list_push_back(&client->aside, &recovery->aside);
}

/* A join is back: the next one may go. */
static void send_next_join(struct client *client)
{
	struct list *link = client->aside.next;

	client->n_joins--;
	while (link != &client->aside && !list_entry(link, struct recovery, aside)->client)
		link = link->next; /* given up, and under way */
	if (link == &client->aside)
		return;
	list_remove(link);
	send_join(list_entry(link, struct recovery, aside));
}

void recovery_begin(struct client *client, struct hub_subscription *subscription, const struct since *since,
	struct slice id, bool patient)
{
	struct clients *clients = client->clients;
	struct recovery *recovery = calloc(1, sizeof(*recovery));
	struct join *join = join_new(clients->worker, hub_subscription_channel(subscription), since);

	if (!recovery || !join) {
		free(recovery);
		join_free(join);
		client_close(client, CLOSE_INTERNAL);
		return;
	}
	recovery_forget(subscription); /* a late recovery, about which the client was told */
	*recovery = (struct recovery){.client = client,
		.asker = client,
		.subscription = subscription,
		.join = join,
		.patient = patient,
		.uncounted = patient,
		.id_len = id.len};
	client->n_unanswered++;
	recovery->deadline_ms = clients->now_ms + CLIENT_SUBSCRIBE_MS;
	list_push_back(&clients->recovering, &recovery->due);
	if (id.data)
		memcpy(recovery->id, id.data, id.len); /* COMMAND_ID_MAX was checked with the command */
	join->owner = recovery;
	join->patient = patient;
	subscription->recovery = recovery;
	subscription->muted = true;
	subscription->hears_plain = false;
	client->aware = true;
	send_join_in_turn(recovery);
}

/* Its join still waits with the client, so the bus will not bring it back. */
static void leave_line(struct recovery *recovery)
{
	list_remove(&recovery->aside);
	recovery->asker->n_unanswered--;
	join_free(recovery->join); /* and with it the recovery */
}

void recovery_forget(struct hub_subscription *subscription)
{
	struct recovery *recovery = subscription->recovery;

	if (!recovery)
		return;
	subscription->recovery = NULL;
	list_remove(&recovery->due);
	if (list_linked(&recovery->aside)) {
		leave_line(recovery);
		return;
	}
	atomic_store_explicit(&recovery->join->abandoned, true, memory_order_relaxed);
	/* In front, so that few have to be skipped to find the next waiting join. */
	list_push_front(&recovery->asker->aside, &recovery->aside);
	recovery->client = NULL;
	recovery->subscription = NULL;
}

void recovery_disown(struct client *client)
{
	while (!list_empty(&client->aside)) {
		struct recovery *recovery = list_entry(client->aside.next, struct recovery, aside);

		list_remove(&recovery->aside);
		recovery->asker = NULL;
		client->n_unanswered--;
	}
}

static struct slice recovery_id(const struct recovery *recovery)
{
	return (struct slice){recovery->id_len ? recovery->id : NULL, recovery->id_len};
}

/* Made before the recovery is forgotten, pushed behind it. */
static struct message *make_unavailable(
	const struct clients *clients, const struct recovery *recovery, const char *why)
{
	metrics_add(clients->metrics, METRIC_CLIENT_ERRORS, 1);
	return reply_error(recovery_id(recovery), "unavailable", why, join_channel(recovery->join),
		CLIENT_RETRY_MS, clients->wall_ms);
}

void recovery_give_up(struct client *client, struct hub_subscription *subscription)
{
	bool late = recovery_is_late(subscription); /* then it was told */
	struct message *told = late ? NULL
				    : make_unavailable(client->clients, subscription->recovery,
					      "unsubscribed before it was recovered");

	recovery_forget(subscription);
	subscription->muted = false;
	if (!late)
		client_push(client, told);
}

/*
 * Would this be more than may wait for the client? Promised events do not give way, so they must
 * not add up: a client that reads may be promised one replay of any size, a client that does not
 * read no more than its bound.
 */
static bool too_much_for(const struct client *client, const struct join *join)
{
	size_t bound = route_slow(client->rights.route)->bytes_max,
	       bytes = outbox_promised_bytes(&client->outbox);

	if (!client->blocked && !bytes)
		return false;
	for (uint32_t i = 0; i < join->n_events; i++)
		bytes += join->events[i]->frame_len;
	return bytes > (bound ? bound : client->clients->limits.outbox_bytes_max);
}

/* Then the answer is that it is too much. */
static void limit(const struct client *client, struct join *join)
{
	if (!too_much_for(client, join))
		return;
	while (join->n_events)
		message_unref(join->events[--join->n_events]);
	join->reason = CHANNEL_LOG_LIMIT;
	memcpy(join->pos, join->end, sizeof(join->pos));
}

/* Among them may be resyncs, in the places of entries that cannot be sent. */
static uint32_t count_events(const struct join *join)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < join->n_events; i++)
		n += message_is_event(join->events[i]);
	return n;
}

static void push_answer(struct client *client, const struct recovery *recovery, const struct join *join)
{
	struct reply_recovery answer = {
		.recoverable = join->r == 0,
		.recovered = join->reason == CHANNEL_LOG_RECOVERED,
		.reason =
			join->reason == CHANNEL_LOG_RECOVERED ? NULL : channel_log_reason_name(join->reason),
		.pos = join->pos,
		.count = count_events(join),
	};

	client_push(client, reply_recovered(recovery_id(recovery), join_channel(join), &answer,
				    client->clients->wall_ms));
	delivery_note_position(client, join_channel(join), slice_of(answer.recoverable ? join->pos : ""));
	for (uint32_t i = 0; i < join->n_events; i++) {
		delivery_queue_promised(client, join->events[i]);
		delivery_note_position(client, join_channel(join), message_pos(join->events[i]));
		outbox_note_replay(&client->outbox, join->events[i]->arrived_us);
	}
}

static enum metric outcome(const struct join *join)
{
	if (join->r != 0 && join->r != -ENOENT)
		return METRIC_RECOVER_UNAVAILABLE;
	return join->r == 0 && join->reason == CHANNEL_LOG_RECOVERED ? METRIC_RECOVER_DONE
								     : METRIC_RECOVER_NOT;
}

/* The join is over, with or without success. */
static void settle(struct clients *clients, const struct recovery *recovery, struct join *join)
{
	struct client *client = recovery->client;
	struct hub_subscription *subscription = recovery->subscription;

	/* The events that were noted so far came before the answer: the other subscribers get them now, this
	 * one does not. */
	hub_flush(clients->hub);
	delivery_flush(client); /* so that a client that reads has no waiting events */
	limit(client, join);
	metrics_add(clients->metrics, outcome(join), 1);
	if (outcome(join) == METRIC_RECOVER_DONE)
		metrics_add(clients->metrics,
			join->from_log ? METRIC_RECOVER_FROM_LOG : METRIC_RECOVER_FROM_MEMORY, 1);
	/* A plain subscribe that the client sent meanwhile waits for the same. While there is a
	 * recovery, the subscription stays. */
	if (join->r != 0 && join->r != -ENOENT && !join->patient && subscription->owed)
		owed_unavailable(client, subscription);
	if (!recovery->client)
		return; /* that closed the client */
	recovery_forget(subscription);
	subscription->muted = false;
	subscription->era = join->r == 0 ? join->era : 0;
	/* Without a history, the node's subscription may not be confirmed yet. For channels of the URL, the
	 * handshake waits for it. */
	if (join->r == -ENOENT && !join->patient && !subscription->confirmed) {
		owed_add_without_history(client, subscription, recovery_id(recovery));
		return;
	}
	if (join->r == 0 || join->r == -ENOENT) {
		push_answer(client, recovery, join);
		return;
	}
	/* Going on live would hide that something is missing. */
	if (join->patient) {
		client_close(client, CLOSE_INTERNAL);
		return;
	}
	hub_unsubscribe(clients->hub, subscription);
	client_push(client, make_unavailable(clients, recovery, unreadable));
}

bool recovery_is_late(const struct hub_subscription *subscription)
{
	const struct recovery *recovery = subscription->recovery;

	return recovery && recovery->late;
}

/*
 * The recovery takes too long, whether its join waits for the log or for other replays: tells the peer. The
 * join will come back and find no subscription, unless it is patient.
 */
static void run_late(struct recovery *recovery)
{
	struct client *client = recovery->client;
	struct hub_subscription *subscription = recovery->subscription;
	struct message *told;

	if (subscription->owed)
		owed_unavailable(client, subscription);
	if (!client_is_live(client))
		return; /* that closed the client */
	metrics_add(client->clients->metrics, METRIC_RECOVER_UNAVAILABLE, 1);
	told = make_unavailable(client->clients, recovery, unreadable);
	if (recovery->patient) {
		recovery->late = true;
		subscription->hears_plain = true;
	} else {
		recovery_forget(subscription);
		hub_unsubscribe(client->clients->hub, subscription);
	}
	client_push(client, told);
}

/* The first in this order of deadlines, if its own is not behind this time; or NULL. */
static struct recovery *first_until(struct list *queue, uint64_t ms)
{
	struct recovery *recovery;

	if (list_empty(queue))
		return NULL;
	recovery = list_entry(queue->next, struct recovery, due);
	return recovery->deadline_ms <= ms ? recovery : NULL;
}

/* Half of its time is over: if its join waits for its turn still, it goes without. */
static void press(struct clients *clients, struct recovery *recovery)
{
	list_remove(&recovery->due);
	list_push_back(&clients->pressing, &recovery->due);
	if (!list_linked(&recovery->aside))
		return; /* its join is under way */
	list_remove(&recovery->aside);
	recovery->uncounted = true;
	send_join(recovery);
}

void recovery_tick(struct clients *clients)
{
	struct recovery *recovery;

	while ((recovery = first_until(&clients->recovering, clients->now_ms + CLIENT_SUBSCRIBE_MS / 2)))
		press(clients, recovery);
	while ((recovery = first_until(&clients->pressing, clients->now_ms))) {
		list_remove(&recovery->due);
		run_late(recovery);
	}
}

/* A patient join asks again; each time that it comes back, it finds out whether the client is still there. */
static int ask_again(struct clients *clients, struct join *join)
{
	struct recovery *recovery = join->owner;
	struct join *again = join_new(clients->worker, join_channel(join), &join->since);

	if (!again)
		return -ENOMEM;
	again->patient = true;
	again->owner = recovery;
	recovery->join = again;
	join->owner = NULL;
	join_free(join);
	clients->listener.join(clients->listener.arg, again);
	return 0;
}

void recovery_answered(struct clients *clients, struct join *join)
{
	struct recovery *recovery = join->owner;
	struct credit *credit;
	struct client *asker;
	bool counted;

	if (recovery->client && join->r == -ETIMEDOUT && ask_again(clients, join) == 0)
		return;
	if (recovery->client)
		settle(clients, recovery, join);
	list_remove(&recovery->aside);
	asker = recovery->asker;
	counted = asker && !recovery->uncounted;
	if (asker)
		asker->n_unanswered--;
	credit = join_spend(join);
	if (credit)
		clients->listener.spent(clients->listener.arg, credit);
	if (counted)
		send_next_join(asker);
}
