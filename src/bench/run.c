/* Run: what the phases stand on, and the way in and out; run_load.c is the load itself. */

#include "bench/run.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "bench/histogram.h"
#include "bench/publisher.h"
#include "bench/run_private.h"
#include "core/clock.h"
#include "ws_client/wire.h"

enum {
	PROGRESS_US = 1000000,
	RATE_TICK_NS = 500000, /* the timer's shortest period; faster rates publish several at a time */
};

static int run_fds(struct run *run)
{
	sigset_t stops;

	sigemptyset(&stops);
	sigaddset(&stops, SIGINT);
	sigaddset(&stops, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &stops, NULL);
	run->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	run->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	run->signal_fd = signalfd(-1, &stops, SFD_NONBLOCK | SFD_CLOEXEC);
	return run->wake_fd < 0 || run->timer_fd < 0 || run->signal_fd < 0 ? -errno : 0;
}

static int run_watch(struct run *run)
{
	int r = crowd_watch(run->crowds[0], run->wake_fd, RUN_WAKE);

	if (r == 0)
		r = crowd_watch(run->crowds[0], run->timer_fd, RUN_TIMER);
	if (r == 0)
		r = crowd_watch(run->crowds[0], run->signal_fd, RUN_SIGNAL);
	if (r == 0 && run->publisher)
		r = crowd_watch(run->crowds[0], publisher_fd(run->publisher), RUN_PUBLISHER);
	return r;
}

static int run_build(struct run *run, const struct plan *plan)
{
	int r = run_fds(run);

	if (r == 0)
		r = event_init(&run->event, plan->payload, clock_wall_ms() << 22 ^ (uint64_t)getpid());
	if (r == 0 && plan->window)
		r = window_init(&run->window, plan->window);
	if (r == 0 && plan->urls[0].tls) {
		run->tls = wire_tls_new(NULL);
		r = run->tls ? 0 : -ENOMEM;
	}
	run->shared = (struct crowd_shared){
		.plan = plan,
		.tls = run->tls,
		.event = &run->event,
		.window = plan->window ? &run->window : NULL,
		.wake_fd = run->wake_fd,
	};
	atomic_store(&run->shared.from_us, UINT64_MAX);
	for (; r == 0 && run->n_crowds < plan->n_crowds; run->n_crowds++)
		r = crowd_new(&run->shared, run->n_crowds, &run->crowds[run->n_crowds]);
	return r == 0 ? run_watch(run) : r;
}

int run_init(struct run *run, const struct plan *plan, struct publisher *publisher)
{
	int r;

	*run = (struct run){
		.plan = plan, .publisher = publisher, .wake_fd = -1, .timer_fd = -1, .signal_fd = -1};
	run->started_us = run->second_us = clock_monotonic_us();
	run->progress = !plan->json && isatty(STDERR_FILENO);
	r = run_build(run, plan);
	if (r < 0)
		buf_append_str(&run->error, strerror(-r));
	return r;
}

void run_deinit(struct run *run)
{
	(void)run_stop_crowds(run); /* the run has told already, if there was something to tell */
	for (uint32_t i = 0; i < run->n_crowds; i++)
		crowd_free(run->crowds[i]);
	wire_tls_free(run->tls);
	window_deinit(&run->window);
	event_deinit(&run->event);
	buf_deinit(&run->error);
	if (run->wake_fd > 0)
		close(run->wake_fd);
	if (run->timer_fd > 0)
		close(run->timer_fd);
	if (run->signal_fd > 0)
		close(run->signal_fd);
}

struct crowd_totals run_totals(const struct run *run)
{
	struct crowd_totals t = {0};

