/* Metrics: what metrics/metrics.h promises, and that the table is one that Prometheus takes. */

#include "metrics/metrics.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/buf.h"

static const struct {
	const char *kind, *name, *labels, *help;
} rows[] = {
#define METRIC(id, kind, name, labels, help) {#kind, name, labels, help},
#include "metrics/metrics.def"
#undef METRIC
};

static bool ends_with(const char *text, const char *end)
{
	return strlen(text) >= strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

static void adds_up_what_the_threads_counted(void **state)
{
	struct metrics a = {0}, b = {0};
	const struct metrics *blocks[] = {&a, &b};
	struct buf out = {0};

	(void)state;
	metrics_add(&a, METRIC_CONNECTIONS, 5);
	metrics_add(&b, METRIC_CONNECTIONS, 7);
	metrics_sub(&b, METRIC_CONNECTIONS, 9); /* opened on one thread, counted down on the other */
	metrics_set(&a, METRIC_REDIS_READY, 1);
	metrics_set(&a, METRIC_REDIS_READY, 0);
	metrics_add(&b, METRIC_EVENTS_DROPPED, 2);
	metrics_write(blocks, 2, &out);
	assert_non_null(strstr(buf_text(&out), "\ntidegate_connections 3\n"));
	assert_non_null(strstr(buf_text(&out), "\ntidegate_redis_ready 0\n"));
	assert_non_null(strstr(buf_text(&out), "\ntidegate_events_dropped_total{reason=\"not_json\"} 2\n"));
	assert_int_equal(metrics_get(&b, METRIC_EVENTS_DROPPED), 2);
	buf_deinit(&out);
}

static void describes_each_name_once_before_its_rows(void **state)
{
	struct buf out = {0};
	const char *text;
	char line[256];

	(void)state;
	metrics_write(NULL, 0, &out);
	text = buf_text(&out);
	for (unsigned int i = 0; i < METRIC_COUNT; i++) {
		const char *help, *type, *row;

		snprintf(line, sizeof(line), "# HELP %s ", rows[i].name);
		help = strstr(text, line);
		assert_non_null(help);
		assert_null(strstr(help + 1, line));
		snprintf(line, sizeof(line), "# TYPE %s %s\n", rows[i].name, rows[i].kind);
		type = strstr(text, line);
		assert_non_null(type);
		assert_null(strstr(type + 1, line));
		snprintf(line, sizeof(line), "\n%s%s%s%s 0\n", rows[i].name, rows[i].labels[0] ? "{" : "",
			rows[i].labels, rows[i].labels[0] ? "}" : "");
		row = strstr(text, line);
		assert_non_null(row);
		assert_true(help < type && type < row);
	}
	buf_deinit(&out);
}

/* What `promtool check metrics` complains about, as far as a table can do it wrong. */
static void has_a_table_that_prometheus_takes(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < METRIC_COUNT; i++) {
		for (const char *c = rows[i].name; *c; c++)
			assert_true(islower((unsigned char)*c) || *c == '_');
		assert_memory_equal(rows[i].name, "tidegate_", 9);
		assert_true(strcmp(rows[i].kind, "gauge") == 0 || strcmp(rows[i].kind, "counter") == 0);
		assert_int_equal(ends_with(rows[i].name, "_total"), strcmp(rows[i].kind, "counter") == 0);
		assert_true(ends_with(rows[i].help, "."));
		assert_null(strpbrk(rows[i].help, "\\\n"));
		for (unsigned int j = 0; j < i; j++) {
			if (strcmp(rows[i].name, rows[j].name) != 0)
				continue;
			assert_string_not_equal(rows[i].labels, rows[j].labels);
			assert_string_equal(rows[i].kind, rows[j].kind);
			assert_string_equal(rows[i].name, rows[i - 1].name); /* they stand together */
		}
	}
}

static void shares_no_cache_line_between_threads(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct metrics) % 64, 0);
	assert_int_equal(_Alignof(struct metrics), 64);
}

static void counts_nothing_without_a_block(void **state)
{
	(void)state;
	metrics_add(NULL, METRIC_EVENTS, 1);
	metrics_sub(NULL, METRIC_EVENTS, 1);
	metrics_set(NULL, METRIC_EVENTS, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adds_up_what_the_threads_counted),
		cmocka_unit_test(describes_each_name_once_before_its_rows),
		cmocka_unit_test(has_a_table_that_prometheus_takes),
		cmocka_unit_test(shares_no_cache_line_between_threads),
		cmocka_unit_test(counts_nothing_without_a_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
