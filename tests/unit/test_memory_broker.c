/* Memory broker: what include/broker/broker.h promises of it. */

#include "broker/memory_broker.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>

#include "channel_log/envelope.h"
#include "core/buf.h"

static const struct broker_log_options kept = {.size = 10, .ttl_ms = 3600 * 1000};

/* Writes down what is said, one word each. */
struct world {
	struct event_base *base;
	struct broker *broker;
	struct buf said;
	unsigned int n_echoes; /* events that are published again, from inside event() */
};

static void on_event(void *arg, struct slice channel, struct slice payload)
{
	struct world *world = arg;
	struct envelope envelope;

	if (envelope_parse(payload, &envelope) == 0) {
		buf_printf(&world->said, "%.*s#%u=%.*s ", (int)channel.len, channel.data,
			(unsigned int)envelope.offset, (int)envelope.payload.len, envelope.payload.data);
		return;
	}
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

static void on_lost(void *arg, struct slice channel)
{
	(void)arg;
	(void)channel;
	fail_msg("there is nothing to lose");
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

static void on_log_done(void *arg, int r, const struct position *id, bool is_duplicate)
{
	buf_printf(&((struct world *)arg)->said, "done:%d:%u%s ", r, id ? (unsigned int)id->offset : 0,
		is_duplicate ? ":again" : "");
}

static void on_read(void *arg, int r, const struct position *top, const struct broker_log_entry *entries,
	size_t n_entries)
{
	struct world *world = arg;

	buf_printf(&world->said, "read:%d:%u", r, top ? (unsigned int)top->offset : 0);
	for (size_t i = 0; i < n_entries; i++)
		buf_printf(&world->said, ":%u=%.*s", (unsigned int)entries[i].offset,
			(int)entries[i].payload.len, entries[i].payload.data);
	buf_append_char(&world->said, ' ');
}

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	const struct broker_listener listener = {
		world, on_event, on_drained, on_subscribed, on_lost, on_state};

	assert_non_null(world);
	world->base = event_base_new();
	assert_int_equal(memory_broker_new(world->base, &listener, &world->broker), 0);
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
	assert_int_equal(
		broker_publish(world->broker, slice_of(channel), slice_of(payload), on_done, world), 0);
}

static void publish_log(struct world *world, const char *channel, const char *payload, const char *key)
{
	struct broker_log_options options = kept;

	if (key) {
		options.key = slice_of(key);
		options.key_ttl_ms = 3600 * 1000;
	}
	assert_int_equal(broker_log_publish(world->broker, slice_of(channel), slice_of(payload), &options,
				 on_log_done, world),
		0);
}

static void read_log(struct world *world, const char *channel, uint64_t from, uint32_t count)
{
	assert_int_equal(
		broker_log_read(world->broker, slice_of(channel), from, count, kept.ttl_ms, on_read, world),
		0);
}

static void is_ready_on_its_first_turn(void **state)
{
	struct world *world = *state;

	assert_int_equal(broker_state(world->broker), BROKER_CONNECTING);
	turn_says(world, "state2 ");
	assert_int_equal(broker_state(world->broker), BROKER_READY);
	turn_says(world, "");
}

static void delivers_in_order_to_what_is_wanted_and_counts(void **state)
{
	struct world *world = *state;

	turn_says(world, "state2 ");
	assert_int_equal(broker_subscribe(world->broker, slice_of("a")), 0);
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

	turn_says(world, "state2 ");
	assert_int_equal(broker_subscribe(world->broker, slice_of("a")), 0);
	turn_says(world, "+a ");
	assert_int_equal(broker_subscribe(world->broker, slice_of("a")), 0);
	turn_says(world, "+a ");
	assert_int_equal(broker_subscribe(world->broker, slice_of("b")), 0);
	broker_unsubscribe(world->broker, slice_of("b"));
	broker_unsubscribe(world->broker, slice_of("b"));
	broker_unsubscribe(world->broker, slice_of("a"));
	publish(world, "a", "1");
	turn_says(world, "done:0:0 ");
}

static void an_echo_waits_for_the_turn_after(void **state)
{
	struct world *world = *state;

	turn_says(world, "state2 ");
	assert_int_equal(broker_subscribe(world->broker, slice_of("a")), 0);
	turn_says(world, "+a ");
	world->n_echoes = 2;
	publish(world, "a", "1");
	turn_says(world, "a=1 done:0:1 drained ");
	turn_says(world, "a=1 drained ");
	turn_says(world, "a=1 drained ");
	turn_says(world, "");
}

static void appends_and_pushes_in_the_order_of_the_calls(void **state)
{
	struct world *world = *state;

	turn_says(world, "state2 ");
	assert_int_equal(broker_subscribe(world->broker, slice_of("a")), 0);
	publish_log(world, "a", "x", NULL);
	read_log(world, "a", 1, 10);
	publish(world, "a", "plain");
	publish_log(world, "a", "", NULL);
	publish_log(world, "b", "z", NULL); /* nobody listens: kept all the same */
	read_log(world, "a", 2, 10);
	read_log(world, "b", 0, 0);
	turn_says(world, "+a a#1=x done:0:1 read:0:1:1=x a=plain done:0:1 a#2= done:0:2 done:0:1 read:0:2:2= "
			 "read:0:1 drained ");
	assert_int_equal(
		broker_log_publish(world->broker, slice_of("b"), slice_of("y"), &kept, NULL, NULL), 0);
	read_log(world, "b", 0, 10);
	turn_says(world, "read:0:2:1=z:2=y ");
}

static void publishes_once_under_one_key(void **state)
{
	struct world *world = *state;

	turn_says(world, "state2 ");
	assert_int_equal(broker_subscribe(world->broker, slice_of("a")), 0);
	turn_says(world, "+a ");
	publish_log(world, "a", "x", "key");
	publish_log(world, "a", "x", "key");
	publish_log(world, "a", "y", "other");
	turn_says(world, "a#1=x done:0:1 done:0:1:again a#2=y done:0:2 drained ");
}

static void a_read_ends_where_it_is_large_enough(void **state)
{
	enum {
		HALF = BROKER_LOG_READ_BYTES / 2,
		TOO_LARGE = BROKER_LOG_READ_BYTES + 1,
	};
	struct world *world = *state;
	char *payload = calloc(1, TOO_LARGE);
	struct slice large = {payload, HALF};

	turn_says(world, "state2 ");
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(
			broker_log_publish(world->broker, slice_of("a"), large, &kept, NULL, NULL), 0);
	publish_log(world, "a", "small", NULL);
	read_log(world, "a", 1, 10);
	read_log(world, "a", 3, 10);
	/* Of the zeros nothing is printed: the count of entries is what shows. */
	turn_says(world, "done:0:4 read:0:4:1=:2= read:0:4:3=:4=small ");
	large.len = TOO_LARGE;
	assert_int_equal(broker_log_publish(world->broker, slice_of("a"), large, &kept, NULL, NULL), 0);
	publish_log(world, "a", "small", NULL);
	publish_log(world, "a", "small", NULL);
	read_log(world, "a", 5, 10); /* the one that the reader knows, and the next */
	turn_says(world, "done:0:6 done:0:7 read:0:7:5=:6=small ");
	free(payload);
}

static void on_canceled(void *arg, int r, uint64_t n_receivers)
{
	struct world *world = arg;

	assert_int_equal(r, -ECANCELED);
	assert_int_equal(n_receivers, 0);
	/* Whoever tries again at once is told that it is over. */
	assert_int_equal(
		broker_publish(world->broker, slice_of("a"), slice_of("1"), on_canceled, world), -ENOTCONN);
	buf_append_str(&world->said, "canceled ");
}

static void cancels_what_is_under_way_when_it_is_freed(void **state)
{
	struct world *world = *state;

	turn_says(world, "state2 ");
	buf_reset(&world->said);
	assert_int_equal(broker_subscribe(world->broker, slice_of("a")), 0);
	assert_int_equal(broker_publish(world->broker, slice_of("a"), slice_of("1"), on_canceled, world), 0);
	assert_int_equal(broker_publish(world->broker, slice_of("a"), slice_of("2"), NULL, NULL), 0);
	publish_log(world, "a", "3", "key");
	assert_int_equal(
		broker_log_publish(world->broker, slice_of("a"), slice_of("4"), &kept, NULL, NULL), 0);
	read_log(world, "a", 0, 10);
	broker_free(world->broker);
	world->broker = NULL;
	assert_string_equal(buf_text(&world->said), "canceled done:-125:0 read:-125:0 "); /* ECANCELED */
	broker_free(NULL);
}

static void describes_itself(void **state)
{
	struct world *world = *state;
	struct buf text = {0};

	turn_says(world, "state2 ");
	assert_int_equal(broker_subscribe(world->broker, slice_of("a")), 0);
	broker_describe(world->broker, &text);
	assert_string_equal(buf_text(&text), "{\"kind\":\"memory\",\"state\":\"ready\",\"n_channels\":1,"
					     "\"note\":\"no redis is set: events stay in this process\"}");
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
		cmocka_unit_test_setup_teardown(
			appends_and_pushes_in_the_order_of_the_calls, setup, teardown),
		cmocka_unit_test_setup_teardown(publishes_once_under_one_key, setup, teardown),
		cmocka_unit_test_setup_teardown(a_read_ends_where_it_is_large_enough, setup, teardown),
		cmocka_unit_test_setup_teardown(an_echo_waits_for_the_turn_after, setup, teardown),
		cmocka_unit_test_setup_teardown(cancels_what_is_under_way_when_it_is_freed, setup, teardown),
		cmocka_unit_test_setup_teardown(describes_itself, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
