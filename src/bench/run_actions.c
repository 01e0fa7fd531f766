/* Run, actions: the load, and the report of it; see the header. */

#include "bench/run_actions.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/action_load.h"
#include "bench/action_workers.h"
#include "bench/figure.h"
#include "bench/run_private.h"
#include "core/clock.h"

enum {
	QUIET_US =
		15000000, /* without an answer, until what is open is lost: longer than a route's timeout by default */
	FIGURES_MAX = 24,
};

/* What was so at both ends of the measured time. */
struct action_mark {
	uint64_t us;
	uint64_t n_answered;
	uint64_t redis_us;
	struct server_cost cost;
};

struct action_run {
	struct run *run;
	struct action_load *load;
	struct action_workers *workers;
	struct action_mark from, to;
};

static void feed(struct action_run *actions, uint64_t now_us)
{
	struct action_load *load = actions->load;
	struct crowd *crowd = actions->run->crowds[0];
	const struct plan *plan = actions->run->plan;
	uint64_t due = 1 + (uint64_t)((double)(now_us - actions->run->load_us) * plan->rate / 1e6);

	if (plan->window)
		while (load->n_open < plan->window && action_load_send(load, crowd, now_us))
			;
	else
		while (load->n_sent < due &&
			action_load_send(load, crowd,
				actions->run->load_us + (uint64_t)((double)load->n_sent / plan->rate * 1e6)))
			;
	atomic_store_explicit(&actions->run->shared.published, load->n_sent, memory_order_relaxed);
}

static int act_until(struct action_run *actions, uint64_t end_us)
{
	struct run *run = actions->run;
	uint64_t now_us = clock_monotonic_us();
	int r = 0;

	while (r == 0 && now_us < end_us && !run->interrupted) {
		feed(actions, now_us);
		r = run_turn(run,
			end_us - now_us < RUN_POLL_MS * 1000 ? (int)((end_us - now_us) / 1000) : RUN_POLL_MS);
		now_us = clock_monotonic_us();
	}
	return r;
}

static int take_mark(struct action_run *actions, struct action_mark *mark)
{
	mark->us = clock_monotonic_us();
	mark->n_answered = actions->load->n_answered;
	mark->redis_us = action_workers_redis_cpu_us(actions->workers);
	return run_cost(actions->run, &mark->cost);
}

/* Until all have had their end, or nothing comes any more. */
static int drain(struct action_run *actions)
{
	uint64_t moved_us = clock_monotonic_us(), before = actions->load->n_open;
	int r = 0;

	actions->run->phase = "draining";
	while (r == 0 && actions->load->n_open && clock_monotonic_us() - moved_us < QUIET_US &&
		!actions->run->interrupted) {
		r = run_turn(actions->run, RUN_POLL_MS);
		if (actions->load->n_open != before)
			moved_us = clock_monotonic_us();
		before = actions->load->n_open;
	}
	return r;
}

static int measure(struct action_run *actions)
{
	struct run *run = actions->run;
	struct action_load *load = actions->load;
	int r = run_set_timer(run, run->plan->rate);

	run->load_us = clock_monotonic_us();
	load->from_us = run->load_us + (uint64_t)(run->plan->warmup_s * 1e6);
	load->to_us = load->from_us + (uint64_t)(run->plan->duration_s * 1e6);
	run->phase = "warm-up";
	if (r == 0)
		r = act_until(actions, load->from_us);
	action_workers_measure(actions->workers);
	run->phase = "load";
	if (r == 0)
		r = take_mark(actions, &actions->from);
	if (r == 0)
		r = act_until(actions, load->to_us);
	if (r == 0)
		r = take_mark(actions, &actions->to);
	run_set_timer(run, 0);
	return r == 0 ? drain(actions) : r;
}

/* --- the report --- */

static uint64_t lost(const struct action_load *load)
{
	return load->n_open + load->n_lost;
}

