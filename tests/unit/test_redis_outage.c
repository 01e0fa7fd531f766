/* Redis outage: two lines however long it lasts, and a reminder a minute. Time is handed in. */

#include "broker/redis/outage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/log_text.h"

enum {
	MINUTE_MS = 60 * 1000,
	BEGIN_MS = 1000,
};

struct fixture {
	struct log_text log;
	struct redis_outage outage;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	log_text_init(&f->log);
	assert_int_equal(
		redis_outage_init(&f->outage, f->log.log, (struct slice){"redis:6379/0", 12}, BEGIN_MS), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	redis_outage_deinit(&f->outage);
	log_text_deinit(&f->log);
	free(f);
	return 0;
}

static void dial_in_vain(struct fixture *f, uint64_t now_ms)
{
	f->outage.n_attempts++;
	redis_outage_because(&f->outage, "connection refused");
	redis_outage_goes_on(&f->outage, now_ms);
}

static void says_the_first_attempt_in_vain_and_no_other_before_a_minute(void **state)
{
	struct fixture *f = *state;

	for (uint64_t ms = 0; ms < MINUTE_MS; ms += 1000)
		dial_in_vain(f, BEGIN_MS + ms);
	assert_int_equal(log_text_count(&f->log, "redis cannot be reached, trying on"), 1);
	assert_int_equal(log_text_count(&f->log, "redis"), 1);
}

static void an_outage_is_two_lines(void **state)
{
	struct fixture *f = *state;

	redis_outage_end(&f->outage, BEGIN_MS, 3);
	assert_int_equal(log_text_count(&f->log, "redis is ready"), 1);
	redis_outage_because(&f->outage, "Redis closed the connection");
	redis_outage_begin(&f->outage, 5000);
	for (int i = 0; i < 50; i++)
		dial_in_vain(f, 5000 + (uint64_t)i * 1000);
	redis_outage_end(&f->outage, 55000, 3);
	assert_int_equal(log_text_count(&f->log, "redis is lost, dialling again"), 1);
	assert_int_equal(log_text_count(&f->log, "reason=\"Redis closed the connection\""), 1);
	assert_int_equal(log_text_count(&f->log,
				 "redis is back redis=redis:6379/0 away_ms=50000 attempts=50 channels=3"),
		1);
	assert_int_equal(log_text_count(&f->log, " redis"), 3);
}

static void reminds_once_a_minute(void **state)
{
	struct fixture *f = *state;

	redis_outage_end(&f->outage, BEGIN_MS, 0);
	redis_outage_because(&f->outage, "gone");
	redis_outage_begin(&f->outage, BEGIN_MS);
	for (uint64_t ms = 1000; ms <= 5 * MINUTE_MS; ms += 1000)
		dial_in_vain(f, BEGIN_MS + ms);
	assert_int_equal(log_text_count(&f->log, "redis is still away"), 5);
	assert_int_equal(log_text_count(&f->log, "reason=\"connection refused\""), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			says_the_first_attempt_in_vain_and_no_other_before_a_minute, setup, teardown),
		cmocka_unit_test_setup_teardown(an_outage_is_two_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(reminds_once_a_minute, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
