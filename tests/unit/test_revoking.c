/* Revoking: what bus/revoking.h and bus/control.h promise of it, beside a paper Redis and no workers. */

#include "bus/revoking.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>

#include "broker/broker.h"
#include "bus/bus_private.h"
#include "core/buf.h"
#include "support/fake_clock.h"
#include "support/log_text.h"

enum {
	HOUR_MS = 3600000,
};

#define NOW_MS UINT64_C(1767225600000)

struct world {
	struct broker broker; /* first: it is cast back */
	struct bus bus;
	struct log_text log;
	unsigned int n_reads;
	unsigned int room;          /* for so many more in the pipe to Redis */
	broker_revocations_fn each; /* of the last read */
	void *arg;
	struct buf said;
};

static int fake_publish(struct broker *broker, struct slice channel, struct slice payload,
	broker_published_fn done, void *arg)
{
	(void)done;
	(void)arg;
	buf_printf(&((struct world *)broker)->said, "%.*s:%.*s ", (int)channel.len, channel.data,
		(int)payload.len, payload.data);
	return 0;
}

static int fake_revocations(struct broker *broker, broker_revocations_fn each, void *arg)
{
	struct world *world = (struct world *)broker;

	world->n_reads++;
	world->each = each;
	world->arg = arg;
	return 0;
}

static int fake_revoke(struct broker *broker, const struct broker_revocation *revocation)
{
	if (!((struct world *)broker)->room)
		return -EAGAIN;
	((struct world *)broker)->room--;
	buf_printf(
		&((struct world *)broker)->said, "+%.*s ", (int)revocation->text.len, revocation->text.data);
	return 0;
}

static int fake_unrevoke(struct broker *broker, struct slice text)
{
	buf_printf(&((struct world *)broker)->said, "-%.*s ", (int)text.len, text.data);
	return 0;
}

/* By how much the node's clock is later. */
static int fake_expire(struct broker *broker, double seconds)
{
	buf_printf(&((struct world *)broker)->said, "expire:%.0f ", (double)fake_clock_ms / 1000 - seconds);
	return 0;
}

static enum broker_state fake_state(const struct broker *broker)
{
	(void)broker;
	return BROKER_PARTIAL;
}

static enum broker_state fake_channel_state(const struct broker *broker, struct slice channel)
{
	(void)broker;
	assert_true(slice_is(channel, BROKER_CONTROL_CHANNEL));
	return BROKER_READY;
}

static const struct broker_ops fake_ops = {
	.publish = fake_publish,
	.state = fake_state,
	.channel_state = fake_channel_state,
	.revocations = fake_revocations,
	.revoke = fake_revoke,
	.unrevoke = fake_unrevoke,
	.expire_revocations = fake_expire,
};

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct bus *bus = &world->bus;

	assert_non_null(world);
	map_seed();
	fake_clock_ms = NOW_MS;
	log_text_init(&world->log);
	world->broker.ops = &fake_ops;
	world->room = 100;
	bus->broker = &world->broker;
	bus->base = event_base_new();
	bus->log = world->log.log;
	bus->metrics = aligned_alloc(64, sizeof(struct metrics));
	memset(bus->metrics, 0, sizeof(struct metrics));
	list_init(&bus->own_channels);
	control_init(&bus->control, bus, "a");
	assert_int_equal(bus_set_controlled(bus), 0);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	control_deinit(&world->bus.control);
	event_base_free(world->bus.base);
	free(world->bus.metrics);
	log_text_deinit(&world->log);
	buf_deinit(&world->said);
	free(world);
	return 0;
}

static void says(struct world *world, const char *expected)
{
	assert_string_equal(buf_text(&world->said), expected);
	buf_reset(&world->said);
}

static void take(struct world *world, const char *command)
{
	control_take(&world->bus.control, slice_of(command));
}

/* until: after now; or the time itself, if that is 0. */
static void revoke(struct world *world, const char *token, int until, const char *more)
{
	char command[200];

	snprintf(command, sizeof(command), "{\"do\":\"revoke\",\"token\":\"%s\",\"until\":%ld%s}", token,
		until ? (long)(fake_clock_ms / 1000) + until : 0, more);
	take(world, command);
}

static void pass(struct world *world, unsigned int ms)
{
	fake_clock_ms += ms;
	event_base_loop(world->bus.base, EVLOOP_NONBLOCK);
}

static size_t known(const struct world *world)
{
	return revocation_book_count(&world->bus.control.revoking.book);
}

static void a_command_of_old_takes_back_no_longer_one(void **state)
{
	struct world *world = *state;

	revoke(world, "t", 86400, "");
	says(world, "+t t ");
	revoke(world, "t", -300, "");
	says(world, "");
	assert_int_equal(known(world), 1);
	revoke(world, "t", 0, "");
	says(world, "-t t ");
	assert_int_equal(known(world), 0);
}

