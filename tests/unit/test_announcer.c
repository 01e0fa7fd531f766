/* Announcer: when it tells the others of this node, at a broker that only counts. */

#include "app/announcer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <event2/event.h>

#include "broker/broker.h"
#include "core/buf.h"

enum {
	LOOKS = 2, /* the next one in its turn is many more later, and so is another try */
};

static enum broker_state state_now;
static uint64_t n_returns_now;
static int outcome;
static unsigned int n_announced, n_beats;

static enum broker_state counting_state(const struct broker *broker)
{
	(void)broker;
	return state_now;
}

static uint64_t counting_returns(const struct broker *broker)
{
	(void)broker;
	return n_returns_now;
}

static int counting_announce(struct broker *broker, struct slice text, uint64_t ttl_ms)
{
	(void)broker;
	assert_int_equal(text.len, 2);
	assert_int_equal(ttl_ms, ANNOUNCER_TTL_MS);
	n_announced++;
	return outcome;
}

static void beat(void *arg)
{
	(void)arg;
	n_beats++;
}

static void say(void *arg, struct buf *out)
{
	(void)arg;
	buf_append_str(out, "{}");
}

/* Runs the loop until it has looked so often. */
static void look(struct event_base *base, unsigned int n)
{
	for (unsigned int wanted = n_beats + n; n_beats < wanted;)
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
}

static void tells_as_soon_as_the_broker_is_there_and_when_it_returns(void **state)
{
	static const struct broker_ops ops = {
		.state = counting_state, .n_returns = counting_returns, .announce = counting_announce};
	const struct announcer_source source = {NULL, beat, say};
	struct event_base *base = event_base_new();
	struct broker broker = {&ops};
	struct announcer *announcer = announcer_new(base, &broker, &source);

	(void)state;
	assert_non_null(announcer);
	state_now = BROKER_CONNECTING;
	look(base, LOOKS);
	assert_int_equal(n_announced, 0);

	state_now = BROKER_READY;
	outcome = -EAGAIN;
	look(base, LOOKS);
	assert_int_equal(n_announced, 1); /* not with each look, for one costs the whole status */
	n_returns_now++;
	look(base, LOOKS);
	assert_int_equal(n_announced, 2);
	outcome = 0;
	while (n_announced < 3) /* until it can be sent */
		look(base, 1);

	n_returns_now++;
	look(base, LOOKS);
	assert_int_equal(n_announced, 4);
	announcer_free(announcer);
	event_base_free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_as_soon_as_the_broker_is_there_and_when_it_returns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
