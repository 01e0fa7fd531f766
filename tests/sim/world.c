/* World: gateways, links, steps; see the header. */

#include "world.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
	TICK_MS = 500,
	WIDENED_MS = 1500,
	PASS_MS = 4000,
	CYCLE_MS = 8000, /* HISTORY_TAIL_CYCLE_MS */
	ROUND_MS = CYCLE_MS + PASS_MS,
	SHORT_TTL_MS = 3000,
	QUIET_ROUNDS = 40,
};

const char *verdict_name(enum verdict verdict)
{
	static const char *const names[] = {
		[VERDICT_FINE] = "fine",
		[VERDICT_LOST] = "lost",
		[VERDICT_INVENTED] = "invented",
		[VERDICT_DISHONEST] = "dishonest",
		[VERDICT_STUCK] = "stuck",
		[VERDICT_LEAKED] = "leaked",
	};

	return names[verdict];
}

void world_complain(struct world *world, enum verdict verdict, const char *format, ...)
{
	va_list args;

	if (world->verdict != VERDICT_FINE)
		return;
	world->verdict = verdict;
	va_start(args, format);
	vsnprintf(world->complaint, sizeof(world->complaint), format, args);
	va_end(args);
}

/* --- what a channel log says --- */

static void on_deliver(void *arg, const struct channel_log_entry *entry)
{
	audience_hear(arg, entry);
}

static void on_resync(void *arg, const struct channel_log_resync *resync)
{
	struct gateway *gateway = arg;

	if (gateway->world->is_verbose)
		printf("          g%ld: resync %s%s\n", (long)(gateway - gateway->world->gateways),
			channel_log_reason_name(resync->reason), resync->continuous ? ", continuous" : "");
	audience_resync(gateway, resync);
}

static void drop_read(struct gateway *gateway, uint32_t i)
{
	memmove(&gateway->reads[i], &gateway->reads[i + 1],
		(--gateway->n_reads - i) * sizeof(gateway->reads[0]));
}

static int on_read(void *arg, uint64_t id, uint64_t from, uint32_t count)
{
	struct gateway *gateway = arg;

	if (!gateway->linked)
		return -ENOTCONN;
	if (gateway->n_reads == READS_MAX)
		drop_read(gateway, 0); /* void long since: only the newest counts */
	gateway->reads[gateway->n_reads++] = (struct pending_read){.id = id,
		.from = from,
		.count = count,
		.catches_up = channel_log_state(gateway->log) == CHANNEL_LOG_CATCHUP,
		.server = gateway->map};
	gateway->world->statistics->n_reads++;
	return 0;
}

static void on_answered(void *arg, struct channel_log_join *join, const struct channel_log_answer *answer)
{
	audience_answer(arg, join, answer);
}

static void on_state(void *arg, enum channel_log_state state, enum channel_log_cause cause)
{
	struct gateway *gateway = arg;

	gateway->world->statistics->n_causes[cause]++;
	gateway->heard_ms = state == CHANNEL_LOG_LIVE ? gateway->world->model.now_ms : 0;
	if (gateway->world->is_verbose)
		printf("          g%ld: %s (%s)\n", (long)(gateway - gateway->world->gateways),
			channel_log_state_name(state), channel_log_cause_name(cause));
}

static void on_release(void *arg, void *body)
{
	struct gateway *gateway = arg;

	(void)body;
	gateway->world->n_bodies--;
}

static const struct channel_log_listener listener = {
	on_deliver, on_resync, on_read, on_answered, on_state, on_release, NULL};

/* --- gateways --- */

static void gateway_start(struct world *world, struct gateway *gateway)
{
	*gateway = (struct gateway){.world = world, .checked_ms = world->model.now_ms, .map = world->owner};
	gateway->log = channel_log_new(&world->options, &listener, gateway);
}

static void gateway_link(struct gateway *gateway)
{
	if (gateway->linked)
		return;
	gateway->linked = true;
	channel_log_subscribe(gateway->log);
}

/* The connection for pushes is cut, and the one for reads with it or not. */
static void gateway_cut(struct gateway *gateway, bool both)
{
	gateway->linked = false;
	gateway->subscribed = false;
	gateway->n_pushes = 0;
	if (both)
		gateway->n_reads = 0;
	channel_log_lost(gateway->log);
}

static void gateway_crash(struct world *world, struct gateway *gateway)
{
	audience_leave_all(world, gateway);
	channel_log_free(gateway->log);
	gateway_start(world, gateway);
}

