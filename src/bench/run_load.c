/*
 * Run, the load: events at a rate or within a window, and what was there at both ends of the measured time.
 *
 * At a rate, an event carries the time when it was due, not when it was written: a publisher that was
 * held up does not make the latency look better ("coordinated omission").
 */

#include <errno.h>
#include <time.h>

#include "bench/publisher.h"
#include "bench/run_private.h"
#include "core/clock.h"

enum {
	BACKLOG_MAX = 1 << 20, /* bytes queued for Redis; beyond that the publisher is what limits */
	PRIME_US = 250000,     /* between two attempts: a gateway subscribes meanwhile */
	STALL_US = 5000000,    /* the window does not move: something was lost, go on without it */
};

/* Both ends of the measured time. */
struct mark {
	struct crowd_totals totals;
	uint64_t published;
	uint64_t us;
	uint64_t client_ns;
	struct server_cost cost;
};

static void prime_all(struct run *run)
{
	event_stamp(&run->event, 0, 0);
	for (uint32_t n = 0; n < run->plan->n_channels; n++)
		publisher_add(run->publisher, n, run->event.text, run->event.len);
}

int run_prime(struct run *run)
{
	uint64_t start_us = clock_monotonic_us(), now_us = start_us, asked_us = 0;
	int r = 0;

	run->phase = "priming";
	while (r == 0 && run_totals(run).primed < plan_n_readers(run->plan)) {
		if (now_us - asked_us >= PRIME_US && !publisher_backlog(run->publisher)) {
			prime_all(run);
			r = publisher_service(run->publisher, &run->error);
			asked_us = now_us;
		}
		if (r == 0)
			r = run_turn(run, RUN_POLL_MS);
		now_us = clock_monotonic_us();
		if (r == 0 && (run->interrupted || now_us - start_us > RUN_PATIENCE_US)) {
			buf_printf(&run->error,
				"%lu of %u clients got an event: is --channel what --path subscribes to, and "
				"--redis the "
				"gateway's?%s%s",
				(unsigned long)run_totals(run).primed, plan_n_readers(run->plan),
				*run_trouble(run) ? " " : "", run_trouble(run));
			r = -ETIMEDOUT;
		}
	}
	return r;
}

static void publish(struct run *run, uint64_t at_us)
{
	uint64_t number = atomic_load_explicit(&run->shared.published, memory_order_relaxed);
	uint32_t channel = (uint32_t)(number % run->plan->n_channels);
	int crowds = 0;

	for (uint32_t i = 0; i < run->n_crowds; i++) {
		uint32_t share = crowd_share(run->crowds[i], channel);

		crowds += share > 0;
		run->expected += share;
	}
	if (run->shared.window)
		window_open(&run->window, crowds);
	event_stamp(&run->event, number, at_us);
	if (run_is_storm(run))
		histogram_record(&run->report.storm_publish, clock_monotonic_us() - at_us);
	publisher_add(run->publisher, channel, run->event.text, run->event.len);
	atomic_store_explicit(&run->shared.published, number + 1, memory_order_relaxed);
	run->n_load++;
}

static void feed_window(struct run *run, uint64_t now_us)
{
	if (window_advance(&run->window))
		run->advanced_us = now_us;
	if (now_us - run->advanced_us > STALL_US) {
		run->report.late += window_skip(&run->window);
		run->advanced_us = now_us;
	}
	while (!window_is_full(&run->window) && publisher_backlog(run->publisher) < BACKLOG_MAX)
		publish(run, now_us);
}

static void feed_rate(struct run *run, uint64_t now_us)
{
	double rate = run->plan->rate;
	uint64_t due = 1 + (uint64_t)((double)(now_us - run->load_us) * rate / 1e6);

	while (run->n_load < due && publisher_backlog(run->publisher) < BACKLOG_MAX)
		publish(run, run->load_us + (uint64_t)((double)run->n_load / rate * 1e6));
	run->report.behind = due - run->n_load;
}

static int take_mark(struct run *run, struct mark *mark)
{
	mark->totals = run_totals(run);
	mark->published = atomic_load_explicit(&run->shared.published, memory_order_relaxed);
	mark->us = clock_monotonic_us();
	mark->client_ns = run_client_ns(run);
	return run_cost(run, &mark->cost);
}

static void report_between(struct report *report, const struct mark *from, const struct mark *to)
{
	report->measured_s = (double)(to->us - from->us) / 1e6;
	report->published = to->published - from->published;
	report->delivered = to->totals.delivered - from->totals.delivered;
	report->bytes = to->totals.bytes - from->totals.bytes;
	report->reads = to->totals.reads - from->totals.reads;
	report->client_ns = to->client_ns - from->client_ns;
	report->from = from->cost;
	report->to = to->cost;
}

int run_load_until(struct run *run, uint64_t end_us)
{
	uint64_t now_us = clock_monotonic_us();
	int r = 0;

	while (r == 0 && now_us < end_us && !run->interrupted) {
		struct crowd_totals totals = run_totals(run);

		if (totals.closed == plan_n_readers(run->plan)) {
			buf_printf(&run->error, "no connection is left: %s", run_trouble(run));
			return -ECONNRESET;
		}
		if (run->shared.window)
			feed_window(run, now_us);
		else
			feed_rate(run, now_us);
		if (publisher_backlog(run->publisher))
			r = publisher_service(run->publisher, &run->error);
		if (r == 0)
			r = run_turn(run, end_us - now_us < RUN_POLL_MS * 1000
						  ? (int)((end_us - now_us) / 1000)
						  : RUN_POLL_MS);
		now_us = clock_monotonic_us();
	}
	return r;
}

int run_load(struct run *run)
{
	uint64_t from_us, to_us;
	struct mark from, to;
	int r;

	run->load_us = run->advanced_us = clock_monotonic_us();
	from_us = run->load_us + (uint64_t)(run->plan->warmup_s * 1e6);
	to_us = from_us + (uint64_t)(run->plan->duration_s * 1e6);
	atomic_store(&run->shared.to_us, to_us);
	atomic_store(&run->shared.from_us, from_us);
	r = run_set_timer(run, run->plan->rate);
	run->phase = "warm-up";
	if (r == 0)
		r = run_load_until(run, from_us);
	if (r == 0)
		r = take_mark(run, &from);
	run->phase = "load";
	if (r == 0)
		r = run_load_until(run, to_us);
	if (r == 0)
		r = take_mark(run, &to);
	if (r == 0)
		report_between(&run->report, &from, &to);
	if (r == 0 && run->plan->storm)
		r = run_storm(run);
	run_set_timer(run, 0);
	return r;
}
