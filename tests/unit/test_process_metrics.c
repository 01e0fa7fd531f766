/* Process metrics: what metrics/process_metrics.h promises. */

#include "metrics/process_metrics.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "metrics/metrics.h"

static void look(struct metrics *metrics)
{
	struct process_metrics process = {0};

	process_metrics_read(&process, metrics, 0);
}

static void counts_open_files(void **state)
{
	struct metrics before = {0}, after = {0};
	int fds[3];

	(void)state;
	look(&before);
	for (int i = 0; i < 3; i++)
		fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	look(&after);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	assert_true(metrics_get(&before, METRIC_PROCESS_OPEN_FDS) >= 1);
	assert_int_equal(metrics_get(&after, METRIC_PROCESS_OPEN_FDS),
		metrics_get(&before, METRIC_PROCESS_OPEN_FDS) + 3);
}

/* What older kernels need comes to the same as what newer ones say in a word. */
static void counts_the_same_one_by_one(void **state)
{
	struct metrics metrics = {0};

	(void)state;
	look(&metrics);
	assert_int_equal(process_metrics_count_fds(), metrics_get(&metrics, METRIC_PROCESS_OPEN_FDS));
}

static void says_how_many_may_be_open(void **state)
{
	struct metrics metrics = {0};
	struct rlimit limit;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	look(&metrics);
	assert_int_equal(metrics_get(&metrics, METRIC_PROCESS_MAX_FDS), limit.rlim_cur);
}

static void says_what_memory_it_takes(void **state)
{
	enum {
		BYTES = 32 << 20,
	};
	struct metrics before = {0}, after = {0};
	volatile char *memory;

	(void)state;
	look(&before);
	memory = malloc(BYTES);
	assert_non_null(memory);
	for (size_t i = 0; i < BYTES; i += 512)
		memory[i] = 1;
	look(&after);
	free((void *)memory);
	assert_true(metrics_get(&after, METRIC_PROCESS_RESIDENT) >=
		    metrics_get(&before, METRIC_PROCESS_RESIDENT) + BYTES / 2);
	assert_true(
		metrics_get(&after, METRIC_PROCESS_VIRTUAL) >= metrics_get(&after, METRIC_PROCESS_RESIDENT));
}

static void says_what_cpu_it_took(void **state)
{
	struct metrics before = {0}, after = {0};

	(void)state;
	look(&before);
	do
		look(&after);
	while (metrics_get(&after, METRIC_PROCESS_CPU) == metrics_get(&before, METRIC_PROCESS_CPU));
	assert_true(metrics_get(&after, METRIC_PROCESS_CPU) > metrics_get(&before, METRIC_PROCESS_CPU));
}

static void says_when_it_began(void **state)
{
	struct process_metrics process = {.started_us = 1700000000000000};
	struct metrics metrics = {0};

	(void)state;
	process_metrics_read(&process, &metrics, 0);
	assert_int_equal(metrics_get(&metrics, METRIC_PROCESS_START), 1700000000000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_open_files),
		cmocka_unit_test(counts_the_same_one_by_one),
		cmocka_unit_test(says_how_many_may_be_open),
		cmocka_unit_test(says_what_memory_it_takes),
		cmocka_unit_test(says_what_cpu_it_took),
		cmocka_unit_test(says_when_it_began),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