	for (uint32_t i = 0; i < run->n_crowds; i++) {
		const struct crowd_counts *c = crowd_counts(run->crowds[i]);

		t.opened += atomic_load_explicit(&c->opened, memory_order_relaxed);
		t.failed += atomic_load_explicit(&c->failed, memory_order_relaxed);
		t.closed += atomic_load_explicit(&c->closed, memory_order_relaxed);
		t.slow_closed += atomic_load_explicit(&c->slow_closed, memory_order_relaxed);
		t.deflated += atomic_load_explicit(&c->deflated, memory_order_relaxed);
		t.primed += atomic_load_explicit(&c->primed, memory_order_relaxed);
		t.delivered += atomic_load_explicit(&c->delivered, memory_order_relaxed);
		t.bytes += atomic_load_explicit(&c->bytes, memory_order_relaxed);
		t.reads += atomic_load_explicit(&c->reads, memory_order_relaxed);
		t.doubled += atomic_load_explicit(&c->doubled, memory_order_relaxed);
		t.reordered += atomic_load_explicit(&c->reordered, memory_order_relaxed);
		t.misdelivered += atomic_load_explicit(&c->misdelivered, memory_order_relaxed);
		t.foreign += atomic_load_explicit(&c->foreign, memory_order_relaxed);
		t.cut += atomic_load_explicit(&c->cut, memory_order_relaxed);
		t.put_off += atomic_load_explicit(&c->put_off, memory_order_relaxed);
		t.recovered += atomic_load_explicit(&c->recovered, memory_order_relaxed);
		t.unrecovered += atomic_load_explicit(&c->unrecovered, memory_order_relaxed);
		t.replayed += atomic_load_explicit(&c->replayed, memory_order_relaxed);
	}
	return t;
}

const char *run_trouble(const struct run *run)
{
	for (uint32_t i = 0; i < run->n_crowds; i++)
		if (*crowd_trouble(run->crowds[i]))
			return crowd_trouble(run->crowds[i]);
	return "";
}

static void run_show_progress(struct run *run, uint64_t now_us)
{
	struct crowd_totals totals;
	uint64_t published;
	double seconds;

	if (!run->progress || now_us - run->second_us < PROGRESS_US)
		return;
	totals = run_totals(run);
	published = atomic_load_explicit(&run->shared.published, memory_order_relaxed);
	seconds = (double)(now_us - run->second_us) / 1e6;
	report_progress(
		&(struct report_second){
			.at_s = (double)(now_us - run->started_us) / 1e6,
			.phase = run->phase,
			.open = totals.opened - totals.closed - totals.slow_closed,
			.deliveries = (double)(totals.delivered - run->second_delivered) / seconds,
			.events = (double)(published - run->second_published) / seconds,
		},
		stderr);
	run->second_us = now_us;
	run->second_delivered = totals.delivered;
	run->second_published = published;
}

int run_turn(struct run *run, int timeout_ms)
{
	struct signalfd_siginfo info;
	uint64_t ticks;
	int bits = crowd_turn(run->crowds[0], timeout_ms);

	if (bits < 0) {
		buf_append_str(&run->error, strerror(-bits));
		return bits;
	}
	/* What a descriptor holds is of no interest, only that it was ready. */
	if (bits & RUN_WAKE && read(run->wake_fd, &ticks, sizeof(ticks)) < 0)
		bits &= ~RUN_WAKE;
	if (bits & RUN_TIMER && read(run->timer_fd, &ticks, sizeof(ticks)) < 0)
		bits &= ~RUN_TIMER;
	if (bits & RUN_SIGNAL && read(run->signal_fd, &info, sizeof(info)) > 0)
		run->interrupted = true;
	run_show_progress(run, clock_monotonic_us());
	return bits & RUN_PUBLISHER ? publisher_service(run->publisher, &run->error) : 0;
}

int run_rest(struct run *run, uint64_t us)
{
	uint64_t end = clock_monotonic_us() + us;
	int r = 0;

	while (r == 0 && !run->interrupted && clock_monotonic_us() < end)
		r = run_turn(run, RUN_POLL_MS);
	return r;
}

int run_cost(struct run *run, struct server_cost *cost)
{
	if (run->plan->n_servers && server_cost_read(run->plan->servers, run->plan->n_servers, cost) < 0) {
		buf_append_str(
			&run->error, "a process of --server-pid is not there, or may not be looked at");
		return -ESRCH;
	}
	return 0;
}

