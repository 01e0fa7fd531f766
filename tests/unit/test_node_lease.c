/*
 * Node lease: what src/bus/node_lease.h promises, before a broker made of paper, which writes down what it is
 * told. Time is handed in.
 */

#include "bus/node_lease.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/broker.h"

enum {
	TTL_MS = 15000,
};

struct world {
	struct broker broker; /* first: it is cast back */
	struct node_lease lease;
	int r; /* of the next word */
	broker_lease_fn done;
	bool is_first;
	bool judges;
	unsigned int n_asked;
	char ended[64];
	char held[64];
	unsigned int n_lost;
	unsigned int n_renewed;
	unsigned int n_sought;
};

static int paper_lease(
	struct broker *broker, const struct broker_lease *lease, broker_lease_fn done, void *arg)
{
	struct world *world = (struct world *)broker;

	assert_ptr_equal(arg, &world->lease);
	world->n_asked++;
	world->is_first = lease->is_first;
	world->judges = lease->judges;
	world->done = world->r == 0 ? done : NULL;
	return world->r;
}

static int paper_end(struct broker *broker, struct slice node, uint64_t in_ms, broker_done_fn done, void *arg)
{
	struct world *world = (struct world *)broker;

	(void)in_ms;
	(void)done;
	(void)arg;
	snprintf(world->ended, sizeof(world->ended), "%.*s", (int)node.len, node.data);
	return 0;
}

static void paper_seek(struct broker *broker)
{
	((struct world *)broker)->n_sought++;
}

static const struct broker_ops paper = {
	.lease = paper_lease, .end_lease = paper_end, .seek_missed = paper_seek};

static void on_held(void *arg, const char *node, uint64_t until_ms)
{
	struct world *world = arg;

	(void)until_ms;
	snprintf(world->held, sizeof(world->held), "%s", node);
}

static void on_lost(void *arg)
{
	((struct world *)arg)->n_lost++;
}

static void on_renewed(void *arg)
{
	((struct world *)arg)->n_renewed++;
}

static void on_dead(void *arg, struct slice node)
{
	(void)arg;
	(void)node;
}

static struct slice on_busy(void *arg)
{
	(void)arg;
	return (struct slice){"", 0};
}

static void begin(struct world *world)
{
	*world = (struct world){.broker.ops = &paper};
	node_lease_init(&world->lease,
		&(struct node_lease_listener){world, on_held, on_lost, on_renewed, on_dead, on_busy}, "n",
		TTL_MS);
	world->lease.broker = &world->broker;
}

static void answer(struct world *world, int r)
{
	world->done(&world->lease, r, r == 0, (struct slice){"", 0});
}

static void hold(struct world *world, uint64_t now_ms)
{
	node_lease_tick(&world->lease, true, now_ms);
	answer(world, 0);
}

static void takes_another_name_when_a_server_is_back(void **state)
{
	struct world world;

	(void)state;
	begin(&world);
	node_lease_renew(&world.lease); /* the first time that it is ready: there is nothing to give up */
	assert_int_equal(world.n_renewed, 0);
	hold(&world, 1000);
	assert_string_equal(world.held, "n.1");
	node_lease_renew(&world.lease);
	node_lease_renew(&world.lease); /* nothing was put under the other name yet */
	assert_int_equal(world.n_renewed, 1);
	assert_string_equal(world.ended, "n.1");
	hold(&world, 2000);
	assert_true(world.is_first);
	assert_string_equal(world.held, "n.2");
	assert_int_equal(world.n_lost, 0);
}

static void an_answer_about_the_name_before_does_not_count(void **state)
{
	struct world world;

	(void)state;
	begin(&world);
	hold(&world, 1000);
	node_lease_tick(&world.lease, true, 2000);
	node_lease_renew(&world.lease);
	answer(&world, 0);
	assert_string_equal(world.held, "n.1");
	hold(&world, 3000);
	assert_true(world.is_first);
	assert_string_equal(world.held, "n.2");
}

static void judges_nobody_before_all_had_a_lease_to_come_back(void **state)
{
	struct world world;

	(void)state;
	begin(&world);
	hold(&world, 1000);
	hold(&world, 1000 + TTL_MS);
	assert_true(world.judges);
	world.r = -ENOTCONN; /* of several servers the first is away */
	node_lease_tick(&world.lease, true, 2000 + TTL_MS);
	world.r = 0;
	hold(&world, 3000 + TTL_MS);
	assert_false(world.judges);
	hold(&world, 3000 + 2 * TTL_MS);
	assert_true(world.judges);
	node_lease_tick(&world.lease, true, 4000 + 2 * TTL_MS);
	answer(&world, -ENOTCONN);
	hold(&world, 5000 + 2 * TTL_MS);
	assert_false(world.judges);
}

static void seeks_who_was_missed_once_in_a_lease_and_only_where_it_may_judge(void **state)
{
	struct world world;

	(void)state;
	begin(&world);
	for (uint64_t now_ms = 1000; now_ms < 1000 + TTL_MS; now_ms += 1000)
		hold(&world, now_ms);
	assert_int_equal(world.n_sought, 0);
	for (uint64_t now_ms = 1000 + TTL_MS; now_ms < 1000 + 3 * TTL_MS; now_ms += 1000)
		hold(&world, now_ms);
	assert_int_equal(world.n_sought, 2);
	node_lease_renew(
		&world.lease); /* a server was away, and the others may still say that they are there */
	for (uint64_t now_ms = 1000 + 3 * TTL_MS; now_ms < 1000 + 4 * TTL_MS; now_ms += 1000)
		hold(&world, now_ms);
	assert_int_equal(world.n_sought, 2);
	hold(&world, 1000 + 4 * TTL_MS);
	assert_int_equal(world.n_sought, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_another_name_when_a_server_is_back),
		cmocka_unit_test(an_answer_about_the_name_before_does_not_count),
		cmocka_unit_test(judges_nobody_before_all_had_a_lease_to_come_back),
		cmocka_unit_test(seeks_who_was_missed_once_in_a_lease_and_only_where_it_may_judge),
	};

	return cmocka_run_group_tests_name("node_lease", tests, NULL, NULL);
}
