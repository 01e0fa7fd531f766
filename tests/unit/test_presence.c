/*
 * Presence: what src/bus/presence.h promises, between two nodes and a broker made of paper, which keeps
 * what our library keeps in Redis. Answers come late, or are lost after the call was carried out or before,
 * nodes are taken for dead and come back under another name: in the end the broker knows the truth, and
 * each coming and leaving was told once.
 */

#include "bus/presence.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/broker.h"
#include "core/buf.h"
#include "core/map.h"
#include "mail/presence.h"
#include "metrics/metrics.h"
#include "route/route.h"

enum {
	NODES = 2,
	USERS = 6, /* the first has no name */
	NAMES = 64,
	CALLS = 256,
	SEEDS = 200,
	STEPS = 300,
	GRACE_MS = 1000,
};

/* An answer that has not come yet. */
struct answer {
	broker_roll_fn roll;
	broker_done_fn done;
	void *arg;
	int r;
};

struct node {
	struct presence presence;
	struct metrics *metrics;
	int name; /* in the paper */
	uint32_t truth[USERS];
};

struct world {
	struct broker broker; /* first: it is cast back */
	struct route_table *routes;
	struct node nodes[NODES];
	uint32_t kept[NAMES][USERS]; /* what the paper says of each name */
	bool dead[NAMES];
	int n_names;
	struct answer answers[CALLS];
	size_t n_answers;
	unsigned int n_events;
	int shown[USERS]; /* what those who follow the events believe */
	uint64_t random;
	uint64_t now_ms;
	unsigned int faults; /* of a hundred calls */
};

static uint32_t draw(struct world *world, uint32_t below)
{
	world->random = world->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(world->random >> 33) % below;
}

static uint32_t total(const struct world *world, int user)
{
	uint32_t n = 0;

	for (int i = 0; i < world->n_names; i++)
		n += world->kept[i][user];
	return n;
}

static void user_name(int user, char name[8])
{
	if (user)
		snprintf(name, 8, "user-%d", user);
	else
		name[0] = '\0';
}

static int user_of(struct slice name)
{
	return name.len ? name.data[5] - '0' : 0;
}

/* A user's total has gone from or to 0: that is said, and must be news. */
static void keep(struct world *world, int name, int user, uint32_t n)
{
	uint32_t before = total(world, user);

	world->kept[name][user] = n;
	if (!before == !total(world, user))
		return;
	assert_int_not_equal(world->shown[user], before == 0);
	world->shown[user] = before == 0;
	world->n_events++;
}

static int name_of(struct slice node)
{
	char text[PRESENCE_NODE_MAX + 1];

	memcpy(text, node.data, node.len);
	text[node.len] = '\0';
	return atoi(text);
}

/* How a call ends: 0, or lost, before it is carried out or after that. */
static int fate(struct world *world, bool *carriedp)
{
	bool lost = draw(world, 100) < world->faults;

	*carriedp = !lost || draw(world, 2);
	return lost ? -ETIMEDOUT : 0;
}

static void answer_later(struct world *world, struct answer answer)
{
	assert_true(world->n_answers < CALLS);
	world->answers[world->n_answers++] = answer;
}

static int paper_set(struct broker *broker, const struct broker_presence *presence,
	const struct broker_user *users, size_t n, broker_roll_fn done, void *arg)
{
	struct world *world = (struct world *)broker;
	int name = name_of(presence->node);
	bool carried;
	int r = fate(world, &carried);

	assert_true(presence->tells && presence->names);
	assert_false(world->dead[name]); /* somebody clears up behind that name */
	for (size_t i = 0; carried && i < n; i++)
		keep(world, name, user_of(users[i].user), users[i].n);
	answer_later(world, (struct answer){.roll = done, .arg = arg, .r = r});
	return 0;
}

static int paper_hold(struct broker *broker, struct slice node, bool hold, const struct slice *names,
	size_t n, broker_done_fn done, void *arg)
{
	struct world *world = (struct world *)broker;
	bool carried;

	(void)hold;
	(void)node;
	for (size_t i = 0; i < n; i++)
		assert_true(slice_is(names[i], "pcards"));
	answer_later(world, (struct answer){.done = done, .arg = arg, .r = fate(world, &carried)});
	return 0;
}

static const struct broker_ops paper_ops = {.set_presence = paper_set, .hold = paper_hold};

static void answer_one(struct world *world, size_t i)
{
	static const struct broker_roll roll = {.n_users = 1};
	struct answer answer = world->answers[i];

	world->answers[i] = world->answers[--world->n_answers];
	if (answer.roll)
		answer.roll(answer.arg, answer.r, answer.r == 0 ? &roll : NULL);
	else
		answer.done(answer.arg, answer.r);
}

static void take_name(struct world *world, struct node *node)
{
	char text[8];

	assert_true(world->n_names < NAMES);
	node->name = world->n_names++;
	snprintf(text, sizeof(text), "%d", node->name);
	presence_set_node(&node->presence, text, UINT64_MAX);
}

static void say(struct world *world, struct node *node, int user, bool is_here)
{
	char name[8], text[32];
	struct presence_change *change;

	user_name(user, name);
	snprintf(text, sizeof(text), user ? "{\"user\":\"%s\"}" : "%s", name);
	change = presence_change_new(slice_of("cards"), slice_of(name), slice_of(text), is_here);
	assert_non_null(change);
	assert_int_equal(presence_take(&node->presence, change, world->now_ms), 0);
	free(change);
	node->truth[user] += is_here ? 1 : -1;
}

