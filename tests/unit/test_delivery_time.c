/* Delivery time: what client/delivery_time.h promises. */

#include "client/delivery_time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/clients.h"
#include "core/map.h"
#include "hub/hub.h"
#include "metrics/metrics.h"
#include "protocol/message.h"

enum {
	MESSAGES = 4,
};

struct world {
	struct metrics metrics; /* first, for its alignment */
	struct clients clients;
	struct message *messages[MESSAGES];
	uint64_t now_us;
	unsigned int n_readings;
};

static uint64_t on_now_us(void *arg)
{
	struct world *world = arg;

	world->n_readings++;
	return world->now_us;
}

static int setup(void **state)
{
	struct world *world = aligned_alloc(64, (sizeof(struct world) + 63) & ~(size_t)63);
	const struct slice name = {"cards", 5}, payload = {"{}", 2};

	assert_non_null(world);
	memset(world, 0, sizeof(*world));
	world->clients.metrics = &world->metrics;
	world->clients.listener.arg = world;
	world->clients.listener.now_us = on_now_us;
	for (int i = 0; i < MESSAGES; i++)
		assert_int_equal(message_from_event(message_channel(name), payload, (struct slice){0}, 0,
					 1000, &world->messages[i]),
			0);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	for (int i = 0; i < MESSAGES; i++)
		message_unref(world->messages[i]);
	free(world);
	return 0;
}

/* Observed within the bucket of this upper bound. */
static uint64_t in_bucket(const struct world *world, uint64_t bound_us)
{
	static const uint64_t bounds[] = {
#define BUCKET(us, text) us,
		METRICS_BUCKETS
#undef BUCKET
	};
	unsigned int i = 0;

	while (bounds[i] != bound_us)
		i++;
	return metrics_get(&world->metrics, METRIC_DELIVERY + i);
}

static uint64_t n_observed(const struct world *world)
{
	return metrics_n_observed(&world->metrics, METRIC_DELIVERY);
}

static void observes_each_event_of_a_batch_for_each_client(void **state)
{
	struct world *world = *state;
	const struct hub_batch batch = {.messages = world->messages, .n = MESSAGES};

	world->now_us = 1200;
	for (int i = 0; i < 3; i++)
		delivery_time_batch(&world->clients, &batch, 1);
	delivery_time_settle(&world->clients);
	assert_int_equal(n_observed(world), 3 * MESSAGES);
	assert_int_equal(in_bucket(world, 250), 3 * MESSAGES);
	delivery_time_settle(&world->clients); /* nothing is left */
	assert_int_equal(n_observed(world), 3 * MESSAGES);
}

static void knows_when_each_event_of_a_batch_arrived(void **state)
{
	struct world *world = *state;
	const struct hub_batch batch = {.messages = world->messages, .n = MESSAGES};

	world->messages[0]->arrived_us = 0; /* was read from a log */
	world->messages[3]->arrived_us = 6000;
	world->now_us = 6050;
	delivery_time_batch(&world->clients, &batch, 1);
	delivery_time_settle(&world->clients);
	assert_int_equal(in_bucket(world, 10000), 2);
	assert_int_equal(in_bucket(world, 100), 1);
	assert_int_equal(n_observed(world), 3);
}

static void reads_the_clock_once_in_several_writes(void **state)
{
	struct world *world = *state;
	const struct hub_batch batch = {.messages = world->messages, .n = 1};

	world->now_us = 1050;
	for (int i = 0; i < DELIVERY_TIME_WRITES; i++)
		delivery_time_batch(&world->clients, &batch, 1);
	assert_int_equal(world->n_readings, 1);
	world->now_us = 21000;
	delivery_time_batch(&world->clients, &batch, 1);
	assert_int_equal(world->n_readings, 2);
	delivery_time_settle(&world->clients);
	assert_int_equal(in_bucket(world, 100), DELIVERY_TIME_WRITES);
	assert_int_equal(in_bucket(world, 25000), 1);
}

static void reads_the_clock_at_the_first_write_of_a_turn(void **state)
{
	struct world *world = *state;
	const struct hub_batch batch = {.messages = world->messages, .n = 1};

	world->now_us = 1050;
	delivery_time_batch(&world->clients, &batch, 1);
	delivery_time_turned(&world->clients);
	world->now_us = 21000;
	delivery_time_event(&world->clients, world->messages[1]);
	delivery_time_turned(&world->clients);
	assert_int_equal(world->n_readings, 2);
	assert_int_equal(in_bucket(world, 100), 1);
	assert_int_equal(in_bucket(world, 25000), 1);
	delivery_time_turned(&world->clients);
	assert_int_equal(world->n_readings, 2); /* a turn that writes nothing asks for nothing */
}

static void keeps_batches_apart(void **state)
{
	struct world *world = *state;
	const struct hub_batch one = {.messages = world->messages, .n = 1};
	const struct hub_batch other = {.messages = world->messages + 1, .n = 2};

	world->messages[0]->arrived_us = 900;
	world->now_us = 1050;
	delivery_time_batch(&world->clients, &one, 1);
	delivery_time_batch(&world->clients, &other, 1);
	delivery_time_batch(&world->clients, &one, 1);
	delivery_time_settle(&world->clients);
	assert_int_equal(in_bucket(world, 250), 2);
	assert_int_equal(in_bucket(world, 100), 2);
}

/* The reading may be older than an event that came during these writes. */
static void never_runs_backwards(void **state)
{
	struct world *world = *state;

	world->now_us = 500;
	delivery_time_event(&world->clients, world->messages[0]);
	assert_int_equal(in_bucket(world, 100), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(observes_each_event_of_a_batch_for_each_client),
		TEST(knows_when_each_event_of_a_batch_arrived),
		TEST(reads_the_clock_once_in_several_writes),
		TEST(reads_the_clock_at_the_first_write_of_a_turn),
		TEST(keeps_batches_apart),
		TEST(never_runs_backwards),
	};
#undef TEST

	map_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
