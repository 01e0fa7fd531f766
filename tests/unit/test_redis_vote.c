/* Redis vote: what src/broker/redis/vote.h promises. */

#include "broker/redis/vote.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct redis_vote vote(const char *host, uint64_t epoch)
{
	struct redis_vote made = {true, epoch, 6379, ""};

	snprintf(made.host, sizeof(made.host), "%s", host);
	return made;
}

static void nobody_wins_without_answers(void **state)
{
	const struct redis_vote none[3] = {{0}};

	(void)state;
	assert_int_equal(redis_vote_count(none, 0, 0), -1);
	assert_int_equal(redis_vote_count(none, 3, 0), -1);
}

/* One that was cut off, or that leads and has said so first, is alone with its epoch. */
static void the_newest_configuration_wins_against_any_number_of_older_ones(void **state)
{
	const struct redis_vote votes[] = {vote("old", 6), vote("old", 6), vote("new", 7), vote("old", 6)};

	(void)state;
	assert_int_equal(redis_vote_count(votes, 4, 0), 2);
}

static void of_one_configuration_the_address_that_most_name_wins(void **state)
{
	const struct redis_vote votes[] = {
		vote("b", 6), vote("b", 6), vote("10.0.0.1", 7), vote("name", 7), vote("NAME", 7)};

	(void)state;
	assert_int_equal(redis_vote_count(votes, 5, 0), 3);
}

/* Against the definition, with random answers. */
static void whoever_wins_is_beaten_by_nobody(void **state)
{
	static const char *const hosts[] = {"a", "b", "c"};

	(void)state;
	srand(12);
	for (int round = 0; round < 20000; round++) {
		struct redis_vote votes[6] = {{0}};
		size_t n = (size_t)(rand() % 7), counts[6] = {0};
		int best;

		for (size_t i = 0; i < n; i++) {
			votes[i] = vote(hosts[rand() % 3], (uint64_t)(rand() % 3));
			votes[i].given = rand() % 4 > 0;
		}
		for (size_t i = 0; i < n; i++)
			for (size_t j = 0; j < n; j++)
				counts[i] += votes[j].given && votes[j].epoch == votes[i].epoch &&
					     redis_vote_same(&votes[i], &votes[j]);
		best = redis_vote_count(votes, n, 0);
		for (size_t i = 0; i < n; i++) {
			if (!votes[i].given)
				continue;
			assert_true(best >= 0 && votes[best].given);
			assert_true(votes[i].epoch <= votes[best].epoch);
			assert_true(votes[i].epoch < votes[best].epoch || counts[i] <= counts[best]);
		}
	}
}

static void an_older_configuration_than_the_known_one_does_not_count_even_alone(void **state)
{
	const struct redis_vote stale[] = {vote("old", 6)}, both[] = {vote("old", 6), vote("new", 7)};
	const struct redis_vote unnumbered[] = {vote("new", 0), vote("old", 6)};

	(void)state;
	assert_int_equal(redis_vote_count(stale, 1, 6), 0);
	assert_int_equal(redis_vote_count(stale, 1, 7), -1);
	assert_int_equal(redis_vote_count(both, 2, 7), 1);
	assert_int_equal(redis_vote_count(unnumbered, 2, 7), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_wins_without_answers),
		cmocka_unit_test(the_newest_configuration_wins_against_any_number_of_older_ones),
		cmocka_unit_test(an_older_configuration_than_the_known_one_does_not_count_even_alone),
		cmocka_unit_test(of_one_configuration_the_address_that_most_name_wins),
		cmocka_unit_test(whoever_wins_is_beaten_by_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
