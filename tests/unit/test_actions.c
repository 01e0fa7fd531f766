/* Actions: what client/actions.h promises: each gets exactly one end, in time, and nobody gets another's. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/actions.h"
#include "core/slice.h"
#include "support/clients_world.h"

enum {
	PARTS_MAX = 10000, /* docs/actions.md */
};

/* What went to the bus. */
struct asked {
	uint64_t conn;
	uint64_t number;
};

static struct asked act(struct world *world, struct peer *peer, int id)
{
	unsigned int n = world->n_actions;
	char text[128];

	snprintf(text, sizeof(text), "{\"type\":\"action\",\"id\":%d,\"key\":\"k%d\",\"data\":[%d]}", id, id,
		id);
	ask(world, peer, text);
	assert_int_equal(world->n_actions, n + 1);
	return (struct asked){world->action->conn, world->action->number};
}

static void answer(struct world *world, struct asked asked, const char *data, bool more)
{
	actions_answered(&world->clients,
		&(struct action_answer){
			.conn = asked.conn, .number = asked.number, .more = more, .data = slice_of(data)});
	turn(world);
}

static void refuse(struct world *world, struct asked asked, const char *code)
{
	actions_answered(&world->clients, &(struct action_answer){.conn = asked.conn,
						  .number = asked.number,
						  .code = slice_of(code),
						  .message = slice_of("\"no\"")});
	turn(world);
}

/* No backend got it. */
static void lose(struct world *world, struct asked asked, int r)
{
	actions_answered(
		&world->clients, &(struct action_answer){.conn = asked.conn, .number = asked.number, .r = r});
	turn(world);
}

static uint64_t dropped(const struct world *world)
{
	return metrics_get(&world->metrics, METRIC_ACTION_ANSWERS_DROPPED);
}

static void an_action_is_handed_on_whole_and_answered(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened_as(world, 0, "/ws/ask/7", "{'sub':'ada'}");
	struct asked asked = act(world, peer, 3);
	const struct action *action = world->action;

	assert_true(slice_is(action->text.stream, "work"));
	assert_true(slice_is(action->text.user, "ada"));
	assert_true(slice_is(action->text.route, "/ws/ask/{id}"));
	assert_true(slice_is(action->text.vars, "{\"id\":\"7\"}"));
	assert_true(slice_is(action->text.key, "k3"));
	assert_true(slice_is(action->text.data, "[3]"));
	assert_int_equal(action->timeout_ms, 1000);
	assert_int_equal(action->backlog, 5);
	hears(peer, "");
	world->now_us += 1500;
	answer(world, asked, "{\"channel\":\"done\"}", false);
	hears(peer, "reply#3(done) ");
	assert_int_equal(metrics_get(&world->metrics, METRIC_ACTIONS_SENT), 1);
	assert_int_equal(metrics_get(&world->metrics, METRIC_ACTIONS_ANSWERED), 1);
	assert_int_equal(dropped(world), 0);
}

static void no_more_are_in_flight_than_may_be(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, "/ws/ask/7"), *other = opened(world, 1, "/ws/ask/7");
	struct asked first = act(world, peer, 1);

	act(world, peer, 2);
	act(world, peer, 3);
	ask(world, peer, "{\"type\":\"action\",\"id\":4}");
	hears(peer, "error#4(too_many_actions) ");
	assert_int_equal(world->n_actions, 3);
	act(world, other, 1); /* of another connection */
	answer(world, first, "{\"channel\":\"a\"}", false);
	hears(peer, "reply#1(a) ");
	act(world, peer, 5);
	assert_int_equal(metrics_get(&world->metrics, METRIC_ACTIONS_TOO_MANY), 1);
}

static void time_ends_what_nobody_answers(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, "/ws/ask/7"), *patient = opened(world, 1, "/ws/patient-ask");
	struct asked late = act(world, peer, 1), slow = act(world, patient, 1);

	pass(world, 600);
	act(world, peer, 2);
	pass(world, 399);
	hears(peer, "");
	pass(world, 1);
	hears(peer, "error#1(timeout) ");
	answer(world, late, "{\"channel\":\"late\"}", false);
	hears(peer, "");
	assert_int_equal(dropped(world), 1);
	pass(world, 600);
	hears(peer, "error#2(timeout) ");
	hears(patient, "");
	answer(world, slow, "{\"channel\":\"in time\"}", false);
	hears(patient, "reply#1(in time) ");
	assert_int_equal(metrics_get(&world->metrics, METRIC_ACTIONS_TIMED_OUT), 2);
}

static void each_part_renews_the_time_and_the_last_one_ends_it(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, "/ws/ask/7");
	struct asked asked = act(world, peer, 1);

	for (int i = 0; i < 3; i++) {
		pass(world, 900);
		answer(world, asked, "{\"channel\":\"part\"}", true);
		hears(peer, "reply#1(part) ");
	}
	pass(world, 900);
	answer(world, asked, "{\"channel\":\"end\"}", false);
	hears(peer, "reply#1(end) ");
	pass(world, 5000);
	hears(peer, "");
	asked = act(world, peer, 2);
	answer(world, asked, "{\"channel\":\"part\"}", true);
	pass(world, 1000);
	hears(peer, "reply#2(part) error#2(timeout) ");
	assert_int_equal(metrics_get(&world->metrics, METRIC_ACTIONS_ANSWERED), 1);
}

