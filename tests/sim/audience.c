/*
 * Audience: the clients, and the judge in each of them. See world.h for what is checked.
 *
 * The last client knows nothing of positions: it joins now, each time.
 */

#include "world.h"

static bool is_unaware(const struct world *world, const struct client *client)
{
	return client == &world->clients[world->script->setting.n_clients - 1];
}

static unsigned int number(const struct world *world, const struct client *client)
{
	return (unsigned int)(client - world->clients);
}

void audience_init(struct world *world)
{
	for (unsigned int i = 0; i < CLIENTS_MAX; i++)
		world->clients[i] = (struct client){.node = NO_NODE};
}

static void hear(struct world *world, struct client *client, const struct channel_log_entry *entry)
{
	int node = body_node(entry->body);
	const struct node *heard = &world->model.nodes[node];

	world->statistics->n_delivered++;
	if (entry->offset != heard->offset || entry->tag != model_tag(&world->model, node))
		world_complain(world, VERDICT_INVENTED, "c%u heard %llu as %llu", number(world, client),
			(unsigned long long)heard->offset, (unsigned long long)entry->offset);
	if (!client->takes_any && heard->parent != client->node)
		world_complain(world, VERDICT_LOST,
			"c%u heard entry %d (offset %llu) behind entry %d (offset %llu)",
			number(world, client), node, (unsigned long long)heard->offset, client->node,
			(unsigned long long)world->model.nodes[client->node].offset);
	client->takes_any = false;
	client->node = node;
}

void audience_hear(struct gateway *gateway, const struct channel_log_entry *entry)
{
	struct world *world = gateway->world;

	for (unsigned int i = 0; i < world->script->setting.n_clients; i++) {
		struct client *client = &world->clients[i];

		if (client->gateway == gateway && client->state == CLIENT_HEARS)
			hear(world, client, entry);
	}
}

static bool may_be_trimmed(const struct world *world, int node)
{
	const struct model *model = &world->model;

	/* What stands at its offset on the branch that is true now was trimmed: as good a reason. */
	if (world->excused[FAULT_FAILOVER] || world->excused[FAULT_HOLE])
		return world->excused[FAULT_TRIM];
	/* Before the first entry stands nothing that could be gone, but the first entry can. */
	if (model->nodes[node].offset)
		return model->nodes[node].was_trimmed;
	for (int i = 0; i < model->n_nodes; i++)
		if (model->nodes[i].parent == node && model->nodes[i].was_trimmed)
			return true;
	return false;
}

/* Whether anything in this run can be the reason; in a run without faults that excuse, nothing can. */
static bool may_be(const struct world *world, enum channel_log_reason reason, const struct client *client)
{
	switch (reason) {
	case CHANNEL_LOG_TRIMMED:
		return may_be_trimmed(world, client->node);
	case CHANNEL_LOG_EPOCH:
		return world->excused[FAULT_FLUSH];
	case CHANNEL_LOG_FORK:
		return world->excused[FAULT_FAILOVER];
	case CHANNEL_LOG_RECOVERED:
	case CHANNEL_LOG_LIMIT:
	case CHANNEL_LOG_FORMAT:
		break;
	}
	return false;
}

static void be_resynced(
	struct world *world, struct client *client, const struct channel_log_resync *resync, int node)
{
	const struct model *model = &world->model;
	uint64_t retracted = model->nodes[client->node].offset - model->nodes[node].offset;

	if (!client->takes_any && !may_be(world, resync->reason, client))
		world_complain(world, VERDICT_DISHONEST, "c%u was resynced without reason: %s",
			number(world, client), channel_log_reason_name(resync->reason));
	if (resync->continuous && !client->takes_any &&
		(model_ancestor(model, client->node, model->nodes[node].offset) != node ||
			resync->retracted != retracted))
		world_complain(world, VERDICT_LOST,
			"c%u was moved from entry %d to %d, as if it were continuous", number(world, client),
			client->node, node);
	client->node = node;
	client->takes_any = false;
}

void audience_resync(struct gateway *gateway, const struct channel_log_resync *resync)
{
	struct world *world = gateway->world;
	int node = model_find(&world->model, &resync->position);

	world->statistics->n_resyncs[resync->reason]++;
	world->statistics->n_continuous += resync->continuous;
	if (node == NO_NODE) {
		world_complain(world, VERDICT_INVENTED, "resync to a place that never was");
		return;
	}
	for (unsigned int i = 0; i < world->script->setting.n_clients; i++) {
		struct client *client = &world->clients[i];

		if (client->gateway == gateway && client->state == CLIENT_HEARS)
			be_resynced(world, client, resync, node);
	}
}

/* More is behind the client's position than is replayed at once. */
static bool is_too_far(const struct world *world, const struct client *client, int at)
{
	size_t n = 0, bytes = 0;

	bool from_start = client->join.since.kind == SINCE_START;

	for (; at != NO_NODE && world->model.nodes[at].offset &&
		(from_start ? world->model.nodes[at].offset >= client->kept_first : at != client->node);
		at = world->model.nodes[at].parent) {
		n++;
		bytes += body_bytes(at);
	}
	return n > world->options.recover_entries || bytes > world->options.recover_bytes;
}

/* Is what the gateway knows of how far back the log reaches told by the copy that is there? */
static bool is_told_by_this_copy(const struct world *world, const struct client *client)
{
	return client->gateway->n_fail_overs == world->n_fail_overs && !world->excused[FAULT_HOLE];
}

/* Nothing was ever trimmed there: not since it asked, either. */
static bool is_kept(const struct world *world, int node)
{
	const struct model *model = &world->model;

	return model->nodes[node].offset && model_has(model, node) &&
	       model_kept(model, &model->primary, model->nodes[node].offset) == node;
}

