/* Shard metrics: what is measured of each Redis server, as Prometheus text; see the header. */

#include "app/shard_metrics.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "broker/broker.h"
#include "core/buf.h"
#include "metrics/metrics.h"

enum {
	US_PER_S = 1000000,
};

enum row {
	READY,
	CHANNELS,
	PROBE,
	RECONNECTS,
	N_ROWS,
};

static const struct {
	const char *name, *type, *help;
} rows[N_ROWS] = {
	[READY] = {"tidegate_redis_shard_ready", "gauge",
		"1 while events flow from this Redis server, proven by a probe."},
	[CHANNELS] = {"tidegate_redis_shard_channels", "gauge",
		"Channels that this node wants from this Redis server."},
	[PROBE] = {"tidegate_redis_shard_probe_seconds", "gauge",
		"How long the newest probe of this Redis server took to be published and come back."},
	[RECONNECTS] = {"tidegate_redis_shard_reconnects_total", "counter",
		"Times that this Redis server was lost and dialled again."},
};

/* Host and port, or a path: without the database. */
static struct slice label_of(const struct broker_shard *shard)
{
	struct slice label = shard->address;
	const char *slash = label.len && label.data[0] != '/' ? memrchr(label.data, '/', label.len) : NULL;

	if (slash)
		label.len = (size_t)(slash - label.data);
	return label;
}

/* Prometheus refuses all that a gateway says if two samples have the same labels. Two names of primaries may
 * lead to one server, where the sentinels are set up wrongly. */
static bool is_told(const struct broker *broker, size_t i, struct slice label)
{
	struct broker_shard before;

	for (size_t j = 0; j < i && broker_shard(broker, j, &before); j++)
		if (slice_equal(label_of(&before), label))
			return true;
	return false;
}

/* As a label's value: a socket's path may have anything in it. */
static void write_label(struct slice text, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '\n') {
			buf_append_str(out, "\\n");
			continue;
		}
		if (text.data[i] == '"' || text.data[i] == '\\')
			buf_append_char(out, '\\');
		buf_append_char(out, text.data[i]);
	}
}

static void write_value(enum row row, const struct broker_shard *shard, struct buf *out)
{
	switch (row) {
	case READY:
		buf_append_str(out, shard->ready ? "1\n" : "0\n");
		break;
	case CHANNELS:
		buf_printf(out, "%" PRIu64 "\n", shard->n_channels);
		break;
	case PROBE:
		buf_printf(out, "%" PRIu64 ".%06u\n", shard->probe_us / US_PER_S,
			(unsigned int)(shard->probe_us % US_PER_S));
		break;
	case RECONNECTS:
	case N_ROWS:
		buf_printf(out, "%" PRIu64 "\n", shard->n_reconnects);
		break;
	}
}

static void write_row(const struct broker *broker, enum row row, struct buf *out)
{
	struct broker_shard shard;

	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", rows[row].name, rows[row].help, rows[row].name,
		rows[row].type);
	for (size_t i = 0; broker_shard(broker, i, &shard); i++) {
		if (is_told(broker, i, label_of(&shard)))
			continue;
		buf_printf(out, "%s{shard=\"", rows[row].name);
		write_label(label_of(&shard), out);
		buf_append_str(out, "\"} ");
		write_value(row, &shard, out);
	}
}

void shard_metrics_write(const struct broker *broker, struct buf *out)
{
	struct broker_shard shard;

	if (!broker_shard(broker, 0, &shard))
		return;
	for (enum row row = 0; row < N_ROWS; row++)
		write_row(broker, row, out);
}

void shard_metrics_look(const struct broker *broker, struct metrics *now)
{
	struct broker_shard shard;

	for (size_t i = 0; broker_shard(broker, i, &shard); i++) {
		metrics_add(now, METRIC_SENTINELS_ANSWERING, shard.n_sentinels_answering);
		metrics_add(now, METRIC_SENTINELS_SILENT, shard.n_sentinels - shard.n_sentinels_answering);
	}
}
