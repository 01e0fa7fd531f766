/*
 * Metrics: the table as Prometheus reads it.
 *
 * It writes one HELP and one TYPE for each name, before its first row, as the exposition format demands. The
 * table is checked by its test, not here. Sums wrap on purpose: a gauge that one thread raises and another
 * lowers is right in the sum, although no single block is.
 */

#include "metrics/metrics.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "core/buf.h"
#include "version.h"

enum metric_kind {
	KIND_NONE, /* a further place of a histogram */
	KIND_counter,
	KIND_gauge,
	KIND_peak,
	KIND_histogram,
};

enum metric_unit {
	UNIT_one,
	UNIT_us,
};

struct metric_row {
	enum metric_kind kind;
	enum metric_unit unit;
	const char *name;
	const char *labels;
	const char *help;
};

enum {
	US_PER_S = 1000000,
};

static const char *const types[] = {
	[KIND_counter] = "counter",
	[KIND_gauge] = "gauge",
	[KIND_peak] = "gauge",
	[KIND_histogram] = "histogram",
};

static const struct metric_row rows[METRIC_COUNT] = {
#define METRIC(id, kind, unit, name, labels, help)                                                           \
	[METRIC_##id] = {KIND_##kind, UNIT_##unit, name, labels, help},
#define HISTOGRAM(id, name, help) [METRIC_##id] = {KIND_histogram, UNIT_us, name, "", help},
#include "metrics/metrics.def"
#undef METRIC
#undef HISTOGRAM
};

static const struct {
	uint64_t us;
	const char *text;
} buckets[METRICS_N_BUCKETS] = {
#define BUCKET(us, text) {us, text},
	METRICS_BUCKETS
#undef BUCKET
};

void metrics_observe(struct metrics *metrics, enum metric id, uint64_t us, uint64_t n)
{
	unsigned int i = 0;

	while (i < METRICS_N_BUCKETS && us > buckets[i].us)
		i++;
	metrics_add(metrics, id + i, n);
	metrics_add(metrics, id + METRICS_N_BUCKETS + 1, us * n);
}

uint64_t metrics_n_observed(const struct metrics *metrics, enum metric id)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i <= METRICS_N_BUCKETS; i++)
		n += metrics_get(metrics, id + i);
	return n;
}

/* The sum or the maximum of all blocks, as the row demands. */
static uint64_t together(
	const struct metrics *const *blocks, unsigned int n, unsigned int place, enum metric_kind kind)
{
	uint64_t total = 0;

	for (unsigned int i = 0; i < n; i++) {
		uint64_t value = metrics_get(blocks[i], place);

		if (kind != KIND_peak)
			total += value;
		else if (value > total)
			total = value;
	}
	return total;
}

uint64_t metrics_bucket_us(unsigned int i)
{
	return buckets[i].us;
}

uint64_t metrics_together(const struct metrics *const *blocks, unsigned int n, enum metric id)
{
	return together(blocks, n, id, rows[id].kind);
}

uint64_t metrics_total(const struct metrics *const *blocks, unsigned int n, enum metric id)
{
	uint64_t total = 0;

	for (unsigned int i = 0; i < METRIC_COUNT; i++)
		if (rows[i].kind != KIND_NONE && strcmp(rows[i].name, rows[id].name) == 0)
			total += together(blocks, n, i, rows[i].kind);
	return total;
}

static void write_value(struct buf *out, enum metric_unit unit, uint64_t value)
{
	if (unit == UNIT_us)
		buf_printf(out, " %" PRIu64 ".%06u\n", value / US_PER_S, (unsigned int)(value % US_PER_S));
	else
		buf_printf(out, " %" PRIu64 "\n", value);
}

/* In Prometheus each bucket also counts the values of all smaller buckets. */
static void write_histogram(
	const struct metrics *const *blocks, unsigned int n, unsigned int first, struct buf *out)
{
	const char *name = rows[first].name;
	uint64_t count = 0;

	for (unsigned int i = 0; i <= METRICS_N_BUCKETS; i++) {
		count += together(blocks, n, first + i, KIND_histogram);
		buf_printf(out, "%s_bucket{le=\"%s\"} %" PRIu64 "\n", name,
			i < METRICS_N_BUCKETS ? buckets[i].text : "+Inf", count);
	}
	buf_printf(out, "%s_sum", name);
	write_value(out, UNIT_us, together(blocks, n, first + METRICS_N_BUCKETS + 1, KIND_histogram));
	buf_printf(out, "%s_count %" PRIu64 "\n", name, count);
}

static void write_row(const struct metrics *const *blocks, unsigned int n, unsigned int i, struct buf *out)
{
	const struct metric_row *row = &rows[i];

	if (row->kind == KIND_histogram) {
		write_histogram(blocks, n, i, out);
		return;
	}
	buf_append_str(out, row->name);
	if (row->labels[0])
		buf_printf(out, "{%s}", row->labels);
	write_value(out, row->unit, together(blocks, n, i, row->kind));
}

void metrics_write(const struct metrics *const *blocks, unsigned int n, struct buf *out)
{
	const char *described = "";

	for (unsigned int i = 0; i < METRIC_COUNT; i++) {
		const struct metric_row *row = &rows[i];

		if (row->kind == KIND_NONE)
			continue;
		if (strcmp(row->name, described) != 0)
			buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name,
				types[row->kind]);
		described = row->name;
		write_row(blocks, n, i, out);
	}
}