/* Others take the node for dead and clear up behind it; then it is back. */
static void die(struct world *world, struct node *node)
{
	presence_set_node(&node->presence, "", 0);
	world->dead[node->name] = true;
	for (int user = 0; user < USERS; user++)
		keep(world, node->name, user, 0);
	take_name(world, node);
}

static void pass(struct world *world, uint64_t ms)
{
	world->now_ms += ms;
	for (int i = 0; i < NODES; i++)
		presence_tick(&world->nodes[i].presence, world->now_ms);
}

static void step(struct world *world)
{
	struct node *node = &world->nodes[draw(world, NODES)];
	int user = (int)draw(world, USERS);
	uint32_t what = draw(world, 100);

	if (what < 35)
		say(world, node, user, true);
	else if (what < 65 && node->truth[user])
		say(world, node, user, false);
	else if (what < 85)
		pass(world, PRESENCE_TICK_MS * (1 + draw(world, 3)));
	else if (what < 98 && world->n_answers)
		answer_one(world, draw(world, (uint32_t)world->n_answers));
	else if (what >= 98 && world->n_names < NAMES)
		die(world, node);
}

static void settle(struct world *world)
{
	world->faults = 0;
	for (int i = 0; i < 100; i++) {
		while (world->n_answers)
			answer_one(world, 0);
		pass(world, PRESENCE_TICK_MS);
	}
	for (int i = 0; i < NODES; i++)
		assert_false(presence_is_active(&world->nodes[i].presence));
}

static void check_truth(const struct world *world)
{
	for (int user = 0; user < USERS; user++) {
		uint32_t n = 0;

		for (int i = 0; i < NODES; i++) {
			n += world->nodes[i].truth[user];
			assert_int_equal(
				world->kept[world->nodes[i].name][user], world->nodes[i].truth[user]);
		}
		assert_int_equal(total(world, user), n);
		assert_int_equal(world->shown[user], n > 0);
	}
}

static void begin(struct world *world, uint64_t seed)
{
	const char *const channels[] = {"cards"};
	const struct route_spec spec = {.path = "/ws/cards",
		.channels = channels,
		.n_channels = 1,
		.presence = {.on = true, .list = true, .events = true, .grace_ms = GRACE_MS}};
	struct buf error = {0};

	memset(world, 0, sizeof(*world));
	world->broker.ops = &paper_ops;
	world->random = seed;
	world->now_ms = 1000;
	world->routes = route_table_new();
	assert_int_equal(route_table_add(world->routes, &spec, &error), 0);
	for (int i = 0; i < NODES; i++) {
		struct node *node = &world->nodes[i];

		node->metrics = aligned_alloc(_Alignof(struct metrics), sizeof(*node->metrics));
		assert_non_null(node->metrics);
		memset(node->metrics, 0, sizeof(*node->metrics));
		presence_init(&node->presence, node->metrics);
		node->presence.broker = &world->broker;
		node->presence.routes = world->routes;
		take_name(world, node);
	}
}

static void finish(struct world *world)
{
	while (world->n_answers)
		answer_one(world, 0);
	for (int i = 0; i < NODES; i++) {
		presence_deinit(&world->nodes[i].presence);
		free(world->nodes[i].metrics);
	}
	route_table_unref(world->routes);
}

static void knows_the_truth_after_whatever_has_happened(void **state)
{
	static struct world world;

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		begin(&world, seed);
		world.faults = seed % 3 * 20;
		for (int i = 0; i < STEPS; i++)
			step(&world);
		settle(&world);
		check_truth(&world);
		finish(&world);
	}
}

static void who_is_back_within_the_grace_was_not_away(void **state)
{
	static struct world world;
	struct node *node = &world.nodes[0];

	(void)state;
	begin(&world, 1);
	say(&world, node, 1, true);
	settle(&world);
	assert_int_equal(world.n_events, 1);
	for (int i = 0; i < 5; i++) {
		say(&world, node, 1, false);
		pass(&world, GRACE_MS - 1);
		say(&world, node, 1, true);
		settle(&world);
	}
	assert_int_equal(world.n_events, 1);
	say(&world, node, 1, false);
	pass(&world, GRACE_MS - 1);
	assert_int_equal(world.n_events, 1);
	settle(&world);
	assert_int_equal(world.n_events, 2);
	finish(&world);
}

static void says_nothing_once_its_name_is_not_its_own(void **state)
{
	static struct world world;
	struct node *node = &world.nodes[0];

	(void)state;
	begin(&world, 1);
	presence_set_node(&node->presence, "0", world.now_ms + PRESENCE_TICK_MS);
	say(&world, node, 1, true);
	pass(&world, PRESENCE_TICK_MS);
	assert_int_equal(world.n_answers, 0);
	presence_set_node(&node->presence, "0", UINT64_MAX);
	settle(&world);
	assert_int_equal(world.n_events, 1);
	finish(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_the_truth_after_whatever_has_happened),
		cmocka_unit_test(who_is_back_within_the_grace_was_not_away),
		cmocka_unit_test(says_nothing_once_its_name_is_not_its_own),
	};

	map_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