/* It is heard nowhere for now, and is to be subscribed elsewhere. Whoever was asked there will not answer. */
static void gateway_leave(struct gateway *gateway)
{
	gateway->subscribed = false;
	gateway->n_pushes = 0;
	for (uint32_t i = gateway->n_reads; i > 0; i--)
		if (!gateway->reads[i - 1].executed && gateway->reads[i - 1].server != gateway->map)
			drop_read(gateway, i - 1);
	channel_log_lost(gateway->log);
	channel_log_subscribe(gateway->log);
}

/* The server has ended the subscription, and knows who has the slot. */
static void take_leave(struct gateway *gateway)
{
	if (gateway->world->control->stays)
		return;
	gateway->map = gateway->world->owner;
	gateway_leave(gateway);
}

/* Asks for the map. A former primary claims the slot; whoever knows better asks another one. */
static void poll_map(struct world *world, struct gateway *gateway, unsigned int what)
{
	bool asks_former = world->former != NOBODY && gateway->map == world->former && what % 3 == 0;

	if (world->control->no_polls || !gateway->linked || asks_former)
		return;
	gateway->map = world->owner;
	if (gateway->subscribed && gateway->at != gateway->map && !world->control->stays)
		gateway_leave(gateway);
}

static void push(struct gateway *gateway, int what)
{
	if (gateway->n_pushes == PUSHES_MAX)
		gateway_cut(gateway, false); /* as Redis does with a subscriber that does not read */
	else
		gateway->pushes[gateway->n_pushes++] = what;
}

static int pop(struct gateway *gateway, uint32_t i)
{
	int what = gateway->pushes[i];

	memmove(&gateway->pushes[i], &gateway->pushes[i + 1],
		(--gateway->n_pushes - i) * sizeof(gateway->pushes[0]));
	return what;
}

static void deliver_push(struct world *world, struct gateway *gateway)
{
	struct envelope envelope;
	struct position position;
	int node;

	if (!gateway->n_pushes)
		return;
	node = pop(gateway, 0);
	if (node == ACKNOWLEDGEMENT) {
		channel_log_subscribed(gateway->log);
		return;
	}
	if (node == GOODBYE) {
		take_leave(gateway);
		return;
	}
	position = model_position(&world->model, node);
	envelope = (struct envelope){.epoch = position.epoch,
		.offset = position.offset,
		.tag = position.tag,
		.prev = model_tag(&world->model, world->model.nodes[node].parent)};
	world->n_bodies++;
	channel_log_event(gateway->log, &envelope, body_of(node), body_bytes(node));
}

/* One of the messages under way; never an acknowledgement or an end, which are not Redis' to lose on a live
 * link. */
static bool choose(const struct gateway *gateway, unsigned int what, uint32_t *ip)
{
	if (!gateway->n_pushes)
		return false;
	*ip = what % gateway->n_pushes;
	return gateway->pushes[*ip] >= 0;
}

static void subscribe(struct gateway *gateway)
{
	const struct world *world = gateway->world;

	if (!gateway->linked || gateway->subscribed || (gateway->map == world->former && world->is_frozen))
		return;
	if (gateway->map != world->owner && gateway->map != world->former) {
		gateway->map = world->owner; /* MOVED */
		return;
	}
	gateway->subscribed = true;
	gateway->at = gateway->map;
	push(gateway, ACKNOWLEDGEMENT);
}

/* --- reads --- */

/* What Redis has from there on, and what the broker takes of it. Of a command to a server that does not think
 * that it has the slot, the owner has. */
static void collect(struct world *world, struct pending_read *read)
{
	bool is_former = read->server == world->former;
	const struct copy *copy = is_former ? &world->model.former : &world->model.primary;
	uint64_t first = copy->first, offset = read->from > first ? read->from : first;
	size_t bytes = 0;

	read->top = copy->top;
	read->n_fail_overs = world->n_fail_overs - is_former;
	if (!is_former)
		model_used(&world->model, false);
	for (; offset <= world->model.nodes[read->top].offset && read->n < read->count &&
		read->n < READ_ENTRIES_MAX && bytes < world->script->setting.answer_bytes;
		offset++) {
		int node = model_kept(&world->model, copy, offset);

		if (node == NO_NODE)
			continue;
		bytes += body_bytes(node);
		read->nodes[read->n++] = node;
	}
}

