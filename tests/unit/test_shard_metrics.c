/* Shard metrics: rows of the servers that a broker has, as Prometheus takes them. */

#include "app/shard_metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/broker.h"
#include "core/buf.h"
#include "metrics/metrics.h"

/* A broker that has these servers, and nothing else. */
struct servers {
	struct broker broker;
	const struct broker_shard *shards;
	size_t n;
};

static bool one_of(const struct broker *broker, size_t i, struct broker_shard *shard)
{
	const struct servers *servers = (const struct servers *)broker;

	if (i < servers->n)
		*shard = servers->shards[i];
	return i < servers->n;
}

static const struct broker_ops ops = {.shard = one_of};
static const struct broker_ops none = {0};

static void says(const struct broker_shard *shards, size_t n, const char *row)
{
	const struct servers servers = {{&ops}, shards, n};
	struct buf out = {0};

	shard_metrics_write(&servers.broker, &out);
	if (!strstr(buf_text(&out), row))
		fail_msg("%s is not in:\n%s", row, buf_text(&out));
	buf_deinit(&out);
}

static void has_a_row_of_each_server(void **state)
{
	static const struct broker_shard shards[] = {
		{.address = {"h1:6379/0", 9}, .ready = true, .n_channels = 3, .probe_us = 1000250},
		{.address = {"[::1]:6379/2", 12}, .n_reconnects = 7},
	};

	(void)state;
	says(shards, 2,
		"\ntidegate_redis_shard_ready{shard=\"h1:6379\"} 1\n"
		"tidegate_redis_shard_ready{shard=\"[::1]:6379\"} 0\n");
	says(shards, 2, "\ntidegate_redis_shard_channels{shard=\"h1:6379\"} 3\n");
	says(shards, 2, "\ntidegate_redis_shard_probe_seconds{shard=\"h1:6379\"} 1.000250\n");
	says(shards, 2, "# TYPE tidegate_redis_shard_reconnects_total counter\n");
	says(shards, 2, "\ntidegate_redis_shard_reconnects_total{shard=\"[::1]:6379\"} 7\n");
}

static void two_names_of_one_server_are_one_row(void **state)
{
	static const struct broker_shard shards[] = {
		{.address = {"h1:6379/0", 9}, .n_channels = 1},
		{.address = {"h1:6379/1", 9}, .n_channels = 2},
		{.address = {"h2:6379/0", 9}, .n_channels = 3},
	};

	(void)state;
	says(shards, 3,
		"_channels{shard=\"h1:6379\"} 1\ntidegate_redis_shard_channels{shard=\"h2:6379\"} 3\n");
}

static void a_path_with_anything_in_it_stays_one_label(void **state)
{
	static const struct broker_shard shard = {.address = {"/run/a\"b\\c\nd", 12}};

	(void)state;
	says(&shard, 1, "_ready{shard=\"/run/a\\\"b\\\\c\\nd\"} 0\n");
}

static void a_broker_without_servers_has_no_rows(void **state)
{
	const struct broker broker = {&none};
	struct buf out = {0};

	(void)state;
	shard_metrics_write(&broker, &out);
	assert_int_equal(out.len, 0);
}

static void sentinels_are_counted_over_all_servers(void **state)
{
	static const struct broker_shard shards[] = {
		{.n_sentinels = 3, .n_sentinels_answering = 1},
		{.n_sentinels = 5, .n_sentinels_answering = 5},
	};
	const struct servers servers = {{&ops}, shards, 2};
	struct metrics now = {0};

	(void)state;
	shard_metrics_look(&servers.broker, &now);
	assert_int_equal(metrics_get(&now, METRIC_SENTINELS_ANSWERING), 6);
	assert_int_equal(metrics_get(&now, METRIC_SENTINELS_SILENT), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_a_row_of_each_server),
		cmocka_unit_test(two_names_of_one_server_are_one_row),
		cmocka_unit_test(a_path_with_anything_in_it_stays_one_label),
		cmocka_unit_test(a_broker_without_servers_has_no_rows),
		cmocka_unit_test(sentinels_are_counted_over_all_servers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
