/* Memory broker: what include/broker/broker.h promises of it. */

#include "broker/broker.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>

#include "core/buf.h"

/* Writes down what is said, one word each. */
struct world {
	struct event_base *base;
	struct broker *broker;
	struct buf said;
	unsigned int n_echoes; /* events that are published again, from inside event() */
};

static struct slice s(const char *text)
{
	return (struct slice){text, strlen(text)};
}

static void on_event(void *arg, struct slice channel, struct slice payload)
{
	struct world *world = arg;

	buf_printf(
		&world->said, "%.*s=%.*s ", (int)channel.len, channel.data, (int)payload.len, payload.data);
	if (world->n_echoes) {
		world->n_echoes--;
		assert_int_equal(broker_publish(world->broker, channel, payload, NULL, NULL), 0);
	}
}

static void on_drained(void *arg)
{
	buf_append_str(&((struct world *)arg)->said, "drained ");
}

static void on_subscribed(void *arg, struct slice channel)
{
	buf_printf(&((struct world *)arg)->said, "+%.*s ", (int)channel.len, channel.data);
}

static void on_state(void *arg, enum broker_state state, const char *reason)
{
	assert_non_null(reason);
	buf_printf(&((struct world *)arg)->said, "state%d ", state);
}

static void on_done(void *arg, int r, uint64_t n_receivers)
{
	buf_printf(&((struct world *)arg)->said, "done:%d:%u ", r, (unsigned int)n_receivers);
}

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	const struct broker_listener listener = {world, on_event, on_drained, on_subscribed, on_state};

	assert_non_null(world);
	world->base = event_base_new();
	assert_int_equal(broker_memory_new(world->base, &listener, &world->broker), 0);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	broker_free(world->broker);
	event_base_free(world->base);
	buf_deinit(&world->said);
	free(world);
	return 0;
}

/* One turn of the loop says exactly this. */
static void turn_says(struct world *world, const char *expected)
{
	buf_reset(&world->said);
	event_base_loop(world->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_string_equal(buf_text(&world->said), expected);
}

static void publish(struct world *world, const char *channel, const char *payload)
{
	assert_int_equal(broker_publish(world->broker, s(channel), s(payload), on_done, world), 0);
}

static void is_ready_on_its_first_turn(void **state)
{
	struct world *world = *state;

	assert_int_equal(broker_state(world->broker), BROKER_CONNECTING);
	turn_says(world, "state1 ");
	assert_int_equal(broker_state(world->broker), BROKER_READY);
	turn_says(world, "");
}

static void delivers_in_order_to_what_is_wanted_and_counts(void **state)
{
	struct world *world = *state;

	turn_says(world, "state1 ");
	assert_int_equal(broker_subscribe(world->broker, s("a")), 0);
	publish(world, "a", "1");
	publish(world, "b", "2");
	publish(world, "a", "");
	publish(world, "a", "3");
	assert_int_equal(world->said.len, 7); /* nothing from inside the calls */
	turn_says(world, "+a a=1 done:0:1 done:0:0 a= done:0:1 a=3 done:0:1 drained ");
	turn_says(world, "");
}

static void says_subscribed_again_when_asked_again_and_nothing_when_no_longer_wanted(void **state)
{
	struct world *world = *state;

	turn_says(world, "state1 ");
	assert_int_equal(broker_subscribe(world->broker, s("a")), 0);
	turn_says(world, "+a ");
	assert_int_equal(broker_subscribe(world->broker, s("a")), 0);
	turn_says(world, "+a ");
	assert_int_equal(broker_subscribe(world->broker, s("b")), 0);
	broker_unsubscribe(world->broker, s("b"));
	broker_unsubscribe(world->broker, s("b"));
	broker_unsubscribe(world->broker, s("a"));
	publish(world, "a", "1");
	turn_says(world, "done:0:0 ");
}

static void an_echo_waits_for_the_turn_after(void **state)
{
	struct world *world = *state;

	turn_says(world, "state1 ");
	assert_int_equal(broker_subscribe(world->broker, s("a")), 0);
	turn_says(world, "+a ");
	world->n_echoes = 2;
	publish(world, "a", "1");
	turn_says(world, "a=1 done:0:1 drained ");
	turn_says(world, "a=1 drained ");
	turn_says(world, "a=1 drained ");
	turn_says(world, "");
}

static void on_canceled(void *arg, int r, uint64_t n_receivers)
{
	struct world *world = arg;

	assert_int_equal(r, -ECANCELED);
	assert_int_equal(n_receivers, 0);
	/* Whoever tries again at once is told that it is over. */
	assert_int_equal(broker_publish(world->broker, s("a"), s("1"), on_canceled, world), -ENOTCONN);
	buf_append_str(&world->said, "canceled ");
}

static void cancels_what_is_under_way_when_it_is_freed(void **state)
{
	struct world *world = *state;

	turn_says(world, "state1 ");
	buf_reset(&world->said);
	assert_int_equal(broker_subscribe(world->broker, s("a")), 0);
	assert_int_equal(broker_publish(world->broker, s("a"), s("1"), on_canceled, world), 0);
	assert_int_equal(broker_publish(world->broker, s("a"), s("2"), NULL, NULL), 0);
	broker_free(world->broker);
	world->broker = NULL;
	assert_string_equal(buf_text(&world->said), "canceled ");
	broker_free(NULL);
}

static void describes_itself(void **state)
{
	struct world *world = *state;
	struct buf text = {0};

	turn_says(world, "state1 ");
	assert_int_equal(broker_subscribe(world->broker, s("a")), 0);
	broker_describe(world->broker, &text);
	assert_string_equal(buf_text(&text), "{\"kind\":\"memory\",\"state\":\"ready\",\"n_channels\":1}");
	buf_deinit(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(is_ready_on_its_first_turn, setup, teardown),
		cmocka_unit_test_setup_teardown(
			delivers_in_order_to_what_is_wanted_and_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(
			says_subscribed_again_when_asked_again_and_nothing_when_no_longer_wanted, setup,
			teardown),
		cmocka_unit_test_setup_teardown(an_echo_waits_for_the_turn_after, setup, teardown),
		cmocka_unit_test_setup_teardown(cancels_what_is_under_way_when_it_is_freed, setup, teardown),
		cmocka_unit_test_setup_teardown(describes_itself, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
