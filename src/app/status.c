/* Status: this node's state; see the header. */

#include "app/status.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "app/memory_watch.h"
#include "broker/broker.h"
#include "config/config.h"
#include "core/buf.h"
#include "core/clock.h"
#include "metrics/metrics.h"
#include "version.h"

enum {
	US_PER_S = 1000000,
};

static uint64_t total(const struct status *status, enum metric id)
{
	return metrics_total(status->blocks, status->n_blocks, id);
}

/* A HEAD and a preflight were answered as they should be. They are read first: they only grow. */
static uint64_t refused(const struct status *status)
{
	uint64_t answered = metrics_together(status->blocks, status->n_blocks, METRIC_REFUSED_HEAD) +
			    metrics_together(status->blocks, status->n_blocks, METRIC_REFUSED_PREFLIGHT);

	return total(status, METRIC_REFUSED_NOT_FOUND) - answered;
}

static double seconds(const struct status *status, enum metric id)
{
	return (double)metrics_together(status->blocks, status->n_blocks, id) / US_PER_S;
}

static const char *truth(bool value)
{
	return value ? "true" : "false";
}

static void write_text(struct buf *out, const char *name, const char *text)
{
	buf_printf(out, ",\"%s\":", name);
	if (text)
		buf_append_json_string(out, text, strlen(text));
	else
		buf_append_str(out, "null");
}

static void write_identity(const struct status *status, struct buf *out)
{
	uint64_t up_ms = clock_monotonic_ms() - status->started_ms;
	char host[HOST_NAME_MAX + 1] = "";
	char started[CLOCK_TIMESTAMP_LEN];

	/* An operator recognizes the name even if it is cut. */
	(void)gethostname(host, sizeof(host) - 1);
	clock_format(clock_wall_ms() - up_ms, started);
	buf_printf(out, "{\"node\":\"%s\"", status->node_id);
	write_text(out, "host", host);
	write_text(out, "listen", status->config->listen.host);
	buf_printf(out,
		",\"port\":%u,\"tls\":%s,\"version\":\"%s\",\"started\":\"%.*s\",\"uptime_seconds\":%.3f",
		status->port, truth(*status->config->tls.certificate), TIDEGATE_VERSION, CLOCK_TIMESTAMP_LEN,
		started, (double)up_ms / 1000);
	write_text(out, "config_file", config_file_name(status->config));
	buf_printf(out, ",\"workers\":%u,\"ready\":%s,\"draining\":%s", status->config->workers,
		truth(status->ready), truth(status->draining));
}

static void write_memory(const struct memory_watch *memory, struct buf *out)
{
	buf_printf(out, ",\"memory\":{\"bytes\":%" PRIu64 ",\"max_bytes\":%" PRIu64 ",\"stage\":\"%s\"}",
		memory->bytes, memory->stages.bytes_max, memory_stage_name(memory->stages.stage));
}

static void write_totals(const struct status *status, struct buf *out)
{
	const struct {
		const char *name;
		uint64_t n;
	} rows[] = {
		{"events", total(status, METRIC_EVENTS)},
		{"events_dropped", total(status, METRIC_EVENTS_DROPPED)},
		{"messages_received", total(status, METRIC_MESSAGES_IN)},
		{"received_bytes", total(status, METRIC_BYTES_IN)},
		{"messages_sent", total(status, METRIC_MESSAGES_OUT)},
		{"sent_bytes", total(status, METRIC_BYTES_OUT)},
		{"messages_dropped", total(status, METRIC_DROPPED_DISCONNECT)},
		{"connections_opened", total(status, METRIC_CONNECTIONS_OPENED)},
		{"connections_closed", total(status, METRIC_CLOSED_1000)},
		{"handshakes_refused", refused(status)},
		{"actions_sent", total(status, METRIC_ACTIONS_SENT)},
		{"actions_answered", total(status, METRIC_ACTIONS_ANSWERED)},
		{"actions_timed_out", total(status, METRIC_ACTIONS_TIMED_OUT)},
		{"actions_refused", total(status, METRIC_ACTIONS_TOO_MANY)},
		{"actions_abandoned", total(status, METRIC_ACTIONS_ABANDONED)},
	};

	buf_append_str(out, ",\"totals\":{");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		buf_printf(out, "%s\"%s\":%" PRIu64, i ? "," : "", rows[i].name, rows[i].n);
	buf_append_char(out, '}');
}

