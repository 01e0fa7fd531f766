/* Actions: what the clients of a worker have asked of backends and is not answered yet; see the header. */

#include "client/actions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "auth/identity.h"
#include "client/answer.h"
#include "client/client.h"
#include "client/clients.h"
#include "client/delivery.h"
#include "core/buf.h"
#include "mail/action.h"
#include "metrics/metrics.h"
#include "protocol/command.h"
#include "protocol/reply.h"
#include "route/route.h"

enum {
	ANSWER_PARTS_MAX = 10000, /* of one answer: it must end at some time */
};

/* One that waits for its answer. Owned by its client. */
struct action_waiting {
	struct map_entry entry;      /* in clients.actions; the key is the number */
	struct list due;             /* in the queue */
	struct action_waiting *next; /* of the same client, older */
	struct client *client;
	struct action_queue *queue;
	uint64_t number; /* unique on this worker */
	uint64_t began_us;
	uint64_t deadline_ms;
	uint32_t n_parts; /* of its answer, so far */
	uint32_t id_len;
	char id[]; /* as the client said it */
};

/* Answers that are awaited for equally long, in order of their deadlines. There are as many as routes ever
 * had different timeouts. */
struct action_queue {
	struct action_queue *next;
	uint64_t timeout_ms;
	struct list due;
};

static const struct slice absent = {0};

static struct slice id_of(const struct action_waiting *waiting)
{
	return (struct slice){waiting->id_len ? waiting->id : NULL, waiting->id_len};
}

static struct action_waiting *find(const struct clients *clients, uint64_t number)
{
	const char *key = (const char *)&number;
	struct map_entry *entry =
		map_find(&clients->actions, map_hash(key, sizeof(number)), key, sizeof(number));

	return entry ? map_value(entry, struct action_waiting, entry) : NULL;
}

/* NULL when out of memory. */
static struct action_queue *queue_of(struct clients *clients, uint64_t timeout_ms)
{
	struct action_queue *queue = clients->action_queues;

	while (queue && queue->timeout_ms != timeout_ms)
		queue = queue->next;
	if (queue)
		return queue;
	queue = malloc(sizeof(*queue));
	if (!queue)
		return NULL;
	queue->timeout_ms = timeout_ms;
	list_init(&queue->due);
	queue->next = clients->action_queues;
	clients->action_queues = queue;
	return queue;
}

/* Its time begins, with the action itself or with a part of the answer. */
static void wait_on(struct action_waiting *waiting)
{
	list_remove(&waiting->due);
	waiting->deadline_ms = waiting->client->clients->now_ms + waiting->queue->timeout_ms;
	list_push_back(&waiting->queue->due, &waiting->due);
}

/* NULL when out of memory. */
static struct action_waiting *waiting_new(struct client *client, struct slice id, uint64_t timeout_ms)
{
	struct clients *clients = client->clients;
	struct action_waiting *waiting = calloc(1, sizeof(*waiting) + id.len);

	if (!waiting)
		return NULL;
	waiting->client = client;
	waiting->number = ++clients->last_action;
	waiting->began_us = clients->listener.now_us(clients->listener.arg);
	waiting->id_len = (uint32_t)id.len; /* COMMAND_ID_MAX was checked with the command */
	if (id.len)
		memcpy(waiting->id, id.data, id.len);
	waiting->entry.key = (const char *)&waiting->number;
	waiting->entry.key_len = sizeof(waiting->number);
	waiting->entry.hash = map_hash(waiting->entry.key, waiting->entry.key_len);
	waiting->queue = queue_of(clients, timeout_ms);
	if (!waiting->queue || map_insert(&clients->actions, &waiting->entry) < 0) {
		free(waiting);
		return NULL;
	}
	wait_on(waiting);
	waiting->next = client->actions;
	client->actions = waiting;
	client->n_actions++;
	return waiting;
}

/* Takes it off all lists. It is the caller's to free. */
static void take_off(struct action_waiting *waiting)
{
	struct client *client = waiting->client;
	struct action_waiting **link = &client->actions;

	while (*link != waiting)
		link = &(*link)->next;
	*link = waiting->next;
	client->n_actions--;
	list_remove(&waiting->due);
	map_remove(&client->clients->actions, &waiting->entry);
}

/* --- errors --- */

/* Why an action was not carried out, or nobody knows. */
struct failure {
	int r; /* of broker_act() */
	enum metric metric;
	const char *code;
	const char *message;
	bool again; /* a moment later it may be possible */
};

/* The last row is for all others. */
static const struct failure failures[] = {
	{-EBUSY, METRIC_ACTIONS_BUSY, "busy", "the backends have as much to do as they may", true},
	{-ETIMEDOUT, METRIC_ACTIONS_UNKNOWN, "unknown",
		"nobody knows whether a backend got this: repeat it with the same key", true},
	{-EOPNOTSUPP, METRIC_ACTIONS_UNAVAILABLE, "unavailable",
		"this gateway runs without Redis, through which backends would be reached", false},
	{-EACCES, METRIC_ACTIONS_UNAVAILABLE, "unavailable",
		"Redis refuses this gateway the stream of actions: its log says why", true},
	{-EIO, METRIC_ACTIONS_UNAVAILABLE, "unavailable",
		"Redis refuses the stream of actions: the gateway's log says why", true},
	{0, METRIC_ACTIONS_UNAVAILABLE, "unavailable", "backends cannot be reached right now", true},
};