static void the_first_end_counts(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, "/ws/ask/7");
	struct asked asked = act(world, peer, 1);

	refuse(world, asked, "\"full\"");
	answer(world, asked, "{\"channel\":\"second\"}", false);
	answer(world, asked, "{\"channel\":\"second\"}", true);
	lose(world, asked, -ETIMEDOUT);
	hears(peer, "error#1(full) ");
	assert_int_equal(dropped(world), 2); /* our own word about the link is no answer */
	assert_int_equal(metrics_get(&world->metrics, METRIC_ACTIONS_UNKNOWN), 0);
}

static void an_answer_for_anothers_connection_reaches_nobody(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, "/ws/ask/7"), *other = opened(world, 1, "/ws/ask/7");
	struct asked asked = act(world, peer, 1);

	answer(world, (struct asked){other->client.id, asked.number}, "{}", false);
	answer(world, (struct asked){asked.conn, asked.number + 1}, "{}", false);
	answer(world, (struct asked){UINT64_MAX, UINT64_MAX}, "{}", true);
	hears(peer, "");
	hears(other, "");
	assert_int_equal(dropped(world), 3);
	answer(world, asked, "{\"channel\":\"a\"}", false);
	hears(peer, "reply#1(a) ");
}

static void an_answer_for_a_connection_that_has_gone_is_dropped(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, "/ws/ask/7"), *other = opened(world, 1, "/ws/ask/7");
	struct asked gone = act(world, peer, 1), here = act(world, other, 1);

	act(world, peer, 2);
	client_deinit(&peer->client);
	answer(world, gone, "{}", false);
	assert_int_equal(dropped(world), 1);
	answer(world, here, "{\"channel\":\"a\"}", false);
	hears(other, "reply#1(a) ");
	pass(world, 2000); /* their time ends with them */
	assert_int_equal(metrics_get(&world->metrics, METRIC_ACTIONS_ABANDONED), 2);
	assert_int_equal(metrics_get(&world->metrics, METRIC_ACTIONS_TIMED_OUT), 0);
}

static void what_no_backend_got_is_told(void **state)
{
	static const struct {
		int r;
		const char *heard;
		enum metric metric;
	} rows[] = {
		{-EBUSY, "error#1(busy 2000) ", METRIC_ACTIONS_BUSY},
		{-ETIMEDOUT, "error#1(unknown 2000) ", METRIC_ACTIONS_UNKNOWN},
		{-ENOTCONN, "error#1(unavailable 2000) ", METRIC_ACTIONS_UNAVAILABLE},
		{-EACCES, "error#1(unavailable 2000) ", METRIC_ACTIONS_UNAVAILABLE},
	};
	struct world *world = *state;
	struct peer *peer = opened(world, 0, "/ws/ask/7");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t before = metrics_get(&world->metrics, rows[i].metric);

		lose(world, act(world, peer, 1), rows[i].r);
		hears(peer, rows[i].heard);
		assert_int_equal(metrics_get(&world->metrics, rows[i].metric), before + 1);
	}
	assert_int_equal(metrics_get(&world->metrics, METRIC_ACTIONS_ANSWERED), 0);
}

static void an_answer_without_an_end_is_ended(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, "/ws/ask/7");
	struct asked asked = act(world, peer, 1);

	for (int i = 0; i < PARTS_MAX; i++) {
		answer(world, asked, "1", true);
		buf_reset(&peer->wire);
		peer->n_sends = 0;
	}
	answer(world, asked, "1", true);
	hears(peer, "error#1(too_long) ");
	assert_int_equal(metrics_get(&world->metrics, METRIC_ACTIONS_TOO_LONG), 1);
	answer(world, asked, "1", true);
	hears(peer, "");
	assert_int_equal(dropped(world), 1);
	for (int id = 0; id < 3; id++)
		act(world, peer, id); /* and no longer counts */
}

static void without_an_id_errors_alone_are_heard(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, "/ws/ask/7");

	for (int i = 0; i < 2; i++) {
		ask(world, peer, "{\"type\":\"action\"}");
		struct asked asked = {world->action->conn, world->action->number};

		answer(world, asked, "1", true);
		if (i == 0)
			answer(world, asked, "1", false);
		else
			refuse(world, asked, "\"no\"");
	}
	hears(peer, "error(no) ");
	assert_int_equal(metrics_get(&world->metrics, METRIC_ACTIONS_ANSWERED), 2);
}

static void a_path_without_actions_says_so(void **state)
{
	struct world *world = *state;
	struct peer *peer = opened(world, 0, CARDS);

	ask(world, peer, "{\"type\":\"action\",\"id\":1}");
	hears(peer, "error#1(unsupported) ");
	assert_int_equal(world->n_actions, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLIENTS_TEST(an_action_is_handed_on_whole_and_answered),
		CLIENTS_TEST(no_more_are_in_flight_than_may_be),
		CLIENTS_TEST(time_ends_what_nobody_answers),
		CLIENTS_TEST(each_part_renews_the_time_and_the_last_one_ends_it),
		CLIENTS_TEST(the_first_end_counts),
		CLIENTS_TEST(an_answer_for_anothers_connection_reaches_nobody),
		CLIENTS_TEST(an_answer_for_a_connection_that_has_gone_is_dropped),
		CLIENTS_TEST(what_no_backend_got_is_told),
		CLIENTS_TEST(an_answer_without_an_end_is_ended),
		CLIENTS_TEST(without_an_id_errors_alone_are_heard),
		CLIENTS_TEST(a_path_without_actions_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
