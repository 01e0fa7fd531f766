/* Report: tells the gateway's state to the service manager, the admin listener and the other nodes. */

#include "app/gateway_private.h"

#include "app/keys.h"
#include "app/shard_metrics.h"
#include "app/status.h"
#include "asyncapi/asyncapi.h"
#include "broker/broker.h"
#include "bus/bus.h"
#include "config/config.h"
#include "core/buf.h"
#include "core/clock.h"
#include "route/route.h"

static unsigned int count_stuck(const struct gateway *gateway)
{
	uint64_t now_ms = clock_monotonic_ms();
	unsigned int n_stuck = 0;

	for (unsigned int i = 0; i < gateway->n_workers; i++)
		n_stuck += !worker_alive(gateway->workers[i], now_ms);
	return n_stuck;
}

bool gateway_is_live(void *arg)
{
	return count_stuck(arg) == 0;
}

/* For the service manager: one line with the figures that an operator asks for first. */
void gateway_describe(void *arg, struct buf *out)
{
	struct gateway *gateway = arg;

	buf_append_str(out, shutdown_begun(&gateway->shutdown) ? "Taking leave of clients" : "Serving");
	if (*gateway->config->redis && broker_state(gateway->broker) == BROKER_PARTIAL)
		buf_append_str(out, "; part of Redis is away");
	else if (*gateway->config->redis && broker_state(gateway->broker) != BROKER_READY)
		buf_append_str(out, "; Redis is away");
	else if (broker_complaint(gateway->broker).len)
		buf_append_str(out, "; Redis refuses histories");
	if (keys_are_awaited(gateway->keys))
		buf_append_str(out, "; the keys of tokens are awaited");
	if (places_is_short(&gateway->places))
		buf_append_str(out, "; memory is short");
	if (!metrics_get(&gateway->metrics, METRIC_RELOAD_SUCCESSFUL))
		buf_append_str(out, "; the newest configuration was refused");
}

bool gateway_say_live(void *arg, struct buf *out)
{
	struct gateway *gateway = arg;
	unsigned int n_stuck = count_stuck(gateway);

	buf_printf(out, "{\"live\":%s,\"workers\":%u,\"stuck_workers\":%u}", n_stuck ? "false" : "true",
		gateway->n_workers, n_stuck);
	return n_stuck == 0;
}

/* Should clients be sent here? A server of several that is away is away for all gateways, and if all of them
 * said no, nobody would be served. But one that never read what was revoked would let everybody in. */
static bool is_ready(const struct gateway *gateway)
{
	return broker_state(gateway->broker) != BROKER_CONNECTING && !shutdown_begun(&gateway->shutdown) &&
	       !keys_are_awaited(gateway->keys) && !places_is_short(&gateway->places) &&
	       bus_control_state(gateway->bus) != BUS_CONTROL_AWAITED;
}

/* Does Redis refuse the library to routes that want it? */
static bool lacks_histories(const struct gateway *gateway)
{
	const struct route_table *routes = reload_config(&gateway->reload)->routes;

	return broker_complaint(gateway->broker).len > 0 &&
	       (route_table_keeps_history(routes) || route_table_carries_actions(routes));
}

/*
 * Refused histories do not make the gateway unready: it still serves everything else, and since all gateways
 * have the same rights, no gateway would be left. They are named nevertheless, and so is refused control.
 */
bool gateway_say_ready(void *arg, struct buf *out)
{
	struct gateway *gateway = arg;
	bool connected = broker_state(gateway->broker) != BROKER_CONNECTING;
	bool draining = shutdown_begun(&gateway->shutdown);
	bool awaited = keys_are_awaited(gateway->keys);
	bool is_short = places_is_short(&gateway->places);
	enum bus_control_state control = bus_control_state(gateway->bus);
	bool ready = is_ready(gateway);
	const struct {
		const char *name;
		bool missing;
	} rows[] = {
		{"broker", !connected},
		{"draining", draining},
		{"keys", awaited},
		{"memory", is_short},
		{"history", lacks_histories(gateway)},
		{"control", connected && control != BUS_CONTROL_OFF && control != BUS_CONTROL_READY},
	};
	const char *comma = "";

	buf_printf(out, "{\"ready\":%s,\"missing\":[", ready ? "true" : "false");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (!rows[i].missing)
			continue;
		buf_printf(out, "%s\"%s\"", comma, rows[i].name);
		comma = ",";
	}
	buf_printf(out, "],\"node\":\"%s\",\"broker\":", gateway->node_id);
	broker_describe(gateway->broker, out);
	buf_append_char(out, '}');
	return ready;
}

