/* Recovery: what a client missed, then live; see the header. */

#include "recovery.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus/join.h"
#include "client/client.h"
#include "client/clients.h"
#include "metrics/metrics.h"
#include "protocol/command.h"
#include "protocol/message.h"
#include "protocol/reply.h"

/* One join under way. It outlives its client, which is then NULL, until the join is back. */
struct recovery {
	struct client *client;
	struct hub_subscription *subscription;
	bool made;
	size_t id_len;
	char id[COMMAND_ID_MAX];
};

void recovery_begin(struct client *client, struct hub_subscription *subscription, const struct since *since,
	struct slice id, bool made)
{
	struct clients *clients = client->clients;
	struct recovery *recovery = calloc(1, sizeof(struct recovery));
	struct join *join = join_new(clients->worker, hub_subscription_channel(subscription), since);

	if (!recovery || !join) {
		free(recovery);
		join_free(join);
		client_close(client, CLOSE_INTERNAL);
		return;
	}
	recovery_forget(subscription); /* asked twice: the first answer is nobody's */
	*recovery = (struct recovery){
		.client = client, .subscription = subscription, .made = made, .id_len = id.len};
	if (id.data)
		memcpy(recovery->id, id.data, id.len); /* COMMAND_ID_MAX was checked with the command */
	join->owner = recovery;
	join->patient = !made;
	subscription->recovery = recovery;
	subscription->muted = true;
	client->aware = true;
	clients->listener.join(clients->listener.arg, join);
}

void recovery_forget(struct hub_subscription *subscription)
{
	struct recovery *recovery = subscription->recovery;

	if (!recovery)
		return;
	recovery->client = NULL;
	recovery->subscription = NULL;
	subscription->recovery = NULL;
}

static void push_answer(struct client *client, const struct recovery *recovery, const struct join *join)
{
	struct slice id = {recovery->id_len ? recovery->id : NULL, recovery->id_len};
	bool recovered = join->reason == CHANNEL_LOG_RECOVERED;
	struct reply_recovery answer = {
		.recoverable = join->r == 0,
		.recovered = recovered,
		.reason = recovered ? NULL : channel_log_reason_name(join->reason),
		.pos = join->pos,
		.count = join->n_events,
	};

	client_push(client, reply_recovered(id, join_channel(join), &answer, client->clients->wall_ms));
	for (uint32_t i = 0; i < join->n_events; i++)
		client_push(client, message_ref(join->events[i]));
}

static void push_unavailable(struct client *client, const struct recovery *recovery, const struct join *join)
{
	struct slice id = {recovery->id_len ? recovery->id : NULL, recovery->id_len};

	metrics_add(client->clients->metrics, METRIC_CLIENT_ERRORS, 1);
	client_push(
		client, reply_error(id, "unavailable", "the history of the channel cannot be read right now",
				join_channel(join), CLIENT_RETRY_MS, client->clients->wall_ms));
}

/* The join is over, one way or the other. */
static void settle(struct clients *clients, struct recovery *recovery, const struct join *join)
{
	struct client *client = recovery->client;
	struct hub_subscription *subscription = recovery->subscription;
	bool answered = join->r == 0 || join->r == -ENOENT;

	/* What was noted so far came before the answer: the others hear it now, this one does not. */
	hub_flush(clients->hub);
	subscription->recovery = NULL;
	subscription->muted = false;
	metrics_add(clients->metrics,
		!answered                                               ? METRIC_RECOVER_UNAVAILABLE
		: join->r == 0 && join->reason == CHANNEL_LOG_RECOVERED ? METRIC_RECOVER_DONE
									: METRIC_RECOVER_NOT,
		1);
	if (answered) {
		push_answer(client, recovery, join);
		return;
	}
	if (!recovery->made) {
		client_close(client, CLOSE_INTERNAL); /* going on live would hide that something is missing */
		return;
	}
	hub_unsubscribe(clients->hub, subscription);
	push_unavailable(client, recovery, join);
}

void recovery_answered(struct clients *clients, struct join *join)
{
	struct recovery *recovery = join->owner;

	if (recovery->client)
		settle(clients, recovery, join);
	join_free(join);
}