static void tell_failure(struct client *client, struct slice id, int r)
{
	const struct failure *failure = failures;

	while (failure->r && failure->r != r)
		failure++;
	metrics_add(client->clients->metrics, failure->metric, 1);
	if (failure->again)
		answer_retry(client, id, failure->code, failure->message, absent);
	else
		answer_error(client, id, failure->code, failure->message, absent);
}

/* --- asking --- */

/* 0 or -ENOMEM. */
static int hand_on(
	struct client *client, const struct command *command, const struct route_actions *to, uint64_t number)
{
	static const char null[] = "null";
	struct clients *clients = client->clients;
	struct route_match match;
	struct buf vars = {0};
	struct action *action = NULL;

	rights_match(&client->rights, &match);
	route_variables(&match, &vars);
	if (!vars.failed)
		action = action_new(&(struct action_text){
			.stream = slice_of(to->stream),
			.user = rights_user(&client->rights),
			.route = slice_of(route_path(client->rights.route)),
			.vars = buf_slice(&vars),
			.key = {command->key, command->key_len},
			.data = command->data.data ? command->data : slice_of(null),
		});
	buf_deinit(&vars);
	if (!action)
		return -ENOMEM;
	action->conn = client->id;
	action->number = number;
	action->timeout_ms = to->timeout_ms;
	action->backlog = to->backlog;
	metrics_add(clients->metrics, METRIC_ACTIONS_SENT, 1);
	clients->listener.act(clients->listener.arg, action);
	return 0;
}

void actions_begin(struct client *client, const struct command *command)
{
	const struct route_actions *to;
	struct action_waiting *waiting;

	rights_follow(&client->rights, client->clients->routes);
	to = route_actions(client->rights.route);
	if (!to->stream) {
		answer_error(client, command->id, "unsupported", "this path carries no actions to a backend",
			absent);
		return;
	}
	if (client->n_actions >= to->in_flight) {
		metrics_add(client->clients->metrics, METRIC_ACTIONS_TOO_MANY, 1);
		answer_error(client, command->id, "too_many_actions",
			"as many actions of this connection as may be are not answered yet", absent);
		return;
	}
	waiting = waiting_new(client, command->id, to->timeout_ms);
	if (waiting && hand_on(client, command, to, waiting->number) == 0)
		return;
	if (waiting)
		take_off(waiting);
	free(waiting);
	tell_failure(client, command->id, -ENOMEM);
}

/* --- ends --- */

static void tell_answer(const struct action_waiting *waiting, const struct action_answer *answer)
{
	struct client *client = waiting->client;
	struct clients *clients = client->clients;

	metrics_add(clients->metrics, METRIC_ACTIONS_ANSWERED, !answer->more);
	if (!answer->more)
		metrics_observe(clients->metrics, METRIC_ACTION_TIME,
			clients->listener.now_us(clients->listener.arg) - waiting->began_us, 1);
	if (answer->code.data)
		client_push(client,
			reply_action_error(id_of(waiting), answer->code, answer->message, clients->wall_ms));
	else if (!waiting->id_len)
		delivery_flush_later(client); /* it may have been the last that a POST waits for */
	else /* without an id the client waits for nothing, and hears errors only */
		client_push(
			client, reply_action(id_of(waiting), answer->data, answer->more, clients->wall_ms));
}

static void tell_endless(const struct action_waiting *waiting)
{
	metrics_add(waiting->client->clients->metrics, METRIC_ACTIONS_TOO_LONG, 1);
	answer_error(waiting->client, id_of(waiting), "too_long", "the backend's answer has too many parts",
		absent);
}

void actions_answered(struct clients *clients, const struct action_answer *answer)
{
	struct action_waiting *waiting = find(clients, answer->number);

	if (!waiting || waiting->client->id != answer->conn) {
		metrics_add(clients->metrics, METRIC_ACTION_ANSWERS_DROPPED, answer->r == 0);
		return;
	}
	if (answer->r == 0 && answer->more && !answer->code.data && waiting->n_parts++ < ANSWER_PARTS_MAX) {
		wait_on(waiting);
		tell_answer(waiting, answer); /* may close the client, and with it this goes */
		return;
	}
	take_off(waiting);
	if (answer->r == 0 && answer->more && !answer->code.data)
		tell_endless(waiting);
	else if (answer->r == 0)
		tell_answer(waiting, answer);
	else
		tell_failure(waiting->client, id_of(waiting), answer->r);
	free(waiting);
}

static void time_out(struct action_waiting *waiting)
{
	struct client *client = waiting->client;

	take_off(waiting);
	metrics_add(client->clients->metrics, METRIC_ACTIONS_TIMED_OUT, 1);
	answer_error(client, id_of(waiting), "timeout",
		"no backend answered in time: repeat it with the same key", absent);
	free(waiting);
}

void actions_tick(struct clients *clients)
{
	for (struct action_queue *queue = clients->action_queues; queue; queue = queue->next) {
		while (!list_empty(&queue->due)) {
			struct action_waiting *waiting =
				list_entry(queue->due.next, struct action_waiting, due);

			if (waiting->deadline_ms > clients->now_ms)
				break;
			time_out(waiting);
		}
	}
	map_tidy(&clients->actions);
}

void actions_forget(struct client *client)
{
	while (client->actions) {
		struct action_waiting *waiting = client->actions;

		take_off(waiting);
		free(waiting);
		metrics_add(client->clients->metrics, METRIC_ACTIONS_ABANDONED, 1);
	}
}

void actions_deinit(struct clients *clients)
{
	while (clients->action_queues) {
		struct action_queue *queue = clients->action_queues;

		clients->action_queues = queue->next;
		free(queue);
	}
	map_deinit(&clients->actions);
}
