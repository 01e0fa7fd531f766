/* Redis channels: what src/broker/redis/channels.h promises, against a Redis that answers when the test says
 * so. */

#include "broker/redis/channels.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/buf.h"

static void init(struct redis_channels *channels)
{
	assert_int_equal(redis_channels_init(channels, "app:"), 0);
}

static void want(struct redis_channels *channels, const char *name)
{
	assert_int_equal(redis_channels_want(channels, slice_of(name)), 0);
}

/* The next command is this one: its words with blanks between; "" for none. */
static void sends(struct redis_channels *channels, const char *expected)
{
	struct slice argv[1 + REDIS_CHANNELS_PER_COMMAND];
	size_t n = redis_channels_next(channels, argv);
	struct buf text = {0};

	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_append_char(&text, ' ');
		buf_append(&text, argv[i].data, argv[i].len);
	}
	assert_string_equal(buf_text(&text), expected);
	buf_deinit(&text);
}

/* Redis confirms, and somebody is to be told of `told`, or nobody. */
static void confirms(struct redis_channels *channels, bool subscribed, const char *name, const char *told)
{
	struct slice channel = {0};
	int r = redis_channels_confirmed(channels, subscribed, slice_of(name), &channel);

	assert_int_equal(r, told ? REDIS_CHANNELS_LISTENS : REDIS_CHANNELS_QUIET);
	if (told) {
		assert_int_equal(channel.len, strlen(told));
		assert_memory_equal(channel.data, told, channel.len);
	}
}

static void asks_once_for_many_and_tells_of_each(void **state)
{
	struct redis_channels channels;

	(void)state;
	init(&channels);
	sends(&channels, "");
	want(&channels, "a");
	want(&channels, "b");
	want(&channels, "a");
	assert_int_equal(channels.n_wanted, 2);
	sends(&channels, "SUBSCRIBE app:a app:b");
	sends(&channels, "");
	confirms(&channels, true, "app:a", "a");
	confirms(&channels, true, "app:b", "b");
	redis_channels_unwant(&channels, slice_of("a"));
	redis_channels_unwant(&channels, slice_of("a"));
	redis_channels_unwant(&channels, slice_of("unknown"));
	sends(&channels, "UNSUBSCRIBE app:a");
	confirms(&channels, false, "app:a", NULL);
	sends(&channels, "");
	assert_int_equal(channels.n_wanted, 1);
	assert_int_equal(channels.by_name.n_entries, 1);
	redis_channels_deinit(&channels);
}

static void forgets_a_flip_that_was_never_sent(void **state)
{
	struct redis_channels channels;
	struct slice channel;

	(void)state;
	init(&channels);
	want(&channels, "a");
	redis_channels_unwant(&channels, slice_of("a"));
	sends(&channels, "");
	assert_int_equal(channels.by_name.n_entries, 0);
	want(&channels, "a");
	sends(&channels, "SUBSCRIBE app:a");
	confirms(&channels, true, "app:a", "a");
	assert_false(redis_channels_announce(&channels, &channel));
	redis_channels_unwant(&channels, slice_of("a"));
	want(&channels, "a");
	sends(&channels, "");
	assert_true(redis_channels_announce(&channels, &channel));
	assert_int_equal(channel.len, 1);
	assert_false(redis_channels_announce(&channels, &channel));
	redis_channels_deinit(&channels);
}

static void the_newest_wish_wins_over_what_is_under_way(void **state)
{
	struct redis_channels channels;

	(void)state;
	init(&channels);
	want(&channels, "a");
	sends(&channels, "SUBSCRIBE app:a");
	redis_channels_unwant(&channels, slice_of("a"));
	sends(&channels, "");
	confirms(&channels, true, "app:a", NULL);
	sends(&channels, "UNSUBSCRIBE app:a");
	want(&channels, "a");
	sends(&channels, "");
	confirms(&channels, false, "app:a", NULL);
	sends(&channels, "SUBSCRIBE app:a");
	redis_channels_unwant(&channels, slice_of("a"));
	want(&channels, "a");
	confirms(&channels, true, "app:a", "a");
	sends(&channels, "");
	redis_channels_deinit(&channels);
}