/* Gauges that are not counted but read: their values now. */
static void look(const struct gateway *gateway, struct metrics *now)
{
	uint64_t now_ms = clock_monotonic_ms(), late_ms = 0, backlog_bytes = 0;

	metrics_set(now, METRIC_BUILD_INFO, 1);
	metrics_set(now, METRIC_WORKERS, gateway->n_workers);
	metrics_set(now, METRIC_KEYS_AGE, keys_age_ms(gateway->keys, now_ms) * 1000);
	metrics_set(now, METRIC_CONNECTIONS_MAX, places_max(&gateway->places));
	/* A thread that is stuck, or has no CPU, does not say so itself. */
	for (unsigned int i = 0; i < gateway->n_workers; i++) {
		uint64_t ms = worker_late_ms(gateway->workers[i], now_ms);

		late_ms = ms > late_ms ? ms : late_ms;
		backlog_bytes += worker_backlog_bytes(gateway->workers[i]);
	}
	metrics_set(now, METRIC_LOOP_LAG, late_ms * 1000);
	metrics_set(now, METRIC_BACKLOG_BYTES, backlog_bytes);
	shard_metrics_look(gateway->broker, now);
}

/* The blocks of all threads, and the block of the gauges. Returns how many. */
static unsigned int all_metrics(
	const struct gateway *gateway, struct metrics *now, const struct metrics *blocks[WORKERS_MAX + 2])
{
	look(gateway, now);
	blocks[0] = &gateway->metrics;
	blocks[1] = now;
	for (unsigned int i = 0; i < gateway->n_workers; i++)
		blocks[i + 2] = worker_metrics(gateway->workers[i]);
	return gateway->n_workers + 2;
}

void gateway_say_metrics(void *arg, struct buf *out)
{
	struct gateway *gateway = arg;
	struct metrics now = {0};
	const struct metrics *blocks[WORKERS_MAX + 2];

	/* Only for /metrics, because it may take a while. */
	process_metrics_read(&gateway->process, &now, clock_monotonic_ms());
	metrics_write(blocks, all_metrics(gateway, &now, blocks), out);
	shard_metrics_write(gateway->broker, out);
}

void gateway_say_status(void *arg, struct buf *out)
{
	struct gateway *gateway = arg;
	struct metrics now = {0};
	const struct metrics *blocks[WORKERS_MAX + 2];
	bool draining = shutdown_begun(&gateway->shutdown);
	struct status status = {
		.node_id = gateway->node_id,
		.config = gateway->config,
		.broker = gateway->broker,
		.blocks = blocks,
		.n_blocks = all_metrics(gateway, &now, blocks),
		.pulse = &gateway->pulse,
		.port = gateway->port,
		.refusal = reload_refusal(&gateway->reload),
		.started_ms = gateway->started_ms,
		.memory = &gateway->memory,
		.ready = is_ready(gateway),
		.draining = draining,
	};

	status_write(&status, out);
}

void gateway_say_config(void *arg, struct buf *out)
{
	struct gateway *gateway = arg;

	config_write(gateway->config, reload_config(&gateway->reload), keys_verifier(gateway->keys), out);
}

void gateway_say_asyncapi(void *arg, struct buf *out)
{
	struct gateway *gateway = arg;

	asyncapi_write(reload_config(&gateway->reload), out);
}

void gateway_beat(void *arg)
{
	struct gateway *gateway = arg;
	struct metrics now = {0};
	const struct metrics *blocks[WORKERS_MAX + 2];
	struct pulse_counts counts;
	uint64_t now_ms = clock_monotonic_ms();

	if (now_ms - gateway->pulse.at_ms < PULSE_MS)
		return;
	status_count(blocks, all_metrics(gateway, &now, blocks), &counts);
	pulse_beat(&gateway->pulse, &counts, now_ms);
}