static size_t time_figures(const struct action_run *actions, struct figure *out)
{
	const struct histogram *h = &actions->load->latency, *pings = action_workers_pings(actions->workers);
	size_t n = 0;

	out[n++] = (struct figure){"latency_p50_us", "latency us p50", 0, (double)histogram_quantile(h, 0.5)};
	out[n++] =
		(struct figure){"latency_p99_us", "latency us p99", 0, (double)histogram_quantile(h, 0.99)};
	out[n++] = (struct figure){"latency_max_us", "latency us max", 0, (double)h->max};
	out[n++] = (struct figure){"redis_p50_us", "a PING of Redis meanwhile, us p50", 0,
		(double)histogram_quantile(pings, 0.5)};
	out[n++] = (struct figure){"redis_p99_us", "a PING of Redis meanwhile, us p99", 0,
		(double)histogram_quantile(pings, 0.99)};
	return n;
}

static size_t figures(const struct action_run *actions, struct figure out[FIGURES_MAX])
{
	const struct action_load *load = actions->load;
	double seconds = (double)(actions->to.us - actions->from.us) / 1e6;
	double answered = (double)(actions->to.n_answered - actions->from.n_answered);
	double cpu_us = (double)(actions->to.cost.cpu_ns - actions->from.cost.cpu_ns) / 1e3;
	size_t n = 0;

	out[n++] = (struct figure){"connections", "connections", 0, (double)actions->run->report.opened};
	out[n++] = (struct figure){"workers", "workers", 0, (double)actions->run->plan->n_workers};
	out[n++] = (struct figure){"measured_s", "measured seconds", 1, seconds};
	out[n++] = (struct figure){"actions_per_s", "answered / s", 0, figure_ratio(answered, seconds)};
	n += time_figures(actions, out + n);
	out[n++] = (struct figure){"redis_cpu_us_per_action", "Redis CPU us / action", 2,
		figure_ratio((double)(actions->to.redis_us - actions->from.redis_us), answered)};
	out[n++] = (struct figure){"server_cpu_us_per_action", "server CPU us / action", 2,
		actions->run->plan->n_servers ? figure_ratio(cpu_us, answered) : NAN};
	out[n++] = (struct figure){"actions", "actions, whole run", 0, (double)load->n_sent};
	out[n++] = (struct figure){"answered", "answered", 0, (double)load->n_answered};
	out[n++] = (struct figure){"refused", "refused", 0, (double)load->n_refused};
	out[n++] = (struct figure){"lost", "lost", 0, (double)lost(load)};
	out[n++] = (struct figure){"doubled", "answered twice", 0, (double)load->n_doubled};
	out[n++] = (struct figure){"twice", "carried out twice", 0, (double)action_load_twice(load)};
	return n;
}

static int report(const struct action_run *actions)
{
	const struct action_load *load = actions->load;
	const struct plan *plan = actions->run->plan;
	bool clean = !lost(load) && !load->n_doubled && !action_load_twice(load);
	struct figure list[FIGURES_MAX];
	size_t n = figures(actions, list);

	if (!plan->json)
		figures_table(list, n, stdout);
	if (!plan->json && load->code[0])
		printf("the first that was not answered: %s\n", load->code);
	printf("{\"target\":\"actions\",\"clean\":%s,\"window\":%lu,\"rate\":%g", clean ? "true" : "false",
		(unsigned long)plan->window, plan->rate);
	figures_json(list, n, stdout);
	fputs("}\n", stdout);
	return !clean;
}

int run_actions(struct run *run)
{
	struct action_run actions = {.run = run, .load = action_load_new(run->plan->n_connections)};
	int r = actions.load ? 0 : -ENOMEM, status = 1;

	if (r < 0)
		buf_append_str(&run->error, "out of memory");
	run->shared.actions = actions.load;
	if (r == 0)
		r = action_workers_start(run->plan, actions.load, &actions.workers, &run->error);
	if (r == 0)
		r = measure(&actions);
	if (actions.workers && action_workers_stop(actions.workers, &run->error) < 0)
		r = -EIO;
	if (r == 0)
		status = report(&actions);
	else
		fprintf(stderr, "tidegate: bench: %s\n",
			buf_text(&run->error) ? buf_text(&run->error) : "out of memory");
	run->shared.actions = NULL;
	action_workers_free(actions.workers);
	action_load_free(actions.load);
	return status;
}
