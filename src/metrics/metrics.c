/*
 * Metrics: the table as Prometheus reads it.
 *
 * Promises one HELP and one TYPE per name, before its first row, as the exposition format demands; refuses
 * nothing, the table is checked by its test. Sums wrap on purpose: a gauge that one thread raises and another
 * lowers is right in the sum, though each block alone is not.
 */

#include "metrics/metrics.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "core/buf.h"

struct metric_row {
	const char *kind;
	const char *name;
	const char *labels;
	const char *help;
};

static const struct metric_row rows[] = {
#define METRIC(id, kind, name, labels, help) {#kind, name, labels, help},
#include "metrics/metrics.def"
#undef METRIC
};

static uint64_t sum(const struct metrics *const *blocks, unsigned int n, enum metric id)
{
	uint64_t total = 0;

	for (unsigned int i = 0; i < n; i++)
		total += metrics_get(blocks[i], id);
	return total;
}

void metrics_write(const struct metrics *const *blocks, unsigned int n, struct buf *out)
{
	for (unsigned int i = 0; i < METRIC_COUNT; i++) {
		const struct metric_row *row = &rows[i];

		if (i == 0 || strcmp(row->name, rows[i - 1].name) != 0)
			buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name,
				row->kind);
		buf_append_str(out, row->name);
		if (row->labels[0])
			buf_printf(out, "{%s}", row->labels);
		buf_printf(out, " %" PRIu64 "\n", sum(blocks, n, (enum metric)i));
	}
}