/* A model of Redis with a queue of answers, and random wishes between them: in the end it has what is wanted.
 */
static void ends_right_after_any_flips(void **state)
{
	enum {
		NAMES = 6,
		QUEUE = 512,
	};

	(void)state;
	for (unsigned int seed = 1; seed <= 3000; seed++) {
		struct redis_channels channels;
		struct slice argv[1 + REDIS_CHANNELS_PER_COMMAND], told;
		struct {
			bool subscribe;
			char name;
		} queue[QUEUE];
		bool wanted[NAMES] = {0}, subscribed[NAMES] = {0}, heard[NAMES] = {0};
		unsigned int head = 0, tail = 0, random = seed;

		init(&channels);
		for (unsigned int step = 0; step < 200; step++) {
			char name[2] = "a";
			size_t n;

			random = random * 1103515245u + 12345u;
			name[0] = (char)('a' + (random >> 16) % NAMES);
			switch (step < 150 ? (random >> 24) % 4 : 2 + step % 2) {
			case 0:
				want(&channels, name);
				wanted[name[0] - 'a'] = true;
				heard[name[0] - 'a'] = false;
				break;
			case 1:
				redis_channels_unwant(&channels, slice_of(name));
				wanted[name[0] - 'a'] = false;
				break;
			case 2:
				while ((n = redis_channels_next(&channels, argv)) > 0)
					for (size_t i = 1; i < n; i++) {
						assert_true(tail < QUEUE);
						queue[tail].subscribe = argv[0].data[0] == 'S';
						queue[tail++].name = argv[i].data[4];
					}
				while (redis_channels_announce(&channels, &told))
					heard[told.data[0] - 'a'] = true;
				break;
			case 3:
				if (head < tail) {
					char full[6] = {'a', 'p', 'p', ':', queue[head].name, 0};
					int r;

					subscribed[queue[head].name - 'a'] = queue[head].subscribe;
					r = redis_channels_confirmed(
						&channels, queue[head++].subscribe, slice_of(full), &told);
					assert_true(r >= 0);
					if (r == REDIS_CHANNELS_LISTENS)
						heard[told.data[0] - 'a'] = true;
				}
				break;
			}
		}
		assert_int_equal(head, tail);
		for (unsigned int i = 0; i < NAMES; i++) {
			assert_int_equal(subscribed[i], wanted[i]);
			assert_true(heard[i] || !wanted[i]);
		}
		redis_channels_deinit(&channels);
	}
}

/* Who waits for it is not served at all; the others are served already, or asked later. */
static void what_somebody_waits_for_goes_first(void **state)
{
	struct redis_channels channels;

	(void)state;
	init(&channels);
	want(&channels, "a");
	want(&channels, "b");
	want(&channels, "c");
	want(&channels, "d");
	redis_channels_hurry(&channels, slice_of("d"));
	redis_channels_hurry(&channels, slice_of("c"));
	redis_channels_hurry(&channels, slice_of("d"));
	redis_channels_hurry(&channels, slice_of("unknown"));
	sends(&channels, "SUBSCRIBE app:d app:c app:a app:b");
	confirms(&channels, true, "app:d", "d");
	redis_channels_hurry(&channels, slice_of("d"));
	redis_channels_unwant(&channels, slice_of("d"));
	sends(&channels, "UNSUBSCRIBE app:d");
	redis_channels_deinit(&channels);
}