/* Redis carries out the oldest read that it has not yet, and can. */
static void execute(struct world *world, struct gateway *gateway)
{
	for (uint32_t i = 0; i < gateway->n_reads; i++) {
		if (gateway->reads[i].executed ||
			(gateway->reads[i].server == world->former && world->is_frozen))
			continue;
		gateway->reads[i].executed = true;
		collect(world, &gateway->reads[i]);
		return;
	}
}

static void answer(struct world *world, struct gateway *gateway)
{
	struct channel_log_entry entries[READ_ENTRIES_MAX];
	struct pending_read read;
	struct channel_log_read answer;
	uint32_t at = 0;

	while (at < gateway->n_reads && !gateway->reads[at].executed)
		at++;
	if (at == gateway->n_reads)
		return;
	read = gateway->reads[at];
	drop_read(gateway, at);
	for (uint32_t i = 0; i < read.n; i++)
		entries[i] = (struct channel_log_entry){world->model.nodes[read.nodes[i]].offset,
			model_tag(&world->model, read.nodes[i]), body_of(read.nodes[i]),
			body_bytes(read.nodes[i])};
	world->n_bodies += read.n;
	if (read.catches_up)
		gateway->n_fail_overs = read.n_fail_overs;
	answer = (struct channel_log_read){model_position(&world->model, read.top), entries, read.n};
	channel_log_answered(gateway->log, read.id, &answer);
}

static void fail(struct gateway *gateway)
{
	uint64_t id;

	if (!gateway->n_reads)
		return;
	id = gateway->reads[0].id;
	drop_read(gateway, 0);
	channel_log_failed(gateway->log, id);
}

static void check(const struct world *world, struct gateway *gateway)
{
	if (world->checks_tails)
		channel_log_check(gateway->log);
}

static void tick(struct gateway *gateway)
{
	gateway->now_ms += TICK_MS;
	channel_log_tick(gateway->log, gateway->now_ms);
}

/* --- the log --- */

/* Some publishers have not noticed that there is another primary. */
static void publish(struct world *world, unsigned int what)
{
	bool to_former = world->former != NOBODY && !world->is_frozen && what % 2;
	int node = to_former ? model_publish_to_former(&world->model) : model_publish(&world->model);
	int server = to_former ? world->former : world->owner;

	for (unsigned int i = 0; node != NO_NODE && i < world->script->setting.n_gateways; i++)
		if (world->gateways[i].subscribed && world->gateways[i].at == server && !world->is_moving)
			push(&world->gateways[i], node);
}

/* Those who listen there are told that it does not have the slot any more. */
static void say_goodbye(struct world *world, int server)
{
	for (unsigned int i = 0; i < world->script->setting.n_gateways; i++)
		if (world->gateways[i].subscribed && world->gateways[i].at == server)
			push(&world->gateways[i], GOODBYE);
}

static void promote(struct world *world)
{
	world->excused[FAULT_FAILOVER] = true;
	world->n_fail_overs++;
	if (world->model.primary.top != world->model.replica.top &&
		world->model.nodes[world->model.primary.top].epoch !=
			world->model.nodes[world->model.replica.top].epoch)
		world->excused[FAULT_FLUSH] = true; /* back to the epoch before */
	model_fail_over(&world->model);
	for (unsigned int i = 0; i < world->script->setting.n_clients; i++)
		if (world->clients[i].kept_first > world->model.primary.first)
			world->clients[i].kept_first = world->model.primary.first;
}

/* At the same address. */
static void fail_over(struct world *world, unsigned int what)
{
	struct copy former = world->model.former;

	promote(world);
	world->model.former = former;
	/* Mostly the links go with the old primary; or they stay, and its pushes are still under way. */
	for (unsigned int i = 0; what % 4 && i < world->script->setting.n_gateways; i++)
		gateway_cut(&world->gateways[i], true);
}

/* Another server has the slot from now on, and the one that had it does not know, or is frozen. */
static void split(struct world *world, bool is_frozen)
{
	if (world->former != NOBODY || world->is_moving)
		return;
	world->excused[FAULT_SPLIT] = true;
	promote(world);
	world->former = world->owner;
	world->owner = world->n_servers++;
	world->is_frozen = is_frozen;
}

static void heal(struct world *world)
{
	if (world->former == NOBODY)
		return;
	say_goodbye(world, world->former);
	world->former = NOBODY;
	world->is_frozen = false;
}

/* First the keys, then the slot. */
static void move(struct world *world)
{
	int source = world->owner;

	if (world->former != NOBODY)
		return;
	world->is_moving = !world->is_moving;
	if (world->is_moving)
		return;
	world->owner = world->n_servers++;
	say_goodbye(world, source);
}