static bool is_refused_rightly(
	const struct world *world, const struct client *client, enum channel_log_reason reason, int at)
{
	/* Of two primaries the gateway may have heard either. */
	bool turned = client->turns != world->model.n_turns || world->excused[FAULT_SPLIT];

	switch (reason) {
	case CHANNEL_LOG_EPOCH:
		return turned || !client->epoch_was_true;
	case CHANNEL_LOG_FORK:
		return turned || !client->node_was_true;
	case CHANNEL_LOG_LIMIT: /* before a hole nobody can tell how far it is */
		return world->excused[FAULT_HOLE] || turned || is_too_far(world, client, at);
	case CHANNEL_LOG_TRIMMED:
		if (is_told_by_this_copy(world, client) && is_kept(world, client->node))
			return false;
		break;
	case CHANNEL_LOG_RECOVERED:
	case CHANNEL_LOG_FORMAT:
		break;
	}
	return may_be(world, reason, client);
}

/* Whoever asks for the start gets all that is kept of what the gateway has. */
static void hear_from_start(
	struct world *world, const struct client *client, const struct channel_log_answer *answer)
{
	const struct position *at = channel_log_position(client->gateway->log);
	uint64_t first = answer->n_entries ? channel_log_answer_entry(answer, 0)->offset : at->offset + 1;
	int node = model_find(&world->model, at);

	if (is_told_by_this_copy(world, client) && model_has(&world->model, node) &&
		world->model.primary.first < first)
		world_complain(world, VERDICT_LOST,
			"c%u asked for the start and heard from %llu on, %llu is kept", number(world, client),
			(unsigned long long)first, (unsigned long long)world->model.primary.first);
}

static void be_recovered(
	struct world *world, struct client *client, const struct channel_log_answer *answer, int node)
{
	if (client->join.since.kind == SINCE_NOW || client->join.since.kind == SINCE_START)
		client->node = node;
	client->takes_any = client->join.since.kind == SINCE_START;
	if (client->takes_any)
		hear_from_start(world, client, answer);
	if (client->node != node)
		world_complain(
			world, VERDICT_LOST, "c%u was answered for another position", number(world, client));
	for (uint32_t i = 0; i < answer->n_entries; i++)
		hear(world, client, channel_log_answer_entry(answer, i));
}

void audience_answer(
	struct gateway *gateway, struct channel_log_join *join, const struct channel_log_answer *answer)
{
	struct world *world = gateway->world;
	struct client *client = list_entry(&join->link, struct client, join.link);
	int node = model_find(&world->model, &answer->position);

	world->statistics->n_answers[answer->reason]++;
	if (world->is_verbose)
		printf("          c%u: %s, %u entries\n", number(world, client),
			channel_log_reason_name(answer->reason), answer->n_entries);
	client->state = CLIENT_HEARS;
	if (node == NO_NODE) {
		world_complain(world, VERDICT_INVENTED, "an answer with a place that never was");
	} else if (answer->reason == CHANNEL_LOG_RECOVERED) {
		be_recovered(world, client, answer, node);
	} else {
		if (!is_refused_rightly(world, client, answer->reason, node))
			world_complain(world, VERDICT_DISHONEST, "c%u was refused without reason: %s",
				number(world, client), channel_log_reason_name(answer->reason));
		client->node = node;
	}
}

void audience_join(struct world *world, unsigned int who, unsigned int what)
{
	struct client *client = &world->clients[who % world->script->setting.n_clients];
	struct gateway *gateway = &world->gateways[what % world->script->setting.n_gateways];

	if (client->state != CLIENT_AWAY)
		return;
	if (is_unaware(world, client))
		client->node = NO_NODE;
	client->gateway = gateway;
	client->state = CLIENT_JOINING;
	client->takes_any = false;
	client->turns = world->model.n_turns;
	client->n_fail_overs = world->n_fail_overs;
	client->kept_first = world->model.primary.first;
	client->join.since =
		(struct since){.kind = what & 0x80 && !is_unaware(world, client) ? SINCE_START : SINCE_NOW};
	if (client->node != NO_NODE) {
		client->join.since = (struct since){
			.kind = SINCE_POSITION, .position = model_position(&world->model, client->node)};
		client->epoch_was_true = world->model.nodes[client->node].epoch ==
					 world->model.nodes[world->model.primary.top].epoch;
		client->node_was_true = model_has(&world->model, client->node);
	}
	channel_log_join(gateway->log, &client->join);
}

void audience_leave(struct world *world, unsigned int who)
{
	struct client *client = &world->clients[who % world->script->setting.n_clients];

	if (client->state == CLIENT_JOINING)
		channel_log_cancel(&client->join);
	if (client->takes_any)
		client->node = NO_NODE; /* it was told no entry, so it has no position that means anything */
	client->state = CLIENT_AWAY;
}

void audience_leave_all(struct world *world, const struct gateway *gateway)
{
	for (unsigned int i = 0; i < world->script->setting.n_clients; i++)
		if (world->clients[i].gateway == gateway)
			audience_leave(world, i);
}

void audience_is_at_the_top(struct world *world)
{
	for (unsigned int i = 0; i < world->script->setting.n_clients; i++) {
		const struct client *client = &world->clients[i];

		if (client->state != CLIENT_HEARS)
			world_complain(world, VERDICT_STUCK, "c%u was never answered", i);
		else if (!client->takes_any && client->node != world->model.primary.top)
			world_complain(world, VERDICT_STUCK, "c%u stays at entry %d, the top is %d", i,
				client->node, world->model.primary.top);
	}
}