/* Else what was left would add up in Redis for as long as others come. */
static void leaves_and_subscribes_by_turns(void **state)
{
	struct redis_channels channels;

	(void)state;
	init(&channels);
	want(&channels, "a");
	sends(&channels, "SUBSCRIBE app:a");
	confirms(&channels, true, "app:a", "a");
	for (int i = 0; i < 2; i++) {
		redis_channels_unwant(&channels, slice_of("a"));
		for (int j = 0; j < REDIS_CHANNELS_PER_COMMAND + 1; j++) {
			char name[16];

			snprintf(name, sizeof(name), "%d-%d", i, j);
			want(&channels, name);
		}
	}
	for (unsigned int n = 0, left = 0; !left; n++) {
		struct slice argv[1 + REDIS_CHANNELS_PER_COMMAND];

		assert_true(n < 2);
		assert_true(redis_channels_next(&channels, argv) > 0);
		left = slice_is(argv[0], "UNSUBSCRIBE");
	}
	redis_channels_deinit(&channels);
}

/* A turn that the full window takes away is nobody's, or it would always be the same one's. */
static void keeps_the_turn_of_who_found_no_room(void **state)
{
	struct redis_channels channels;
	struct slice argv[1 + REDIS_CHANNELS_PER_COMMAND];
	bool left = false;
	char name[16];

	(void)state;
	init(&channels);
	want(&channels, "a");
	sends(&channels, "SUBSCRIBE app:a");
	confirms(&channels, true, "app:a", "a");
	for (int i = 0; i < 3 * REDIS_CHANNELS_IN_FLIGHT_MAX; i++) {
		snprintf(name, sizeof(name), "%d", i);
		want(&channels, name);
	}
	while (redis_channels_next(&channels, argv))
		;
	redis_channels_unwant(&channels, slice_of("a"));
	for (int i = 0; i < 2 * REDIS_CHANNELS_PER_COMMAND; i++) {
		snprintf(name, sizeof(name), "app:%d", i);
		confirms(&channels, true, name, name + strlen("app:"));
		if ((i + 1) % REDIS_CHANNELS_PER_COMMAND)
			continue;
		while (redis_channels_next(&channels, argv))
			left |= slice_is(argv[0], "UNSUBSCRIBE");
	}
	assert_true(left);
	redis_channels_deinit(&channels);
}

/* Those that waited were let in when the server was lost. */
static void nobody_is_in_a_hurry_after_a_loss(void **state)
{
	struct redis_channels channels;
	struct slice told;

	(void)state;
	init(&channels);
	want(&channels, "a");
	want(&channels, "b");
	redis_channels_hurry(&channels, slice_of("b"));
	redis_channels_lost(&channels);
	while (redis_channels_tell_lost(&channels, &told))
		;
	want(&channels, "c");
	redis_channels_hurry(&channels, slice_of("c"));
	sends(&channels, "SUBSCRIBE app:c app:a app:b");
	redis_channels_deinit(&channels);
}

static void fills_commands_and_keeps_to_its_window(void **state)
{
	enum {
		N = 100000,
	};
	struct redis_channels channels;
	struct slice argv[1 + REDIS_CHANNELS_PER_COMMAND], told;
	unsigned int n_sent = 0, n_told = 0, n_commands = 0;
	size_t n;

	(void)state;
	init(&channels);
	for (unsigned int i = 0; i < N; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%u", i);
		want(&channels, name);
	}
	while (n_told < N) {
		while ((n = redis_channels_next(&channels, argv)) > 0) {
			assert_true(n <= 1 + REDIS_CHANNELS_PER_COMMAND);
			n_sent += (unsigned int)n - 1;
			n_commands++;
		}
		assert_true(n_sent - n_told <= REDIS_CHANNELS_IN_FLIGHT_MAX);
		while (n_told < n_sent) {
			char name[24];

			snprintf(name, sizeof(name), "app:%u", n_told++);
			assert_int_equal(redis_channels_confirmed(&channels, true, slice_of(name), &told),
				REDIS_CHANNELS_LISTENS);
		}
	}
	assert_int_equal(n_commands, (N + REDIS_CHANNELS_PER_COMMAND - 1) / REDIS_CHANNELS_PER_COMMAND);
	redis_channels_deinit(&channels);
}

