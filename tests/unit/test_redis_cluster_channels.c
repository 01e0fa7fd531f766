/* Redis cluster's channels: what src/broker/redis/cluster_channels.h promises of the ways in which they are
 * heard. There is one member, made up: what it is asked for is noted, and confirmed by hand. */

#include "broker/redis/cluster_channels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker/redis/members.h"
#include "broker/redis/server.h"

static struct {
	struct redis_member member;
	struct redis_cluster_channels channels;
	bool asked[N_REDIS_HEARINGS];
	unsigned int n_subscribed, n_lost, n_events;
} world;

struct redis_member *__wrap_redis_members_owner(const struct redis_members *members, unsigned int slot);
struct redis_member *__wrap_redis_members_owner(const struct redis_members *members, unsigned int slot)
{
	(void)members;
	(void)slot;
	return &world.member;
}

struct redis_member *__wrap_redis_members_refuge(const struct redis_members *members, unsigned int slot);
struct redis_member *__wrap_redis_members_refuge(const struct redis_members *members, unsigned int slot)
{
	return __wrap_redis_members_owner(members, slot);
}

int __wrap_redis_server_subscribe(
	struct redis_server *server, enum redis_hearing hearing, struct slice channel);
int __wrap_redis_server_subscribe(
	struct redis_server *server, enum redis_hearing hearing, struct slice channel)
{
	(void)server;
	(void)channel;
	world.asked[hearing] = true;
	return 0;
}

void __wrap_redis_server_unsubscribe(
	struct redis_server *server, enum redis_hearing hearing, struct slice channel);
void __wrap_redis_server_unsubscribe(
	struct redis_server *server, enum redis_hearing hearing, struct slice channel)
{
	(void)server;
	(void)channel;
	world.asked[hearing] = false;
}

static void on_event(void *arg, struct slice name, struct slice payload)
{
	(void)arg;
	(void)name;
	(void)payload;
	world.n_events++;
}

static void on_subscribed(void *arg, struct slice name)
{
	(void)arg;
	(void)name;
	world.n_subscribed++;
}

static void on_lost(void *arg, struct slice name)
{
	(void)arg;
	(void)name;
	world.n_lost++;
}

static void confirm(enum redis_hearing hearing)
{
	assert_true(world.asked[hearing]);
	redis_cluster_channels_subscribed(&world.channels, &world.member, hearing, slice_of("a"));
}

static void is_told(unsigned int n_subscribed, unsigned int n_lost)
{
	assert_int_equal(world.n_subscribed, n_subscribed);
	assert_int_equal(world.n_lost, n_lost);
}

/* A channel that is heard in this way alone. */
static void begin(enum redis_hearing hearing)
{
	memset(&world, 0, sizeof(world));
	world.channels.events =
		(struct broker_listener){.event = on_event, .subscribed = on_subscribed, .lost = on_lost};
	world.channels.prefix = "";
	world.channels.hears[hearing] = true;
	redis_cluster_channels_init(&world.channels);
	assert_int_equal(redis_cluster_channels_want(&world.channels, slice_of("a")), 0);
	confirm(hearing);
	is_told(1, 0);
}

/* Its history would be read again for nothing. */
static void a_way_that_is_new_loses_nothing_of_what_is_heard_in_another(void **state)
{
	(void)state;
	begin(REDIS_CLASSIC);
	redis_cluster_channels_hear(&world.channels, true, true);
	is_told(1, 0);
	assert_true(world.asked[REDIS_CLASSIC]);
	redis_cluster_channels_event(
		&world.channels, &world.member, REDIS_CLASSIC, slice_of("a"), slice_of("{}"));
	assert_int_equal(world.n_events, 1);
	confirm(REDIS_SHARDED);
	redis_cluster_channels_need_sharded(&world.channels);
	redis_cluster_channels_hear(&world.channels, false, true);
	assert_false(world.asked[REDIS_CLASSIC]);
	is_told(1, 0);
	redis_cluster_channels_deinit(&world.channels);
}

static void a_way_that_is_needed_and_not_heard_is_a_loss_until_it_is(void **state)
{
	(void)state;
	begin(REDIS_CLASSIC);
	redis_cluster_channels_hear(&world.channels, true, true);
	redis_cluster_channels_need_sharded(&world.channels);
	is_told(1, 1);
	confirm(REDIS_SHARDED);
	is_told(2, 1);
	redis_cluster_channels_deinit(&world.channels);
}

static void the_only_way_is_a_loss_when_it_is_given_up(void **state)
{
	(void)state;
	begin(REDIS_SHARDED);
	redis_cluster_channels_hear(&world.channels, true, false);
	is_told(1, 1);
	confirm(REDIS_CLASSIC);
	is_told(2, 1);
	redis_cluster_channels_deinit(&world.channels);
}

static void who_waits_for_a_way_that_is_given_up_is_answered(void **state)
{
	(void)state;
	begin(REDIS_CLASSIC);
	redis_cluster_channels_hear(&world.channels, true, true);
	confirm(REDIS_SHARDED);
	assert_int_equal(redis_cluster_channels_want(&world.channels, slice_of("a")), 0);
	confirm(REDIS_SHARDED);
	is_told(1, 0);
	redis_cluster_channels_hear(&world.channels, false, true);
	is_told(2, 0);
	redis_cluster_channels_deinit(&world.channels);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_way_that_is_new_loses_nothing_of_what_is_heard_in_another),
		cmocka_unit_test(a_way_that_is_needed_and_not_heard_is_a_loss_until_it_is),
		cmocka_unit_test(the_only_way_is_a_loss_when_it_is_given_up),
		cmocka_unit_test(who_waits_for_a_way_that_is_given_up_is_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
