/* Memory watch: between the gauge, the stages and who gives memory up; see the header. */

#include "app/memory_watch.h"

#include <errno.h>
#include <malloc.h>

#include <event2/event.h>

#include "bus/bus.h"
#include "core/clock.h"
#include "core/log.h"
#include "metrics/metrics.h"
#include "worker/worker.h"
#include "ws/places.h"

enum {
	NEAR_PART = 2, /* from half of the bound on each look is exact */
};

static uint64_t total(const struct memory_watch *watch, enum metric id)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < watch->n_workers; i++)
		sum += metrics_get(worker_metrics(watch->workers[i]), id);
	return sum;
}

static void enter_stage(struct memory_watch *watch, enum memory_stage before)
{
	enum memory_stage stage = watch->stages.stage;

	places_set_short(watch->places, stage >= MEMORY_TIGHT);
	bus_set_short(watch->bus, stage >= MEMORY_OUT);
	metrics_set(watch->metrics, METRIC_MEMORY_STAGE, stage);
	if (stage > before)
		log_warn(watch->log, "memory runs short", log_str("stage", memory_stage_name(stage)),
			log_uint("bytes", watch->bytes), log_uint("memory_max", watch->stages.bytes_max),
			log_str("now", memory_stage_sentence(stage)),
			log_str("remedy", "more memory, more nodes, or smaller outbox_bytes_max"));
	else
		log_info(watch->log, "memory is there again", log_str("stage", memory_stage_name(stage)),
			log_uint("bytes", watch->bytes), log_uint("memory_max", watch->stages.bytes_max),
			log_str("now", memory_stage_sentence(stage)));
}

/* Each worker closes clients for its part of what waits. */
static void shed(struct memory_watch *watch, uint64_t bytes)
{
	double queued = (double)total(watch, METRIC_QUEUED_BYTES);

	for (unsigned int i = 0; queued > 0 && i < watch->n_workers; i++) {
		uint64_t own = metrics_get(worker_metrics(watch->workers[i]), METRIC_QUEUED_BYTES);

		if (own)
			worker_shed(watch->workers[i], (uint64_t)((double)bytes * (double)own / queued) + 1);
	}
}

static void read_gauge(struct memory_watch *watch)
{
	watch->bytes = memory_gauge_read(&watch->gauge, watch->bytes >= watch->stages.bytes_max / NEAR_PART);
}

static void look(struct memory_watch *watch, uint64_t now_ms)
{
	enum memory_stage before = watch->stages.stage;
	uint64_t shed_bytes;

	read_gauge(watch);
	if (memory_stages_trim(&watch->stages, watch->bytes, now_ms)) {
		malloc_trim(0);
		read_gauge(watch);
	}
	if (memory_stages_look(&watch->stages, watch->bytes))
		enter_stage(watch, before);
	shed_bytes = memory_stages_shed(&watch->stages, watch->bytes, now_ms);
	if (shed_bytes)
		shed(watch, shed_bytes);
	metrics_set(watch->metrics, METRIC_MEMORY, watch->bytes);
}

static void renew(struct memory_watch *watch, uint64_t now_ms)
{
	if (now_ms < watch->renew_ms)
		return;
	watch->renew_ms = now_ms + MEMORY_RENEW_MS;
	if (!memory_gauge_renew(&watch->gauge))
		return;
	memory_watch_configure(watch, watch->wanted_bytes);
	log_info(watch->log, "the limit of memory has changed", log_uint("limit", watch->gauge.limit_bytes),
		log_uint("memory_max", watch->stages.bytes_max));
}

static void on_tick(evutil_socket_t fd, short events, void *arg)
{
	struct memory_watch *watch = arg;
	uint64_t now_ms = clock_monotonic_ms();

	(void)fd;
	(void)events;
	renew(watch, now_ms);
	look(watch, now_ms);
	if (memory_crowd_left(&watch->crowd, total(watch, METRIC_CONNECTIONS),
		    total(watch, METRIC_QUEUED_BYTES), now_ms))
		malloc_trim(0);
}

void memory_watch_configure(struct memory_watch *watch, uint64_t bytes_max)
{
	watch->wanted_bytes = bytes_max;
	watch->stages.bytes_max = memory_gauge_bound(&watch->gauge, bytes_max);
	metrics_set(watch->metrics, METRIC_MEMORY_MAX, watch->stages.bytes_max);
}

int memory_watch_init(struct memory_watch *watch, struct event_base *base, const struct memory_party *party,
	uint64_t bytes_max)
{
	struct timeval interval = {0, MEMORY_WATCH_MS * 1000};

	*watch = (struct memory_watch){
		.bus = party->bus,
		.places = party->places,
		.workers = party->workers,
		.n_workers = party->n_workers,
		.log = party->log,
		.metrics = party->metrics,
	};
	memory_gauge_init(&watch->gauge, "");
	memory_watch_configure(watch, bytes_max);
	look(watch, clock_monotonic_ms());
	watch->tick = event_new(base, -1, EV_PERSIST, on_tick, watch);
	if (!watch->tick || event_add(watch->tick, &interval) < 0)
		return -ENOMEM;
	return 0;
}

void memory_watch_deinit(struct memory_watch *watch)
{
	if (watch->tick)
		event_free(watch->tick);
	watch->tick = NULL;
}