static void asks_one_by_one_after_a_refusal_and_gives_up_only_the_forbidden(void **state)
{
	struct redis_channels channels;
	struct slice told = {0};

	(void)state;
	init(&channels);
	want(&channels, "a");
	want(&channels, "bad");
	want(&channels, "c");
	sends(&channels, "SUBSCRIBE app:a app:bad app:c");
	want(&channels, "d");
	sends(&channels, "SUBSCRIBE app:d");
	assert_int_equal(redis_channels_refused(&channels, &told), REDIS_CHANNELS_QUIET);
	sends(&channels, "SUBSCRIBE app:a");
	sends(&channels, "SUBSCRIBE app:bad");
	sends(&channels, "SUBSCRIBE app:c");
	confirms(&channels, true, "app:d", "d");
	confirms(&channels, true, "app:a", "a");
	assert_int_equal(redis_channels_refused(&channels, &told), REDIS_CHANNELS_REFUSED);
	assert_int_equal(told.len, 3);
	assert_memory_equal(told.data, "bad", 3);
	confirms(&channels, true, "app:c", "c");
	sends(&channels, "");
	redis_channels_retry(&channels, 10);
	sends(&channels, "SUBSCRIBE app:bad");
	redis_channels_unwant(&channels, slice_of("bad"));
	assert_int_equal(redis_channels_refused(&channels, &told), REDIS_CHANNELS_QUIET);
	assert_int_equal(channels.by_name.n_entries, 3);
	redis_channels_deinit(&channels);
}

static void forgets_what_it_may_not_leave(void **state)
{
	struct redis_channels channels;
	struct slice told = {0};

	(void)state;
	init(&channels);
	want(&channels, "a");
	want(&channels, "b");
	sends(&channels, "SUBSCRIBE app:a app:b");
	confirms(&channels, true, "app:a", "a");
	confirms(&channels, true, "app:b", "b");
	redis_channels_unwant(&channels, slice_of("a"));
	redis_channels_unwant(&channels, slice_of("b"));
	sends(&channels, "UNSUBSCRIBE app:a app:b");
	want(&channels, "b");
	assert_int_equal(redis_channels_refused(&channels, &told), REDIS_CHANNELS_STAYS);
	assert_int_equal(channels.by_name.n_entries, 1);
	sends(&channels, "SUBSCRIBE app:b");
	confirms(&channels, true, "app:b", "b");
	sends(&channels, "");
	redis_channels_deinit(&channels);
}

static void announces_nothing_while_the_link_is_not_proven(void **state)
{
	struct redis_channels channels;
	struct slice told = {0};

	(void)state;
	init(&channels);
	channels.doubtful = true;
	want(&channels, "a");
	sends(&channels, "SUBSCRIBE app:a");
	assert_int_equal(
		redis_channels_confirmed(&channels, true, slice_of("app:a"), &told), REDIS_CHANNELS_QUIET);
	assert_false(redis_channels_announce(&channels, &told));
	channels.doubtful = false;
	assert_true(redis_channels_announce(&channels, &told));
	assert_memory_equal(told.data, "a", 1);
	assert_false(redis_channels_announce(&channels, &told));
	redis_channels_deinit(&channels);
}

static void asks_for_all_that_is_wanted_after_a_loss(void **state)
{
	struct redis_channels channels;
	struct slice argv[1 + REDIS_CHANNELS_PER_COMMAND], told;

	(void)state;
	init(&channels);
	want(&channels, "settled");
	want(&channels, "leaving");
	sends(&channels, "SUBSCRIBE app:settled app:leaving");
	confirms(&channels, true, "app:settled", "settled");
	confirms(&channels, true, "app:leaving", "leaving");
	redis_channels_unwant(&channels, slice_of("leaving"));
	sends(&channels, "UNSUBSCRIBE app:leaving");
	want(&channels, "refused");
	sends(&channels, "SUBSCRIBE app:refused");
	confirms(&channels, false, "app:leaving", NULL);
	assert_int_equal(redis_channels_refused(&channels, &told), REDIS_CHANNELS_REFUSED);
	want(&channels, "coming");
	sends(&channels, "SUBSCRIBE app:coming");
	redis_channels_lost(&channels);
	assert_int_equal(channels.n_in_flight, 0);
	assert_int_equal(redis_channels_next(&channels, argv), 0); /* nobody was told yet */
	for (unsigned int i = 0; i < 3; i++)
		assert_true(redis_channels_tell_lost(&channels, &told));
	assert_false(redis_channels_tell_lost(&channels, &told));
	assert_int_equal(redis_channels_next(&channels, argv), 1 + 3); /* in no order */
	assert_int_equal(channels.by_name.n_entries, 3);
	redis_channels_deinit(&channels);
}

