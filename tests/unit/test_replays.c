/* Replays: no more than a window of them is under way, and each gets its turn. */

#include "bus/replays.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "channel_log/position.h"
#include "mail/join.h"
#include "protocol/message.h"

enum {
	EVENT_BYTES = 1 << 20,
};

/* An answer with so many events of one MiB each, n 0: with none. */
static struct join *answered(uint32_t n)
{
	static char payload[EVENT_BYTES];
	const struct since since = {.kind = SINCE_NOW};
	struct join *join = join_new(0, (struct slice){"cards", 5}, &since);

	assert_non_null(join);
	memset(payload, ' ', sizeof(payload));
	payload[0] = '{';
	payload[sizeof(payload) - 1] = '}';
	join->events = calloc(n ? n : 1, sizeof(struct message *));
	assert_non_null(join->events);
	for (; join->n_events < n; join->n_events++)
		assert_int_equal(message_from_event(message_channel((struct slice){"cards", 5}),
					 (struct slice){payload, sizeof(payload)}, (struct slice){0}, 1, 1,
					 &join->events[join->n_events]),
			0);
	return join;
}

static void lets_joins_through_until_the_window_is_full(void **state)
{
	struct replays replays;
	struct join *sent[16], *late = answered(0);
	int n = 0;

	(void)state;
	replays_init(&replays);
	for (; n < 16; n++) {
		struct join *join = answered(1);

		if (!replays_admit(&replays, join))
			break; /* held, and freed with the window */
		replays_sent(&replays, join);
		sent[n] = join;
	}
	assert_int_equal(n, REPLAYS_BYTES_MAX / EVENT_BYTES);
	assert_false(replays_admit(&replays, late));
	for (int i = 0; i < n; i++) {
		replays_spent(&replays, &sent[i]->credit);
		join_free(sent[i]);
	}
	assert_int_equal(replays.bytes, 0);
	replays_deinit(&replays);
}

static void lets_held_ones_go_in_their_order_as_room_comes(void **state)
{
	struct replays replays;
	struct join *big = answered(REPLAYS_BYTES_MAX / EVENT_BYTES), *first = answered(0),
		    *second = answered(0);

	(void)state;
	replays_init(&replays);
	assert_true(replays_admit(&replays, big));
	replays_sent(&replays, big);
	assert_false(replays_admit(&replays, first));
	assert_false(replays_admit(&replays, second));
	assert_null(replays_next(&replays));
	assert_ptr_equal(join_spend(big), &big->credit);
	replays_spent(&replays, &big->credit);
	assert_ptr_equal(replays_next(&replays), first);
	assert_ptr_equal(replays_next(&replays), second);
	assert_null(replays_next(&replays));
	join_free(big);
	join_free(first);
	join_free(second);
	replays_deinit(&replays);
}

/* Else it would overtake. */
static void holds_whoever_comes_while_others_are_held(void **state)
{
	struct replays replays;
	struct join *big = answered(REPLAYS_BYTES_MAX / EVENT_BYTES), *held = answered(0),
		    *late = answered(0);

	(void)state;
	replays_init(&replays);
	assert_true(replays_admit(&replays, big));
	replays_sent(&replays, big);
	assert_false(replays_admit(&replays, held));
	replays_spent(&replays, &big->credit);
	assert_false(replays_admit(&replays, late));
	join_free(big);
	replays_deinit(&replays);
}

static void an_answer_without_events_need_not_come_back(void **state)
{
	struct replays replays;
	struct join *join = answered(0);

	(void)state;
	replays_init(&replays);
	replays_sent(&replays, join);
	assert_null(join_spend(join)); /* freed */
	replays_deinit(&replays);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lets_joins_through_until_the_window_is_full),
		cmocka_unit_test(lets_held_ones_go_in_their_order_as_room_comes),
		cmocka_unit_test(holds_whoever_comes_while_others_are_held),
		cmocka_unit_test(an_answer_without_events_need_not_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