/* Turns until all are open, one has failed, or nothing has happened for a long time. */
static int run_await_open(struct run *run)
{
	struct crowd_totals totals = run_totals(run);
	uint64_t moved_us = clock_monotonic_us(), before = 0;
	int r = 0;

	while (r == 0 && totals.opened < run->plan->n_connections) {
		r = run_turn(run, run->n_running ? 1 : RUN_POLL_MS);
		totals = run_totals(run);
		if (totals.opened != before)
			moved_us = clock_monotonic_us();
		before = totals.opened;
		if (r == 0 && (totals.failed || run->interrupted ||
				      clock_monotonic_us() - moved_us > RUN_PATIENCE_US)) {
			buf_printf(&run->error, "%lu of %u connections are open, and no more came: %s",
				(unsigned long)totals.opened, run->plan->n_connections,
				run->interrupted ? "interrupted" : run_trouble(run));
			r = -ECONNREFUSED;
		}
	}
	return r;
}

int run_open(struct run *run)
{
	struct crowd_totals totals;
	uint64_t start_us;
	int r;

	run->phase = "opening";
	r = run_cost(run, &run->report.start);
	if (r < 0)
		return r;
	start_us = clock_monotonic_us();
	r = run_start_crowds(run);
	if (r == 0)
		r = run_await_open(run);
	run->report.opening_s = (double)(clock_monotonic_us() - start_us) / 1e6;
	if (r == 0)
		r = run_cost(run, &run->report.opened_cost);
	if (r == 0)
		r = run_rest(run, RUN_REST_US);
	if (r == 0)
		r = run_cost(run, &run->report.idle);
	totals = run_totals(run);
	run->report.opened = totals.opened;
	run->report.deflated = totals.deflated;
	return r;
}

int run_set_timer(struct run *run, double rate)
{
	uint64_t ns = rate > 0 ? (uint64_t)(1e9 / rate) : 0;
	struct itimerspec spec = {0};

	if (ns && ns < RATE_TICK_NS)
		ns = RATE_TICK_NS;
	spec.it_interval.tv_sec = spec.it_value.tv_sec = (time_t)(ns / 1000000000);
	spec.it_interval.tv_nsec = spec.it_value.tv_nsec = (long)(ns % 1000000000);
	return timerfd_settime(run->timer_fd, 0, &spec, NULL) < 0 ? -errno : 0;
}

/* Turns until a count of the totals is there, or has not moved for a while. */
static int run_await_quiet(struct run *run, size_t count, uint64_t enough, uint64_t quiet_us)
{
	uint64_t moved_us = clock_monotonic_us(), before = 0, now = 0;
	int r = 0;

	while (r == 0 && now < enough && clock_monotonic_us() - moved_us < quiet_us) {
		struct crowd_totals totals;

		r = run_turn(run, RUN_POLL_MS);
		totals = run_totals(run);
		memcpy(&now, (const char *)&totals + count, sizeof(now));
		if (now != before)
			moved_us = clock_monotonic_us();
		before = now;
	}
	return r;
}

static void report_totals(struct run *run)
{
	struct crowd_totals totals = run_totals(run);

	run->report.published_all = atomic_load(&run->shared.published);
	run->report.delivered_all = totals.delivered;
	run->report.doubled = totals.doubled;
	run->report.reordered = totals.reordered;
	run->report.misdelivered = totals.misdelivered;
	run->report.foreign = totals.foreign;
	run->report.closed = totals.closed;
	run->report.slow_closed = totals.slow_closed;
	run->report.cut = totals.cut;
	run->report.put_off = totals.put_off;
	run->report.recovered = totals.recovered;
	run->report.unrecovered = totals.unrecovered;
	run->report.replayed = totals.replayed;
	for (uint32_t i = 0; i < run->n_crowds; i++) {
		run->report.lost += crowd_missing(run->crowds[i]);
		histogram_merge(&run->report.latency, crowd_latency(run->crowds[i]));
		histogram_merge(&run->report.storm_latency, crowd_storm_latency(run->crowds[i]));
		histogram_merge(&run->report.storm_read, crowd_storm_read(run->crowds[i]));
	}
}

int run_drain(struct run *run)
{
	int r;

	run->phase = "draining";
	r = run_await_quiet(run, offsetof(struct crowd_totals, delivered), run->expected, RUN_QUIET_US);
	if (r == 0 && run->plan->n_slow) {
		atomic_store(&run->shared.wake_slow, true);
		r = run_await_quiet(run, offsetof(struct crowd_totals, reads), UINT64_MAX, RUN_SLOW_US);
	}
	if (r == 0)
		r = run_stop_crowds(run);
	if (r == 0)
		report_totals(run);
	return r;
}