static void is_told_of_a_loss_only_where_somebody_relies_on_the_channel(void **state)
{
	struct redis_channels channels;
	struct slice told;

	(void)state;
	redis_channels_init(&channels, "app:");
	channels.doubtful = true;
	want(&channels, "a");
	sends(&channels, "SUBSCRIBE app:a");
	confirms(&channels, true, "app:a", NULL);
	redis_channels_lost(&channels);
	assert_false(redis_channels_tell_lost(&channels, &told)); /* nobody was told that it is subscribed */
	sends(&channels, "SUBSCRIBE app:a");
	confirms(&channels, true, "app:a", NULL);
	channels.doubtful = false;
	want(&channels, "b");
	redis_channels_lost(&channels);
	redis_channels_unwant(&channels, slice_of("b"));
	redis_channels_unwant(&channels, slice_of("a"));
	want(&channels, "a"); /* by somebody else */
	assert_false(redis_channels_tell_lost(&channels, &told));
	sends(&channels, "SUBSCRIBE app:a");
	confirms(&channels, true, "app:a", "a");
	redis_channels_lost(&channels);
	want(&channels, "a");
	assert_true(redis_channels_tell_lost(&channels, &told));
	assert_int_equal(told.len, 1);
	assert_false(redis_channels_tell_lost(&channels, &told));
	sends(&channels, "SUBSCRIBE app:a");
	redis_channels_deinit(&channels);
}

static void refuses_an_answer_to_what_was_not_asked(void **state)
{
	struct redis_channels channels;
	struct slice told;

	(void)state;
	init(&channels);
	assert_int_equal(redis_channels_confirmed(&channels, true, slice_of("app:a"), &told), -EPROTO);
	assert_int_equal(redis_channels_refused(&channels, &told), -EPROTO);
	want(&channels, "a");
	sends(&channels, "SUBSCRIBE app:a");
	assert_int_equal(redis_channels_confirmed(&channels, true, slice_of("app:b"), &told), -EPROTO);
	assert_int_equal(redis_channels_confirmed(&channels, false, slice_of("app:a"), &told), -EPROTO);
	redis_channels_deinit(&channels);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asks_once_for_many_and_tells_of_each),
		cmocka_unit_test(forgets_a_flip_that_was_never_sent),
		cmocka_unit_test(the_newest_wish_wins_over_what_is_under_way),
		cmocka_unit_test(ends_right_after_any_flips),
		cmocka_unit_test(what_somebody_waits_for_goes_first),
		cmocka_unit_test(leaves_and_subscribes_by_turns),
		cmocka_unit_test(keeps_the_turn_of_who_found_no_room),
		cmocka_unit_test(nobody_is_in_a_hurry_after_a_loss),
		cmocka_unit_test(fills_commands_and_keeps_to_its_window),
		cmocka_unit_test(asks_one_by_one_after_a_refusal_and_gives_up_only_the_forbidden),
		cmocka_unit_test(forgets_what_it_may_not_leave),
		cmocka_unit_test(announces_nothing_while_the_link_is_not_proven),
		cmocka_unit_test(asks_for_all_that_is_wanted_after_a_loss),
		cmocka_unit_test(is_told_of_a_loss_only_where_somebody_relies_on_the_channel),
		cmocka_unit_test(refuses_an_answer_to_what_was_not_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