static void answers_come_when_handshakes_know_it_and_one_copy_serves_many(void **state)
{
	struct world *world = *state;

	revoke(world, "t", 600, ",\"reply\":\"r\"");
	revoke(world, "u", 600, ",\"reply\":\"r\"");
	assert_null(world->bus.control.revoking.shared);
	says(world, "+t t +t u ");
	pass(world, 150);
	assert_non_null(world->bus.control.revoking.shared);
	says(world, "r:{\"node\":\"a\",\"n\":0} r:{\"node\":\"a\",\"n\":0} ");
	revoke(world, "t", 600, ",\"reply\":\"r\""); /* known already: answered all the same */
	pass(world, 150);
	says(world, "r:{\"node\":\"a\",\"n\":0} ");
}

static void a_set_that_cannot_be_read_just_now_is_read_again(void **state)
{
	struct world *world = *state;

	revoking_connected(&world->bus.control.revoking, true);
	world->each(world->arg, -EAGAIN, NULL, 0, true);
	assert_int_equal(bus_control_state(&world->bus), BUS_CONTROL_AWAITED);
	revoking_tick(&world->bus.control.revoking); /* though other servers are away */
	assert_int_equal(world->n_reads, 2);
	world->each(world->arg, 0, NULL, 0, true);
	assert_true(world->bus.control.revoking.has_set);
	assert_false(world->bus.control.revoking.refused);
}

static void a_set_that_is_refused_is_lacking(void **state)
{
	struct world *world = *state;

	revoking_connected(&world->bus.control.revoking, true);
	world->each(world->arg, -EACCES, NULL, 0, true);
	assert_int_equal(bus_control_state(&world->bus), BUS_CONTROL_LACKING);
}

static void a_set_that_has_lost_more_than_goes_at_once_is_mended_in_parts(void **state)
{
	struct world *world = *state;
	struct broker_revocation there = {slice_of("t t"), (double)(NOW_MS / 1000) + 600};

	revoke(world, "t", 600, "");
	revoke(world, "u", 600, "");
	says(world, "+t t +t u ");
	revoking_connected(&world->bus.control.revoking, true);
	world->room = 0;
	world->each(world->arg, 0, NULL, 0, true);
	says(world, "");
	assert_true(world->bus.control.revoking.has_set);
	world->room = 100;
	revoking_tick(&world->bus.control.revoking);
	assert_int_equal(world->n_reads, 2);
	assert_true(world->bus.control.revoking.has_set); /* all that the others know is known */
	world->each(world->arg, 0, &there, 1, true);
	says(world, "+t u ");
	revoking_tick(&world->bus.control.revoking);
	assert_int_equal(world->n_reads, 2);
}

/* The clock of a node may be ahead. */
static void what_is_over_leaves_the_set_an_hour_later(void **state)
{
	struct world *world = *state;

	world->bus.control.revoking.has_set = true;
	revoke(world, "t", 1, "");
	says(world, "+t t ");
	pass(world, 20000);
	revoking_tick(&world->bus.control.revoking);
	assert_int_equal(known(world), 0);
	says(world, "");
	pass(world, HOUR_MS);
	revoking_tick(&world->bus.control.revoking);
	says(world, "expire:3600 ");
	pass(world, 2 * HOUR_MS);
	revoking_tick(&world->bus.control.revoking);
	says(world, "");
}

static void commands_beyond_the_bound_are_answered_with_an_error(void **state)
{
	struct world *world = *state;

	world->bus.control.n_errands = CONTROL_ERRANDS_MAX;
	take(world, "{\"do\":\"disconnect\",\"user\":\"42\",\"reply\":\"r\"}");
	says(world,
		"r:{\"node\":\"a\",\"n\":0,\"error\":\"this node has too many commands to carry out: say it "
		"again later\"} ");
	assert_int_equal(metrics_get(world->bus.metrics, METRIC_CONTROL_REFUSED), 1);
	world->bus.control.n_errands--;
	take(world, "{\"do\":\"disconnect\",\"user\":\"42\",\"reply\":\"r\"}");
	says(world, "r:{\"node\":\"a\",\"n\":0} ");
	assert_int_equal(world->bus.control.n_errands, CONTROL_ERRANDS_MAX - 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_command_of_old_takes_back_no_longer_one),
		TEST(answers_come_when_handshakes_know_it_and_one_copy_serves_many),
		TEST(a_set_that_cannot_be_read_just_now_is_read_again),
		TEST(a_set_that_is_refused_is_lacking),
		TEST(a_set_that_has_lost_more_than_goes_at_once_is_mended_in_parts),
		TEST(what_is_over_leaves_the_set_an_hour_later),
		TEST(commands_beyond_the_bound_are_answered_with_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