static void trim(struct world *world, unsigned int n)
{
	world->excused[FAULT_TRIM] = true;
	model_trim(&world->model, n);
}

static void flush(struct world *world)
{
	world->excused[FAULT_FLUSH] = true;
	model_flush(&world->model);
}

/* Somebody has listened, with nothing in the way, for longer than the round of the tail check. */
static bool is_listened_to(const struct world *world)
{
	for (unsigned int i = 0; world->checks_tails && i < world->script->setting.n_gateways; i++) {
		const struct gateway *gateway = &world->gateways[i];

		if (gateway->linked && gateway->at == world->owner && gateway->heard_ms &&
			gateway->heard_ms + ROUND_MS < world->model.now_ms)
			return true;
	}
	return false;
}

static void expire(struct world *world)
{
	if (world->model.used_ms + world->model.ttl_ms > world->model.now_ms)
		world_complain(world, VERDICT_DISHONEST, "the log was used %llu ms ago and has expired",
			(unsigned long long)(world->model.now_ms - world->model.used_ms));
	if (is_listened_to(world))
		world_complain(world, VERDICT_DISHONEST, "the log has expired under its listeners");
	flush(world);
}

/* Long enough for what is under way to arrive. */
static void pass(struct world *world)
{
	bool has_expired = model_expire(&world->model, PASS_MS);

	if (has_expired)
		expire(world);
	for (unsigned int i = 0; i < world->script->setting.n_gateways; i++) {
		struct gateway *gateway = &world->gateways[i];

		if (!gateway->linked || gateway->checked_ms + CYCLE_MS > world->model.now_ms)
			continue;
		gateway->checked_ms = world->model.now_ms;
		check(world, gateway);
		execute(world, gateway);
		answer(world, gateway);
	}
}

/* --- steps --- */

/* What happens to the messages of one gateway that are under way. */
static void disturb(struct gateway *gateway, enum step_kind kind, unsigned int what)
{
	uint32_t i;

	if (!choose(gateway, what, &i))
		return;
	if (kind == STEP_LOSE)
		pop(gateway, i);
	else if (kind == STEP_DELAY)
		push(gateway, pop(gateway, i));
	else
		push(gateway, gateway->pushes[i]);
}

static void take_gateway_step(
	struct world *world, struct gateway *gateway, enum step_kind kind, unsigned int what)
{
	switch (kind) {
	case STEP_PUSH:
		deliver_push(world, gateway);
		break;
	case STEP_SUBSCRIBE:
		subscribe(gateway);
		break;
	case STEP_READ:
		execute(world, gateway);
		break;
	case STEP_ANSWER:
		answer(world, gateway);
		break;
	case STEP_TICK:
		tick(gateway);
		break;
	case STEP_SHRINK:
		(void)channel_log_shrink(gateway->log);
		break;
	case STEP_CHECK:
		check(world, gateway);
		break;
	case STEP_LINK:
		gateway_link(gateway);
		break;
	case STEP_CUT:
		gateway_cut(gateway, what % 2);
		break;
	case STEP_FAIL:
		fail(gateway);
		break;
	case STEP_CRASH:
		gateway_crash(world, gateway);
		break;
	case STEP_POLL:
		poll_map(world, gateway, what);
		break;
	default:
		disturb(gateway, kind, what);
		break;
	}
}

static void take_step(struct world *world, const struct step *step)
{
	switch ((enum step_kind)step->kind) {
	case STEP_PUBLISH:
		publish(world, step->what);
		break;
	case STEP_PASS:
		for (unsigned int n = 1 + step->what % 5; n; n--)
			pass(world);
		break;
	case STEP_JOIN:
		audience_join(world, step->who, step->what);
		break;
	case STEP_LEAVE:
		audience_leave(world, step->who);
		break;
	case STEP_SYNC:
		model_sync(&world->model);
		break;
	case STEP_TRIM:
		trim(world, 1 + step->what % 6);
		break;
	case STEP_WIPE:
		trim(world, NODES_MAX);
		break;
	case STEP_PUNCH:
		world->excused[FAULT_TRIM] = world->excused[FAULT_HOLE] = true;
		model_delete(&world->model, step->what);
		break;
	case STEP_FLUSH:
		flush(world);
		break;
	case STEP_FAIL_OVER:
		fail_over(world, step->what);
		break;
	case STEP_MOVE:
		move(world);
		break;
	case STEP_SPLIT:
	case STEP_FREEZE:
		split(world, step->kind == STEP_FREEZE);
		break;
	case STEP_THAW:
		world->is_frozen = false;
		break;
	case STEP_HEAL:
		heal(world);
		break;
	default:
		take_gateway_step(world, &world->gateways[step->who % world->script->setting.n_gateways],
			(enum step_kind)step->kind, step->what);
		break;
	}
}

