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
#include "version.h"

struct row {
	enum metric id;
	const char *kind, *unit, *name, *labels, *help;
};

static const struct row rows[] = {
#define METRIC(id, kind, unit, name, labels, help) {METRIC_##id, #kind, #unit, name, labels, help},
#define HISTOGRAM(id, name, help)                  {METRIC_##id, "histogram", "us", name, "", help},
#include "metrics/metrics.def"
#undef METRIC
#undef HISTOGRAM
};

enum {
	N_ROWS = sizeof(rows) / sizeof(*rows),
};

static const char *type_of(const struct row *row)
{
	return strcmp(row->kind, "peak") == 0 ? "gauge" : row->kind;
}

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

static void takes_the_largest_of_a_peak(void **state)
{
	struct metrics a = {0}, b = {0};
	const struct metrics *blocks[] = {&a, &b};
	struct buf out = {0};

	(void)state;
	metrics_set(&a, METRIC_LOOP_LAG, 7);
	metrics_set(&b, METRIC_LOOP_LAG, 12000005);
	metrics_write(blocks, 2, &out);
	assert_non_null(strstr(buf_text(&out), "\ntidegate_loop_lag_seconds 12.000005\n"));
	buf_deinit(&out);
}

static void observes_into_the_bucket_that_holds_it(void **state)
{
	static const char name[] = "\ntidegate_delivery_seconds";
	struct metrics a = {0}, b = {0};
	const struct metrics *blocks[] = {&a, &b};
	struct buf out = {0};
	char line[128];

	(void)state;
	metrics_observe(&a, METRIC_DELIVERY, 0, 1);
	metrics_observe(&a, METRIC_DELIVERY, 100, 2); /* bounds are inclusive */
	metrics_observe(&b, METRIC_DELIVERY, 101, 3);
	metrics_observe(&b, METRIC_DELIVERY, 10000000, 4);
	metrics_observe(&b, METRIC_DELIVERY, 10000001, 5);
	assert_int_equal(metrics_n_observed(&a, METRIC_DELIVERY), 3);
	assert_int_equal(metrics_n_observed(&b, METRIC_DELIVERY), 12);
	metrics_write(blocks, 2, &out);
	static const struct {
		const char *le;
		unsigned int n;
	} expected[] = {{"0.0001", 3}, {"0.00025", 6}, {"0.1", 6}, {"5", 6}, {"10", 10}, {"+Inf", 15}};
	for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
		snprintf(
			line, sizeof(line), "%s_bucket{le=\"%s\"} %u\n", name, expected[i].le, expected[i].n);
		assert_non_null(strstr(buf_text(&out), line));
	}
	snprintf(line, sizeof(line), "%s_sum 90.000508\n", name);
	assert_non_null(strstr(buf_text(&out), line));
	snprintf(line, sizeof(line), "%s_count 15\n", name);
	assert_non_null(strstr(buf_text(&out), line));
	assert_non_null(strstr(buf_text(&out), "\n# TYPE tidegate_delivery_seconds histogram\n"));
	buf_deinit(&out);
}

/* Prometheus reads a bound's text as the number that it is sorted by. */
static void has_buckets_whose_texts_are_their_bounds(void **state)
{
	static const struct {
		uint64_t us;
		const char *text;
	} buckets[] = {
#define BUCKET(us, text) {us, text},
		METRICS_BUCKETS
#undef BUCKET
	};

	(void)state;
	for (size_t i = 0; i < METRICS_N_BUCKETS; i++) {
		assert_int_equal((uint64_t)(strtod(buckets[i].text, NULL) * 1e6 + 0.5), buckets[i].us);
		assert_true(i == 0 || buckets[i].us > buckets[i - 1].us);
	}
	assert_int_equal(buckets[0].us, 100);
	assert_int_equal(buckets[METRICS_N_BUCKETS - 1].us, 10000000);
}

/* What stands behind the name of a row of zeros. */
static void zero_line(const struct row *row, char *line, size_t len)
{
	if (strcmp(row->kind, "histogram") == 0)
		snprintf(line, len, "\n%s_bucket{le=\"0.0001\"} 0\n", row->name);
	else
		snprintf(line, len, "\n%s%s%s%s 0%s\n", row->name, row->labels[0] ? "{" : "", row->labels,
			row->labels[0] ? "}" : "", strcmp(row->unit, "us") == 0 ? ".000000" : "");
}

static void describes_each_name_once_before_its_rows(void **state)
{
	struct buf out = {0};
	const char *text;
	char line[512];

	(void)state;
	metrics_write(NULL, 0, &out);
	text = buf_text(&out);
	for (unsigned int i = 0; i < N_ROWS; i++) {
		const char *help, *type, *row;

		snprintf(line, sizeof(line), "# HELP %s ", rows[i].name);
		help = strstr(text, line);
		assert_non_null(help);
		assert_null(strstr(help + 1, line));
		snprintf(line, sizeof(line), "# TYPE %s %s\n", rows[i].name, type_of(&rows[i]));
		type = strstr(text, line);
		assert_non_null(type);
		assert_null(strstr(type + 1, line));
		zero_line(&rows[i], line, sizeof(line));
		row = strstr(text, line);
		assert_non_null(row);
		assert_true(help < type && type < row);
	}
	buf_deinit(&out);
}

static void is_a_good_name(const struct row *row)
{
	bool process = strncmp(row->name, "process_", 8) == 0; /* what all exporters call the same */

	for (const char *c = row->name; *c; c++)
		assert_true(islower((unsigned char)*c) || *c == '_');
	assert_true(process || strncmp(row->name, "tidegate_", 9) == 0);
	assert_int_equal(ends_with(row->name, "_total"), strcmp(row->kind, "counter") == 0);
	if (strcmp(row->unit, "us") == 0)
		assert_true(ends_with(row->name, "_seconds") || ends_with(row->name, "_seconds_total"));
	assert_true(ends_with(row->help, "."));
	assert_null(strpbrk(row->help, "\\\n"));
}

/* What `promtool check metrics` complains about, as far as a table can do it wrong. */
static void has_a_table_that_prometheus_takes(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < N_ROWS; i++) {
		is_a_good_name(&rows[i]);
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
	metrics_observe(NULL, METRIC_DELIVERY, 1, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adds_up_what_the_threads_counted),
		cmocka_unit_test(takes_the_largest_of_a_peak),
		cmocka_unit_test(observes_into_the_bucket_that_holds_it),
		cmocka_unit_test(has_buckets_whose_texts_are_their_bounds),
		cmocka_unit_test(describes_each_name_once_before_its_rows),
		cmocka_unit_test(has_a_table_that_prometheus_takes),
		cmocka_unit_test(shares_no_cache_line_between_threads),
		cmocka_unit_test(counts_nothing_without_a_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