static void write_latency(struct buf *out, const char *name, double value)
{
	if (value < 0)
		buf_printf(out, ",\"%s\":null", name);
	else
		buf_printf(out, ",\"%s\":%.6f", name, value);
}

static void write_pulse(const struct pulse *pulse, struct buf *out)
{
	buf_printf(out,
		",\"pulse\":{\"events_per_second\":%.1f,\"messages_per_second\":%.1f,\"bytes_per_second\":%."
		"1f",
		pulse->events, pulse->messages, pulse->bytes);
	write_latency(out, "delivery_p50_seconds", pulse->at_ms ? pulse->p50_seconds : -1);
	write_latency(out, "delivery_p99_seconds", pulse->at_ms ? pulse->p99_seconds : -1);
	buf_append_char(out, '}');
}

/* Each bucket counts by itself, unlike in /metrics; the last one counts the values above all bounds. */
static void write_deliveries(const struct status *status, struct buf *out)
{
	struct pulse_counts counts;

	status_count(status->blocks, status->n_blocks, &counts);
	buf_append_str(out, ",\"delivery_seconds\":{\"bounds\":[");
	for (unsigned int i = 0; i < METRICS_N_BUCKETS; i++)
		buf_printf(out, "%s%g", i ? "," : "", (double)metrics_bucket_us(i) / US_PER_S);
	buf_append_str(out, "],\"counts\":[");
	for (unsigned int i = 0; i <= METRICS_N_BUCKETS; i++)
		buf_printf(out, "%s%" PRIu64, i ? "," : "", counts.deliveries[i]);
	buf_append_str(out, "]}");
}

/* When the configuration in force was read, and whether a newer one was refused. */
static void write_reload(const struct status *status, struct buf *out)
{
	uint64_t at = total(status, METRIC_RELOAD_TIMESTAMP);
	char time[CLOCK_TIMESTAMP_LEN];

	if (!at)
		return;
	clock_format(at * 1000, time);
	buf_printf(out, ",\"last_reload\":{\"time\":\"%.*s\",\"successful\":%s", CLOCK_TIMESTAMP_LEN, time,
		truth(total(status, METRIC_RELOAD_SUCCESSFUL)));
	if (status->refusal)
		write_text(out, "reason", status->refusal);
	buf_append_char(out, '}');
}

void status_write(const struct status *status, struct buf *out)
{
	write_identity(status, out);
	buf_printf(out,
		",\"connections\":%" PRIu64 ",\"connections_max\":%" PRIu64 ",\"subscriptions\":%" PRIu64
		",\"channels\":%" PRIu64 ",\"presence_users\":%" PRIu64,
		total(status, METRIC_CONNECTIONS), total(status, METRIC_CONNECTIONS_MAX),
		total(status, METRIC_SUBSCRIPTIONS), total(status, METRIC_CHANNELS),
		total(status, METRIC_PRESENCE_USERS));
	buf_printf(out, ",\"queued_bytes\":%" PRIu64 ",\"loop_lag_seconds\":%.6f",
		total(status, METRIC_QUEUED_BYTES), seconds(status, METRIC_LOOP_LAG));
	buf_printf(out, ",\"revocations\":%" PRIu64, total(status, METRIC_REVOCATIONS));
	write_memory(status->memory, out);
	write_totals(status, out);
	write_pulse(status->pulse, out);
	write_deliveries(status, out);
	buf_append_str(out, ",\"broker\":");
	broker_describe(status->broker, out);
	if (*status->config->redis)
		buf_printf(out, ",\"redis_probe_seconds\":%.6f", seconds(status, METRIC_REDIS_PROBE));
	write_reload(status, out);
	buf_append_char(out, '}');
}

void status_count(const struct metrics *const *blocks, unsigned int n_blocks, struct pulse_counts *counts)
{
	counts->events = metrics_total(blocks, n_blocks, METRIC_EVENTS);
	counts->messages = metrics_total(blocks, n_blocks, METRIC_MESSAGES_OUT);
	counts->bytes = metrics_total(blocks, n_blocks, METRIC_BYTES_OUT);
	for (unsigned int i = 0; i <= METRICS_N_BUCKETS; i++) {
		counts->deliveries[i] = 0;
		for (unsigned int j = 0; j < n_blocks; j++)
			counts->deliveries[i] += metrics_get(blocks[j], METRIC_DELIVERY + i);
	}
}