/* --- a run --- */

static void calm_gateway(struct world *world, struct gateway *gateway)
{
	for (uint32_t i = gateway->n_pushes; i > 0 && gateway->n_pushes; i--)
		deliver_push(world, gateway);
	poll_map(world, gateway, 1);
	subscribe(gateway);
	check(world, gateway);
	execute(world, gateway);
	answer(world, gateway);
	tick(gateway);
}

static bool is_calm(const struct world *world)
{
	const struct position top = model_position(&world->model, world->model.primary.top);

	for (unsigned int i = 0; i < world->script->setting.n_gateways; i++) {
		const struct gateway *gateway = &world->gateways[i];
		const struct position *at = channel_log_position(gateway->log);

		if (channel_log_state(gateway->log) != CHANNEL_LOG_LIVE || gateway->n_pushes ||
			gateway->n_reads || !at || !position_equal(at, &top))
			return false;
	}
	for (unsigned int i = 0; i < world->script->setting.n_clients; i++)
		if (world->clients[i].state != CLIENT_HEARS)
			return false;
	return true;
}

static void settle(struct world *world)
{
	for (unsigned int round = 0; round < QUIET_ROUNDS && !is_calm(world); round++)
		for (unsigned int i = 0; i < world->script->setting.n_gateways; i++)
			calm_gateway(world, &world->gateways[i]);
}

/* No more faults: everybody comes, everything arrives. A former primary may stay what it is, as long as it
 * likes. */
static void calm_down(struct world *world)
{
	for (unsigned int i = 0; i < world->script->setting.n_clients; i++)
		audience_join(world, i, i + (unsigned int)world->script->seed % 2);
	for (unsigned int i = 0; i < world->script->setting.n_gateways; i++) {
		gateway_link(&world->gateways[i]);
		subscribe(&world->gateways[i]);
	}
	if (world->is_moving)
		move(world);
	settle(world);
	if (!world->script->setting.checks_tails) {
		publish(world, 0);
		settle(world);
	}
	audience_is_at_the_top(world);
}

static void world_init(struct world *world, const struct script *script, const struct control *control)
{
	const struct setting *setting = &script->setting;

	world->script = script;
	world->options = (struct channel_log_options){setting->ring_entries, setting->ring_bytes,
		setting->live_entries, (size_t)setting->live_entries * 2, setting->recover_entries,
		setting->recover_bytes, WIDENED_MS};
	world->n_bodies = 0;
	world->checks_tails = setting->checks_tails && !control->no_tails;
	world->verdict = VERDICT_FINE;
	memset(world->excused, 0, sizeof(world->excused));
	world->n_fail_overs = 0;
	world->control = control;
	world->owner = 0;
	world->former = NOBODY;
	world->n_servers = 1;
	world->is_moving = world->is_frozen = false;
	world->model.ttl_ms = control->short_ttl ? SHORT_TTL_MS : setting->ttl_s * 1000U;
	world->model.expires_late = control->late_expiry;
	model_init(&world->model, control->ignores_tags);
	audience_init(world);
	for (unsigned int i = 0; i < setting->n_gateways; i++) {
		gateway_start(world, &world->gateways[i]);
		gateway_link(&world->gateways[i]);
	}
}

enum verdict world_run(struct world *world, const struct script *script, const struct control *control,
	struct statistics *statistics, bool is_verbose)
{
	world->statistics = statistics;
	world->is_verbose = is_verbose;
	world_init(world, script, control);
	for (uint32_t i = 0; i < script->n_steps && world->verdict == VERDICT_FINE; i++) {
		if (is_verbose) {
			printf("%4u  ", i);
			step_print(&script->steps[i], &script->setting, stdout);
		}
		take_step(world, &script->steps[i]);
	}
	if (world->verdict == VERDICT_FINE)
		calm_down(world);
	for (unsigned int i = 0; i < script->setting.n_gateways; i++) {
		audience_leave_all(world, &world->gateways[i]);
		channel_log_free(world->gateways[i].log);
	}
	if (world->n_bodies)
		world_complain(world, VERDICT_LEAKED, "%ld bodies were not given back", world->n_bodies);
	return world->verdict;
}
